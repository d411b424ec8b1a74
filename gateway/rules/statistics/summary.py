"""`summary`: what is measured of people, by the codes of columns: how many have it, its sum, mean and variance.

Invariants: what comes out of a session are sums of whole numbers; means and variances are made of them here, as exact
fractions, and turned into decimals last. A day is how many days it is after the first of 1970.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from typing import Any

from gateway.domain.contract import Contract, Limits
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.query import Measure, Query, Summary
from gateway.domain.result import Row, Table
from gateway.rules import sharing
from gateway.rules.statistics import grids
from gateway.rules.statistics.base import (
    Codes,
    Use,
    Used,
    cells,
    check_columns,
    coded,
    counted,
    given,
    malformed,
    whom,
)

PROGRAM, LABEL = "group_sum", "summaries"
FIELD = "statistic.summary"
# As the program has them (connectors/engine/programs/measures.py), with as many people as a session takes.
MAX_MEASURES, MAX_STEP, MAX_PEOPLE = 4, 1000, 1 << 22

Value = int | float | None


def check(asked: Query) -> None:
    wanted = _of(asked)
    if wanted.columns:
        check_columns(wanted.columns, f"{FIELD}.columns")
    measured = [measure.column for measure in wanted.measures]
    if not 1 <= len(measured) <= MAX_MEASURES or len(set(measured)) != len(measured):
        raise malformed(f"{FIELD}.measures", f"name 1 to {MAX_MEASURES} measures, each of another column")
    for number, measure in enumerate(wanted.measures):
        _check(measure, f"{FIELD}.measures[{number}]")


def _check(measure: Measure, field: str) -> None:
    grids.check_bounds(measure, field)
    least, most = grids.bounds(measure)
    if not 1 <= measure.step <= MAX_STEP:
        raise malformed(f"{field}.step", f"between 1 and {MAX_STEP}")
    if measure.variance and measure.step > 1:
        raise malformed(f"{field}.step", "a variance is of sums that are not rounded: leave step or variance out")
    highest = least + (1 << (most - least).bit_length()) - 1
    if measure.variance and MAX_PEOPLE * max(least**2, highest**2) >= sharing.P:
        raise malformed(f"{field}.variance", "squares of such large numbers do not fit: take a larger unit")


def check_limits(asked: Query, limits: Limits) -> None:
    """Noise is drawn for counts; and a sum of numbers far from zero tells exactly how many they are, whatever it is
    rounded to."""
    if limits.epsilon is not None:
        raise IsthmusError(
            Reason.MALFORMED_QUERY,
            "there is no noise for sums yet",
            field="limits.epsilon",
            advice="Leave epsilon out, or ask for a histogram with noise",
        )
    if limits.rounding is not None:
        raise IsthmusError(
            Reason.POLICY_REFUSED,
            f"counts are rounded to multiples of {limits.rounding}, and a sum beside them would tell the count",
            field="limits.rounding",
            advice="Leave rounding out, or the sources that round, or ask for a histogram",
        )


def uses(asked: Query) -> Iterator[Used]:
    wanted = _of(asked)
    for number, name in enumerate(wanted.columns):
        yield Used(name, f"{FIELD}.columns[{number}]")
    for number, measure in enumerate(wanted.measures):
        field, within = f"{FIELD}.measures[{number}].column", (measure.least, measure.most)
        yield Used(measure.column, field, Use.MEASURE, (grids.column_type(measure),), within=within)


def parameters(asked: Query, codes: Codes) -> dict[str, Any]:
    wanted = _of(asked)
    columns = coded(wanted.columns, codes, f"{FIELD}.columns")
    return {"columns": columns, "measures": list(map(_measure, wanted.measures)), "structural_zeros": []}


def _measure(measure: Measure) -> dict[str, Any]:
    least, most = grids.bounds(measure)
    further = {"squares": True} if measure.variance else {"step": measure.step}
    return {"name": measure.column, "least": least, "most": most, **further}


def canonical(asked: Query) -> dict[str, Any]:
    wanted = _of(asked)
    measures = sorted(map(_measure, wanted.measures), key=lambda measure: str(measure["name"]))
    return {"statistic": "summary", "columns": sorted(wanted.columns), "measures": measures}


def outputs(contract: Contract) -> int:
    wanted = _of(contract.query)
    sizes = [_numbers(measure) + 1 for measure in wanted.measures]
    return len(cells(contract.program.parameters)) * (2 + sum(sizes))


def table(contract: Contract, opened: Sequence[int]) -> Table:
    """The count of each cell, and of each measure what `names` says, None where it is suppressed."""
    wanted, codes = _of(contract.query), cells(contract.program.parameters)
    parts = [opened[start : start + len(codes)] for start in range(0, len(opened), len(codes))]
    flags = parts[len(parts) - 1 - len(wanted.measures) :]
    made = counted(contract, wanted.columns, codes, [*parts[0], *flags[0]])
    values: list[tuple[Value, ...]] = [()] * len(codes)
    start = 1
    for measure, kept in zip(wanted.measures, flags[1:], strict=True):
        numbers = zip(*parts[start : start + _numbers(measure)], strict=True)
        start += _numbers(measure)
        values = [
            (*before, *_values(contract, measure, row, flag, own))
            for before, row, flag, own in zip(values, made.rows, kept, numbers, strict=True)
        ]
    rows = tuple(replace(row, values=own) for row, own in zip(made.rows, values, strict=True))
    return replace(made, rows=rows, measures=tuple(chain.from_iterable(map(names, wanted.measures))))


def names(measure: Measure) -> tuple[str, ...]:
    """What a table calls the values of a measure: how many people have it, its sum, its mean, its variance. Of days
    these are sum and mean of their numbers."""
    of_days = isinstance(measure.least, str)
    said = ["known", "days" if of_days else "sum", "mean_day" if of_days else "mean"]
    return tuple(f"{measure.column}_{name}" for name in [*said, *(["variance"] if measure.variance else [])])


def said(asked: Query, called: Callable[[str], str]) -> str:
    wanted = _of(asked)
    by = f" by {' and '.join(map(called, wanted.columns))}" if wanted.columns else ""
    what = " and ".join(
        f"sum, mean and variance of {called(measure.column)}" if measure.variance
        else f"sum and mean of {called(measure.column)}"
        for measure in wanted.measures
    )  # fmt: skip
    return f"{whom(asked)}, counted{by}, with how many have it, {what}"


@dataclass(frozen=True, slots=True)
class _Opened:
    """Of one measure in one cell, as the program puts it out."""

    known: int
    total: int
    squares: int = 0


def _values(contract: Contract, measure: Measure, row: Row, flag: int, numbers: tuple[int, ...]) -> tuple[Value, ...]:
    known, total, *squares = numbers
    own = _Opened(known, total - sharing.P if total > sharing.P // 2 else total, *squares)
    if not _possible(contract, measure, row, flag, own):
        raise sharing.inconsistent("the opened values are out of their range")
    if not flag:
        return (None,) * len(names(measure))
    n, s = own.known, own.total
    mean = float(Fraction(s, n)) if n else None
    if not measure.variance:
        return n, s, mean
    return n, s, mean, float((own.squares - Fraction(s**2, n)) / (n - 1)) if n > 1 else None


def _possible(contract: Contract, measure: Measure, row: Row, flag: int, own: _Opened) -> bool:
    """Whether people with numbers between the bounds can come to this; what is suppressed is opened as 0."""
    if flag not in (0, 1) or (flag and row.count is None):
        return False
    if not flag:
        return own == _Opened(0, 0)
    least, most = grids.bounds(measure)
    base = contract.limits.rounding or 1
    unit = base if measure.variance else base * measure.step if contract.limits.minimum_cell > 1 else 1
    people = (max(own.known - base + 1, 0), own.known + base - 1)  # before they were rounded
    low, high = min(n * least for n in people) - unit + 1, max(n * most for n in people) + unit - 1
    counts = 0 <= own.known <= (row.count or 0) and own.known % base == 0
    squares = not measure.variance or (
        own.total**2 <= own.known * own.squares and own.squares <= own.known * max(least**2, most**2)
    )
    return counts and low <= own.total <= high and own.total % unit == 0 and squares


def _numbers(measure: Measure) -> int:
    """How many numbers of each cell a measure has beside its flag."""
    return 3 if measure.variance else 2


def _of(asked: Query) -> Summary:
    return given(asked.statistic.summary)
