"""`kruskal_wallis`: whether groups differ in where their people stand in an order: Kruskal and Wallis's H. Of two
groups it is Mann and Whitney's test.

Invariants: the owner says the interval, before anything is shared, so a value leaves nobody, and whoever has none is
left out; one number comes out of a session, or none; no count is opened, and none is in the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gateway.domain.contract import Contract
from gateway.domain.dataset import ColumnType
from gateway.domain.query import KruskalWallis, Query
from gateway.domain.result import Table
from gateway.rules.statistics import chi_square
from gateway.rules.statistics.base import Codes, Used, check_column, code_lists, given, lists, malformed
from gateway.rules.statistics.histogram import check_edges, intervals

PROGRAM, LABEL = "kruskal_wallis", "tests of an order"
FIELD = "statistic.kruskal_wallis"
MEASURES = ("h", "df", "p")
MAX_EDGES = chi_square.MAX_CELLS // 2 - 1

check_limits, outputs = chi_square.check_limits, chi_square.outputs


def check(asked: Query) -> None:
    wanted = _of(asked)
    chi_square.check_coded(wanted.groups, f"{FIELD}.groups")
    check_column(wanted.column, f"{FIELD}.column")
    if wanted.column == wanted.groups.column:
        raise malformed(f"{FIELD}.column", "name two different columns")
    check_edges(wanted.edges, f"{FIELD}.edges", MAX_EDGES)


def uses(asked: Query) -> Iterator[Used]:
    wanted = _of(asked)
    yield Used(wanted.groups.column, f"{FIELD}.groups.column", codes=wanted.groups.codes or ())
    kind = ColumnType.INTEGER if isinstance(wanted.edges[0], int) else ColumnType.DATE
    yield Used(wanted.column, f"{FIELD}.column", types=(kind,), edges=wanted.edges)


def parameters(asked: Query, codes: Codes) -> dict[str, Any]:
    """Raises IsthmusError: UNKNOWN_CODE, or MALFORMED_QUERY where the table would be too large or too small."""
    wanted = _of(asked)
    groups = chi_square.taken(wanted.groups, codes, f"{FIELD}.groups")
    known = intervals(wanted.edges)[:-1]  # all but that nothing is known
    return chi_square.crossed(PROGRAM, [(wanted.groups.column, groups), (wanted.column, known)], FIELD)


def canonical(asked: Query) -> dict[str, Any]:
    """Which groups are taken follows from the parameters."""
    wanted = _of(asked)
    names = {"groups": wanted.groups.column, "column": wanted.column}
    return {"statistic": PROGRAM, **names, "edges": list(wanted.edges)}


def table(contract: Contract, opened: Sequence[int]) -> Table:
    """One row, of H, its degrees of freedom and its p value; nothing where it is not told."""
    groups = code_lists(contract.program.parameters)[_of(contract.query).groups.column]
    people = sum(provider.row_bound for provider in contract.providers)
    return chi_square.tested(MEASURES, opened, people - 1, len(groups) - 1)


def said(asked: Query, called: Callable[[str], str]) -> str:
    wanted = _of(asked)
    groups, intervals = chi_square.in_words(wanted.groups, called), len(wanted.edges) + 1
    told = "H and p, no counts, told if enough people are in each group and interval"
    what = f"whether {groups} differ in {called(wanted.column)}, by {intervals} intervals"
    return f"{what}, among people of {lists(asked)}, each once ({told})"


def _of(asked: Query) -> KruskalWallis:
    return given(asked.statistic.kruskal_wallis)
