"""The suites of the ports Members and Invitations."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.domain.audit import Fact
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.membership import Invitation, InvitationState, Member, Pins
from gateway.edges.keys import new_signing_key
from gateway.edges.store.database import Database

NOW = 1_800_000_000
KEY = new_signing_key().jwk


def a_member(name: str) -> Member:
    return Member(f"https://{name}.example", Pins((KEY,), (KEY,), (KEY,)), "leaf", "statement", NOW + 100, NOW)


async def invited(database: Database, name: str) -> str:
    await database.invitations.keep(Invitation(name, f"https://{name}.example", KEY, NOW, NOW + 60), [])
    return name


async def test_a_member_comes_back_as_it_was_written(database: Database) -> None:
    made = await database.members.add(a_member("care"), await invited(database, "care"), [])
    assert await database.members.get("https://care.example") == made
    assert await database.members.get("https://nobody.example") is None


async def test_one_invitation_makes_one_member_of_many_at_once(database: Database, replica: Database) -> None:
    await invited(database, "care")

    async def join(store: Database) -> bool:
        try:
            await store.members.add(a_member("care"), "care", [])
        except IsthmusError as problem:
            assert problem.reason is Reason.PERMISSION_DENIED
            return False
        return True

    assert sum(await asyncio.gather(*(join(store) for store in (database, replica) for _ in range(5)))) == 1
    assert (await database.invitations.list())[0].state is InvitationState.USED


async def test_a_refused_join_leaves_no_member_and_no_fact(database: Database, a_fact: Callable[..., Fact]) -> None:
    with pytest.raises(IsthmusError):
        await database.members.add(a_member("care"), "unknown", [a_fact()])
    assert await database.members.get("https://care.example") is None
    assert (await database.audit.head()).size == 0


async def test_versions_count_every_change_and_who_asks_gets_the_later_ones(
    database: Database, replica: Database
) -> None:
    for name in "abc":
        await database.members.add(a_member(name), await invited(database, name), [])
    first = await database.members.since(0, 10)
    assert [member.version for member in first] == [1, 2, 3]
    changed = await replica.members.save(replace(first[0], suspended=NOW), [])
    assert changed.version == 4
    assert [member.entity for member in await database.members.since(3, 10)] == ["https://a.example"]
    assert [member.version for member in await database.members.since(0, 2)] == [2, 3]


async def test_a_member_that_joins_again_counts_as_changed(database: Database) -> None:
    await database.members.add(a_member("a"), await invited(database, "a"), [])
    await database.invitations.keep(Invitation("again", "https://a.example", KEY, NOW, NOW + 60, again=True), [])
    assert (await database.members.add(a_member("a"), "again", [])).version == 2


async def test_who_changes_what_somebody_else_has_changed_is_told(database: Database, replica: Database) -> None:
    made = await database.members.add(a_member("a"), await invited(database, "a"), [])
    await replica.members.save(replace(made, suspended=NOW), [])
    with pytest.raises(IsthmusError) as caught:
        await database.members.save(replace(made, configuration="other"), [])
    assert caught.value.reason is Reason.ILLEGAL_TRANSITION


async def test_an_invitation_is_withdrawn_once_and_never_after_its_use(database: Database) -> None:
    for name in "ab":
        await invited(database, name)
    assert await database.invitations.withdraw("a", [])
    assert not await database.invitations.withdraw("a", [])
    await database.members.add(a_member("b"), "b", [])
    assert not await database.invitations.withdraw("b", [])
    with pytest.raises(IsthmusError):
        await database.members.add(a_member("a"), "a", [])


async def test_attempts_add_up_over_replicas(database: Database, replica: Database) -> None:
    await invited(database, "a")
    for store in (database, replica, database):
        await store.invitations.attempted("a")
    kept = await replica.invitations.get("a")
    assert kept is not None and kept.attempts == 3
    assert await database.invitations.get("unknown") is None
    assert await database.invitations.attempted("unknown") == 0
