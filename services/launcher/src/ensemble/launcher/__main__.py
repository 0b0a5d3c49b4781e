"""The ``ensemble`` command."""


def main() -> int:
    return 0
