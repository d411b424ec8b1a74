"""An agent decides by signed bytes who has accepted the rulebook, and who has paused, whatever its gateway checked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import EntityId
from gateway.domain.rulebook import NO_WORD, Acceptance, OwnWord, Rulebook
from gateway.domain.session import Approval
from gateway.edges.federation import entity_configuration, subordinate_statement
from tests import examples
from tests.examples import CARE, HOME
from tests.unit.test_agent_revocation import NOW, World, refused, world
from tests.unit.trust_kit import ANCHOR

__all__ = ["world"]
BOOK = Rulebook(1, "ab" * 32, NOW + 60)
ACCEPTED = OwnWord((Acceptance(ANCHOR, BOOK.version, BOOK.digest),))


def chains(world: World, *others: str, word: OwnWord = NO_WORD) -> list[list[str]]:
    """Everybody's, who have accepted the rulebook, but for `others`, who say `word`."""
    at, made = world.clock.at, []
    for name, space in world.spaces.items():
        named = examples.operators()[name]
        said = word if name in others else ACCEPTED
        metadata = space.metadata(
            operator=named.name, operator_group=named.group, affiliates=named.affiliates, word=said
        )
        keys = [space.federation.jwk]
        made.append(
            [
                entity_configuration(space.entity_id, metadata, [ANCHOR], space.federation, at),
                subordinate_statement(ANCHOR, EntityId(name), keys, world.anchor, at, rulebooks=[BOOK]),
            ]
        )
    return made


async def test_from_its_day_on_an_agent_approves_and_runs_nothing_with_who_owes_the_rulebook(world: World) -> None:
    await world.agent.hear(chains(world, CARE), world.lists(NOW))
    before = world.contract("1")
    approved = await world.propose(before)
    assert isinstance(approved, Approval)
    world.clock.at = BOOK.in_force
    assert refused(await world.propose(world.contract("2"))) == (Reason.RULEBOOK_NOT_ACCEPTED, CARE)
    with pytest.raises(IsthmusError) as caught:
        await world.agent.prepare(before, [approved.token], [])
    assert (caught.value.reason, caught.value.space) == (Reason.RULEBOOK_NOT_ACCEPTED, CARE)
    assert "version 1 of the rulebook" in (await world.facts("session.refused"))[0]
    await world.agent.hear(chains(world), [])
    assert isinstance(await world.propose(world.contract("3")), Approval)


async def test_nothing_is_approved_for_an_initiator_that_owes_it_or_with_a_space_that_is_paused(world: World) -> None:
    await world.agent.hear(chains(world, HOME), world.lists(NOW))
    world.clock.at = BOOK.in_force
    assert refused(await world.propose(world.contract("1"))) == (Reason.RULEBOOK_NOT_ACCEPTED, HOME)
    await world.agent.hear(chains(world, CARE, word=replace(ACCEPTED, paused=True)), [])
    assert refused(await world.propose(world.contract("2"))) == (Reason.SPACE_PAUSED, CARE)
    assert len(await world.facts("contract.refused")) == 2


async def test_a_chain_that_a_gateway_made_up_accepts_nothing(world: World) -> None:
    """Whoever holds the gateway's keys but the federation key, and the anchor's old statement."""
    await world.agent.hear(chains(world, CARE), world.lists(NOW))
    world.clock.at = BOOK.in_force
    care = world.spaces[CARE]
    forged = entity_configuration(EntityId(CARE), care.metadata(word=ACCEPTED), [ANCHOR], care.tokens, NOW + 1)
    await world.agent.hear([[forged, chains(world)[list(world.spaces).index(CARE)][1]]], [])
    assert refused(await world.propose(world.contract("1"))) == (Reason.RULEBOOK_NOT_ACCEPTED, CARE)
    assert len(await world.facts("chain.refused")) == 1
