"""Plain tables and counts for a terminal."""

from collections.abc import Sequence


def render(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return ``header`` and ``rows`` in aligned columns."""
    lines = [tuple(header), *(tuple(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def counted(number: int, thing: str) -> str:
    """Return ``number`` and ``thing``, in the plural unless it is one."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
