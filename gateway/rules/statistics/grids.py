"""Numbers and days between public bounds, and the grids that their owners sort them into at home. Pure.

Invariants: the intervals of a grid hold all numbers between its bounds, each one once, and the sources' own bounds lie
within them; a day is how many days it is after the first of 1970.
"""

from __future__ import annotations

from typing import Any

from gateway.domain.dataset import ColumnType
from gateway.domain.query import Grid, Measure
from gateway.rules import dates
from gateway.rules.statistics.base import Used, check_column, malformed

# As programs have them (connectors/engine/programs/measures.py).
MAX_APART, FARTHEST = 1 << 24, 1 << 31


def check_bounds(of: Grid | Measure, field: str) -> None:
    """Raises `malformed`: both ends are integers or both days, in order, and not too far apart."""
    check_column(of.column, f"{field}.column")
    for end in ("least", "most"):
        bound = getattr(of, end)
        if isinstance(bound, bool) or (isinstance(bound, str) and not dates.is_day(bound)):
            raise malformed(f"{field}.{end}", "a bound is an integer or a day such as 2013-04-01")
    if isinstance(of.least, str) is not isinstance(of.most, str):
        raise malformed(f"{field}.most", "bounds are two integers or two days")
    least, most = bounds(of)
    if not (-FARTHEST <= least < most <= FARTHEST and most - least <= MAX_APART):
        raise malformed(f"{field}.most", f"above least by at most {MAX_APART}, both within {FARTHEST} of zero")


def check_grid(grid: Grid, field: str, intervals: int) -> None:
    """Raises `malformed`: the grid has 2 to `intervals` intervals."""
    check_bounds(grid, field)
    if not 1 <= grid.step <= MAX_APART:
        raise malformed(f"{field}.step", f"between 1 and {MAX_APART}")
    if not 2 <= size(grid) <= intervals:
        raise malformed(f"{field}.step", f"makes {size(grid)} intervals; 2 to {intervals} are possible")


def bounds(of: Grid | Measure) -> tuple[int, int]:
    least, most = (dates.number(end) if isinstance(end, str) else end for end in (of.least, of.most))
    return least, most


def column_type(of: Grid | Measure) -> ColumnType:
    return ColumnType.DATE if isinstance(of.least, str) else ColumnType.INTEGER


def size(grid: Grid) -> int:
    """How many intervals it has; the last one may be shorter than a step."""
    least, most = bounds(grid)
    return (most - least) // grid.step + 1


def ends(grid: Grid, interval: int) -> tuple[int, int]:
    """The least and the greatest number in an interval.

    >>> ends(Grid("age", 0, 120, 25), 4)
    (100, 120)
    """
    least, most = bounds(grid)
    start = least + interval * grid.step
    return start, min(start + grid.step - 1, most)


def used(grid: Grid, field: str) -> Used:
    """The column of a grid, as its owners sort it."""
    starts = [ends(grid, interval)[0] for interval in range(1, size(grid))]
    edges = tuple(map(dates.day, starts)) if isinstance(grid.least, str) else tuple(starts)
    within = (grid.least, grid.most)
    return Used(grid.column, f"{field}.column", types=(column_type(grid),), edges=edges, within=within)


def parameters(grid: Grid) -> dict[str, Any]:
    """As programs take it."""
    return {"name": grid.column, "intervals": size(grid)}


def canonical(grid: Grid) -> dict[str, Any]:
    least, most = bounds(grid)
    return {"column": grid.column, "least": least, "most": most, "step": grid.step}
