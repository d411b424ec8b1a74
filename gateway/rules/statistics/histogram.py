"""`histogram`: people by which of some intervals with public edges their number or day lies in, and by further codes.

Invariants: the owner says the interval, before anything is shared, so a value leaves nobody; whoever has none is
counted as such, so that a table says everybody. Private edges are found under MPC and leave nobody; the owner says the
interval of a public grid then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from gateway.domain.contract import Contract, Limits
from gateway.domain.dataset import ColumnType
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.query import Grid, Histogram, PrivateEdges, Query
from gateway.domain.result import Table
from gateway.rules import dates
from gateway.rules.statistics import count_by, grids, quantiles
from gateway.rules.statistics.base import (
    MAX_CELLS,
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

outputs = count_by.outputs


def check(asked: Query) -> None:
    wanted = _of(asked)
    check_column(wanted.column, f"{FIELD}.column")
    if wanted.columns:
        check_columns(wanted.columns, f"{FIELD}.columns", most=5)
    if wanted.column in wanted.columns:
        raise malformed(f"{FIELD}.columns", f"{wanted.column} is what the intervals are of")
    if wanted.private_edges is None:
        check_edges(wanted.edges, f"{FIELD}.edges", MAX_EDGES)
        return
    if wanted.edges:
        raise malformed(f"{FIELD}.edges", "name edges, or private ones, not both")
    grids.check_grid(_grid(wanted, wanted.private_edges), f"{FIELD}.private_edges", MAX_CELLS - 1)
    quantiles.check_at(wanted.private_edges.at, f"{FIELD}.private_edges.at", least=1, most=99)


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


def check_limits(asked: Query, limits: Limits) -> None:
    """Noise hides a person in counts between edges that do not depend on it."""
    if _of(asked).private_edges is not None and limits.epsilon is not None:
        raise IsthmusError(
            Reason.MALFORMED_QUERY,
            "private edges depend on everybody, and noise is for counts alone",
            field="limits.epsilon",
            advice="Leave epsilon out, or name edges",
        )


def uses(asked: Query) -> Iterator[Used]:
    wanted = _of(asked)
    if wanted.private_edges is not None:
        yield grids.used(_grid(wanted, wanted.private_edges), FIELD)
    else:
        kind = ColumnType.INTEGER if isinstance(wanted.edges[0], int) else ColumnType.DATE
        yield Used(wanted.column, f"{FIELD}.column", types=(kind,), edges=wanted.edges)
    for number, name in enumerate(wanted.columns):
        yield Used(name, f"{FIELD}.columns[{number}]")


def parameters(asked: Query, codes: Codes) -> dict[str, Any]:
    wanted = _of(asked)
    names, private = (wanted.column, *wanted.columns), wanted.private_edges
    if private is None:
        columns = coded(names, {**codes, wanted.column: intervals(wanted.edges)}, f"{FIELD}.edges")
        return {"columns": columns, "structural_zeros": []}
    grid = _grid(wanted, private)
    coded(wanted.columns, codes, f"{FIELD}.columns", each=grids.size(grid) + 1)  # what owners share
    columns = coded(names, {**codes, wanted.column: bins(private.at)}, f"{FIELD}.private_edges")
    further = {"grid": grids.parameters(grid), "edges_at": list(private.at)}
    return {"columns": columns, "structural_zeros": [], **further}


def canonical(asked: Query) -> dict[str, Any]:
    wanted, private = _of(asked), _of(asked).private_edges
    found = {
        "statistic": "histogram",
        "column": wanted.column,
        "edges": list(wanted.edges),
        "columns": sorted(wanted.columns),
    }
    if private is None:
        return found
    return {**found, "private_edges": {"of": grids.canonical(_grid(wanted, private)), "at": list(private.at)}}


def table(contract: Contract, opened: Sequence[int]) -> Table:
    wanted = _of(contract.query)
    return counted(contract, (wanted.column, *wanted.columns), cells(contract.program.parameters), opened)


def said(asked: Query, called: Callable[[str], str]) -> str:
    wanted = _of(asked)
    where = f"in which of {len(wanted.edges) + 1} intervals their {called(wanted.column)} lies"
    if wanted.private_edges is not None:
        at = ", ".join(f"{p} %" for p in wanted.private_edges.at)
        where = f"between which quantiles of everybody ({at}), which nobody learns, their {called(wanted.column)} lies"
    by = " and ".join([where, *map(called, wanted.columns)])
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


def bins(at: Sequence[int]) -> tuple[str, ...]:
    """What the parts between quantiles are called, and nowhere.

    >>> bins((25, 50))
    ('0 to 25 %', '25 to 50 %', '50 to 100 %', 'not known')
    """
    return (*(f"{low} to {high} %" for low, high in pairwise((0, *at, 100))), UNKNOWN)


def _grid(wanted: Histogram, private: PrivateEdges) -> Grid:
    return Grid(wanted.column, private.least, private.most, private.step)


def _of(asked: Query) -> Histogram:
    return given(asked.statistic.histogram)
