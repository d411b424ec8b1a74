"""A policy that changes while its agent runs: in force at once, offered, and the end of what it allows no more."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from connectors.agent import Agent
from connectors.policy_watch import PolicyWatch
from connectors.session import Session
from gateway.domain.approval import ApprovalBody, SeatKey
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import EntityId
from gateway.domain.offer import Offer
from gateway.domain.session import Approval, Failure, Refusal
from gateway.edges.documents import Writer
from gateway.edges.keys import new_signing_key
from gateway.edges.store.database import Database
from gateway.rules import sealing
from tests import examples
from tests.fakes import FakeClock, FakeIds
from tests.held import held, people
from tests.unit.test_agent_revocation import HOME, POLICE, World, opened
from tests.unit.trust_kit import ANCHOR, ANCHOR_REVOCATIONS, NOW, new_space

NAME = examples.dataset(POLICE).name
POLICY = """\
version = 1
purposes = ["trend-monitoring"]
legal_bases = ["led-8"]
statistics = ["count_by"]
"""
ASKED = replace(examples.question((HOME, POLICE)), purpose="trend-monitoring", legal_basis="led-8")


@dataclass
class Watched:
    world: World
    watch: PolicyWatch
    file: Path

    @property
    def agent(self) -> Agent:
        return self.world.agent

    async def write(self, *changes: tuple[str, str]) -> None:
        text = self.file.read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        self.file.write_text(text)
        await self.settle()

    async def settle(self) -> None:
        """The agent looks twice: what was the same both times counts."""
        await self.watch.look()
        await self.watch.look()

    def contract(self, session: str = "1") -> str:
        """What `home` asks of the two of them, for a purpose that both allow."""
        known = examples.spaces()
        for entity in (HOME, POLICE):
            dataset = self.agent.own.offer.datasets[0] if entity == POLICE else examples.dataset(HOME)
            terms = replace(examples.dataset(HOME).terms, purposes=(ASKED.purpose,), legal_bases=(ASKED.legal_basis,))
            offer: Offer = replace(known[entity].offer, datasets=(replace(dataset, terms=terms),))
            known[entity] = replace(known[entity], offer=offer)
        at = self.world.clock.at
        body = examples.contract(ASKED, known, session=session * 32, not_before=at, expires=at + 600)
        return Writer(HOME, lambda: self.world.spaces[HOME].tokens, self.world.clock, FakeIds()).contract(body)

    async def propose(self, token: str) -> Approval | Refusal:
        return await self.agent.propose(token, [])

    async def running(self, session: str = "1") -> Session:
        """A session that everybody has approved, about to run here."""
        return await self.run(self.contract(session))

    async def run(self, token: str) -> Session:
        """The session of this contract, which everybody approves."""
        own = await self.propose(token)
        assert isinstance(own, Approval), own
        contract = await self.agent.reader.contract(token)

        def approval(entity: str) -> str:
            writer = Writer(entity, lambda: self.world.spaces[entity].contracts, self.world.clock, FakeIds())
            keys = [base64.b64encode(sealing.fresh_key()[1]).decode() for _ in range(2)]
            seats = tuple(SeatKey(seat.pid, keys[0]) for seat in contract.body.seats_of(entity))
            provider = keys[1] if contract.body.provider_of(entity) is not None else ""
            return writer.approval(contract.body, ApprovalBody(contract.digest, seats, provider))

        approvals = [own.token if entity == POLICE else approval(entity) for entity in contract.body.entities()]
        return await self.agent.prepare(token, approvals, [])


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    clock, anchor = FakeClock(), new_signing_key()
    spaces = {entity: new_space(EntityId(entity)) for entity in examples.spaces()}
    signers = {**{entity: space.revocations for entity, space in spaces.items()}, ANCHOR: ANCHOR_REVOCATIONS}
    url = f"sqlite+aiosqlite:///{tmp_path}/agent.db"
    file = tmp_path / "list.policy.toml"
    file.write_text(POLICY)
    async with await Database.open(url) as database:
        holding = held(tmp_path / "data", POLICE, people(range(40)))
        agent = opened(database, clock, anchor, spaces[POLICE].contracts, holding)
        world = World(agent, clock, spaces, signers, anchor, url, holding)
        await agent.hear(world.chains(), world.lists(NOW))
        watch = PolicyWatch(agent, {NAME: file})
        watched = Watched(world, watch, file)
        await watched.settle()
        yield watched


async def test_a_changed_policy_is_in_force_and_offered_at_once(watched: Watched) -> None:
    offered = watched.agent.own
    assert offered.offer.datasets[0].terms.purposes == ("trend-monitoring",)
    await watched.settle()
    assert watched.agent.own is offered, "what has not changed is not offered again"
    token = watched.contract()
    await watched.write(("version = 1", 'version = 2\nspaces = ["https://care.example"]'))
    assert watched.agent.own is not offered and watched.agent.own.offer.datasets[0].terms.version == 2
    answer = await watched.propose(token)
    assert isinstance(answer, Refusal) and answer.reason == Reason.POLICY_REFUSED
    assert await watched.world.facts("policy.changed") == ["version 1 is in force", "version 2 is in force"]
    await watched.write(("version = 2", "version = 3"), ("care", "home"))
    assert isinstance(await watched.propose(token), Approval)


async def test_a_new_policy_that_is_none_is_refused_once_and_the_old_one_stays(watched: Watched) -> None:
    before = watched.agent.own
    await watched.write(('"led-8"', '"led-9"'))
    await watched.settle()
    (told,) = await watched.world.facts("policy.refused")
    assert "led-9" in told and "Did you mean led-8?" in told
    watched.file.unlink()
    await watched.settle()
    await watched.settle()
    assert len(await watched.world.facts("policy.refused")) == 2
    assert watched.agent.own is before and isinstance(await watched.propose(watched.contract()), Approval)


async def test_half_a_policy_is_waited_for(watched: Watched) -> None:
    before = watched.agent.own
    whole = POLICY.replace("version = 1", "version = 2") + "spaces = []\n"
    watched.file.write_text(whole.removesuffix("spaces = []\n"))
    await watched.watch.look()
    watched.file.write_text(whole)
    await watched.watch.look()
    assert watched.agent.own is before
    await watched.watch.look()
    assert watched.agent.own.spaces == {NAME: ()}
    assert await watched.world.facts("policy.changed") == ["version 1 is in force", "version 2 is in force"]


async def test_a_rule_for_a_column_that_the_dataset_lacks_changes_nothing(watched: Watched) -> None:
    before = watched.agent.own
    await watched.write(("version = 1", 'version = 2\ncolumns = [{name = "from"}]'))
    assert watched.agent.own is before
    assert "'from', which the dataset does not have" in (await watched.world.facts("policy.refused"))[0]


@pytest.mark.parametrize(
    "change",
    [
        ("version = 1", "version = 2\nspaces = []"),
        ("version = 1", "version = 2\nexpires = 2020-01-01"),
        ("trend-monitoring", "scientific-research"),
        ("version = 1", 'version = 2\ntransfer = ["NO"]'),
        ("version = 1", 'version = 2\ncolumns = [{name = "form", as = "filter"}]'),
    ],
)
async def test_a_session_that_the_policy_allows_no_more_is_stopped_here(
    watched: Watched, change: tuple[str, str]
) -> None:
    session = await watched.running()
    assert session._events.empty()
    await watched.write(change)
    stopped = session._events.get_nowait()
    assert isinstance(stopped, Failure) and (stopped.reason, stopped.culprit) == (Reason.POLICY_REFUSED, POLICE)
    with pytest.raises(IsthmusError) as caught:  # whatever it was about to say, nothing leaves any more
        await session.spend()
    assert caught.value.reason is Reason.POLICY_REFUSED
    assert await watched.world.facts("session.output") == []


async def test_a_change_that_still_allows_a_session_lets_it_run(watched: Watched) -> None:
    session = await watched.running()
    await watched.write(("version = 1", "version = 2\nminimum_cell = 5\nquestions = 1"))
    assert watched.agent.own.offer.datasets[0].terms.version == 2 and session._events.empty()
    await session.spend()
    assert len(await watched.world.facts("session.output")) == 1


async def test_an_approval_that_waits_is_dropped_when_its_policy_is_withdrawn(watched: Watched) -> None:
    token = watched.contract()
    assert isinstance(await watched.propose(token), Approval) and len(watched.agent.in_hand.waiting) == 1
    await watched.write(("version = 1", "version = 2\nspaces = []"))
    assert watched.agent.in_hand.waiting == {}


async def test_a_session_ends_on_the_day_on_which_its_policy_expires(watched: Watched) -> None:
    await watched.write(("version = 1", "version = 2\nexpires = 2027-01-16"))
    watched.world.clock.at = 1_800_057_590  # ten seconds before that day
    await watched.agent.hear([], watched.world.lists(watched.world.clock.at))
    await watched.watch.look()
    session = await watched.running()
    assert session._events.empty()
    watched.world.clock.at += 10
    await watched.watch.look()
    stopped = session._events.get_nowait()
    assert isinstance(stopped, Failure) and "expired on 2027-01-16" in stopped.text
