"""`survival`: how long it takes people until something happens to them, where of some it is known only that it had not
happened yet.

Invariants: the owner works out a person's place, before anything is shared, so a day leaves nobody; a place says
interval, group and whether the event came, nothing else; who has none is left out. Who is censored in an interval
counts as at risk in all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from itertools import pairwise
from math import erfc, sqrt
from typing import Any

from gateway.domain.contract import Contract, Limits
from gateway.domain.dataset import ColumnType
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.query import Query, Survival
from gateway.domain.result import Figure, Row, Table
from gateway.rules import dates, sharing
from gateway.rules.statistics.base import Codes, Used, cells, check_column, given, lists, malformed
from gateway.rules.text import nearest

PROGRAM, LABEL = "survival", "survival curves"
FIELD = "statistic.survival"
INTERVAL = "interval"  # the table's last column
MEASURES = ("survival",)
STEPS = 100  # a curve is told in hundredths: one person of many does not show
TEST_UNIT = 64  # the program's unit of the statistic is 1 / TEST_UNIT
MAX_INTERVALS, MAX_EVERY, MAX_GROUPS = 60, 36_525, 4


def check(asked: Query) -> None:
    wanted = _of(asked)
    check_column(wanted.since, f"{FIELD}.since")
    check_column(wanted.until, f"{FIELD}.until")
    if wanted.since == wanted.until:
        raise malformed(f"{FIELD}.until", f"{wanted.until} is where the time begins: name the day on which it ends")
    if not dates.is_day(wanted.end):
        raise malformed(f"{FIELD}.end", "the last day of which anything is known, such as 2014-12-31")
    if not 1 <= wanted.every <= MAX_EVERY:
        raise malformed(f"{FIELD}.every", f"an interval has between 1 and {MAX_EVERY} days")
    if not 2 <= wanted.intervals <= MAX_INTERVALS:
        raise malformed(f"{FIELD}.intervals", f"between 2 and {MAX_INTERVALS}; longer ones, with `every`, reach as far")
    if wanted.groups is not None:
        check_column(wanted.groups.column, f"{FIELD}.groups.column")
        if wanted.groups.column in (wanted.since, wanted.until, INTERVAL):
            raise malformed(f"{FIELD}.groups.column", f"{wanted.groups.column} is taken by the time: name a code list")
        codes = wanted.groups.codes
        if not 2 <= len(codes) <= MAX_GROUPS or len(set(codes)) < len(codes):
            raise malformed(f"{FIELD}.groups.codes", f"name 2 to {MAX_GROUPS} codes, each once")


def uses(asked: Query) -> Iterator[Used]:
    wanted = _of(asked)
    yield Used(wanted.since, f"{FIELD}.since", types=(ColumnType.DATE,))
    yield Used(wanted.until, f"{FIELD}.until", types=(ColumnType.DATE,))
    if wanted.groups is not None:
        yield Used(wanted.groups.column, f"{FIELD}.groups.column", codes=wanted.groups.codes)


def place(asked: Query, told: Sequence[str | int | None]) -> int | None:
    """The number of a person's place, from its cells in the columns that `uses` names: (group intervals + interval) 2,
    and 1 more where the event came. None: it is left out, since the first day is not known, or comes after the second
    or after the last one of which anything is known, or its code is none of the groups'.
    """
    wanted = _of(asked)
    since, until, *code = told
    group = 0
    if wanted.groups is not None:
        if code[0] not in wanted.groups.codes:
            return None
        group = wanted.groups.codes.index(str(code[0]))
    if since is None:
        return None
    came = until is not None and str(until) <= wanted.end  # days of this form sort as text
    days = (date.fromisoformat(str(until) if came else wanted.end) - date.fromisoformat(str(since))).days
    if days < 0 or (until is not None and str(until) < str(since)):
        return None
    interval = days // wanted.every
    if interval >= wanted.intervals:
        interval, came = wanted.intervals - 1, False
    return (group * wanted.intervals + interval) * 2 + came


def check_limits(asked: Query, limits: Limits) -> None:
    """Raises IsthmusError(POLICY_REFUSED) for limits that are on counts, of which a curve has none."""
    for name, wanted in (("epsilon", limits.epsilon), ("dominance", limits.dominance), ("rounding", limits.rounding)):
        if wanted is not None:
            raise IsthmusError(
                Reason.POLICY_REFUSED,
                f"a survival curve goes with no {name}, and the limits of this question have {name} {wanted}",
                field=f"limits.{name}",
                advice="Leave it out, or, where an owner demands it, leave that source out or count people instead",
            )


def parameters(asked: Query, codes: Codes) -> dict[str, Any]:
    """Raises IsthmusError(UNKNOWN_CODE) for a group that the column has no code for."""
    wanted, columns = _of(asked), list[dict[str, Any]]()
    if wanted.groups is not None:
        known = codes[wanted.groups.column]
        for number, code in enumerate(wanted.groups.codes):
            if code not in known:
                raise IsthmusError(
                    Reason.UNKNOWN_CODE,
                    f"{code!r} is not a code of {wanted.groups.column}",
                    field=f"{FIELD}.groups.codes[{number}]",
                    advice=nearest(code, list(known), "Its codes are"),
                )
        columns.append({"name": wanted.groups.column, "codes": list(wanted.groups.codes)})
    # No column of a dataset can be called so.
    columns.append({"name": f"{wanted.since}..{wanted.until}", "codes": intervals(wanted)})
    return {"columns": columns, "log_rank": _tested(wanted), "steps": STEPS}


def intervals(wanted: Survival) -> list[str]:
    """What each interval is called, by the days that have passed."""
    starts = range(0, wanted.every * wanted.intervals, wanted.every)
    return [f"days {start} to {start + wanted.every - 1}" for start in starts]


def canonical(asked: Query) -> dict[str, Any]:
    wanted = _of(asked)
    groups = wanted.groups
    return {
        "statistic": "survival",
        "since": wanted.since,
        "until": wanted.until,
        "end": wanted.end,
        "every": wanted.every,
        "intervals": wanted.intervals,
        "groups": None if groups is None else {"column": groups.column, "codes": sorted(groups.codes)},
    }


def outputs(contract: Contract) -> int:
    return 2 * len(cells(contract.program.parameters)) + 2 * _tested(_of(contract.query))


def table(contract: Contract, opened: Sequence[int]) -> Table:
    """Rows of groups and intervals: which part is left when the interval ends. Overall: the median of each group, in
    days, as the last day of the first interval after which half of it or less is left (none, unless all up to there is
    told), and of two groups the log-rank statistic with its p value, from chi-square with one degree of freedom."""
    wanted, codes = _of(contract.query), cells(contract.program.parameters)
    parts, kept, test = opened[: len(codes)], opened[len(codes) : 2 * len(codes)], opened[2 * len(codes) :]
    people = sum(provider.row_bound for provider in contract.providers)
    most = [STEPS] * len(codes) + [TEST_UNIT * (people * wanted.intervals + 1)] * (len(test) // 2)
    pairs = [*zip(parts, kept, strict=True), *pairwise(test)]
    # What is suppressed is opened as 0: anything else is not what the program computes.
    if any(flag not in (0, 1) or not 0 <= part <= flag * top for (part, flag), top in zip(pairs, most, strict=True)):
        raise sharing.inconsistent("the opened values are out of their range")
    left = [part / STEPS if flag else None for part, flag in zip(parts, kept, strict=True)]
    rows = tuple(Row(cell, None, (part,)) for cell, part in zip(codes, left, strict=True))
    columns = (INTERVAL,) if wanted.groups is None else (wanted.groups.column, INTERVAL)
    return Table(columns, rows, MEASURES, counted=False, overall=(*_medians(wanted, left), *_test(test)))


def _medians(wanted: Survival, left: Sequence[float | None]) -> Iterator[Figure]:
    names = ["median"] if wanted.groups is None else [f"median_{code}" for code in wanted.groups.codes]
    for group, name in enumerate(names):
        curve = left[group * wanted.intervals : (group + 1) * wanted.intervals]
        first = next((k for k, part in enumerate(curve) if part is None or part <= 0.5), None)
        told = first is not None and curve[first] is not None
        yield Figure(name, (first + 1) * wanted.every - 1 if first is not None and told else None)


def _test(opened: Sequence[int]) -> Iterator[Figure]:
    if opened:
        value, flag = opened
        yield Figure("log_rank", value / TEST_UNIT if flag else None)
        yield Figure("log_rank_p", erfc(sqrt(value / TEST_UNIT / 2)) if flag else None)


def said(asked: Query, called: Callable[[str], str]) -> str:
    wanted = _of(asked)
    words = (
        f"which part of the people of {lists(asked)}, each once, is left after every {wanted.every} days from "
        f"{called(wanted.since)} until {called(wanted.until)}, as it was on {wanted.end}"
    )
    if wanted.groups is None:
        return words
    apart = ", and how far the two differ" if _tested(wanted) else ""
    return f"{words}, for {called(wanted.groups.column)} {' and '.join(wanted.groups.codes)}{apart}"


def _tested(wanted: Survival) -> bool:
    """Two groups are compared."""
    return wanted.groups is not None and len(wanted.groups.codes) == 2


def _of(asked: Query) -> Survival:
    return given(asked.statistic.survival)
