"""The suite of the port Approvals."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from gateway.domain.approval import Approved
from gateway.domain.audit import Fact
from gateway.edges.store.database import Database


def approved(digest: str, approval: str = "jws", *, question: str = "q", at: int = 1) -> Approved:
    return Approved(digest, approval, f"contract {digest}", question, "https://care.example", at)


async def test_the_first_approval_of_a_contract_counts(database: Database, a_fact: Callable[..., Fact]) -> None:
    assert await database.approvals.get("digest") is None
    assert await database.approvals.keep(approved("digest", "first"), [a_fact()]) == "first"
    assert await database.approvals.keep(approved("digest", "second"), [a_fact()]) == "first"
    assert await database.approvals.keep(approved("another", "third"), [a_fact()]) == "third"
    assert await database.approvals.get("digest") == "first"


async def test_facts_are_written_for_the_approval_that_counts_alone(
    database: Database, a_fact: Callable[..., Fact]
) -> None:
    await database.approvals.keep(approved("digest", "first"), [a_fact(detail="approved")])
    await database.approvals.keep(approved("digest", "second"), [a_fact(detail="again")])
    assert [fact.detail for fact in await database.audit.read(start=0, limit=10)] == ["approved"]


async def test_parallel_approvals_of_one_contract_come_out_the_same(
    database: Database, replica: Database, a_fact: Callable[..., Fact]
) -> None:
    stores = [database, replica] * 5
    kept = await asyncio.gather(
        *(store.approvals.keep(approved("digest", f"approval {n}"), [a_fact()]) for n, store in enumerate(stores))
    )
    assert len(set(kept)) == 1
    assert (await database.audit.head()).size == 1


async def test_an_approval_outlives_a_restart(database: Database, reopen: Callable[[], Awaitable[Database]]) -> None:
    await database.approvals.keep(approved("digest", "first"), [])
    async with await reopen() as again:
        assert await again.approvals.get("digest") == "first"


async def test_what_was_approved_is_listed_with_its_contract_oldest_first_in_pages(database: Database) -> None:
    for digest, at in (("d", 30), ("b", 20), ("c", 20), ("a", 10), ("e", 40)):
        await database.approvals.keep(approved(digest, at=at), [])
    first = await database.approvals.list(since=20, until=40, limit=2)
    assert first == (approved("b", at=20), approved("c", at=20))
    rest = await database.approvals.list(since=20, until=40, after="c", limit=2)
    assert rest == (approved("d", at=30),)


async def test_all_that_ask_one_question_are_found(database: Database) -> None:
    for digest, asked in (("a", "one"), ("b", "another"), ("c", "one")):
        await database.approvals.keep(approved(digest, question=asked), [])
    assert [found.digest for found in await database.approvals.of_question("one")] == ["a", "c"]
    assert await database.approvals.of_question("none") == ()
