"""The suite of the port Beliefs, on the stores and on the fake that tests of flows use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from gateway.domain.errors import IsthmusError
from gateway.domain.revocation import Belief
from gateway.edges.store.database import Database
from gateway.ports import Beliefs
from tests.fakes import MemoryBeliefs

ISSUER, OTHER = "https://a.example", "https://b.example"


@pytest.fixture(params=["stored", "in memory"])
async def beliefs(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[Beliefs]:
    yield database.beliefs if request.param == "stored" else MemoryBeliefs()


async def test_the_greater_order_counts_and_the_first_of_two_equal_ones(beliefs: Beliefs) -> None:
    second = Belief(ISSUER, 2, "second")
    assert await beliefs.keep("list", second) == second
    assert await beliefs.keep("list", Belief(ISSUER, 1, "first")) == second
    assert await beliefs.keep("list", Belief(ISSUER, 2, "another second")) == second
    third = Belief(ISSUER, 3, "third")
    assert await beliefs.keep("list", third) == third
    assert list(await beliefs.all("list")) == [third]


async def test_kind_and_issuer_make_the_identity_together(beliefs: Beliefs) -> None:
    kept = [Belief(ISSUER, 5, "a"), Belief(OTHER, 1, "b")]
    for belief in reversed(kept):
        await beliefs.keep("list", belief)
    chain = await beliefs.keep("chain", Belief(ISSUER, 1, "c"))
    assert list(await beliefs.all("list")) == kept
    assert list(await beliefs.all("chain")) == [chain]
    assert list(await beliefs.all("nothing")) == []


async def test_renewing_builds_on_what_was_there(beliefs: Beliefs) -> None:
    def more(before: Belief | None) -> Belief:
        return Belief(ISSUER, 1, "") if before is None else Belief(ISSUER, before.order + 1, before.body + "x")

    assert await beliefs.renew("list", ISSUER, more) == Belief(ISSUER, 1, "")
    assert await beliefs.renew("list", ISSUER, more) == Belief(ISSUER, 2, "x")

    def same(before: Belief | None) -> Belief:
        assert before is not None
        return before

    assert await beliefs.renew("list", ISSUER, same) == Belief(ISSUER, 2, "x")


async def test_renewing_never_goes_back(beliefs: Beliefs) -> None:
    await beliefs.keep("list", Belief(ISSUER, 7, "seven"))
    for order in (6, 7):
        older = Belief(ISSUER, order, "older")
        with pytest.raises(IsthmusError):
            await beliefs.renew("list", ISSUER, lambda _, older=older: older)
    assert [belief.body for belief in await beliefs.all("list")] == ["seven"]


async def test_replicas_that_renew_at_once_each_get_a_number_of_their_own(
    database: Database, replica: Database
) -> None:
    def more(before: Belief | None) -> Belief:
        return Belief(ISSUER, 1 if before is None else before.order + 1, "list")

    stores = [database, replica] * 10
    made = await asyncio.gather(*(store.beliefs.renew("list", ISSUER, more) for store in stores))
    assert sorted(belief.order for belief in made) == list(range(1, 21))


async def test_what_is_believed_outlives_a_restart(
    database: Database, reopen: Callable[[], Awaitable[Database]]
) -> None:
    await database.beliefs.keep("list", Belief(ISSUER, 2, "second"))
    async with await reopen() as again:
        assert (await again.beliefs.keep("list", Belief(ISSUER, 1, "first"))).body == "second"
