"""What an owner changes is told to every peer at once, by the owner's own gateway and once each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.api.peer.v1 import peer_pb2 as pb
from gateway.domain.identity import EntityId
from gateway.domain.offer import Offer
from gateway.edges.clock import SystemIds
from gateway.edges.documents import Reader, Writer
from gateway.edges.federation import Federation
from gateway.edges.keys import new_signing_key
from gateway.edges.revocations import Revocations
from gateway.edges.spaces import Spaces
from gateway.edges.tokens import Verifier
from tests.anchor_kit import Clock
from tests.fakes import MemoryAuditLog, MemoryBeliefs
from tests.unit.trust_kit import CARE, POLICE, Space, anchor_of, chain_of, new_space

KEY = new_signing_key()
CARE_SPACE, POLICE_SPACE = new_space(CARE), new_space(POLICE)


def offer(space: Space, seats: int) -> str:
    contracts = space.contracts
    return Writer(space.entity_id, lambda: contracts, Clock(), SystemIds()).offer(Offer((), (), seats, "mpyc 0.11", 1))


@dataclass
class Police:
    """The line to a peer that answers with the same offer for ever, and notes what it is told."""

    told: list[str] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    answers: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.answers.set()

    async def describe(self, chain: Sequence[str], lists: Sequence[str], news: str) -> pb.DescribeResponse:
        self.told.append(news)
        self.asked.set()
        await self.answers.wait()
        return pb.DescribeResponse(chain=chain_of(POLICE_SPACE, KEY), offer=offer(POLICE_SPACE, 1))

    async def close(self) -> None:
        pass


@pytest.fixture
async def police() -> Police:
    return Police()


@pytest.fixture
async def spaces(police: Police) -> AsyncIterator[Spaces]:
    """Of care, which believes itself and the police."""
    clock, kept = Clock(), MemoryBeliefs()
    trust = Federation([anchor_of(KEY)], clock.now, kept)

    def line(peer: EntityId) -> Any:
        assert peer == POLICE
        return police

    revocations = Revocations(CARE, trust, kept, MemoryAuditLog(), clock)
    made = Spaces(
        CARE,
        trust,
        Reader(Verifier(trust, clock.now)),
        clock,
        lambda: tuple(chain_of(CARE_SPACE, KEY)),
        line,
        revocations,
    )
    for space in (CARE_SPACE, POLICE_SPACE):
        await made.believe(tuple(chain_of(space, KEY)))
    yield made


async def test_a_peer_is_told_of_an_offer_once_and_of_a_new_one_without_waiting(spaces: Spaces, police: Police) -> None:
    first, second = offer(CARE_SPACE, 1), offer(CARE_SPACE, 2)
    await spaces.offered(first)
    await spaces.refresh()
    await spaces.refresh()
    assert police.told == [first, ""]
    task = asyncio.create_task(spaces.refresh_for_ever())
    try:
        async with asyncio.timeout(10):
            await police.asked.wait()
            while len(police.told) < 3:
                await asyncio.sleep(0)
            await spaces.offered(second)
            while second not in police.told:
                police.asked.clear()
                await police.asked.wait()
    finally:
        task.cancel()
    assert police.told.count(first) == 1


async def test_the_same_offer_signed_again_is_no_news(spaces: Spaces, police: Police) -> None:
    await spaces.offered(first := offer(CARE_SPACE, 1))
    await spaces.refresh()
    await spaces.offered(offer(CARE_SPACE, 1))
    await spaces.refresh()
    assert police.told == [first, ""]


async def test_what_a_peer_pushes_holds_at_once_if_its_own_agent_signed_it(spaces: Spaces) -> None:
    await spaces.refresh()
    assert spaces.spaces()[POLICE].offer.seats == 1
    await spaces.offered_by(POLICE, offer(POLICE_SPACE, 2))
    assert spaces.spaces()[POLICE].offer.seats == 2
    for forged in (offer(CARE_SPACE, 3), offer(new_space(POLICE), 3), "x.y.z", ""):
        await spaces.offered_by(POLICE, forged)
        assert spaces.spaces()[POLICE].offer.seats == 2
    await spaces.offered_by(EntityId("https://stranger.example"), offer(CARE_SPACE, 3))
    assert set(spaces.spaces()) == {POLICE}


async def test_who_pushes_is_not_thereby_reached(spaces: Spaces) -> None:
    await spaces.offered_by(POLICE, offer(POLICE_SPACE, 2))
    assert (spaces.spaces()[POLICE].offer.seats, spaces.spaces()[POLICE].reachable) == (2, False)
    await spaces.refresh()
    assert spaces.spaces()[POLICE].reachable


async def test_an_answer_that_was_under_way_does_not_undo_what_was_pushed(spaces: Spaces, police: Police) -> None:
    police.answers.clear()
    asking = asyncio.create_task(spaces.refresh())
    await police.asked.wait()
    await spaces.offered_by(POLICE, offer(POLICE_SPACE, 2))
    police.answers.set()
    await asking
    assert (spaces.spaces()[POLICE].offer.seats, spaces.spaces()[POLICE].reachable) == (2, True)
