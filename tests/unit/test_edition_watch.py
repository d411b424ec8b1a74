"""Editions that are published while an agent runs: offered, answered from, and a year of them."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pyroaring import BitMap

from connectors.edition_watch import CATALOGUE_AGE, EditionWatch
from connectors.engine.programs import group_count
from connectors.engine.rows import InputRows
from connectors.holdings import Holding, open_holdings, read_rows
from connectors.policy_watch import PolicyWatch
from connectors.session import Session
from connectors.sources.linking import LinkedRows
from gateway.domain.contract import Contract, Provider
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import EntityId
from gateway.domain.session import Approval, Refusal
from gateway.edges.keys import new_signing_key
from gateway.edges.store.database import Database
from gateway.rules import planning
from tests import examples
from tests.fakes import FakeClock
from tests.held import held, people
from tests.owner import Owner
from tests.unit.test_agent_revocation import HOME, POLICE, World, opened
from tests.unit.test_policy_watch import NAME, Watched
from tests.unit.trust_kit import ANCHOR, ANCHOR_REVOCATIONS, NOW, new_space

MINIMUM = 11
START = people(range(40))


@dataclass
class Publishing(Watched):
    """An agent that runs, its owner beside it, and who asks."""

    owner: Owner
    editions: EditionWatch

    async def publish(self, lines: list[str], id: str) -> str:
        """What becomes of the live file, in a process of its own as far as loop and database are concerned; then the
        agent looks."""
        self.owner.write(lines)
        outcome = (await asyncio.to_thread(self.owner.publish, "--id", id)).plain["outcome"]
        await self.editions.look()
        return str(outcome)

    @property
    def offered(self) -> str:
        (dataset,) = self.agent.own.offer.datasets
        return dataset.edition.id

    def rows(self, session: Session) -> int:
        return len(session.read_rows().keys)


@pytest.fixture
async def space(tmp_path: Path) -> AsyncIterator[Publishing]:
    clock, anchor = FakeClock(), new_signing_key()
    spaces = {entity: new_space(EntityId(entity)) for entity in examples.spaces()}
    signers = {**{entity: space.revocations for entity, space in spaces.items()}, ANCHOR: ANCHOR_REVOCATIONS}
    owner = Owner.of(tmp_path / "space", POLICE, START)
    async with await Database.open(owner.url) as database:
        (holding,) = open_holdings(EntityId(POLICE), [owner.dataset]).values()
        agent = opened(database, clock, anchor, spaces[POLICE].contracts, holding)
        world = World(agent, clock, spaces, signers, anchor, owner.url, holding)
        await agent.hear(world.chains(), world.lists(NOW))
        watch = PolicyWatch(agent, {NAME: owner.policy})
        made = Publishing(world, watch, owner.policy, owner, EditionWatch(agent, owner.copies.parent))
        await made.settle()
        yield made


def reason(answer: Approval | Refusal) -> str:
    return answer.reason if isinstance(answer, Refusal) else ""


async def test_a_new_edition_is_offered_and_answered_from_its_copy_whatever_happens_to_the_source(
    space: Publishing,
) -> None:
    assert space.offered == "2026-1"
    before = space.agent.own
    await space.editions.look()
    assert space.agent.own is before, "without a new edition nothing is offered again"
    assert await space.publish(people(range(55)), "2026-05") == "published"
    assert space.agent.own is not before and space.offered == "2026-05"
    assert await space.world.facts("edition.offered") == ["edition 2026-05 is offered"]
    session = await space.running()
    space.owner.source.write_text("no table any more")
    assert space.rows(session) == 55
    await space.editions.look()
    assert len(await space.world.facts("edition.offered")) == 1


async def test_changes_that_wait_are_neither_offered_nor_answered(space: Publishing) -> None:
    assert await space.publish(START, "2026-04") == "published"
    assert await space.publish(people(range(45)), "2026-05") == "waits"
    assert space.offered == "2026-04"
    assert space.rows(await space.running()) == 40


async def test_a_session_that_runs_on_the_edition_before_goes_on(space: Publishing) -> None:
    await space.publish(START, "2026-04")
    session = await space.running()
    await space.publish(people(range(80)), "2026-05")
    assert space.offered == "2026-05" and session._events.empty()
    assert space.rows(session) == 40
    await space.write(("version = 1", "version = 2"))
    assert session._events.empty()
    await space.world.agent.hear([], space.world.lists(space.world.clock.at))
    await session.spend()
    assert len(await space.world.facts("session.output")) == 1


async def test_what_was_agreed_on_the_edition_before_runs_on_it_and_later_contracts_are_planned_again(
    space: Publishing,
) -> None:
    await space.publish(START, "2026-04")
    agreed, clock = space.contract("1"), space.world.clock
    assert reason(await space.propose(agreed)) == ""
    await space.publish(people(range(80)), "2026-05")
    clock.at += CATALOGUE_AGE - 1
    late = old_contract(space, "2")
    clock.at += 1
    too_late = old_contract(space, "3")
    clock.at += 200
    assert reason(await space.propose(late)) == ""
    assert reason(await space.propose(too_late)) == Reason.EDITION_CHANGED
    assert space.rows(await space.run(agreed)) == 40
    assert space.rows(await space.running("4")) == 80


def old_contract(space: Publishing, session: str) -> str:
    """What a home proposes whose catalogue has the edition before."""
    former = space.agent.holdings[NAME].former
    assert former is not None
    present, own = space.agent.own.offer.datasets[0], space.agent.own
    try:
        space.agent.own = replace(own, offer=replace(own.offer, datasets=(replace(present, edition=former.edition),)))
        return space.contract(session)
    finally:
        space.agent.own = own


async def test_an_edition_two_before_is_not_answered_from(space: Publishing) -> None:
    await space.publish(START, "2026-04")
    agreed = space.contract("1")
    assert reason(await space.propose(agreed)) == ""
    await space.publish(people(range(80)), "2026-05")
    await space.publish(people(range(120)), "2026-06")
    with pytest.raises(IsthmusError) as caught:
        await space.run(agreed)
    assert caught.value.reason is Reason.EDITION_CHANGED


async def test_a_policy_holds_for_the_edition_before_too(space: Publishing) -> None:
    await space.publish(START, "2026-04")
    agreed = space.contract("1")
    assert reason(await space.propose(agreed)) == ""
    await space.publish(people(range(80)), "2026-05")
    await space.write(("version = 1", "version = 2\nspaces = []"))
    assert space.agent.in_hand.waiting == {} and space.offered == "2026-05"
    with pytest.raises(IsthmusError) as caught:
        await space.run(agreed)
    assert caught.value.reason is Reason.POLICY_REFUSED


async def test_a_policy_that_changed_while_a_copy_was_read_is_in_force_on_the_new_edition(
    space: Publishing, monkeypatch: pytest.MonkeyPatch
) -> None:
    from connectors import edition_watch

    reading = edition_watch.on_copy
    loop = asyncio.get_running_loop()

    def slowly(*arguments: object) -> object:
        asyncio.run_coroutine_threadsafe(space.write(("version = 1", "version = 2")), loop).result(30)
        return reading(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(edition_watch, "on_copy", slowly)
    await space.publish(people(range(80)), "2026-05")
    (dataset,) = space.agent.own.offer.datasets
    assert (dataset.edition.id, dataset.terms.version) == ("2026-05", 2)


async def test_a_copy_that_is_not_what_was_published_is_told_once_and_the_edition_before_stays(
    space: Publishing,
) -> None:
    await space.publish(START, "2026-04")
    space.owner.write(people(range(80)))
    assert (await asyncio.to_thread(space.owner.publish, "--id", "2026-05")).code == 0
    copy = space.owner.copies / "2.csv"
    copy.chmod(0o600)
    copy.write_text(copy.read_text().replace("Person 7,", "Canaryname,"))
    await space.editions.look()
    await space.editions.look()
    assert space.offered == "2026-04"
    (told,) = await space.world.facts("edition.refused")
    assert "list/2.csv is not what was published as edition 2026-05" in told and "Canary" not in told
    assert space.rows(await space.running()) == 40


@pytest.mark.parametrize("lost", [True, False])
async def test_a_copy_that_was_refused_is_taken_up_once_it_is_there_again(space: Publishing, lost: bool) -> None:
    await space.publish(START, "2026-04")
    space.owner.write(people(range(80)))
    assert (await asyncio.to_thread(space.owner.publish, "--id", "2026-05")).code == 0
    copy = space.owner.copies / "2.csv"
    copy.unlink()
    if not lost:
        copy.write_text("no table any more")
    await space.editions.look()
    assert space.offered == "2026-04"
    again = await asyncio.to_thread(space.owner.publish)
    assert (again.plain["outcome"], again.plain["restored"]) == ("unchanged", True)
    await space.editions.look()
    assert space.offered == "2026-05" and space.rows(await space.running()) == 80


async def test_a_copy_that_changes_after_it_was_checked_is_not_read(space: Publishing) -> None:
    await space.publish(START, "2026-04")
    session = await space.running()
    copy = space.owner.copies / "1.csv"
    copy.chmod(0o600)
    copy.write_text(copy.read_text() + people([99])[0] + "\n")
    with pytest.raises(IsthmusError) as caught:
        session.read_rows()
    assert caught.value.reason is Reason.EDITION_CHANGED


# What happens in each month, and what becomes of it.
FORMS = ("LABOUR", "SEXUAL", "OTHER")


class Register:
    """A list of people that its clerks keep: each has a number and a form of exploitation."""

    def __init__(self) -> None:
        self.forms = {number: FORMS[number % 2] for number in range(60)}

    def new(self, count: int) -> None:
        first = 1 + max(self.forms)
        self.forms |= {number: FORMS[number % 2] for number in range(first, first + count)}

    def corrected(self, *numbers: int) -> None:
        self.forms |= dict.fromkeys(numbers, "OTHER")

    def removed(self, *numbers: int) -> None:
        for number in numbers:
            del self.forms[number]

    def lines(self) -> list[str]:
        return [line for number, form in self.forms.items() for line in people([number], form)]


YEAR = {
    "2027-01": (lambda register: None, "published"),
    "2027-02": (lambda register: register.new(3), "waits"),
    "2027-03": (lambda register: register.new(20), "published"),
    "2027-04": (lambda register: register.new(2), "waits"),
    "2027-05": (lambda register: register.corrected(1, 2, 3, 4, 5), "waits"),
    "2027-06": (lambda register: register.new(3), "waits"),
    "2027-07": (lambda register: register.new(1), "published"),  # six new people and five corrected ones, merged
    "2027-08": (lambda register: None, "unchanged"),
    "2027-09": (lambda register: register.removed(10, 11, 12), "waits"),
    "2027-10": (lambda register: register.corrected(20, 21, 22, 23, 24, 25, 26), "waits"),
    "2027-11": (lambda register: register.new(3), "waits"),
    "2027-12": (lambda register: (register.new(9), register.removed(13)), "published"),
}


async def test_a_year_of_monthly_refreshes_with_few_new_records(space: Publishing, tmp_path: Path) -> None:
    """Twelve months, some with three new people, some with twenty, some with corrections alone: small ones are merged
    into the next edition, every edition answers the same question, and no two answers are a few people apart."""
    register, editions = Register(), dict[str, dict[int, str]]()
    home = held(tmp_path / "home", HOME, [*people(range(500, 560)), *people(range(600, 650), "SEXUAL")])
    answers: dict[str, list[int | None]] = {}
    for number, (month, (happens, outcome)) in enumerate(YEAR.items()):
        happens(register)
        assert await space.publish(register.lines(), month) == outcome, month
        if outcome == "published":
            editions[month] = dict(register.forms)
        assert space.offered == list(editions)[-1]
        # Every month the same question, of whatever edition is on offer.
        space.world.clock.at += 300
        await space.agent.hear([], space.world.lists(space.world.clock.at))
        session = await space.running(f"{number:x}")
        body = session.contract.body
        (asked,) = [item.edition for item in body.providers[1].inputs]
        inputs = [InputRows(rows.keys, rows.lists, rows.codes) for rows in (of_home(body, home), session.read_rows())]
        table = group_count.clear(json.loads(body.program.parameters), inputs)
        told = [count if kept else None for count, kept in zip(table[:3], table[3:], strict=True)]
        assert answers.setdefault(asked, told) == told, "an edition answers alike whenever it is asked"
    assert list(answers) == list(editions) == ["2027-01", "2027-03", "2027-07", "2027-12"]
    assert await space.world.facts("ledger.refused") == []
    # Everything that happened is in the last edition, and the answers are the editions' truth.
    assert list(editions.values())[-1] == register.forms
    for month, forms in editions.items():
        own, others = Counter(forms.values()), {"LABOUR": 60, "SEXUAL": 50, "OTHER": 0}
        assert answers[month] == [small(own[form], others[form]) for form in FORMS]
    # Whoever subtracts one answer from another gets a table of eleven people or more.
    rows = [BitMap.deserialize(answer.rows) for answer in await space.agent.database.ledger.answers(NAME)]
    assert len(rows) == len(editions)
    for place, later in enumerate(rows):
        assert all(max(len(later - before), len(before - later)) >= MINIMUM for before in rows[:place])


def of_home(contract: Contract, home: Holding) -> LinkedRows:
    """The other provider's people, in the edition that it has."""
    (ours,) = (item for item in contract.providers if item.entity != HOME)
    theirs = Provider(HOME, (planning.edition_of(home.dataset),), 128)
    return read_rows(replace(contract, providers=(theirs, ours)), HOME, {home.dataset.name: home})


def small(own: int, others: int) -> int | None:
    """What is told of a cell of two providers, who have nobody in common."""
    return None if any(0 < part < MINIMUM for part in (own + others, own, others)) else own + others
