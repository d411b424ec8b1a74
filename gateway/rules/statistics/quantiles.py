"""`quantiles`: between which numbers or days people's quantiles lie, by groups: median, quartiles, least, greatest.

Invariants: the owner says the interval, before anything is shared, so a value leaves nobody, and whoever has none is
left out; intervals of a public grid come out of a session, or nothing; no count is opened, and none is in the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise, product
from typing import Any

from gateway.domain.contract import Contract
from gateway.domain.query import Quantiles, Query
from gateway.domain.result import Row, Table
from gateway.rules import sharing
from gateway.rules.statistics import grids
from gateway.rules.statistics.base import (
    MAX_CELLS,
    Codes,
    Used,
    cells,
    check_columns,
    coded,
    given,
    lists,
    malformed,
    no_counts,
)

PROGRAM, LABEL = "quantiles", "quantiles"
FIELD = "statistic.quantiles"
AT = "at"  # the table's last column
MAX_AT = 9  # as the program has it (connectors/engine/programs/quantiles.py)

check_limits = no_counts


def check(asked: Query) -> None:
    wanted = _of(asked)
    grids.check_grid(wanted.of, f"{FIELD}.of", MAX_CELLS)
    check_at(wanted.at, f"{FIELD}.at")
    if wanted.columns:
        check_columns(wanted.columns, f"{FIELD}.columns", most=5)
    for name in (wanted.of.column, AT):
        if name in wanted.columns:
            raise malformed(f"{FIELD}.columns", f"{name} is what the quantiles are of")


def check_at(at: Sequence[int], field: str, least: int = 0, most: int = 100) -> None:
    """Raises `malformed`: probabilities are few, and ascend."""
    if not 1 <= len(at) <= MAX_AT:
        raise malformed(field, f"name 1 to {MAX_AT} probabilities")
    if any(isinstance(p, bool) or not least <= p <= most for p in at) or list(at) != sorted(set(at)):
        raise malformed(field, f"whole hundredths from {least} over 50, the median, to {most}, ascending")


def uses(asked: Query) -> Iterator[Used]:
    wanted = _of(asked)
    for number, name in enumerate(wanted.columns):
        yield Used(name, f"{FIELD}.columns[{number}]")
    yield grids.used(wanted.of, f"{FIELD}.of")


def parameters(asked: Query, codes: Codes) -> dict[str, Any]:
    wanted = _of(asked)
    columns = coded(wanted.columns, codes, f"{FIELD}.columns", each=grids.size(wanted.of))
    return {"columns": columns, "grid": grids.parameters(wanted.of), "at": list(wanted.at)}


def canonical(asked: Query) -> dict[str, Any]:
    wanted = _of(asked)
    return {
        "statistic": PROGRAM,
        "of": grids.canonical(wanted.of),
        "at": list(wanted.at),
        "columns": sorted(wanted.columns),
    }


def outputs(contract: Contract) -> int:
    return 2 * len(_of(contract.query).at) * len(cells(contract.program.parameters))


def table(contract: Contract, opened: Sequence[int]) -> Table:
    """A row for each group and probability: the least and the greatest number of the interval, both of which belong to
    it. Of days these are the numbers of days."""
    wanted = _of(contract.query)
    rows = [(*codes, str(p)) for codes, p in product(cells(contract.program.parameters), wanted.at)]
    places, flags = opened[: len(rows)], opened[len(rows) :]
    most = grids.size(wanted.of) - 1
    # What is not told is opened as 0: anything else is not what the program computes, and no quantile is below an
    # earlier one.
    possible = all(flag in (0, 1) and 0 <= place <= flag * most for place, flag in zip(places, flags, strict=True))
    for start in range(0, len(rows), len(wanted.at)):
        group = slice(start, start + len(wanted.at))
        told = [place for place, flag in zip(places[group], flags[group], strict=True) if flag]
        possible = possible and all(low <= high for low, high in pairwise(told))
    if not possible:
        raise sharing.inconsistent("the opened values are out of their range")
    values = [grids.ends(wanted.of, place) if flag else (None, None) for place, flag in zip(places, flags, strict=True)]
    days = "_day" if isinstance(wanted.of.least, str) else ""
    made = tuple(Row(codes, None, own) for codes, own in zip(rows, values, strict=True))
    return Table((*wanted.columns, AT), made, (f"from{days}", f"to{days}"), counted=False)


def said(asked: Query, called: Callable[[str], str]) -> str:
    wanted = _of(asked)
    by = f", by {' and '.join(map(called, wanted.columns))}" if wanted.columns else ""
    of = f"of {called(wanted.of.column)} among people of {lists(asked)}, each once{by}"
    return f"in which of {grids.size(wanted.of)} intervals {', '.join(map(name, wanted.at))} {of} lie (no counts)"


def name(at: int) -> str:
    """What people call a quantile."""
    return {0: "the least", 50: "the median", 100: "the greatest"}.get(at, f"the {at} % quantile")


def _of(asked: Query) -> Quantiles:
    return given(asked.statistic.quantiles)
