"""What every space does when a receipt comes that contradicts an earlier one of the same space."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest

from gateway.domain.computation import Computation, State
from gateway.domain.errors import IsthmusError, Reason
from gateway.rules.heads import SLACK
from tests.examples import CARE, HOME, NEUTRAL, POLICE
from tests.fakes import Node, World

NUMBERS = count()
EVERYBODY = [HOME, POLICE, CARE, NEUTRAL]


async def asked(here: World) -> dict[str, Computation]:
    ended = await here.all_ended((await here.home.ask(request_id=f"request-{next(NUMBERS)}")).id)
    while here.home.drive._tasks:  # receipts are held against earlier ones once everybody has been told
        await asyncio.wait(here.home.drive._tasks)
    return ended


async def refused(here: World) -> Computation:
    """What does not begin ends at home; whoever refused it keeps no account."""
    return await here.home.ended((await here.home.ask(request_id=f"request-{next(NUMBERS)}")).id)


async def forked(node: Node) -> list[tuple[str, str]]:
    facts = await node.database.audit.read(start=0, limit=500)
    return [(fact.subject, fact.detail) for fact in facts if fact.kind == "audit.forked"]


def signs(here: World, entity: str, size: int, root: str) -> None:
    here.nodes[entity].agent.receipt = {"tree_size": size, "tree_head": root * 32}


async def test_logs_that_grow_are_nothing_to_tell(here: World) -> None:
    for size in (5, 13, 21):
        for entity in EVERYBODY:
            signs(here, entity, size, "aa")
        assert {account.state for account in (await asked(here)).values()} == {State.RELEASED}
        here.clock.at += 2 * SLACK
    for node in here.nodes.values():
        assert await forked(node) == []


async def test_another_head_of_the_same_size_is_written_down_by_every_space_and_no_session_begins(here: World) -> None:
    signs(here, POLICE, 9, "aa")
    await asked(here)
    signs(here, POLICE, 9, "bb")
    # Nobody can tell before the receipt has come: this one is released.
    assert {account.state for account in (await asked(here)).values()} == {State.RELEASED}
    text = f"two heads over the same 9 records: {'aa' * 32} and {'bb' * 32}"
    for entity in EVERYBODY:
        assert await forked(here.nodes[entity]) == [(POLICE, text)], entity
    ended = await refused(here)
    assert ended.state is State.REJECTED
    assert ended.ending is not None
    assert ended.ending.reason == Reason.AUDIT_BROKEN
    assert f"the audit log of {POLICE} contradicts what it signed before" in ended.ending.text


async def test_a_log_that_became_shorter_is_a_fork(here: World) -> None:
    signs(here, CARE, 40, "aa")
    await asked(here)
    here.clock.at += SLACK + 1
    signs(here, CARE, 39, "bb")
    await asked(here)
    assert await forked(here.home) == [(CARE, f"a head over 40 records, and {SLACK + 1} s later one over 39")]


async def test_a_fork_stands_until_every_operator_has_accepted_it(here: World) -> None:
    for root in ("aa", "bb"):
        signs(here, POLICE, 9, root)
        await asked(here)
    for entity in EVERYBODY:
        assert (await refused(here)).state is State.REJECTED
        assert await here.nodes[entity].account.witness.accept(POLICE)
        assert not await here.nodes[entity].account.witness.accept(POLICE)
    signs(here, POLICE, 17, "bb")
    here.clock.at += 1
    assert {account.state for account in (await asked(here)).values()} == {State.RELEASED}
    facts = await here.home.database.audit.read(start=0, limit=500)
    assert [fact.about for fact in facts if fact.kind == "audit.accepted"] == ["audit log"]


async def test_a_participant_refuses_by_itself(here: World) -> None:
    for root in ("aa", "bb"):
        signs(here, POLICE, 9, root)
        await asked(here)
    for entity in (HOME, POLICE, NEUTRAL):
        await here.nodes[entity].account.witness.accept(POLICE)
    ended = await refused(here)
    assert ended.state is State.REJECTED
    assert ended.ending is not None
    assert (ended.ending.reason, ended.ending.space) == (Reason.AUDIT_BROKEN, CARE)
    await here.nodes[CARE].account.witness.check([HOME, NEUTRAL])
    with pytest.raises(IsthmusError) as problem:
        await here.nodes[CARE].account.witness.check([HOME, POLICE])
    assert (problem.value.reason, problem.value.space) == (Reason.AUDIT_BROKEN, POLICE)
