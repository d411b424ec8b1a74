"""What this agent's datasets have answered, are about to answer, and refuse to answer.

Invariants: a question is held against the rows of every dataset of this space that it names before the contract is
approved, and again in the transaction that writes it down, before an input leaves; what is written down stays, and no
failure gives it back, since nobody here can tell how far the others came. Whoever asks hears one refusal, whatever
objection there was; the objection is in this agent's audit log.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pyroaring import BitMap

from connectors.holdings import Holding, RowSets, row_sets
from connectors.known_rows import KnownRows, stored
from connectors.one_person import OnePersonLimits
from connectors.rules.budgets import NOBODY, Budget, Left, Spent, left
from connectors.rules.ledger import Answer, Ledger, Objection, Terms
from connectors.sources.snapshot import Identities
from gateway.domain.approval import SignedContract
from gateway.domain.audit import Fact
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.offer import Operator
from gateway.edges.store.ledger import Answered, StoredAnswer, StoredLedger
from gateway.ports import Clock
from gateway.rules import noise
from gateway.rules.canonical import question, table
from gateway.rules.seats import hands
from gateway.rules.statistics import about_one_person

DAY = 24 * 60 * 60
# Refusals that depend on rows, of one asking space within a day; each tells it a little.
REFUSALS_A_DAY = 20
# Seconds, or the next whole number of times as many.
REFUSED_AFTER = 1.0
LEEWAY = 5  # seconds by which a clock may be late


@dataclass(slots=True)
class _Book(KnownRows):
    """One dataset's ledger, and the rows that it knows."""

    ledger: Ledger = field(default_factory=Ledger)
    last: int = 0

    def read(self, news: Sequence[StoredAnswer]) -> None:
        for one in news:
            rows = BitMap.deserialize(one.rows)
            counted = None if one.counted is None else BitMap.deserialize(one.counted)
            sources = frozenset(one.sources)
            answer = Answer(one.question, one.edition, sources, rows, one.table, one.charge, one.asker, counted)
            self.ledger.add(answer)
            self.last = one.number


@dataclass(frozen=True, slots=True)
class _Held:
    """The answers of a contract by dataset; it cannot be run after `until`."""

    until: int
    answers: Mapping[str, Answer]


class Ledgers:
    """The ledgers of one agent. `hold` before approving, then `answer` before inputs leave, or `let_go`."""

    def __init__(
        self,
        entity: str,
        holdings: Mapping[str, Holding],
        store: StoredLedger,
        clock: Clock,
        operators: Callable[[], Mapping[str, Operator]] = dict,
        one_person: OnePersonLimits | None = None,
    ) -> None:
        """`operators` are those believed now: who is in one operator's hands has one privacy budget."""
        self._entity, self._holdings, self._store, self._clock = entity, holdings, store, clock
        self._operators, self._one_person = operators, one_person
        self._books: dict[str, _Book] = {}
        # What is agreed on and not answered yet, by contract digest.
        self._held: dict[str, _Held] = {}
        self._turn = asyncio.Lock()

    async def hold(self, contract: SignedContract) -> None:
        """Set the contract's rows aside until it is answered or let go, unless the ledger objects.

        Raises IsthmusError: NOT_RELEASABLE, RESOURCE_EXHAUSTED for a space that was refused too often of late, and what
        reading the sources raises.
        """
        body = contract.body
        provider = body.provider_of(self._entity)
        if provider is None:
            return
        since = self._clock.now() - DAY
        if await self._store.refused(body.initiator, since) >= REFUSALS_A_DAY:
            raise IsthmusError(
                Reason.RESOURCE_EXHAUSTED,
                f"{body.initiator} asked {REFUSALS_A_DAY} questions within a day that are not answered here",
                space=self._entity,
                advice="Ask again tomorrow, for coarser groups",
            )
        if about_one_person(body.query):
            await self._hold_one_person(contract)
            return
        asked, shown = question(body), table(body)
        charge = 0 if body.limits.epsilon is None else noise.epsilon(body.limits.epsilon)
        async with self._turn:
            self._held = {digest: held for digest, held in self._held.items() if held.until >= self._clock.now()}
            if all([(await self._book(item.dataset)).ledger.knows(asked) for item in provider.inputs]):
                # A repeat: its rows stand in the ledger, and are not read again unless it is computed again.
                self._held[contract.digest] = _Held(body.expires + LEEWAY, {})
                return
        found = await asyncio.to_thread(row_sets, body, self._entity, self._holdings)
        together = await self._together() if charge else NOBODY
        sources = frozenset(source.dataset for source in body.query.sources)
        async with self._turn:
            answers = {
                item.dataset: Answer(
                    asked,
                    item.edition,
                    sources,
                    await self._rows(item.dataset, found[item.dataset].kept),
                    shown,
                    charge,
                    body.initiator,
                    await self._counted(item.dataset, found[item.dataset]),
                )
                for item in provider.inputs
            }
            for name, answer in answers.items():
                if (objection := self._objection(name, answer, together)) is not None:
                    await self._refuse(contract, name, objection)
            self._held[contract.digest] = _Held(body.expires + LEEWAY, answers)

    async def answer(self, contract: SignedContract) -> None:
        """Write down, for good, that the contract is answered. Raises IsthmusError(NOT_RELEASABLE) when it may not be
        any more, and for a contract that is not held."""
        body = contract.body
        if body.provider_of(self._entity) is None:
            return
        async with self._turn:
            held = self._held.pop(contract.digest, None)
            if held is None:
                raise not_releasable(self._entity)
            if about_one_person(body.query):
                await self._answer_one_person(contract)
                return
            objections: list[tuple[str, Objection]] = []
            together = await self._together() if any(answer.charge for answer in held.answers.values()) else NOBODY

            def check(name: str, news: Sequence[StoredAnswer]) -> None:
                self._books[name].read(news)
                if (objection := self._objection(name, held.answers[name], together)) is not None:
                    objections.append((name, objection))
                    raise not_releasable(self._entity)

            now = self._clock.now()
            fact = Fact(now, "ledger.answered", body.initiator, contract.digest, f"question {question(body)}")
            try:
                paying = self._in_hands(body.initiator, together)
                await self._store.answer(self._written(held), contract.digest, now, fact, check, paying)
            except IsthmusError:
                for name, objection in objections:
                    await self._refuse(contract, name, objection)
                raise
            for name in held.answers:
                self._books[name].read(await self._store.answers(name, self._books[name].last))

    async def _hold_one_person(self, contract: SignedContract) -> None:
        """Nothing is set aside: what a quota has left is looked for again where it is spent."""
        if self._one_person is None:
            raise not_releasable(self._entity)
        if (objection := await self._one_person.objection(contract.body)) is not None:
            await self._refuse(contract, *objection)
        async with self._turn:
            self._held[contract.digest] = _Held(contract.body.expires + LEEWAY, {})

    async def _answer_one_person(self, contract: SignedContract) -> None:
        if self._one_person is None:
            raise not_releasable(self._entity)
        if (objection := await self._one_person.answer(contract)) is not None:
            await self._refuse(contract, *objection)

    async def left(self, dataset: str, asker: str) -> Left | None:
        """What is left of a dataset's privacy budget for the operator of the space `asker`, of what is answered; None
        where nothing is answered with noise. KeyError for a dataset that is not held here."""
        budget = Budget.of(self._holdings[dataset].dataset.terms.privacy)
        if budget is None:
            return None
        spent = Spent(Counter(await self._store.charges(dataset)))
        return left(budget, spent, asker, await self._together())

    def let_go(self, digest: str) -> None:
        """The contract will not be run; of one that was answered this changes nothing."""
        self._held.pop(digest, None)

    def _written(self, held: _Held) -> list[Answered]:
        return [
            Answered(
                name,
                answer.question,
                answer.edition,
                tuple(sorted(answer.sources)),
                answer.table,
                answer.rows.serialize(),
                self._books[name].last,
                answer.charge,
                answer.asker,
                None if answer.counted is None else answer.counted.serialize(),
            )
            for name, answer in held.answers.items()
        ]

    async def _together(self) -> Mapping[str, str]:
        """Who is in whose hands, of those who are believed now and of those who have spent something: whose statement
        has expired since, or says otherwise, has not got its operator another budget by it."""
        return hands([*self._operators().values(), *await self._store.spenders()])

    def _in_hands(self, asker: str, together: Mapping[str, str]) -> list[Operator]:
        """The operators believed now that share a budget with `asker`."""
        own = together.get(asker)
        return [one for one in self._operators().values() if own is not None and together.get(one.entity) == own]

    def _objection(self, name: str, answer: Answer, together: Mapping[str, str]) -> Objection | None:
        holding = self._holdings[name]
        public = holding.dataset.terms
        budget = Budget.of(public.privacy)
        terms = Terms(public.minimum_cell, public.zero_is_small, holding.questions, budget)
        held = [other.answers[name] for other in self._held.values() if name in other.answers]
        return self._books[name].ledger.objection(answer, terms, held, together)

    async def _rows(self, name: str, identities: Identities) -> BitMap:
        """The numbers of these rows; those that the ledger has not seen get theirs now."""
        while True:
            book = await self._book(name)
            if len(new := book.unknown(identities)):
                if not await self._store.number(name, len(book.identities), stored(new)):
                    self._books.pop(name, None)  # another process numbered some; what it wrote counts
                    continue
                book.learn(new)
            return book.rows(identities)

    async def _counted(self, name: str, found: RowSets) -> BitMap | None:
        return None if found.counted is None else await self._rows(name, found.counted)

    async def _book(self, name: str) -> _Book:
        """The dataset's ledger, as it was read; what others have written since is read when it counts."""
        book = self._books.get(name)
        if book is None:
            book = _Book()
            book.learn_stored(await self._store.identities(name))
            book.read(await self._store.answers(name))
            self._books[name] = book
        return book

    async def _refuse(self, contract: SignedContract, dataset: str, objection: StrEnum) -> None:
        now, asker = self._clock.now(), contract.body.initiator
        fact = Fact(now, "ledger.refused", asker, contract.digest, f"{dataset}: {objection}")
        await self._store.refuse(contract.digest, asker, now, [fact])
        raise not_releasable(self._entity)


def not_releasable(entity: str) -> IsthmusError:
    """The one refusal that depends on rows: it says nothing of them, nor of what was asked before."""
    return IsthmusError(
        Reason.NOT_RELEASABLE,
        "this question is not answered here, because of what its answer would tell about few people",
        space=entity,
        advice="Ask for coarser groups, or with other filters",
    )


async def in_uniform_time(problem: IsthmusError, began: float) -> None:
    """Wait, where a refusal depends on rows, until the time that all such refusals take from `began` on (of the loop's
    clock): how long the objection was looked for says nothing."""
    if problem.reason is Reason.NOT_RELEASABLE:
        taken = asyncio.get_running_loop().time() - began
        await asyncio.sleep(-taken % REFUSED_AFTER)
