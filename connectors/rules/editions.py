"""Whether what a source holds now becomes the next edition of its dataset, or waits for more changes.

Invariants: it decides on sets of row numbers alone; an edition that is published differs from every one before it, and
from every row set that was answered for, by as many people as the least cell, or by none; what waits is in an edition
as soon as it reaches that.

Two editions answer the same question, and their difference is a table of those who came, went or were corrected. A
record that was corrected is one row gone and one come: so people are counted by the larger of the two, which is never
more than there are.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pyroaring import BitMap

from connectors.rules.ledger import apart
from gateway.rules.dates import day_of

# The copies of the newest edition and the one before it are kept.
KEPT = 2
EDITION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Outcome(StrEnum):
    PUBLISHED = "published"
    UNCHANGED = "unchanged"
    WAITS = "waits"


class Against(StrEnum):
    """What the rows of a source are too close to."""

    EDITION = "edition"
    ANSWER = "answer"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Former:
    """A published edition, by its row numbers."""

    id: str
    rows: BitMap


@dataclass(frozen=True, slots=True)
class Decision:
    """`come` and `gone` count the rows that are new since the newest edition, and those that it had. What waits is only
    `apart` from something: from the edition `since`, from rows that were answered for, or from having no row."""

    outcome: Outcome
    least: int
    come: int
    gone: int
    apart: int = 0
    against: Against | None = None
    since: str = ""


def decide(rows: BitMap, formers: Sequence[Former], answered: Iterable[BitMap], minimum_cell: int) -> Decision:
    """What becomes of `rows`, after the `formers` (oldest first) and what was `answered` of the dataset."""
    least = max(minimum_cell, 2)
    newest = formers[-1].rows if formers else BitMap()
    come, gone = rows.difference_cardinality(newest), newest.difference_cardinality(rows)
    if formers and not come and not gone:
        return Decision(Outcome.UNCHANGED, least, 0, 0)
    for former in reversed(formers):
        if 0 < (near := apart(rows, former.rows)) < least:
            return Decision(Outcome.WAITS, least, come, gone, near, Against.EDITION, former.id)
    if len(rows) < least:
        return Decision(Outcome.WAITS, least, come, gone, len(rows), Against.NOTHING)
    for other in answered:
        if 0 < (near := apart(rows, other)) < least:
            return Decision(Outcome.WAITS, least, come, gone, near, Against.ANSWER)
    return Decision(Outcome.PUBLISHED, least, come, gone)


def next_bound(rows: int, bound: int) -> int:
    """The row bound of an edition after one with `bound`: the same, or as often doubled as its rows need."""
    while bound < rows:
        bound *= 2
    return bound


def next_id(now: int, taken: Collection[str]) -> str:
    """The day, and what tells it from others of that day."""
    number, name = 1, day_of(now)
    while name in taken:
        number += 1
        name = f"{day_of(now)}.{number}"
    return name


def outdated(numbers: Sequence[int]) -> Sequence[int]:
    """Those of these editions, oldest first, whose copies are not kept."""
    return numbers[:-KEPT]
