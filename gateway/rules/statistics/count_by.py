"""`count_by`: people by the codes of one to six columns, each person once across all sources."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gateway.domain.contract import Contract
from gateway.domain.query import CountBy, Query
from gateway.domain.result import Table
from gateway.rules.statistics.base import Codes, Used, any_limits, cells, check_columns, coded, counted, given, whom

PROGRAM, LABEL = "group_count", "counts"
FIELD = "statistic.count_by.columns"

check_limits = any_limits


def check(asked: Query) -> None:
    check_columns(_of(asked).columns, FIELD)


def uses(asked: Query) -> Iterator[Used]:
    for number, name in enumerate(_of(asked).columns):
        yield Used(name, f"{FIELD}[{number}]")


def parameters(asked: Query, codes: Codes) -> dict[str, Any]:
    return {"columns": coded(_of(asked).columns, codes, FIELD), "structural_zeros": []}


def canonical(asked: Query) -> dict[str, Any]:
    return {"statistic": "count_by", "columns": sorted(_of(asked).columns)}


def outputs(contract: Contract) -> int:
    return 2 * len(cells(contract.program.parameters))


def table(contract: Contract, opened: Sequence[int]) -> Table:
    return counted(contract, _of(contract.query).columns, cells(contract.program.parameters), opened)


def said(asked: Query, called: Callable[[str], str]) -> str:
    return f"{whom(asked)}, counted by {' and '.join(map(called, _of(asked).columns))}"


def _of(asked: Query) -> CountBy:
    return given(asked.statistic.count_by)
