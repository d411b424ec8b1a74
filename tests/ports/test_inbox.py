"""The suite of an agent's inbox: plans, what was signed about them, what was run under that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from gateway.domain.audit import Fact
from gateway.domain.decision import Delivered, Ran
from gateway.domain.errors import IsthmusError, Reason
from gateway.edges.store import inbox as store
from gateway.edges.store.database import Database
from gateway.rules.plans import not_approved

FIRST = Delivered("a" * 64, "jws", "https://care.example", "session 1", delivered=100, deadline=200, expires=300)


async def test_a_plan_keeps_its_times_while_it_is_open(database: Database, a_fact: Callable[..., Fact]) -> None:
    assert await database.inbox.get(FIRST.digest) is None
    assert await database.inbox.deliver(FIRST, [a_fact()]) == FIRST
    again = replace(FIRST, plan="jws 2", session="session 2", delivered=150, deadline=250, expires=350)
    assert await database.inbox.deliver(again, [a_fact()]) == replace(
        FIRST, plan="jws 2", session="session 2", expires=350
    )
    assert (await database.audit.head()).size == 1


async def test_a_plan_that_is_over_begins_anew_with_another_asking_alone(
    database: Database, a_fact: Callable[..., Fact]
) -> None:
    await database.inbox.deliver(FIRST, [a_fact()])
    await database.inbox.see(FIRST.digest, "thumb", 110, [])
    late = replace(FIRST, delivered=201, deadline=301)
    kept = replace(FIRST, seen=110, seen_by="thumb")
    assert await database.inbox.deliver(late, [a_fact()]) == kept
    another = replace(late, session="session 2")
    assert await database.inbox.deliver(another, [a_fact()]) == another
    assert (await database.audit.head()).size == 2


async def test_its_initiator_takes_back_the_asking_that_is_there_and_no_newer_one(database: Database) -> None:
    await database.inbox.deliver(FIRST, [])
    assert not await database.inbox.withdraw(FIRST.digest, "session 0", 110, [])
    assert await database.inbox.withdraw(FIRST.digest, "session 1", 120, [])
    assert not await database.inbox.withdraw(FIRST.digest, "session 1", 130, [])
    assert await database.inbox.get(FIRST.digest) == replace(FIRST, withdrawn=120)
    assert await database.inbox.deliver(FIRST, []) == replace(FIRST, withdrawn=120)


async def test_whoever_looks_first_has_seen_it(database: Database, a_fact: Callable[..., Fact]) -> None:
    await database.inbox.deliver(FIRST, [])
    await database.inbox.see(FIRST.digest, "anna's", 110, [a_fact()])
    await database.inbox.see(FIRST.digest, "ben's", 120, [a_fact()])
    assert await database.inbox.get(FIRST.digest) == replace(FIRST, seen=110, seen_by="anna's")
    assert (await database.audit.head()).size == 1


async def test_plans_are_listed_newest_first_in_pages(database: Database) -> None:
    entries = [replace(FIRST, digest=name * 64, delivered=at) for name, at in (("a", 10), ("b", 20), ("c", 20))]
    for entry in entries:
        await database.inbox.deliver(entry, [])
    assert [entry.digest[0] for entry in await database.inbox.list(limit=2)] == ["c", "b"]
    assert [entry.digest[0] for entry in await database.inbox.list(after="b" * 64, limit=2)] == ["a"]


async def test_an_initiator_has_so_many_open_plans_and_others_as_many(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MAX_OPEN_OF_ONE", 2)
    monkeypatch.setattr(store, "MAX_OVER_OF_ONE", 1)
    made = [replace(FIRST, digest=name * 64) for name in "bcde"]
    for entry in made[:2]:
        await database.inbox.deliver(entry, [])
    with pytest.raises(IsthmusError) as caught:
        await database.inbox.deliver(made[2], [])
    assert caught.value.reason is Reason.RESOURCE_EXHAUSTED
    await database.inbox.deliver(replace(made[2], initiator="https://police.example"), [])
    # What is decided on, or over, takes no place; of what is over and undecided the oldest goes.
    await database.inbox.decide(made[0].digest, "d1", "signed", 120, [])
    await database.inbox.deliver(made[3], [])
    for number, digest in enumerate("123"):
        await database.inbox.deliver(replace(FIRST, digest=digest * 64, delivered=300 + number, deadline=900), [])
        await database.inbox.withdraw(digest * 64, FIRST.session, 400, [])
    left = {entry.digest[0] for entry in await database.inbox.list(limit=20)}
    assert {"b", "d", "3"} <= left and not left & {"c", "e", "1"}


async def test_what_was_signed_is_kept_once_with_its_fact(database: Database, a_fact: Callable[..., Fact]) -> None:
    for _ in range(2):
        await database.inbox.decide("plan", "digest 1", "signed 1", 20, [a_fact()])
    await database.inbox.decide("plan", "digest 0", "signed 0", 30, [])
    await database.inbox.decide("another", "digest 1", "signed 1", 10, [])
    assert await database.inbox.decided("plan") == (("signed 1", "signed 0"), ())
    assert (await database.audit.head()).size == 1


async def test_editions_are_counted_once_and_what_is_refused_changes_nothing(
    database: Database, a_fact: Callable[..., Fact]
) -> None:
    def allow(signed: Sequence[str], ran: Sequence[Ran]) -> None:
        return

    def refuse(signed: Sequence[str], ran: Sequence[Ran]) -> None:
        raise not_approved("no", "https://care.example")

    await database.inbox.run("plan", "editions 1", "contract 1", 10, a_fact(), allow)
    await database.inbox.run("plan", "editions 1", "contract 2", 20, a_fact(), allow)
    with pytest.raises(IsthmusError):
        await database.inbox.run("plan", "editions 2", "contract 3", 30, a_fact(), refuse)
    assert await database.inbox.decided("plan") == ((), (Ran("editions 1", 10),))
    assert (await database.audit.head()).size == 2


async def test_of_many_at_once_no_more_are_run_than_were_approved(
    database: Database, replica: Database, a_fact: Callable[..., Fact]
) -> None:
    def three(signed: Sequence[str], ran: Sequence[Ran]) -> None:
        if len(ran) >= 3:
            raise not_approved("used up", "https://care.example")

    runs = [
        store.inbox.run("plan", f"editions {number}", "contract", 10, a_fact(), three)
        for number, store in enumerate([database, replica] * 5)
    ]
    ended = await asyncio.gather(*runs, return_exceptions=True)
    assert sum(isinstance(one, IsthmusError) for one in ended) == 7
    assert len((await database.inbox.decided("plan"))[1]) == 3


async def test_an_inbox_outlives_a_restart(database: Database, reopen: Callable[[], Awaitable[Database]]) -> None:
    await database.inbox.deliver(FIRST, [])
    await database.inbox.decide(FIRST.digest, "digest", "signed", 20, [])
    async with await reopen() as again:
        assert await again.inbox.get(FIRST.digest) == FIRST
        assert (await again.inbox.decided(FIRST.digest))[0] == ("signed",)
