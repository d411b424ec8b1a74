"""What can be asked: a module for each kind of statistic, with all that the rooms of the route have to know of it.

Invariants: pure; a kind's name is its field in the query, in policies and in the proto; nothing outside this package
and the pictures of the command line tells kinds apart.

To add one: its record and field in `gateway.domain.query.Statistic`, its message in query.proto and its pair in
`gateway.edges.grpc.statistic_convert`, its module here (`base.Rules` says what it has to say), and a program of the
engine that computes it, if none does yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from gateway.domain.query import Query
from gateway.rules.statistics import (
    chi_square,
    correlation,
    corridors,
    count_by,
    cross_tab,
    funnel,
    histogram,
    hit,
    kruskal_wallis,
    linear_regression,
    logistic_regression,
    overlap,
    program,
    quantiles,
    rate,
    repeats,
    summary,
    survival,
    t_test,
)
from gateway.rules.statistics.base import Codes, Rules, Use, Used, code_lists

__all__ = [
    "ABOUT_ONE_PERSON",
    "STATISTICS",
    "UNLINKED",
    "Codes",
    "Rules",
    "Use",
    "Used",
    "about_one_person",
    "code_lists",
    "computed_by",
    "of",
    "placing",
    "program_of",
]

STATISTICS: Mapping[str, Rules] = {
    "count_by": count_by,
    "overlap": overlap,
    "rate": rate,
    "histogram": histogram,
    "cross_tab": cross_tab,
    "corridors": corridors,
    "funnel": funnel,
    "summary": summary,
    "repeats": repeats,
    "survival": survival,
    "chi_square": chi_square,
    "kruskal_wallis": kruskal_wallis,
    "quantiles": quantiles,
    "hit": hit,
    "t_test": t_test,
    "correlation": correlation,
    "program": program,
    "linear_regression": linear_regression,
    "logistic_regression": logistic_regression,
}
# Kinds whose answer is about one person: `gateway.rules.one_person` has what holds of them.
ABOUT_ONE_PERSON = frozenset({"hit"})

# Those that can be asked of records too, where nobody is recognised across lists: an empty `link_on`.
UNLINKED = ("count_by", "rate", "histogram", "summary")


def computed_by(program: str) -> tuple[str, ...]:
    """The kinds that a program computes."""
    return tuple(name for name, rules in STATISTICS.items() if program == rules.PROGRAM)


def about_one_person(asked: Query) -> bool:
    return asked.statistic.name in ABOUT_ONE_PERSON


def program_of(asked: Query) -> str:
    """The name of the program that computes what is asked."""
    packaged = asked.statistic.program
    return of(asked).PROGRAM if packaged is None else packaged.name


def of(asked: Query) -> Rules:
    """The rules of the one statistic that a query asks."""
    return STATISTICS[asked.statistic.name]


def placing(asked: Query) -> Callable[[Sequence[str | int | None]], int | None] | None:
    """How owners work out one place for a person from its cells in all columns that the statistic uses. The place is
    what is shared; who has none is left out. None where each column's code is shared."""
    return partial(survival.place, asked) if asked.statistic.survival is not None else None
