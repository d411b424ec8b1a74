"""The suite of the port SignIns."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway.domain.audit import Fact
from gateway.domain.errors import IsthmusError
from gateway.domain.sign_in import Code, Evidence
from gateway.edges.store.database import Database

CODE = Code("anna@people", "desk", "c" * 43, 1_700_000_000, 1_700_000_060)
KEPT = Evidence(
    "j1", 1_700_000_000, "dana@ministry", "desk", "https://login.example", "d" * 64, "a.b.c", '{"kty":"RSA"}'
)
MakeFact = Callable[..., Fact]


async def kinds(database: Database) -> list[str]:
    return [fact.detail for fact in await database.audit.read(start=0, limit=10)]


async def test_a_code_is_taken_once_and_is_what_was_offered(database: Database, a_fact: MakeFact) -> None:
    await database.sign_ins.offer("h1", CODE, [a_fact(detail="offered")])
    assert await database.sign_ins.take("h2") is None
    assert await database.sign_ins.take("h1") == CODE
    assert await database.sign_ins.take("h1") is None
    assert await kinds(database) == ["offered"]


async def test_of_two_replicas_exactly_one_takes_a_code(database: Database, replica: Database) -> None:
    for key in "abcdefgh":
        await database.sign_ins.offer(key, CODE, [])
        taken = await asyncio.gather(*(store.sign_ins.take(key) for store in (database, replica) for _ in range(3)))
        assert [found for found in taken if found is not None] == [CODE]


async def test_forget_drops_the_codes_that_expired_before_now(database: Database) -> None:
    for key, expires in (("gone", 99), ("at the edge", 100), ("later", 101)):
        await database.sign_ins.offer(key, replace(CODE, expires=expires), [])
    assert await database.sign_ins.forget(100) == 1
    assert await database.sign_ins.take("gone") is None
    assert await database.sign_ins.take("at the edge") is not None
    assert await database.sign_ins.take("later") is not None


async def test_evidence_is_kept_with_its_fact_or_not_at_all(database: Database, a_fact: MakeFact) -> None:
    await database.sign_ins.keep(KEPT, [a_fact(detail="kept")])
    assert await database.sign_ins.evidence("j1") == KEPT
    assert await database.sign_ins.evidence("j2") is None
    with pytest.raises(IsthmusError):
        await database.sign_ins.keep(replace(KEPT, token="x.y.z"), [a_fact(detail="twice")])
    assert await database.sign_ins.evidence("j1") == KEPT
    assert await kinds(database) == ["kept"]


async def test_evidence_outlives_a_restart_and_forgetting(
    database: Database, reopen: Callable[[], Awaitable[Database]]
) -> None:
    await database.sign_ins.keep(KEPT, [])
    assert await database.sign_ins.forget(2**40) == 0
    async with await reopen() as again:
        assert await again.sign_ins.evidence("j1") == KEPT


async def test_what_cannot_be_stored_fails_instead_of_answering(database: Database) -> None:
    broken: Any = "\ud800"
    with pytest.raises(IsthmusError):
        await database.sign_ins.offer(broken, CODE, [])
    await database.close()
    with pytest.raises(IsthmusError):
        await database.sign_ins.take("h1")
