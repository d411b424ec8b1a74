"""The suite of what an agent keeps of released results."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.audit import Fact
from gateway.domain.kept import Kept, KeptShare
from gateway.edges.store.database import Database

SEATS = ("https://care.example", "https://police.example", "https://neutral.example")


def kept(contract: str, *, question: str = "q", at: int = 10, seats: tuple[str, ...] = SEATS) -> Kept:
    share = KeptShare(0, "key", "sealed")
    return Kept(contract, f"session {contract}", SEATS[0], question, seats, 1, "p", "{}", "00", "storage", (share,), at)


async def details(database: Database) -> list[str]:
    return [fact.detail for fact in await database.audit.read(start=0, limit=100)]


async def test_what_is_kept_is_found_by_its_question_newest_first(
    database: Database, a_fact: Callable[..., Fact], reopen: Callable[[], Awaitable[Database]]
) -> None:
    first, second = kept("a"), kept("b", at=20, seats=tuple(reversed(SEATS)))
    for one in (first, second, kept("c", question="other")):
        await database.kept.keep(one, a_fact(detail=f"kept {one.contract}"))
    assert await database.kept.of_question("q") == (second, first)
    assert await database.kept.of_question("unheard of") == ()
    assert await details(database) == ["kept a", "kept b", "kept c"]
    async with await reopen() as again:
        assert await again.kept.of_question("q") == (second, first)


async def test_of_one_question_the_newest_is_kept_for_the_same_seats(
    database: Database, a_fact: Callable[..., Fact]
) -> None:
    elsewhere = kept("elsewhere", seats=tuple(reversed(SEATS)))
    for one in (elsewhere, kept("old"), kept("new", at=20)):
        await database.kept.keep(one, a_fact())
    assert await database.kept.of_question("q") == (kept("new", at=20), elsewhere)


async def test_a_session_is_known_by_what_was_kept_in_it_and_by_what_answered_it(
    database: Database, a_fact: Callable[..., Fact]
) -> None:
    await database.kept.keep(kept("a"), a_fact())
    await database.kept.deliver("a repeat", "a", a_fact(detail="delivered"))
    assert await database.kept.of_session("session a") == ("a",)
    assert await database.kept.of_session("a repeat") == ("a",)
    assert await database.kept.of_session("another") == ()
    assert (await details(database))[-1] == "delivered"


async def test_what_is_forgotten_is_gone_with_one_record_of_it(
    database: Database, replica: Database, a_fact: Callable[..., Fact]
) -> None:
    await database.kept.keep(kept("a"), a_fact())
    await database.kept.deliver("a repeat", "a", a_fact())
    assert await replica.kept.forget("a", a_fact(detail="forgotten"))
    assert not await database.kept.forget("a", a_fact(detail="again"))
    assert await database.kept.of_question("q") == ()
    assert await database.kept.of_session("a repeat") == ()
    assert (await details(database))[2:] == ["forgotten"]


async def test_what_was_kept_before_a_day_is_listed_oldest_first(
    database: Database, a_fact: Callable[..., Fact]
) -> None:
    for contract, at in (("c", 30), ("a", 10), ("b", 20)):
        await database.kept.keep(kept(contract, question=contract, at=at), a_fact())
    assert await database.kept.before(30) == ("a", "b")
    assert await database.kept.before(10) == ()


async def test_a_record_that_somebody_altered_answers_nothing(database: Database, a_fact: Callable[..., Fact]) -> None:
    await database.kept.keep(kept("a"), a_fact())

    async def alter(connection: AsyncConnection) -> None:
        await connection.execute(text("UPDATE kept_shares SET record = '{}'"))

    await database._connections.write(alter)
    assert await database.kept.of_question("q") == ()
    await database.kept.keep(replace(kept("b"), at=11), a_fact())
    assert [one.contract for one in await database.kept.of_question("q")] == ["b"]
