"""An agent's ledgers over real sources and a real database: what is answered, held, refused and remembered."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from connectors.holdings import Holding
from connectors.ledgers import LEEWAY, REFUSALS_A_DAY, REFUSED_AFTER, Ledgers, in_uniform_time, not_releasable
from connectors.rules.budgets import Left
from connectors.rules.ledger import Objection
from gateway.domain.approval import SignedContract
from gateway.domain.contract import KeyRule
from gateway.domain.dataset import Privacy
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.query import Between, ChiSquare, CodedColumn, Filter, Limits, Query, Source, Statistic
from gateway.edges.store.database import Database
from gateway.ports import Clock
from gateway.rules.records import to_bytes
from tests import examples
from tests.examples import CARE, HOME, NEUTRAL, POLICE
from tests.fakes import FakeClock
from tests.held import held, offered, people


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with await Database.open(f"sqlite+aiosqlite:///{tmp_path}/agent.db") as opened:
        yield opened


@pytest.fixture
def holding(tmp_path: Path) -> Holding:
    return held(tmp_path / "data", POLICE, people(range(100)))


CLOCK = FakeClock()


def ledgers(database: Database, holding: Holding, clock: FakeClock = CLOCK) -> Ledgers:
    return Ledgers(POLICE, {holding.dataset.name: holding}, database.ledger, cast(Clock, clock))


def asked(*filters: Filter, owners: tuple[str, ...] = (HOME, POLICE, CARE), **changes: Any) -> Query:
    """Of police's list the rows that these filters keep, beside all of the others'."""
    police = examples.dataset(POLICE).name
    plain = examples.question(owners, **changes)
    sources = tuple(Source(s.dataset, filters) if s.dataset == police else s for s in plain.sources)
    return examples.question(owners, sources=sources, **changes)


def older(age: int) -> Filter:
    return Filter("age", between=Between(age, 1000))


def contract(query: Query, holding: Holding, **changes: Any) -> SignedContract:
    body = examples.contract(query, offered(holding), **changes)
    return SignedContract(body, hashlib.sha256(to_bytes(body)).hexdigest(), "")


async def answered(book: Ledgers, query: Query, holding: Holding, **changes: Any) -> None:
    wanted = contract(query, holding, **changes)
    await book.hold(wanted)
    await book.answer(wanted)


async def refused(book: Ledgers, query: Query, holding: Holding, **changes: Any) -> IsthmusError:
    with pytest.raises(IsthmusError) as caught:
        await answered(book, query, holding, **changes)
    return caught.value


async def reasons(database: Database) -> list[str]:
    return [fact.detail for fact in await database.audit.read(start=0, limit=1000) if fact.kind == "ledger.refused"]


async def test_a_question_whose_rows_differ_by_few_is_refused_and_says_so_to_the_owner_alone(
    database: Database, holding: Holding
) -> None:
    book = ledgers(database, holding)
    await answered(book, asked(), holding)
    problem = await refused(book, asked(older(3)), holding)
    assert problem.reason is Reason.NOT_RELEASABLE
    assert not any(word in f"{problem.public} {problem.advice}" for word in ("differ", "earlier", "3", "11"))
    assert await reasons(database) == [
        f"{holding.dataset.name}: an earlier answer's rows differ by fewer than the least cell"
    ]
    await answered(book, asked(older(11)), holding)


async def test_people_of_codes_that_were_compared_are_not_counted_by_a_filter_on_these(
    tmp_path: Path, database: Database
) -> None:
    lines = [*people(range(40)), *people(range(40, 80), "SEXUAL"), *people(range(80, 100), "OTHER")]
    holding = held(tmp_path / "forms", POLICE, lines)
    compared = Statistic(chi_square=ChiSquare(CodedColumn("form", ("LABOUR", "SEXUAL")), CodedColumn("year")))
    await answered(ledgers(database, holding), asked(statistic=compared), holding)
    book = ledgers(database, holding)  # which reads what the other wrote
    problem = await refused(book, asked(Filter("form", one_of=("LABOUR", "SEXUAL"))), holding)
    assert problem.reason is Reason.NOT_RELEASABLE
    assert await reasons(database) == [f"{holding.dataset.name}: {Objection.TABLE}"]
    await answered(book, asked(Filter("form", equals="SEXUAL")), holding)


async def test_what_was_answered_is_remembered_by_another_process(database: Database, holding: Holding) -> None:
    await answered(ledgers(database, holding), asked(), holding)
    assert (await refused(ledgers(database, holding), asked(older(3)), holding)).reason is Reason.NOT_RELEASABLE


async def test_the_same_rows_linked_by_other_rules_wait_for_another_edition(
    database: Database, holding: Holding
) -> None:
    """The two tables together would tell how many people only one of them recognised."""
    book = ledgers(database, holding)
    await answered(book, asked(), holding)
    problem = await refused(book, asked(), holding, key_rules=(KeyRule("name", ("case",)),))
    assert problem.reason is Reason.NOT_RELEASABLE
    (reason,) = await reasons(database)
    assert reason.endswith("an earlier answer shows the same rows in another table")
    await answered(book, asked(), holding)


async def test_what_another_process_answered_in_between_counts_too(database: Database, holding: Holding) -> None:
    first, second = ledgers(database, holding), ledgers(database, holding)
    slow = contract(asked(older(3)), holding)
    await first.hold(slow)
    await answered(second, asked(), holding)
    with pytest.raises(IsthmusError) as caught:
        await first.answer(slow)
    assert caught.value.reason is Reason.NOT_RELEASABLE
    assert len(await reasons(database)) == 1


async def test_every_objection_is_told_in_the_same_words(tmp_path: Path, database: Database) -> None:
    holding = held(tmp_path / "few", POLICE, people(range(100)), questions=2)
    book = ledgers(database, holding)
    await answered(book, asked(), holding)
    await answered(book, asked(older(40)), holding)
    found = [
        await refused(book, query, holding)
        for query in (
            asked(older(1)),  # a difference
            asked(older(95)),  # five people
            asked(owners=(HOME, POLICE)),  # a source left out
            asked(older(60)),  # the third question
        )
    ]
    assert len({(p.reason, p.public, p.field, p.space, p.advice) for p in found}) == 1
    assert len(set(await reasons(database))) == 4


async def test_the_same_question_is_answered_again_and_costs_nothing(tmp_path: Path, database: Database) -> None:
    holding = held(tmp_path / "few", POLICE, people(range(100)), questions=1)
    book = ledgers(database, holding)
    await answered(book, asked(), holding)
    await answered(book, asked(title="In other words"), holding, session="e" * 32, initiator=CARE)
    assert len(await database.ledger.answers(holding.dataset.name)) == 1
    assert (await refused(book, asked(older(50)), holding)).reason is Reason.NOT_RELEASABLE


async def test_of_ten_questions_at_once_on_a_budget_for_one_exactly_one_is_answered(
    tmp_path: Path, database: Database
) -> None:
    holding = held(tmp_path / "few", POLICE, people(range(300)), questions=1)
    books = [ledgers(database, holding) for _ in range(2)]
    questions = [contract(asked(older(20 * n)), holding) for n in range(10)]

    async def ask(number: int) -> bool:
        book = books[number % 2]  # as two agents of one database would be
        try:
            await book.hold(questions[number])
            await book.answer(questions[number])
        except IsthmusError as problem:
            assert problem.reason is Reason.NOT_RELEASABLE
            return False
        return True

    assert sum(await asyncio.gather(*map(ask, range(10)))) == 1
    assert len(await database.ledger.answers(holding.dataset.name)) == 1


def opened(folder: Path, budget: str = "1", total: str | None = None, number: int = 100) -> Holding:
    """Whose policy answers with noise, for that budget of each operator."""
    holding = held(folder, POLICE, people(range(number)))
    terms = replace(holding.dataset.terms, privacy=Privacy("1", budget, total, required=False))
    return replace(holding, dataset=replace(holding.dataset, terms=terms))


def noised(holding: Holding, *filters: Filter, epsilon: str = "1", **changes: Any) -> SignedContract:
    """The question with noise; other owners answer with it too."""
    known = offered(holding)
    for entity in (HOME, CARE):
        (dataset,) = known[entity].offer.datasets
        given = replace(dataset, terms=replace(dataset.terms, privacy=Privacy("10", "100", required=False)))
        known[entity] = replace(known[entity], offer=replace(known[entity].offer, datasets=(given,)))
    body = examples.contract(asked(*filters, limits=Limits(epsilon=epsilon)), known, **changes)
    return SignedContract(body, hashlib.sha256(to_bytes(body)).hexdigest(), "")


async def is_answered(book: Ledgers, wanted: SignedContract) -> bool:
    try:
        await book.hold(wanted)
        await book.answer(wanted)
    except IsthmusError as problem:
        assert problem.reason is Reason.NOT_RELEASABLE
        return False
    return True


async def test_a_question_with_noise_costs_its_epsilon_once_whoever_repeats_it(
    tmp_path: Path, database: Database
) -> None:
    holding = opened(tmp_path / "data")
    name, book = holding.dataset.name, ledgers(database, holding)
    assert await book.left(name, HOME) == Left(10_000, None)
    assert await is_answered(book, noised(holding, epsilon="0.6"))
    assert await book.left(name, HOME) == Left(4_000, None)
    again = [noised(holding, epsilon="0.60", session=f"{n:032x}", initiator=who) for n, who in enumerate((HOME, CARE))]
    assert all([await is_answered(book, one) for one in again])
    assert (await book.left(name, HOME), await book.left(name, CARE)) == (Left(4_000, None), Left(10_000, None))
    assert not await is_answered(book, noised(holding, epsilon="0.5", session="a" * 32))
    assert (await reasons(database))[-1].endswith("privacy budget is less than the question's epsilon")
    assert await is_answered(book, noised(holding, epsilon="0.4", session="b" * 32))
    # Another process knows, and an exact answer is neither kept from it nor costs anything.
    later = ledgers(database, holding)
    assert await is_answered(later, contract(asked(), holding, session="c" * 32))
    assert await later.left(name, HOME) == Left(0, None)
    assert not await is_answered(later, noised(holding, older(50), epsilon="0.01", session="d" * 32))
    assert await database.ledger.charges(name) == {HOME: 10_000}


async def test_a_budget_is_the_operators_however_many_spaces_it_asks_from(tmp_path: Path, database: Database) -> None:
    holding = opened(tmp_path / "data", total="2.5")
    affiliates = {entity: replace(examples.operator(entity), group="one group") for entity in (HOME, CARE)}
    operators = {**affiliates, POLICE: examples.operator(POLICE)}
    book = Ledgers(POLICE, {holding.dataset.name: holding}, database.ledger, cast(Clock, CLOCK), lambda: operators)
    assert await is_answered(book, noised(holding, epsilon="0.7"))
    assert not await is_answered(book, noised(holding, older(20), epsilon="0.7", session="a" * 32, initiator=CARE))
    assert await is_answered(book, noised(holding, older(20), epsilon="0.9", session="b" * 32, initiator=POLICE))
    assert await book.left(holding.dataset.name, CARE) == Left(3_000, 9_000)


@pytest.mark.parametrize("later", ["expired", "another group", "both"])
async def test_what_an_operator_spent_is_spent_when_its_space_is_not_believed_any_more(
    tmp_path: Path, database: Database, later: str
) -> None:
    """Else a group of spaces would have a budget each, one after the other."""
    holding = opened(tmp_path / "data")
    name, between = holding.dataset.name, examples.operator(NEUTRAL)
    operators = {
        HOME: replace(examples.operator(HOME), group="one group"),
        NEUTRAL: replace(between, group="one group", affiliates=(CARE,)),
        CARE: examples.operator(CARE),
    }
    believed = dict(operators)

    def book() -> Ledgers:  # another after a restart
        return Ledgers(POLICE, {name: holding}, database.ledger, cast(Clock, CLOCK), lambda: believed)

    assert await is_answered(book(), noised(holding, epsilon="1"))
    if later == "another group":
        believed[HOME] = replace(operators[HOME], group="a new one")
    else:
        del believed[HOME]
    if later == "both":
        del believed[NEUTRAL]
    assert await book().left(name, CARE) == Left(0, None)
    assert not await is_answered(book(), noised(holding, older(20), session="a" * 32, initiator=CARE))


async def test_a_budget_holds_for_all_editions_of_a_dataset(tmp_path: Path, database: Database) -> None:
    first = opened(tmp_path / "1")
    assert await is_answered(ledgers(database, first), noised(first))
    second = opened(tmp_path / "2", number=200)
    renewed = replace(second, dataset=replace(second.dataset, edition=replace(second.dataset.edition, id="2026-2")))
    assert not await is_answered(ledgers(database, renewed), noised(renewed, session="a" * 32))


async def test_of_ten_noised_questions_at_once_on_a_budget_for_one_exactly_one_is_answered(
    tmp_path: Path, database: Database
) -> None:
    holding = opened(tmp_path / "data", budget="1.5", number=300)
    books = [ledgers(database, holding) for _ in range(2)]  # as two agents of one database would be
    raced = [noised(holding, older(20 * n), session=f"{n:032x}") for n in range(10)]
    assert sum(await asyncio.gather(*(is_answered(books[n % 2], raced[n]) for n in range(10)))) == 1
    assert await database.ledger.charges(holding.dataset.name) == {HOME: 10_000}


async def test_what_is_agreed_on_holds_others_off_until_it_is_let_go_or_has_expired(
    database: Database, holding: Holding
) -> None:
    clock = FakeClock()
    book = ledgers(database, holding, clock)
    agreed = contract(asked(), holding)
    await book.hold(agreed)
    assert (await refused(book, asked(older(3)), holding)).reason is Reason.NOT_RELEASABLE
    book.let_go(agreed.digest)
    again = contract(asked(older(3)), holding)
    await book.hold(again)
    clock.at = again.body.expires + LEEWAY + 1
    await answered(book, asked(), holding)


async def test_a_contract_that_is_not_held_is_not_answered(database: Database, holding: Holding) -> None:
    with pytest.raises(IsthmusError) as caught:
        await ledgers(database, holding).answer(contract(asked(), holding))
    assert caught.value.reason is Reason.NOT_RELEASABLE


async def test_an_edition_with_few_new_rows_is_a_difference_and_one_with_many_is_not(
    tmp_path: Path, database: Database
) -> None:
    first = held(tmp_path / "1", POLICE, people(range(100)))
    await answered(ledgers(database, first), asked(), first)
    close = held(tmp_path / "2", POLICE, [*people(range(99)), *people([99], "OTHER")], edition="2026-2")
    assert (await refused(ledgers(database, close), asked(), close)).reason is Reason.NOT_RELEASABLE
    grown = held(tmp_path / "3", POLICE, people(range(111)), edition="2026-3")
    await answered(ledgers(database, grown), asked(), grown)


async def test_equal_rows_are_counted_each(tmp_path: Path, database: Database) -> None:
    """Twenty rows that are all alike are twenty rows, and five more are five."""
    twins = held(tmp_path / "1", POLICE, people([7] * 20))
    await answered(ledgers(database, twins), asked(), twins)
    more = held(tmp_path / "2", POLICE, people([7] * 25), edition="2026-2")
    assert (await refused(ledgers(database, more), asked(), more)).reason is Reason.NOT_RELEASABLE
    many = held(tmp_path / "3", POLICE, people([7] * 31), edition="2026-3")
    await answered(ledgers(database, many), asked(), many)


async def test_who_is_refused_too_often_is_not_read_for_and_nobody_else_is_kept_waiting(
    database: Database, holding: Holding
) -> None:
    clock = FakeClock()
    book = ledgers(database, holding, clock)
    await answered(book, asked(), holding)
    for number in range(REFUSALS_A_DAY):
        problem = await refused(book, asked(older(1)), holding, session=f"{number:032x}")
        assert problem.reason is Reason.NOT_RELEASABLE
    assert (await refused(book, asked(older(50)), holding)).reason is Reason.RESOURCE_EXHAUSTED
    await answered(book, asked(older(50)), holding, initiator=CARE)
    clock.at += 24 * 60 * 60 + 1
    await answered(book, asked(older(30)), holding)


async def test_nothing_of_a_row_is_written_down(tmp_path: Path, database: Database, holding: Holding) -> None:
    await answered(ledgers(database, holding), asked(older(20)), holding)
    written = b"".join(file.read_bytes() for file in tmp_path.glob("agent.db*"))
    assert b"ledger.answered" in written
    assert b"Person" not in written and b"1990-01-02" not in written


async def test_a_refusal_takes_a_whole_number_of_times_as_long() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time() - 0.9 * REFUSED_AFTER
    await in_uniform_time(not_releasable(POLICE), began)
    assert REFUSED_AFTER <= loop.time() - began < 2 * REFUSED_AFTER
    began = loop.time()
    await in_uniform_time(IsthmusError(Reason.POLICY_REFUSED, "no", space=POLICE), began)
    assert loop.time() - began < REFUSED_AFTER
