"""The suite of the port Once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.domain.errors import IsthmusError
from gateway.edges.store.database import Database

ISSUER = "https://a.example"


async def test_a_key_is_consumed_the_first_time_and_never_again(database: Database) -> None:
    assert await database.once.consume("jti", ISSUER, "k", 100)
    assert not await database.once.consume("jti", ISSUER, "k", 100)
    assert not await database.once.consume("jti", ISSUER, "k", None)


async def test_kind_issuer_and_key_make_the_identity_together(database: Database) -> None:
    assert await database.once.consume("jti", ISSUER, "k", None)
    assert await database.once.consume("contract", ISSUER, "k", None)
    assert await database.once.consume("jti", "https://b.example", "k", None)
    assert await database.once.consume("jti", ISSUER, "K", None)
    assert await database.once.consume("jti", ISSUER, "k ", None)


async def test_of_fifty_at_once_exactly_one_is_first(database: Database) -> None:
    answers = await asyncio.gather(*(database.once.consume("jti", ISSUER, "k", None) for _ in range(50)))
    assert sum(answers) == 1


async def test_of_two_replicas_exactly_one_is_first(database: Database, replica: Database) -> None:
    for key in "abcdefgh":
        answers = await asyncio.gather(
            *(store.once.consume("jti", ISSUER, key, None) for store in (database, replica) for _ in range(3))
        )
        assert sum(answers) == 1


async def test_consumed_tells_without_consuming(database: Database) -> None:
    assert not await database.once.consumed("jti", ISSUER, "k")
    assert not await database.once.consumed("jti", ISSUER, "k")
    assert await database.once.consume("jti", ISSUER, "k", None)
    assert await database.once.consumed("jti", ISSUER, "k")


async def test_forget_drops_what_expired_before_now_and_keeps_what_has_no_end(database: Database) -> None:
    for key, expires in (("gone", 99), ("at the edge", 100), ("later", 101), ("for ever", None)):
        assert await database.once.consume("jti", ISSUER, key, expires)
    assert await database.once.forget(100) == 1
    assert await database.once.forget(100) == 0
    left = [
        key for key in ("gone", "at the edge", "later", "for ever") if await database.once.consumed("jti", ISSUER, key)
    ]
    assert left == ["at the edge", "later", "for ever"]


async def test_what_was_consumed_stays_so_after_a_restart(
    database: Database, reopen: Callable[[], Awaitable[Database]]
) -> None:
    assert await database.once.consume("contract", ISSUER, "k", None)
    async with await reopen() as again:
        assert not await again.once.consume("contract", ISSUER, "k", None)


async def test_a_write_is_finished_although_its_caller_is_cancelled(
    database: Database, reopen: Callable[[], Awaitable[Database]]
) -> None:
    # Cancelled at points all over the transaction, a turn of the loop apart.
    keys = [str(turns) for turns in range(1, 300, 10)]
    for key in keys:
        task = asyncio.create_task(database.once.consume("jti", ISSUER, key, None))
        for _ in range(int(key)):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await database.once.consume("jti", ISSUER, "after", None)
    async with await reopen() as again:
        assert [key for key in keys if not await again.once.consumed("jti", ISSUER, key)] == []


async def test_a_closed_store_fails_instead_of_answering(database: Database) -> None:
    await database.close()
    with pytest.raises(IsthmusError):
        await database.once.consume("jti", ISSUER, "k", None)
    with pytest.raises(IsthmusError):
        await database.once.consumed("jti", ISSUER, "k")


async def test_a_key_that_cannot_be_stored_fails_instead_of_answering(database: Database) -> None:
    with pytest.raises(IsthmusError):
        await database.once.consume("jti", ISSUER, "\ud800", None)
