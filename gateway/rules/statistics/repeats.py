"""`repeats`: people whom several spaces recorded, by how close together in time, and by the codes of columns.

Everybody is in one cell, by the closest two days at different spaces, so that cells add up to all people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from gateway.domain.contract import Contract
from gateway.domain.dataset import ColumnType
from gateway.domain.query import Query, Repeats
from gateway.domain.result import Table
from gateway.rules import dates
from gateway.rules.statistics.base import (
    Codes,
    Use,
    Used,
    any_limits,
    cells,
    check_column,
    check_columns,
    coded,
    counted,
    given,
    lists,
    malformed,
)

PROGRAM, LABEL = "repeats", "repeats"
FIELD = "statistic.repeats"
APART = "apart"  # the table's last column: how close
# As the program has them (connectors/engine/programs/repeats.py); days of ten thousand years are not too far apart.
MAX_SPANS, MAX_SPAN = 6, 36_525

check_limits = any_limits


def check(asked: Query) -> None:
    wanted = _of(asked)
    check_column(wanted.column, f"{FIELD}.column")
    for end in ("least", "most"):
        if not dates.is_day(getattr(wanted, end)):
            raise malformed(f"{FIELD}.{end}", "a day such as 2013-04-01")
    if wanted.least >= wanted.most:
        raise malformed(f"{FIELD}.most", "a day after least")
    if not 1 <= len(wanted.within) <= MAX_SPANS or not all(0 <= span <= MAX_SPAN for span in wanted.within):
        raise malformed(f"{FIELD}.within", f"1 to {MAX_SPANS} numbers of days up to {MAX_SPAN}")
    if any(short >= long for short, long in pairwise(wanted.within)):
        raise malformed(f"{FIELD}.within", "numbers of days ascend")
    if wanted.columns:
        check_columns(wanted.columns, f"{FIELD}.columns")
    if APART in wanted.columns:
        raise malformed(f"{FIELD}.columns", f"how close is called {APART}, and no other column may be")
    if len({source.dataset.split("/")[1] for source in asked.sources}) < 2:
        raise malformed("sources", "repeats are between spaces: name sources of two at least")


def uses(asked: Query) -> Iterator[Used]:
    wanted = _of(asked)
    for number, name in enumerate(wanted.columns):
        yield Used(name, f"{FIELD}.columns[{number}]")
    within = (wanted.least, wanted.most)
    yield Used(wanted.column, f"{FIELD}.column", Use.MEASURE, (ColumnType.DATE,), within=within)


def parameters(asked: Query, codes: Codes) -> dict[str, Any]:
    wanted = _of(asked)
    least, most = dates.number(wanted.least), dates.number(wanted.most)
    columns = coded(wanted.columns, codes, f"{FIELD}.columns", each=len(gaps(wanted.within)))
    day = {"name": wanted.column, "least": least, "most": most}
    return {"columns": columns, "day": day, "within": list(wanted.within), "structural_zeros": []}


def canonical(asked: Query) -> dict[str, Any]:
    wanted = _of(asked)
    return {
        "statistic": "repeats",
        "column": wanted.column,
        "bounds": [wanted.least, wanted.most],
        "within": list(wanted.within),
        "columns": sorted(wanted.columns),
    }


def outputs(contract: Contract) -> int:
    return 2 * len(_cells(contract))


def table(contract: Contract, opened: Sequence[int]) -> Table:
    return counted(contract, (*_of(contract.query).columns, APART), _cells(contract), opened)


def said(asked: Query, called: Callable[[str], str]) -> str:
    wanted = _of(asked)
    spans = " or ".join(map(str, wanted.within))
    by = f", by {' and '.join(map(called, wanted.columns))}" if wanted.columns else ""
    when = f"two spaces recorded them within {spans} days by {called(wanted.column)}"
    return f"people of {lists(asked)}, each once, counted by whether {when}{by}"


def gaps(within: Sequence[int]) -> tuple[str, ...]:
    """What each gap is called, in the program's order.

    >>> gaps((7, 30))
    ('one space only', 'over 30 days, or not known', '8 to 30 days', '0 to 7 days')
    """
    starts = [0, *(span + 1 for span in within)]
    ends = zip(starts, within, strict=False)
    spans = [f"{low} to {high} days" if low < high else f"{low} days" for low, high in ends]
    return ("one space only", f"over {within[-1]} days, or not known", *reversed(spans))


def _cells(contract: Contract) -> list[tuple[str, ...]]:
    ends = gaps(_of(contract.query).within)
    return [(*cell, end) for cell in cells(contract.program.parameters) for end in ends]


def _of(asked: Query) -> Repeats:
    return given(asked.statistic.repeats)
