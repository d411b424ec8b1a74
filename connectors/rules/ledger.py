"""Whether one more question may be answered from a dataset, given what was answered from it: the ledger's rule.

Invariants: it decides on sets of row numbers and on public words alone, and on nothing of a row; what was answered
once may be answered again, since that says nothing new; an objection never leaves the agent (whoever asks hears one
uniform refusal), so it may say what it found.

Two tables whose row sets differ by a few rows give, by subtraction, a table of these few (Denning and Schlörer 1980, "A
fast procedure for finding a tracker in a statistical database"): differences of fewer people than the least cell are
refused. A corrected record is one row gone and one come, and one person: the larger of the two counts. A source that is
added or left out is such a difference too, of whatever size: its owner's cells come out whole. Two different tables of
the same people have margins in common, at least their total: a margin less its shown cells is what the hidden ones hold
together, and one alone comes out exactly. So rows are shown in one table, whose margins are sums of its own shown
cells. Clever combinations of three and more answers pass here; against those only a budget protects.

A question with noise costs its ε of two budgets, of whoever asks and of all together (budgets.py). It is not held
against other answers, nor others against it: a difference with it is noised by as much, whatever else is known, and
every such answer has its price.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pyroaring import BitMap

from connectors.rules.budgets import NOBODY, Budget, Spent, takes


class Objection(StrEnum):
    """Why not, for the audit log of the dataset's own agent."""

    SINGLED_OUT = "fewer rows than the least cell"
    DIFFERENCE = "an earlier answer's rows differ by fewer than the least cell"
    TABLE = "an earlier answer shows the same rows in another table"
    SOURCE = "an earlier answer has the same rows here, and a source more or less"
    QUESTIONS = "the edition has answered as many questions as its policy allows"
    BUDGET = "what is left of the privacy budget is less than the question's epsilon"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one question takes from one dataset. `question` is the digest of the canonical query over its editions,
    `sources` the names of all datasets that it is asked of, `rows` the numbers of the rows that pass its filters.
    `counted` are those of them with the codes and numbers that the question takes, None where it takes all.
    `table` says which table the people are counted into, under which limits; of one that hides no cell it is empty.
    `charge` is its ε in units of `gateway.rules.noise`, 0 without noise, and `asker` the space that asked first."""

    question: str
    edition: str
    sources: frozenset[str]
    rows: BitMap
    table: str = ""
    charge: int = 0
    asker: str = ""
    counted: BitMap | None = None

    @property
    def row_sets(self) -> tuple[BitMap, ...]:
        """What another answer may not be close to: codes that a question takes pick people as a filter does."""
        return (self.rows,) if self.counted is None else (self.rows, self.counted)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a dataset's policy says: its least cell, whether zero counts as small, how many questions an edition
    answers (None: any number), and its privacy budget (None: nothing is answered with noise)."""

    least: int
    zero_is_small: bool = False
    questions: int | None = None
    budget: Budget | None = None


def apart(one: BitMap, other: BitMap) -> int:
    """By how many people the two differ at least; sets whose sizes are far apart differ by as much."""
    # The larger of what each has alone, by one pass over both.
    return max(len(one), len(other)) - one.intersection_cardinality(other)


# A part of all rows, by which sets are at most as far apart as by all: one container of a compressed bitmap.
_PART = BitMap(range(1 << 16))


class Ledger:
    """The answers from one dataset, in an order that spares most comparisons; grows only."""

    def __init__(self, answers: Iterable[Answer] = ()) -> None:
        # By number of rows, since sets whose sizes are far apart differ by as much at least; each with a part of its
        # rows, by which most are far enough from a question's.
        self._sizes: dict[int, list[tuple[BitMap, BitMap, Answer]]] = {}
        self._questions: dict[str, str] = {}
        self.spent = Spent()
        for answer in answers:
            self.add(answer)

    def add(self, answer: Answer) -> None:
        if answer.question not in self._questions:
            self._questions[answer.question] = answer.edition
            self.spent.add(answer.asker, answer.charge)
            if not answer.charge:
                for rows in answer.row_sets:
                    self._sizes.setdefault(len(rows), []).append((rows & _PART, rows, answer))

    def knows(self, question: str) -> bool:
        """Whether it was answered before."""
        return question in self._questions

    def objection(
        self, asked: Answer, terms: Terms, held: Sequence[Answer] = (), hands: Mapping[str, str] = NOBODY
    ) -> Objection | None:
        """Why `asked` may not be answered, if so. `held` is what is agreed on and not answered yet: it counts as
        answered. `hands` says which spaces are one operator's (`gateway.rules.seats.hands`)."""
        if asked.question in self._questions:
            return None
        # Where every cell may be shown, a difference of one row is a person all the same.
        least = max(terms.least, 2)
        if any(len(rows) < least and (rows or terms.zero_is_small) for rows in asked.row_sets):
            return Objection.SINGLED_OUT
        others = [other for other in held if other.question != asked.question and other.question not in self._questions]
        if asked.charge:
            once = {answer.question: (answer.asker, answer.charge) for answer in others}
            if not takes(terms.budget, self.spent, once.values(), asked.asker, asked.charge, hands):
                return Objection.BUDGET
            return self._questions_objection(asked, terms, others)
        beside = [(there, other) for other in others if not other.charge for there in other.row_sets]
        for rows in asked.row_sets:
            for there, answer in [*self._near(rows, least), *beside]:
                if (objection := _between(asked, rows, answer, there, least)) is not None:
                    return objection
        return self._questions_objection(asked, terms, others)

    def _near(self, rows: BitMap, least: int) -> list[tuple[BitMap, Answer]]:
        """Row sets that may be nearer than `least`, each with its answer."""
        size, part = len(rows), rows & _PART
        return [
            (there, answer)
            for length in range(size - least + 1, size + least)
            for of_it, there, answer in self._sizes.get(length, ())
            if apart(part, of_it) < least
        ]

    def _questions_objection(self, asked: Answer, terms: Terms, others: Sequence[Answer]) -> Objection | None:
        if terms.questions is not None:
            taken = {question for question, edition in self._questions.items() if edition == asked.edition}
            taken |= {answer.question for answer in others if answer.edition == asked.edition}
            if len(taken) >= terms.questions:
                return Objection.QUESTIONS
        return None


def _between(asked: Answer, rows: BitMap, answer: Answer, there: BitMap, least: int) -> Objection | None:
    """What a row set of one answer has against one of another."""
    near_by = apart(rows, there)
    if 0 < near_by < least:
        return Objection.DIFFERENCE
    if near_by == 0 and (asked.sources < answer.sources or answer.sources < asked.sources):
        return Objection.SOURCE
    same = near_by == 0 and asked.sources == answer.sources
    return Objection.TABLE if same and asked.table and answer.table not in ("", asked.table) else None
