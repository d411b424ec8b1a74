"""The suite of the port ComputationStore."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable

import pytest

from gateway.domain.audit import Fact
from gateway.domain.computation import (
    Computation,
    Ending,
    Receipt,
    Role,
    SealedShare,
    SpaceStatus,
    State,
    View,
)
from gateway.domain.errors import IsthmusError, Reason
from gateway.edges.store.database import Database

Make = Callable[..., Computation]
MakeFact = Callable[..., Fact]


async def details(database: Database) -> list[str]:
    return [fact.detail for fact in await database.audit.read(start=0, limit=1000)]


async def test_what_is_read_is_what_was_written_field_by_field(database: Database, a_computation: Make) -> None:
    whole = a_computation(
        contract="eyJ.é\n.sig",
        approvals=("a1", "a2"),
        spaces=(SpaceStatus("https://b.example", "RUNNING", "sort", 0.5), SpaceStatus("https://c.example", "DONE")),
        shares=(SealedShare(0, "ann", "AAAA"),),
        receipts=(Receipt("https://b.example", "c" * 64, ("o",), 11, True, 3, "f" * 64, 12345, 6, 0.75, "jws"),),
        views=(View(1, "https://b.example", "open", 2, ("2305843009213693950",)),),
        ending=Ending("PARTY_DIED", "https://c.example", "sort", "gone", "the operator of c"),
        seconds=2.0,
    )
    await database.computations.create(whole, [])
    assert await database.computations.get(whole.id) == whole
    assert await database.computations.get("unknown") is None


async def test_a_repeated_request_returns_the_stored_one_and_writes_nothing(
    database: Database, a_computation: Make, a_fact: MakeFact
) -> None:
    first = a_computation(request_id="r")
    assert await database.computations.create(first, [a_fact(detail="created")]) == first
    again = a_computation(request_id="r", state=State.RUNNING)
    assert await database.computations.create(again, [a_fact(detail="again")]) == first
    assert await database.computations.get(again.id) is None
    assert await details(database) == ["created"]


async def test_a_request_id_with_other_bytes_already_exists(
    database: Database, a_computation: Make, a_fact: MakeFact
) -> None:
    await database.computations.create(a_computation(request_id="r"), [])
    with pytest.raises(IsthmusError) as refused:
        await database.computations.create(a_computation(request_id="r", request_digest="e" * 64), [a_fact()])
    assert refused.value.reason is Reason.ALREADY_EXISTS
    assert refused.value.field == "request_id"
    assert await details(database) == []


async def test_request_ids_belong_to_their_requester(database: Database, a_computation: Make) -> None:
    mine = a_computation(request_id="r")
    theirs = a_computation(request_id="r", requester="https://b.example/users/bob", request_digest="e" * 64)
    assert await database.computations.create(mine, []) == mine
    assert await database.computations.create(theirs, []) == theirs


async def test_requests_without_an_id_are_all_new(database: Database, a_computation: Make) -> None:
    for digest in ("d" * 64, "d" * 64, "e" * 64):
        fresh = a_computation(request_id="", request_digest=digest)
        assert await database.computations.create(fresh, []) == fresh


async def test_parallel_creates_of_one_request_give_one_computation(
    database: Database, replica: Database, a_computation: Make, a_fact: MakeFact
) -> None:
    created = await asyncio.gather(
        *(store.computations.create(a_computation(request_id="r"), [a_fact()]) for store in [database, replica] * 5)
    )
    assert len({computation.id for computation in created}) == 1
    assert (await database.audit.head()).size == 1


async def test_a_participants_computation_is_known_by_its_contract(
    database: Database, a_computation: Make, a_fact: MakeFact
) -> None:
    first = a_computation(role=Role.PARTICIPANT, contract_digest="c" * 64, request_id="", request_digest="")
    again = dataclasses.replace(first, id="f" * 32, request_digest="x", state=State.AGREED)
    other = dataclasses.replace(first, id="e" * 32, contract_digest="b" * 64)
    assert await database.computations.create(first, [a_fact()]) == first
    assert await database.computations.create(again, [a_fact()]) == first
    assert await database.computations.create(other, [a_fact()]) == other
    assert (await database.audit.head()).size == 2


async def test_a_contract_of_a_home_computation_does_not_stand_for_a_participants(
    database: Database, a_computation: Make
) -> None:
    home = a_computation(contract_digest="c" * 64)
    guest = a_computation(role=Role.PARTICIPANT, contract_digest="c" * 64, request_id="")
    assert await database.computations.create(home, []) == home
    assert await database.computations.create(guest, []) == guest


@pytest.mark.parametrize("role", list(Role))
async def test_a_taken_identifier_gives_nothing_of_its_owner_away(
    database: Database, a_computation: Make, role: Role
) -> None:
    mine = a_computation(query='{"title":"secret"}')
    await database.computations.create(mine, [])
    with pytest.raises(IsthmusError) as refused:
        await database.computations.create(a_computation(id=mine.id, role=role, contract_digest="c" * 64), [])
    assert refused.value.reason is Reason.ALREADY_EXISTS
    assert await database.computations.get(mine.id) == mine


async def test_save_counts_revisions_and_writes_facts_with_them(
    database: Database, a_computation: Make, a_fact: MakeFact
) -> None:
    one = await database.computations.create(a_computation(), [a_fact(detail="0")])
    two = await database.computations.save(dataclasses.replace(one, state=State.AGREED), [a_fact(detail="1")])
    assert two == dataclasses.replace(one, state=State.AGREED, revision=1)
    assert await database.computations.get(one.id) == two
    assert await details(database) == ["0", "1"]


async def test_a_save_on_an_old_revision_is_refused_and_leaves_no_fact(
    database: Database, a_computation: Make, a_fact: MakeFact
) -> None:
    one = await database.computations.create(a_computation(), [])
    two = await database.computations.save(dataclasses.replace(one, state=State.RUNNING), [])
    with pytest.raises(IsthmusError) as refused:
        await database.computations.save(dataclasses.replace(one, state=State.CANCELLED), [a_fact()])
    assert refused.value.reason is Reason.ILLEGAL_TRANSITION
    assert "RUNNING" in refused.value.public
    assert await database.computations.get(one.id) == two
    assert await details(database) == []


async def test_of_two_saves_on_one_revision_exactly_one_wins(
    database: Database, replica: Database, a_computation: Make, a_fact: MakeFact
) -> None:
    for _ in range(10):
        one = await database.computations.create(a_computation(), [])
        outcomes = await asyncio.gather(
            *(
                store.computations.save(dataclasses.replace(one, state=state), [a_fact(detail=state)])
                for store, state in ((database, State.RELEASED), (replica, State.CANCELLED))
            ),
            return_exceptions=True,
        )
        (won,) = [outcome for outcome in outcomes if isinstance(outcome, Computation)]
        (lost,) = [outcome for outcome in outcomes if isinstance(outcome, IsthmusError)]
        assert lost.reason is Reason.ILLEGAL_TRANSITION
        assert await database.computations.get(one.id) == won
        assert (await details(database))[-1] == won.state
    assert (await database.audit.head()).size == 10


async def test_saving_what_was_never_created_is_refused(database: Database, a_computation: Make) -> None:
    with pytest.raises(IsthmusError) as refused:
        await database.computations.save(a_computation(), [])
    assert refused.value.reason is Reason.NOT_FOUND


async def test_a_fact_that_cannot_be_stored_undoes_the_computation(
    database: Database, a_computation: Make, a_fact: MakeFact
) -> None:
    kept = await database.computations.create(a_computation(), [])
    too_late = dataclasses.replace(a_fact(), at=2**60)
    with pytest.raises(IsthmusError):
        await database.computations.save(dataclasses.replace(kept, state=State.AGREED), [a_fact(), too_late])
    fresh = a_computation()
    with pytest.raises(IsthmusError):
        await database.computations.create(fresh, [too_late])
    assert await database.computations.get(kept.id) == kept
    assert await database.computations.get(fresh.id) is None
    assert await details(database) == []


async def test_pages_are_newest_first_and_stable_when_created_in_the_same_second(
    database: Database, a_computation: Make
) -> None:
    written = [a_computation(created=1000 + n // 4) for n in range(10)]
    for computation in written:
        await database.computations.create(computation, [])
    seen: list[str] = []
    times: list[int] = []
    while page := await database.computations.list(requester=None, after=seen[-1] if seen else "", limit=3):
        assert len(page) <= 3
        seen += [computation.id for computation in page]
        times += [computation.created for computation in page]
        # What arrives while somebody leafs through neither repeats nor hides what was there.
        await database.computations.create(a_computation(created=2000), [])
    assert sorted(seen) == sorted(computation.id for computation in written)
    assert times == sorted(times, reverse=True)


async def test_a_list_of_one_requester_holds_theirs_alone(database: Database, a_computation: Make) -> None:
    mine = [await database.computations.create(a_computation(created=n), []) for n in range(3)]
    bob = "https://b.example/users/bob"
    theirs = await database.computations.create(a_computation(requester=bob, created=1), [])
    listed = await database.computations.list(requester=mine[0].requester, after="", limit=10)
    assert list(listed) == mine[::-1]
    assert list(await database.computations.list(requester=bob, after="", limit=10)) == [theirs]
    assert len(await database.computations.list(requester=None, after="", limit=10)) == 4


async def test_a_page_after_somebody_elses_computation_is_refused_like_an_unknown_one(
    database: Database, a_computation: Make
) -> None:
    theirs = await database.computations.create(a_computation(requester="https://b.example/users/bob"), [])
    said = []
    for after in (theirs.id, "unknown"):
        with pytest.raises(IsthmusError) as refused:
            await database.computations.list(requester="https://a.example/users/ann", after=after, limit=3)
        assert refused.value.reason is Reason.INVALID_ARGUMENT
        said.append(str(refused.value))
    assert said[0] == said[1]


@pytest.mark.parametrize("limit", [0, -1])
async def test_an_empty_page_is_refused(database: Database, limit: int) -> None:
    with pytest.raises(IsthmusError) as refused:
        await database.computations.list(requester=None, after="", limit=limit)
    assert refused.value.reason is Reason.INVALID_ARGUMENT


async def test_live_gives_the_wanted_states_oldest_first(
    database: Database, a_computation: Make, reopen: Callable[[], Awaitable[Database]]
) -> None:
    for created, state in ((3, State.RUNNING), (1, State.PENDING), (2, State.RELEASED), (0, State.RUNNING)):
        await database.computations.create(a_computation(created=created, state=state), [])
    ended = await database.computations.create(a_computation(created=4, state=State.RUNNING), [])
    await database.computations.save(dataclasses.replace(ended, state=State.FAILED), [])
    async with await reopen() as again:
        live = await again.computations.live([State.PENDING, State.RUNNING])
        assert [computation.created for computation in live] == [0, 1, 3]
        assert list(await again.computations.live([])) == []
