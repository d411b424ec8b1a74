"""`histogram`: people by which of some intervals with public edges their number or day lies in, and by further codes.

Invariants: the owner says the interval, before anything is shared, so a value leaves nobody; whoever has none is
counted as such, so that a table says everybody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from gateway.domain.contract import Contract
from gateway.domain.dataset import ColumnType
from gateway.domain.query import Histogram, Query
from gateway.domain.result import Table
from gateway.rules import dates
from gateway.rules.statistics import count_by
from gateway.rules.statistics.base import (
    Codes,
    Used,
    cells,
    check_column,
    check_columns,
    coded,
    counted,
    given,
    malformed,
    whom,
)

PROGRAM, LABEL = count_by.PROGRAM, "histograms"
FIELD = "statistic.histogram"
MAX_EDGES, MAX_EDGE = 200, 10**15
UNKNOWN = "not known"

outputs, check_limits = count_by.outputs, count_by.check_limits


def check(asked: Query) -> None:
    wanted = _of(asked)
    check_column(wanted.column, f"{FIELD}.column")
    if wanted.columns:
        check_columns(wanted.columns, f"{FIELD}.columns", most=5)
    if wanted.column in wanted.columns:
        raise malformed(f"{FIELD}.columns", f"{wanted.column} is what the intervals are of")
    check_edges(wanted.edges, f"{FIELD}.edges", MAX_EDGES)


def check_edges(edges: Sequence[str | int], field: str, most: int) -> None:
    """Raises `malformed`: edges are all integers or all days, and ascend."""
    if not 1 <= len(edges) <= most:
        raise malformed(field, f"name between 1 and {most} edges")
    whole = [isinstance(edge, int) and not isinstance(edge, bool) for edge in edges]
    if any(whole) and not all(whole):
        raise malformed(field, "edges are all integers or all days")
    for number, edge in enumerate(edges):
        if isinstance(edge, int) and abs(edge) > MAX_EDGE:
            raise malformed(f"{field}[{number}]", f"an edge lies between -{MAX_EDGE} and {MAX_EDGE}")
        if isinstance(edge, str) and not dates.is_day(edge):
            raise malformed(f"{field}[{number}]", "an edge is an integer or a day such as 2013-04-01")
    if any(low >= high for low, high in pairwise(edges)):  # type: ignore[operator]  # of one type by now
        raise malformed(field, "edges ascend")


def uses(asked: Query) -> Iterator[Used]:
    wanted = _of(asked)
    kind = ColumnType.INTEGER if isinstance(wanted.edges[0], int) else ColumnType.DATE
    yield Used(wanted.column, f"{FIELD}.column", types=(kind,), edges=wanted.edges)
    for number, name in enumerate(wanted.columns):
        yield Used(name, f"{FIELD}.columns[{number}]")


def parameters(asked: Query, codes: Codes) -> dict[str, Any]:
    wanted = _of(asked)
    names = (wanted.column, *wanted.columns)
    columns = coded(names, {**codes, wanted.column: intervals(wanted.edges)}, f"{FIELD}.edges")
    return {"columns": columns, "structural_zeros": []}


def canonical(asked: Query) -> dict[str, Any]:
    wanted = _of(asked)
    return {
        "statistic": "histogram",
        "column": wanted.column,
        "edges": list(wanted.edges),
        "columns": sorted(wanted.columns),
    }


def table(contract: Contract, opened: Sequence[int]) -> Table:
    wanted = _of(contract.query)
    return counted(contract, (wanted.column, *wanted.columns), cells(contract.program.parameters), opened)


def said(asked: Query, called: Callable[[str], str]) -> str:
    wanted = _of(asked)
    bins = len(wanted.edges) + 1
    by = " and ".join(
        [f"in which of {bins} intervals their {called(wanted.column)} lies", *map(called, wanted.columns)]
    )
    return f"{whom(asked)}, counted by {by}"


def intervals(edges: Sequence[str | int]) -> tuple[str, ...]:
    """What each interval is called: below the first edge, between two, from the last on, and nowhere.

    >>> intervals((0, 12, 18))
    ('under 0', '0 to 11', '12 to 17', '18 and over', 'not known')
    """
    if isinstance(edges[0], int):
        between = (f"{low} to {high - 1}" if high - 1 > low else str(low) for low, high in pairwise(edges))  # type: ignore[operator]
        return (f"under {edges[0]}", *between, f"{edges[-1]} and over", UNKNOWN)
    days = (f"{low} to {dates.before(str(high))}" for low, high in pairwise(edges))
    return (f"before {edges[0]}", *days, f"from {edges[-1]}", UNKNOWN)


def _of(asked: Query) -> Histogram:
    return given(asked.statistic.histogram)
