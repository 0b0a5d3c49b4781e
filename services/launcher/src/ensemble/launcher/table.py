"""Plain tables and counts for a terminal."""

from collections.abc import Sequence


def render(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return ``header`` and ``rows`` in aligned columns."""
    lines = [tuple(header), *(tuple(each) for each in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join(row(line, widths) for line in lines)


def row(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Return ``cells`` in columns of these widths, longer ones as they are."""
    return "  ".join(c.ljust(width) for c, width in zip(cells, widths, strict=True)).rstrip()


def counted(number: int, thing: str) -> str:
    """Return ``number`` and ``thing``, in the plural unless it is one."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
