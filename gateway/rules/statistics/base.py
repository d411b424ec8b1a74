"""What every kind of statistic says of itself, and what they share. Pure.

Invariant: what a statistic uses of a source, asks of a program and makes of its outputs follows from the query and the
owners' code lists alone, so that every space comes to the same and compares.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from gateway.domain.contract import Contract, Limits
from gateway.domain.dataset import ColumnType
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.query import Between, Filter, Query
from gateway.domain.result import Row, Table
from gateway.rules import noise, sharing

COLUMN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
Z = 1.959964  # the 97.5 % point of the normal distribution
MAX_CELLS = 4096  # as many as a program computes, with the parties' memory in mind

T = TypeVar("T")
Codes = Mapping[str, Sequence[str]]


class Use(StrEnum):
    """What a column is used for, as policies tell it apart."""

    GROUP = "group"
    FILTER = "filter"
    MEASURE = "measure"


@dataclass(frozen=True, slots=True)
class Used:
    """A column that a statistic takes from sources, and where the query names it. `sources` are their indices; None is
    all of them. Of a column of codes, all of them must have one code list; of another one, `edges` say into which
    intervals its owner sorts it (`histogram.intervals`). What is measured says `within` which bounds its owner's own
    public ones have to lie. `instead` is what else would pass where a source lacks it. `codes` are those that the query
    takes, in its order, where it does not take all: whoever has another one is left out. So is whoever is not between
    the first and the last of `closed` edges."""

    column: str
    field: str
    use: Use = Use.GROUP
    types: tuple[ColumnType, ...] = (ColumnType.CODE,)
    sources: tuple[int, ...] | None = None
    edges: tuple[str | int, ...] = ()
    instead: str = ""
    within: tuple[str | int, str | int] | None = None
    codes: tuple[str, ...] = ()
    closed: bool = False

    @property
    def picks(self) -> Filter | None:
        """What the query leaves people out by, beside its filters."""
        if self.codes:
            return Filter(self.column, one_of=self.codes)
        if self.closed and isinstance(self.edges[-1], int):
            return Filter(self.column, between=Between(self.edges[0], self.edges[-1] - 1))
        return None

    def taken_from(self, source: int) -> bool:
        return self.sources is None or source in self.sources


class Rules(Protocol):
    """One module for each kind of statistic; the query's field is named like it."""

    # The program that computes it, and what catalogues call what comes out.
    PROGRAM: str
    LABEL: str

    def check(self, asked: Query) -> None:
        """Raises `malformed` where the query's shape does not hold; no dataset is looked at."""

    def uses(self, asked: Query) -> Iterator[Used]:
        """The columns that it takes, in the order of the query."""

    def check_limits(self, asked: Query, limits: Limits) -> None:
        """Raises IsthmusError where limits, as owners and requester settled on them, do not go with what is asked."""

    def parameters(self, asked: Query, codes: Codes) -> dict[str, Any]:
        """The program's own parameters, beside the limits; `codes` are the code lists of the columns it uses."""

    def canonical(self, asked: Query) -> dict[str, Any]:
        """What makes the table, whoever the people are, written in one way, with a name for this kind of table."""

    def table(self, contract: Contract, opened: Sequence[int]) -> Table:
        """What the program's outputs mean. Raises `sharing.inconsistent` for what it does not compute."""

    def outputs(self, contract: Contract) -> int:
        """How many numbers the program puts out."""

    def said(self, asked: Query, called: Callable[[str], str]) -> str:
        """What is learned, in plain words; `called` is what people call a column."""


def any_limits(asked: Query, limits: Limits) -> None:
    """For kinds that go with all limits."""


def no_counts(asked: Query, limits: Limits) -> None:
    """For kinds that open no counts: what changes single counts, or looks at one provider's part of each, has nothing
    to hold to there."""
    for field, value in (("epsilon", limits.epsilon), ("dominance", limits.dominance), ("rounding", limits.rounding)):
        if value is not None:
            raise IsthmusError(
                Reason.POLICY_REFUSED,
                f"{field} is for counts, and {asked.statistic.name} opens none",
                field=f"limits.{field}",
                advice="Leave it out, or the sources whose policy asks for it; or ask for a count_by",
            )


def given(statistic: T | None) -> T:
    """The record of a statistic that was asked."""
    if statistic is None:
        raise ValueError("another statistic is asked")
    return statistic


def malformed(field: str, text: str, *, what: str = "query") -> IsthmusError:
    return IsthmusError(Reason.MALFORMED_QUERY, f"{what}: {text}", field=field, advice="docs/queries has examples")


def check_columns(names: Sequence[str], field: str, most: int = 6) -> None:
    """A list of columns, as several statistics have one."""
    if not 1 <= len(names) <= most or len(set(names)) != len(names):
        raise malformed(field, f"name 1 to {most} columns, each once")
    for number, name in enumerate(names):
        check_column(name, f"{field}[{number}]")


def check_column(name: str, field: str) -> None:
    if COLUMN_NAME.fullmatch(name) is None:
        raise malformed(field, "a column is named by letters, digits and underscores")


def coded(names: Sequence[str], codes: Codes, field: str, each: int = 1) -> list[dict[str, Any]]:
    """Columns with their codes, as programs take them. Raises IsthmusError(MALFORMED_QUERY) for too many cells:
    `each` for every combination of codes."""
    columns = [{"name": name, "codes": list(codes[name])} for name in names]
    cells = math.prod(len(codes[name]) for name in names) * each
    if not 1 <= cells <= MAX_CELLS:
        raise IsthmusError(
            Reason.MALFORMED_QUERY,
            f"these columns make {cells} cells, and a table has between 1 and {MAX_CELLS}",
            field=field,
            advice="Count by fewer columns",
        )
    return columns


def code_lists(parameters: str) -> dict[str, tuple[str, ...]]:
    """Each column's codes in parameters that somebody else wrote: different texts, or a refusal."""
    try:
        given = json.loads(parameters).get("columns", [])
        found = {column["name"]: tuple(column["codes"]) for column in given}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise _unreadable("program.parameters: these are no columns with their codes") from None
    for codes in found.values():
        if not all(isinstance(code, str) for code in codes):
            raise _unreadable("program.parameters: a code is a text")
        if len(set(codes)) < len(codes):
            raise _unreadable("a column of the program has a code twice")
    return found


def cells(parameters: str) -> list[tuple[str, ...]]:
    """The codes of each cell, row-major over the program's columns."""
    return list(itertools.product(*code_lists(parameters).values()))


def counted(
    contract: Contract, columns: Sequence[str], codes: Sequence[tuple[str, ...]], opened: Sequence[int]
) -> Table:
    """The table of a program that puts out a count for each cell, then a flag for each: whether it is shown."""
    counts, kept = list(opened[: len(codes)]), opened[len(codes) :]
    largest = sum(provider.row_bound for provider in contract.providers)
    base = contract.limits.rounding or 1
    limits, most = contract.limits, 0
    if limits.epsilon is not None:
        most = noise.of(limits.epsilon).largest
        # Field elements above the half are numbers below zero: with noise, and where every cell is shown.
        counts = [count - sharing.P if count > sharing.P // 2 else count for count in counts]
    least = -most if limits.minimum_cell <= 1 else 0
    largest = (largest + most + base // 2) // base * base
    # A suppressed cell is opened as 0: anything else is not what the program computes.
    if any(
        flag not in (0, 1) or not flag * least <= count <= flag * largest or count % base
        for count, flag in zip(counts, kept, strict=True)
    ):
        raise sharing.inconsistent("the opened values are out of their range")
    rows = tuple(Row(cell, count if flag else None) for cell, count, flag in zip(codes, counts, kept, strict=True))
    return Table(tuple(columns), rows)


def whom(asked: Query) -> str:
    """Who is counted, in words."""
    if asked.link_on:
        return f"people of {lists(asked)}, each once"
    return f"records of {lists(asked)} (nobody is recognised across owners: somebody on lists of two counts twice)"


def lists(asked: Query) -> str:
    """Of how many lists, in words."""
    return "one list" if len(asked.sources) == 1 else f"{len(asked.sources)} lists"


def _unreadable(public: str) -> IsthmusError:
    return IsthmusError(
        Reason.CONTRACT_INVALID,
        public,
        field="program.parameters",
        advice="Make the plan again and have it approved",
    )
