"""What can still be inferred from what a dataset has answered, and what it costs: the other side of the ledger.

Invariants: it reads sets of row numbers and public words, and nothing of a row; it says what stands in the ledger, also
where the rule let it pass long ago under another policy. It is for the dataset's owner alone: the sizes of differences
that it names are what nobody else may know.

The rule (connectors/rules/ledger.py) compares a question with one earlier answer at a time. What passes it is of these
kinds: an exact release beside a table that hides cells; differences of the least cell and more; margins by filters;
the same rows beside other sources; combinations of three and more (Denning and Schlörer 1980).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pyroaring import BitMap

from gateway.domain.records import record
from gateway.rules import noise

# Differences of fewer rows are told one by one: a table of so few people has small cells.
FEW = 300
# Pairs are looked at among so many of the newest answers, and so many of them are shown.
COMPARED, SHOWN = 1000, 10


class Kind(StrEnum):
    EXACT = "exact release beside a table"
    DIFFERENCE = "small difference"
    MARGIN = "margin by a filter"
    SOURCES = "same rows, other sources"
    COMBINATION = "combinations of several answers"
    NOISE = "answers with noise"


@dataclass(frozen=True, slots=True)
class Taken:
    """One answer of the ledger. `table` is empty for one that hides no cell. `counted` and `filtered` are columns, None
    where the contract is not kept any more."""

    question: str
    contract: str
    at: int
    edition: str
    sources: frozenset[str]
    table: str
    rows: BitMap
    counted: frozenset[str] | None = None
    filtered: frozenset[str] | None = None
    # ε in units of `gateway.rules.noise`, 0 without noise, and the space that asked first.
    charge: int = 0
    asker: str = ""


@record
class Pair:
    """Two answers, by their contracts; how many rows only one of them has."""

    first: str
    second: str
    only_first: int
    only_second: int

    @property
    def apart(self) -> int:
        return self.only_first + self.only_second


@record
class Inference:
    """What somebody who has these tables can work out; `found` counts the pairs, of which `pairs` shows the closest."""

    kind: str
    found: int
    said: str
    cost: str
    pairs: tuple[Pair, ...] = ()


def inferences(answers: Sequence[Taken], least: int, left: int | None) -> tuple[Inference, ...]:
    """All kinds in a fixed order, those of which nothing is found too. `least` is the policy's least cell, `left` how
    many questions its present edition still answers (None: any number)."""
    # Of one with noise nothing is worked out exactly, beside whatever else it stands.
    looked = sorted((answer for answer in answers if not answer.charge), key=lambda answer: answer.at)[-COMPARED:]
    pairs = list(_overlapping(looked))
    one_each = "Each question more costs one of those that are left" + (
        f": {left}." if left is not None else ", and the policy sets no number: it costs nothing."
    )
    said = (
        (Kind.EXACT, _exact, _EXACT, "Nothing more: both tables are out. A policy without exact_statistics lets no "
         "more come."),
        (Kind.DIFFERENCE, _close, _DIFFERENCE, f"Nothing more for these pairs; a further one has to differ by {least} "
         f"rows or more. {one_each}"),
        (Kind.MARGIN, _margin, _MARGIN, one_each),
        (Kind.SOURCES, _sources, _SOURCES, "Nothing more: both tables are out."),
    )  # fmt: skip
    found = [_told(kind, [pair for one, other, pair in pairs if rule(one, other, pair)], text, cost)
             for kind, rule, text, cost in said]  # fmt: skip
    return (*found, _combined(looked, pairs, one_each), _noised([answer for answer in answers if answer.charge]))


def _noised(answers: Sequence[Taken]) -> Inference:
    """By basic composition (connectors/rules/budgets.py)."""
    spent = sum(answer.charge for answer in answers)
    said = (
        f"{len(answers)} answers have noise, for an epsilon of {noise.text(spent)} together. Whoever has all of them "
        "can tell of one person no more than what so much of it allows, whatever else they know (docs/privacy.md)."
    )
    cost = "Each further one costs its epsilon of the privacy budget; none is answered beyond it."
    return Inference(Kind.NOISE.value, len(answers), said if answers else _NONE + said, cost)


_EXACT = (
    "An exact release stands beside a table over the same rows. It tells the total of everybody, and so what the "
    "table's hidden cells hold together; where the table hides one cell alone, its count."
)
_DIFFERENCE = (
    f"Two answers differ by fewer than {FEW} rows. Where one holds all rows of the other, the one less the other is a "
    "table of just these people, by every column that both count by, with cells of any size."
)
_MARGIN = (
    "One answer filters on a column that the other counts by. The filtered one is then a margin of other rows: "
    "together they may bound cells that one of them hides more tightly than each does alone."
)
_SOURCES = (
    "The same rows of this dataset were counted beside two different choices of other sources, of which neither holds "
    "the other. The difference is one of the other sources' people, and of those who are on several lists."
)
_NONE = "None is found in this ledger. "


def _told(kind: Kind, found: list[Pair], said: str, cost: str) -> Inference:
    shown = heapq.nsmallest(SHOWN, found, key=lambda pair: (pair.apart, pair.first, pair.second))
    return Inference(kind.value, len(found), said if found else _NONE + said, cost, tuple(shown))


def _overlapping(answers: Sequence[Taken]) -> Iterable[tuple[Taken, Taken, Pair]]:
    """Pairs of different questions with rows in common."""
    for place, one in enumerate(answers):
        for other in answers[:place]:
            common = one.rows.intersection_cardinality(other.rows)
            if common and one.question != other.question:
                pair = Pair(other.contract, one.contract, len(other.rows) - common, len(one.rows) - common)
                yield other, one, pair


def _exact(one: Taken, other: Taken, pair: Pair) -> bool:
    return pair.apart == 0 and one.sources == other.sources and (not one.table) != (not other.table)


def _close(one: Taken, other: Taken, pair: Pair) -> bool:
    return 0 < pair.apart < FEW


def _margin(one: Taken, other: Taken, pair: Pair) -> bool:
    return pair.apart > 0 and any(
        bool(a.counted and b.filtered and a.counted & b.filtered) for a, b in ((one, other), (other, one))
    )


def _sources(one: Taken, other: Taken, pair: Pair) -> bool:
    return pair.apart == 0 and not (one.sources <= other.sources or other.sources <= one.sources)


def _combined(answers: Sequence[Taken], pairs: Sequence[tuple[Taken, Taken, Pair]], cost: str) -> Inference:
    together = {answer.question for one, other, _ in pairs for answer in (one, other)}
    said = (
        f"{len(together)} of the {len(answers)} newest answers share rows with another one. Whoever combines three and "
        "more of them can get at small numbers, by trackers and linear algebra; the ledger looks at two at a time, and "
        "a limit on all questions is what bounds it."
    )
    return Inference(Kind.COMBINATION.value, len(together), said if len(together) > 2 else _NONE + said, cost)
