"""The suite of the port AuditLog."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.domain.audit import Fact, TreeHead
from gateway.domain.errors import IsthmusError, Reason
from gateway.edges.store.database import Database
from gateway.rules import merkle
from gateway.rules.records import to_bytes


def head_of(facts: list[Fact]) -> TreeHead:
    """The root by the recursive definition of RFC 9162 section 2.1.1."""

    def root(entries: list[bytes]) -> bytes:
        if len(entries) == 1:
            return merkle.leaf_hash(entries[0])
        k = 1 << (len(entries) - 1).bit_length() - 1
        return merkle.node_hash(root(entries[:k]), root(entries[k:]))

    return TreeHead(len(facts), root([to_bytes(fact) for fact in facts]).hex())


async def test_an_empty_log_has_the_root_of_nothing(database: Database) -> None:
    nothing = TreeHead(0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    assert await database.audit.head() == nothing
    assert await database.audit.append([]) == nothing


async def test_the_head_is_that_of_all_facts_in_order(database: Database, a_fact: Callable[..., Fact]) -> None:
    written: list[Fact] = []
    for size in (1, 1, 2, 3, 7, 1):
        more = [a_fact(detail=f"{len(written) + n}") for n in range(size)]
        written += more
        assert await database.audit.append(more) == head_of(written)
    assert await database.audit.head() == head_of(written)
    assert list(await database.audit.read(start=0, limit=100)) == written


async def test_facts_are_read_in_pages(database: Database, a_fact: Callable[..., Fact]) -> None:
    written = [a_fact(detail=str(n)) for n in range(5)]
    await database.audit.append(written)
    assert list(await database.audit.read(start=1, limit=3)) == written[1:4]
    assert list(await database.audit.read(start=4, limit=3)) == written[4:]
    assert list(await database.audit.read(start=5, limit=3)) == []


@pytest.mark.parametrize(("start", "limit"), [(-1, 1), (0, 0), (0, -1)])
async def test_a_page_that_cannot_be_is_refused(database: Database, start: int, limit: int) -> None:
    with pytest.raises(IsthmusError) as refused:
        await database.audit.read(start=start, limit=limit)
    assert refused.value.reason is Reason.INVALID_ARGUMENT


async def test_parallel_appends_of_two_replicas_neither_lose_nor_fork(
    database: Database, replica: Database, a_fact: Callable[..., Fact]
) -> None:
    await asyncio.gather(
        *(
            store.audit.append([a_fact(detail=f"{n}"), a_fact(detail=f"{n}")])
            for n, store in enumerate([database, replica] * 8)
        )
    )
    stored = list(await database.audit.read(start=0, limit=100))
    assert sorted(int(fact.detail) for fact in stored) == sorted([*range(16), *range(16)])
    # What was appended together stands together.
    assert [fact.detail for fact in stored[::2]] == [fact.detail for fact in stored[1::2]]
    assert await replica.audit.head() == head_of(stored)


async def test_names_with_line_breaks_and_controls_are_escaped(database: Database) -> None:
    hostile = "ann\n2026-01-01 granted\r\t\x00\x1b[2J\u202e\u2028\x85\ud800"
    await database.audit.append([Fact(1, hostile, hostile, hostile, hostile)])
    (stored,) = await database.audit.read(start=0, limit=1)
    for text in (stored.kind, stored.subject, stored.about, stored.detail):
        assert text.isprintable()
        assert text.startswith("ann\\n2026-01-01 granted\\r\\t\\x00\\x1b[2J\\u202e")
    assert await database.audit.head() == head_of([stored])


async def test_the_log_goes_on_after_a_restart(
    database: Database, reopen: Callable[[], Awaitable[Database]], a_fact: Callable[..., Fact]
) -> None:
    before = [a_fact(detail=str(n)) for n in range(3)]
    await database.audit.append(before)
    async with await reopen() as again:
        after = a_fact(detail="after")
        assert await again.audit.append([after]) == head_of([*before, after])
