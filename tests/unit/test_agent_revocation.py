"""An agent by itself: what its gateway passes on, keeps back or lies about, with a clock that can be set."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from connectors.agent import Agent
from connectors.holdings import Holding
from connectors.keeping import Keeper
from connectors.launch.subprocesses import PartyPool
from connectors.ledgers import Ledgers
from connectors.rules.approval import OwnPart
from gateway.domain.approval import ApprovalBody
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import EntityId
from gateway.domain.session import Approval, Refusal
from gateway.edges.documents import Reader, Writer
from gateway.edges.federation import Federation, entity_configuration
from gateway.edges.keys import SigningKey, new_signing_key
from gateway.edges.revocations import Revocations
from gateway.edges.store.database import Database
from gateway.edges.tokens import Verifier
from gateway.ports import Clock
from tests import examples
from tests.fakes import FakeClock, FakeIds
from tests.held import held, offered, people
from tests.unit.trust_kit import ANCHOR, ANCHOR_REVOCATIONS, NOW, Space, anchor_of, chain_of, new_space, revocation_list

HOME, POLICE, CARE = examples.HOME, examples.POLICE, examples.CARE


@dataclass
class World:
    """The agent of `police`, and everybody's keys."""

    agent: Agent
    clock: FakeClock
    spaces: dict[str, Space]
    signers: dict[str, SigningKey]
    anchor: SigningKey
    url: str
    holding: Holding

    def chains(self) -> list[list[str]]:
        chains = []
        for entity, space in self.spaces.items():
            named = examples.operators()[entity]
            metadata = space.metadata(operator=named.name, operator_group=named.group, affiliates=named.affiliates)
            own = entity_configuration(space.entity_id, metadata, [ANCHOR], space.federation, NOW)
            chains.append([own, chain_of(space, self.anchor)[1]])
        return chains

    def lists(self, at: int, *but: str) -> list[str]:
        named = {issuer: key for issuer, key in self.signers.items() if issuer not in but}
        return [revocation_list(EntityId(issuer), key, at) for issuer, key in named.items()]

    def contract(self, request: str = "1") -> str:
        """What `home` proposes now."""
        known = offered(self.holding)
        body = examples.contract(
            known=known, session=request * 32, not_before=self.clock.at, expires=self.clock.at + 600
        )
        return Writer(HOME, lambda: self.spaces[HOME].tokens, self.clock, FakeIds()).contract(body)

    async def propose(self, token: str = "") -> Approval | Refusal:
        return await self.agent.propose(token or self.contract(), [])

    async def facts(self, kind: str) -> list[str]:
        found = await self.agent.database.audit.read(start=0, limit=1000)
        return [fact.detail for fact in found if fact.kind == kind]


def opened(
    database: Database, clock: FakeClock, anchor: SigningKey, contracts: SigningKey, holding: Holding, grace: int = 0
) -> Agent:
    known = offered(holding)
    trust = Federation([anchor_of(anchor, *map(EntityId, known))], clock.now, database.beliefs)
    revocations = Revocations(POLICE, trust, database.beliefs, database.audit, clock, grace=grace)
    offer = known[POLICE].offer
    own = OwnPart(POLICE, offer, {dataset.name: ("*",) for dataset in offer.datasets})
    reader = Reader(Verifier(trust, clock.now))
    writer = Writer(POLICE, lambda: contracts, clock, FakeIds())
    holdings = {holding.dataset.name: holding}
    ledgers = Ledgers(own.entity, holdings, database.ledger, cast(Clock, clock))
    pool = cast(PartyPool, None)
    keeper = Keeper(POLICE, database.kept, revocations.of_contract, cast(Clock, clock), bytes(range(32)))
    return Agent(own, holdings, trust, revocations, reader, writer, database, ledgers, pool, cast(Clock, clock), keeper)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock, anchor = FakeClock(), new_signing_key()
    spaces = {entity: new_space(EntityId(entity)) for entity in examples.spaces()}
    signers = {entity: space.revocations for entity, space in spaces.items()}
    url = f"sqlite+aiosqlite:///{tmp_path}/agent.db"
    async with await Database.open(url) as database:
        holding = held(tmp_path / "data", POLICE, people(range(40)))
        agent = opened(database, clock, anchor, spaces[POLICE].contracts, holding)
        yield World(agent, clock, spaces, {**signers, ANCHOR: ANCHOR_REVOCATIONS}, anchor, url, holding)


def refused(answer: Approval | Refusal) -> tuple[str, str]:
    assert isinstance(answer, Refusal), answer
    return answer.reason, answer.space


async def test_an_agent_approves_with_fresh_lists_of_everybody_and_not_without(world: World) -> None:
    await world.agent.hear(world.chains(), [])
    assert refused(await world.propose())[0] == Reason.REVOCATION_STALE
    await world.agent.hear([], world.lists(NOW, ANCHOR))
    assert refused(await world.propose()) == (Reason.REVOCATION_STALE, ANCHOR)
    await world.agent.hear([], world.lists(NOW))
    assert isinstance(await world.propose(), Approval)
    world.clock.at += 301
    assert refused(await world.propose(world.contract("2")))[0] == Reason.REVOCATION_STALE
    await world.agent.hear([], world.lists(world.clock.at, CARE))
    assert refused(await world.propose(world.contract("2"))) == (Reason.REVOCATION_STALE, CARE)
    assert len(await world.facts("contract.refused")) == 4
    await world.agent.hear([], world.lists(world.clock.at))
    assert isinstance(await world.propose(world.contract("2")), Approval)


async def test_an_agent_looks_again_before_it_runs(world: World) -> None:
    await world.agent.hear(world.chains(), world.lists(NOW))
    token = world.contract()
    own = await world.propose(token)
    assert isinstance(own, Approval)
    contract = await world.agent.reader.contract(token)

    def approval(entity: str) -> str:
        writer = Writer(entity, lambda: world.spaces[entity].contracts, world.clock, FakeIds())
        return writer.approval(contract.body, ApprovalBody(contract.digest, ()))

    approvals = [own.token if entity == POLICE else approval(entity) for entity in contract.body.entities()]
    world.clock.at += 301
    with pytest.raises(IsthmusError) as caught:
        await world.agent.prepare(token, approvals, [])
    assert caught.value.reason is Reason.REVOCATION_STALE
    await world.agent.hear([], world.lists(world.clock.at, CARE))
    kid = world.spaces[CARE].contracts.kid
    await world.agent.hear([], [revocation_list(EntityId(CARE), world.signers[CARE], world.clock.at, kids=[kid])])
    with pytest.raises(IsthmusError) as caught:
        await world.agent.prepare(token, approvals, [])
    assert caught.value.reason is Reason.UNAUTHENTICATED
    assert f"REVOKED: key {kid}" in caught.value.private
    # The contract is not used up by what was refused.
    assert not await world.agent.database.once.consumed("contract", HOME, contract.digest)


async def test_grace_is_each_agents_own(world: World) -> None:
    database = world.agent.database
    lenient = opened(database, world.clock, world.anchor, world.spaces[POLICE].contracts, world.holding, grace=600)
    for agent in (world.agent, lenient):
        await agent.hear(world.chains(), world.lists(NOW))
    await lenient.revocations.restore()
    world.clock.at += 900
    assert refused(await world.agent.propose(world.contract(), []))[0] == Reason.REVOCATION_STALE
    assert isinstance(await lenient.propose(world.contract(), []), Approval)
    world.clock.at += 1
    assert refused(await lenient.propose(world.contract("2"), []))[0] == Reason.REVOCATION_STALE


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_gateway_that_lies_about_what_was_revoked_is_not_believed(world: World, restarted: bool) -> None:
    await world.agent.hear(world.chains(), world.lists(NOW, ANCHOR))
    said: dict[str, Any] = {"claims": {"seq": NOW + 200}, "entities": [CARE]}
    await world.agent.hear([], [revocation_list(ANCHOR, ANCHOR_REVOCATIONS, NOW, **said)])
    assert refused(await world.propose()) == (Reason.REVOKED, CARE)
    if restarted:
        database = world.agent.database
        world.agent = opened(database, world.clock, world.anchor, world.spaces[POLICE].contracts, world.holding)
        await world.agent.revocations.restore()
        await world.agent.trust.restore()
    noted = len(await world.facts("revocation.refused"))
    lies = [
        revocation_list(ANCHOR, ANCHOR_REVOCATIONS, NOW),
        revocation_list(ANCHOR, new_signing_key(), NOW, claims={"seq": NOW + 201}),
        revocation_list(ANCHOR, world.signers[CARE], NOW, claims={"seq": NOW + 201}),
        "no.list.atall",
    ]
    await world.agent.hear([], lies)
    assert refused(await world.propose()) == (Reason.REVOKED, CARE)
    assert len(await world.facts("revocation.refused")) == noted + len(lies)


async def test_a_key_revoked_by_its_space_proposes_nothing(world: World) -> None:
    await world.agent.hear(world.chains(), world.lists(NOW, HOME))
    kid = world.spaces[HOME].tokens.kid
    await world.agent.hear([], [revocation_list(EntityId(HOME), world.signers[HOME], NOW, kids=[kid])])
    answer = await world.propose()
    assert refused(answer)[0] == Reason.UNAUTHENTICATED
    assert f"REVOKED: key {kid}" in (await world.facts("contract.refused"))[0]


async def test_a_chain_that_does_not_hold_keeps_nothing_else_from_being_heard(world: World) -> None:
    chains = world.chains()
    await world.agent.hear([chains[0][:1], *chains], world.lists(NOW))
    assert isinstance(await world.propose(), Approval)
    assert len(await world.facts("chain.refused")) == 1


async def test_an_approval_that_waits_is_dropped_when_its_contract_is_revoked(world: World) -> None:
    await world.agent.hear(world.chains(), world.lists(NOW))
    token = world.contract()
    assert isinstance(await world.propose(token), Approval)
    contract = await world.agent.reader.contract(token)
    said: dict[str, Any] = {"claims": {"seq": NOW + 1}, "contracts": [contract.digest]}
    await world.agent.hear([], [revocation_list(EntityId(CARE), world.signers[CARE], NOW, **said)])
    assert world.agent.in_hand.waiting == {}
    assert refused(await world.propose(token)) == (Reason.REVOKED, CARE)
