"""`t_test`: whether two groups of people differ in the mean of a number or a day, whatever their variances: Welch's t.

Invariants: the owner says the interval of a public grid, before anything is shared, and its number is what is compared,
so a value leaves nobody, and whoever has none is left out; t and its degrees of freedom come out of a session, or
nothing; no count and no mean is opened, and none is in the table. The program takes the two codes in one order,
whatever the query's is, so that a repeat of the question with the other order has its sign.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gateway.domain.contract import Contract
from gateway.domain.query import CodedColumn, Query, TTest
from gateway.domain.result import Row, Table
from gateway.rules import sharing
from gateway.rules.distributions import t_tails
from gateway.rules.statistics import chi_square, correlation, grids
from gateway.rules.statistics.base import Codes, Used, check_column, given, malformed, no_counts, whom

PROGRAM, LABEL = "t_test", "tests of a mean"
FIELD = "statistic.t_test"
MEASURES = ("t", "df", "p")
# As the program has them (connectors/engine/welch.py, ratios.py).
MAX_LEVELS, RATIO_BITS, UPPER_BITS, DF_BITS = 128, 29, 8, 12
_OFF = 1 << 8  # units that two ratios are off by together

check_limits = no_counts


def check(asked: Query) -> None:
    wanted = _of(asked)
    check_column(wanted.groups.column, f"{FIELD}.groups.column")
    if len(wanted.groups.codes) != 2 or len(set(wanted.groups.codes)) != 2:
        raise malformed(f"{FIELD}.groups.codes", "name the two codes that are compared")
    grids.check_grid(wanted.of, f"{FIELD}.of", MAX_LEVELS)
    if wanted.of.column == wanted.groups.column:
        raise malformed(f"{FIELD}.of.column", "name two different columns")


def uses(asked: Query) -> Iterator[Used]:
    wanted = _of(asked)
    yield Used(wanted.groups.column, f"{FIELD}.groups.column", codes=tuple(sorted(wanted.groups.codes)))
    yield grids.used(wanted.of, f"{FIELD}.of")


def parameters(asked: Query, codes: Codes) -> dict[str, Any]:
    """Raises IsthmusError(UNKNOWN_CODE) for a group that the column has no code for."""
    wanted = _of(asked)
    groups = CodedColumn(wanted.groups.column, wanted.groups.codes)
    named = sorted(chi_square.taken(groups, codes, f"{FIELD}.groups"))
    columns = [{"name": groups.column, "codes": named}]
    return {"test": PROGRAM, "columns": columns, "grid": grids.parameters(wanted.of)}


def canonical(asked: Query) -> dict[str, Any]:
    """Which groups are compared follows from the parameters."""
    wanted = _of(asked)
    return {"statistic": PROGRAM, "groups": wanted.groups.column, "of": grids.canonical(wanted.of)}


def outputs(contract: Contract) -> int:
    return 5


def table(contract: Contract, opened: Sequence[int]) -> Table:
    """One row, of t, its degrees of freedom and its p value, two-sided; nothing where it is not told. t is above zero
    where the mean of the group that the query names first is the greater one."""
    less, more, below, freedom, told = opened
    whole = 1 << RATIO_BITS
    possible = told in (0, 1) and below in (0, told) and 0 <= freedom <= told * ((1 << DF_BITS) + 1)
    cut_off = [correlation.same_digits(part, UPPER_BITS) for part in (less, more)]
    possible = possible and min(less, more) >= 0 and less % cut_off[0] == more % cut_off[1] == 0
    if not (possible and -sum(cut_off) < less + more - told * whole + _OFF and less + more <= told * (whole + _OFF)):
        raise sharing.inconsistent("the opened values are out of their range")
    if not told:
        return Table((), (Row((), None, (None,) * 3),), MEASURES, counted=False)
    codes = _of(contract.query).groups.codes
    turned = below != (list(codes) != sorted(codes))
    # The smaller one is the more exact; of each the middle of what has its digits.
    low, high = (part + (own - 1) / 2 for part, own in zip((less, more), cut_off, strict=True))
    ratio = low / (whole - low) if low < high else (whole - high) / max(high, 0.5)
    statistic = math.sqrt(ratio) * (-1 if turned else 1)
    degrees = (1 << DF_BITS) / max(freedom, 0.5)  # of more than 8192 it is not said how many
    values = (statistic, degrees, t_tails(statistic, degrees))
    return Table((), (Row((), None, values),), MEASURES, counted=False)


def said(asked: Query, called: Callable[[str], str]) -> str:
    wanted = _of(asked)
    groups = " and ".join(wanted.groups.codes)
    told = "Welch's t, its degrees of freedom and p, no counts and no means"
    what = f"whether {groups} ({called(wanted.groups.column)}) differ in the mean of {called(wanted.of.column)}"
    return f"{what}, by {grids.size(wanted.of)} intervals, among {whom(asked)} ({told})"


def _of(asked: Query) -> TTest:
    return given(asked.statistic.t_test)
