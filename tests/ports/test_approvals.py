"""The suite of the port Approvals."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from gateway.domain.audit import Fact
from gateway.edges.store.database import Database


async def test_the_first_approval_of_a_contract_counts(database: Database, a_fact: Callable[..., Fact]) -> None:
    assert await database.approvals.get("digest") is None
    assert await database.approvals.keep("digest", "first", [a_fact()]) == "first"
    assert await database.approvals.keep("digest", "second", [a_fact()]) == "first"
    assert await database.approvals.keep("another", "third", [a_fact()]) == "third"
    assert await database.approvals.get("digest") == "first"


async def test_facts_are_written_for_the_approval_that_counts_alone(
    database: Database, a_fact: Callable[..., Fact]
) -> None:
    await database.approvals.keep("digest", "first", [a_fact(detail="approved")])
    await database.approvals.keep("digest", "second", [a_fact(detail="again")])
    assert [fact.detail for fact in await database.audit.read(start=0, limit=10)] == ["approved"]


async def test_parallel_approvals_of_one_contract_come_out_the_same(
    database: Database, replica: Database, a_fact: Callable[..., Fact]
) -> None:
    stores = [database, replica] * 5
    kept = await asyncio.gather(
        *(store.approvals.keep("digest", f"approval {n}", [a_fact()]) for n, store in enumerate(stores))
    )
    assert len(set(kept)) == 1
    assert (await database.audit.head()).size == 1


async def test_an_approval_outlives_a_restart(database: Database, reopen: Callable[[], Awaitable[Database]]) -> None:
    await database.approvals.keep("digest", "first", [])
    async with await reopen() as again:
        assert await again.approvals.get("digest") == "first"
