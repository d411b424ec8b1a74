"""`rate`: people by the codes of columns, as so many of every 100 000 in a population that the question brings along.

Invariants: it opens what `count_by` opens and nothing else, and is one question with it; a rate of a suppressed cell,
or of one without a population, does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import sqrt
from typing import Any

from gateway.domain.contract import Contract
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.query import CountBy, Query, Rate, Statistic
from gateway.domain.result import Row, Table
from gateway.rules.statistics import count_by
from gateway.rules.statistics.base import Codes, Used, Z, check_columns, given, malformed, whom
from gateway.rules.text import nearest

PROGRAM, LABEL = count_by.PROGRAM, "rates"
FIELD = "statistic.rate"
MAX_PEOPLE, MAX_PER = 10**10, 10**9

outputs, check_limits = count_by.outputs, count_by.check_limits


def check(asked: Query) -> None:
    wanted = _of(asked)
    check_columns(wanted.columns, f"{FIELD}.columns")
    if not 1 <= wanted.per <= MAX_PER:
        raise malformed(f"{FIELD}.per", f"between 1 and {MAX_PER}")
    known: set[tuple[str, ...]] = set()
    for number, entry in enumerate(wanted.population):
        field = f"{FIELD}.population[{number}]"
        if len(entry.codes) != len(wanted.columns):
            raise malformed(f"{field}.codes", f"name one code for each of {', '.join(wanted.columns)}")
        if not 1 <= entry.people <= MAX_PEOPLE:
            raise malformed(f"{field}.people", f"between 1 and {MAX_PEOPLE}")
        if entry.codes in known:
            raise malformed(f"{field}.codes", "this cell has a population already")
        known.add(entry.codes)
    if not known:
        raise malformed(f"{FIELD}.population", "a rate needs the people that it is of: name them for at least one cell")


def uses(asked: Query) -> Iterator[Used]:
    for number, name in enumerate(_of(asked).columns):
        yield Used(name, f"{FIELD}.columns[{number}]")


def parameters(asked: Query, codes: Codes) -> dict[str, Any]:
    """Those of the count. Raises IsthmusError(UNKNOWN_CODE) for a population of a cell that there is not."""
    wanted = _of(asked)
    for number, entry in enumerate(wanted.population):
        for name, code in zip(wanted.columns, entry.codes, strict=True):
            if code not in codes[name]:
                raise IsthmusError(
                    Reason.UNKNOWN_CODE,
                    f"{code!r} is not a code of {name}, so no cell has this population",
                    field=f"{FIELD}.population[{number}].codes",
                    advice=nearest(code, list(codes[name]), "Its codes are"),
                )
    return count_by.parameters(_counted(asked), codes)


def canonical(asked: Query) -> dict[str, Any]:
    """That of the count: a population says nothing of anybody's rows."""
    return count_by.canonical(_counted(asked))


def table(contract: Contract, opened: Sequence[int]) -> Table:
    """Counts, and rates with their 95 % interval; none where counts have noise, whose own error is said beside it."""
    wanted = _of(contract.query)
    made = count_by.table(replace(contract, query=_counted(contract.query)), opened)
    people = {entry.codes: entry.people for entry in wanted.population}
    noised = contract.limits.epsilon is not None
    rows = tuple(
        replace(row, values=_rates(row, people[row.codes] / wanted.per, noised) if row.codes in people else (None,) * 3)
        for row in made.rows
    )
    return replace(made, rows=rows, measures=(f"per_{wanted.per}", "low", "high"))


def said(asked: Query, called: Callable[[str], str]) -> str:
    wanted = _of(asked)
    by = " and ".join(map(called, wanted.columns))
    return f"{whom(asked)}, counted by {by}, and how many that is of every {wanted.per} people"


def _rates(row: Row, hundreds: float, noised: bool) -> tuple[float | None, ...]:
    if row.count is None:
        return (None,) * 3
    low, high = (None, None) if noised else (end / hundreds for end in interval(row.count))
    return row.count / hundreds, low, high


def interval(count: int) -> tuple[float, float]:
    """The 95 % interval of a Poisson count's mean: Byar's approximation (Breslow and Day, "Statistical Methods in
    Cancer Research", volume 2, 1987, page 69), within 1 % of the exact one from 5 people on."""
    above = count + 1
    low = count * (1 - 1 / (9 * count) - Z / (3 * sqrt(count))) ** 3 if count else 0.0
    return max(0.0, low), above * (1 - 1 / (9 * above) + Z / (3 * sqrt(above))) ** 3


def _counted(asked: Query) -> Query:
    return replace(asked, statistic=Statistic(count_by=CountBy(_of(asked).columns)))


def _of(asked: Query) -> Rate:
    return given(asked.statistic.rate)
