"""`cross_tab`: people by columns that different sources tell, linked across all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gateway.domain.contract import Contract
from gateway.domain.query import Query
from gateway.domain.result import Table
from gateway.rules.statistics import count_by, told
from gateway.rules.statistics.base import Codes, Used, cells, coded, counted, given, lists

PROGRAM, LABEL = told.PROGRAM, "cross-tabs"
FIELD = "statistic.cross_tab.columns"

outputs, check_limits = count_by.outputs, count_by.check_limits


def check(asked: Query) -> None:
    told.check_told(asked, _columns(asked), FIELD)


def uses(asked: Query) -> Iterator[Used]:
    return told.uses_of(_columns(asked))


def parameters(asked: Query, codes: Codes) -> dict[str, Any]:
    return {"columns": coded(told.names_of(_columns(asked)), codes, FIELD), "structural_zeros": []}


def canonical(asked: Query) -> dict[str, Any]:
    return told.canonical(asked, _columns(asked))


def table(contract: Contract, opened: Sequence[int]) -> Table:
    return counted(contract, told.names_of(_columns(contract.query)), cells(contract.program.parameters), opened)


def said(asked: Query, called: Callable[[str], str]) -> str:
    by = " and ".join(told.said_column(asked, item, called) for item in _columns(asked).values())
    return f"people of {lists(asked)}, each once, of whom all of this is known, counted by {by}"


def _columns(asked: Query) -> told.Named:
    return {f"{FIELD}[{i}]": item for i, item in enumerate(given(asked.statistic.cross_tab).columns)}
