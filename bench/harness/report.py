"""Tables and statistics that the measurements print."""

import math
from collections.abc import Iterable, Sequence


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return the rows in aligned columns; the first row is the heading."""
    widths = _widths(rows)
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def markdown_table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table whose columns are aligned in the source too."""
    cells = [list(heading), *(list(row) for row in rows)]
    widths = _widths(cells)
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines) + "\n"


def percentile(values: Iterable[float], percent: float, default: float | None = None) -> float:
    """Return the smallest value that `percent` percent of the values (0 to 100) do not exceed.

    The result is one of the values: nothing is interpolated. If there are none it is `default`; without a default,
    ValueError is raised.
    """
    ordered = sorted(values)
    if not ordered and default is not None:
        return default
    if not ordered:
        raise ValueError("no values")
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
