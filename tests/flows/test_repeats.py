"""The same question again, over all flows: answered from what the seats keep, or computed, and never wrong (row 34)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.domain.computation import Computation, State
from gateway.domain.plan import Verdict
from gateway.domain.query import Query, Seats
from gateway.domain.result import Table
from gateway.rules.contract import read_contract
from gateway.rules.jose import parse_compact
from tests.examples import CARE, HOME, NEUTRAL, POLICE, question
from tests.fakes import ANALYST, Node, World

SEATS = (HOME, POLICE, NEUTRAL)


async def ask(here: World, asked: Query | None = None, at: str = HOME) -> Computation:
    """As everybody knows it, once it has ended."""
    node = here.nodes[at]
    created = await node.ask(asked, f"request {here.home.submit.ids.fresh()}")
    accounts = await here.all_ended(created.id)
    assert len({account.state for account in accounts.values()}) == 1
    for task in list(node.drive._tasks):
        await task  # until everybody was told
    return accounts[at]


def table(node: Node, done: Computation) -> Table:
    contract, approvals = node.documents.recall(done)
    return node.drive.opener.open(contract, approvals, done.shares)


def origins(done: Computation) -> set[str]:
    return {receipt.redelivered for receipt in done.receipts}


def sessions(here: World) -> list[int]:
    return [len(here.nodes[entity].agent.computed) for entity in SEATS]


async def test_a_repeat_is_answered_from_kept_shares_and_every_space_says_so(here: World) -> None:
    first = await ask(here)
    again = await ask(here, question(title="In other words"))
    assert (first.state, again.state) == (State.RELEASED, State.RELEASED)
    assert (origins(first), origins(again)) == ({""}, {first.contract_digest})
    assert table(here.home, again) == table(here.home, first)
    assert sessions(here) == [1, 1, 1]
    assert again.shares != first.shares


async def test_a_repeat_at_another_space_gets_the_seats_that_keep_the_answer(here: World) -> None:
    first = await ask(here)
    # From there another order of sources, and so of seats, would be drafted.
    other = question((POLICE, CARE, HOME))
    again = await ask(here, other, at=POLICE)
    body = read_contract(parse_compact(again.contract, 1 << 20).claims)
    assert tuple(seat.entity for seat in body.seats) == SEATS
    assert origins(again) == {first.contract_digest}
    assert table(here.nodes[POLICE], again) == table(here.home, first)
    assert sessions(here) == [1, 1, 1]


async def test_an_owner_that_has_no_seat_hears_of_the_seats_from_those_that_have(here: World) -> None:
    first = await ask(here)
    again = await ask(here, question((POLICE, CARE, HOME)), at=CARE)
    assert origins(again) == {first.contract_digest}
    assert table(here.nodes[CARE], again) == table(here.home, first)


async def test_nobody_else_is_asked_where_every_answer_needs_the_own_seat(here: World) -> None:
    asked: list[str] = []
    for entity in (HOME, POLICE):
        check = here.nodes[entity].agent.check

        async def heard(draft: bytes, entity: str = entity, check: Any = check) -> Verdict:
            asked.append(entity)
            return await check(draft)  # type: ignore[no-any-return]

        here.nodes[entity].agent.check = heard  # type: ignore[method-assign]
    await ask(here)
    assert asked == [HOME]
    # A fourth seat in the federation: an answer may have gone by the own one.
    known = here.home.federation.known
    known[CARE] = replace(known[CARE], offer=replace(known[CARE].offer, seats=1))
    asked.clear()
    await here.home.submit._seated(here.home.submit._draft(ANALYST, question(), b""))
    assert sorted(asked) == [HOME, POLICE]


async def test_seats_that_the_requester_names_are_not_changed_for_a_repeat(here: World) -> None:
    await ask(here)
    again = await ask(here, question((POLICE, CARE, HOME), seats=Seats(3, SEATS)))
    body = read_contract(parse_compact(again.contract, 1 << 20).claims)
    assert tuple(seat.entity for seat in body.seats) == (POLICE, HOME, NEUTRAL)
    assert origins(again) == {""}


@pytest.mark.parametrize("entity", SEATS)
async def test_where_one_seat_keeps_nothing_it_is_computed(here: World, entity: str) -> None:
    await ask(here)
    here.nodes[entity].agent.kept.clear()
    again = await ask(here)
    assert origins(again) == {""}
    assert sessions(here) == [2, 2, 2]
    # All three keep the newer one now.
    assert origins(await ask(here)) == {again.contract_digest}


async def test_a_seat_that_names_another_contract_makes_it_computed(here: World) -> None:
    first = await ask(here)
    agent = here.nodes[POLICE].agent
    kept = agent.kept.pop(first.contract_digest)
    agent.kept["e" * 64] = replace(kept, contract="e" * 64)
    agent.vectors["e" * 64] = agent.vectors[first.contract_digest]
    assert origins(await ask(here)) == {""}


async def test_a_share_of_another_session_gives_no_number_and_the_next_asking_computes(here: World) -> None:
    first = await ask(here)
    vectors = here.nodes[POLICE].agent.vectors[first.contract_digest]
    vectors[1] = [value + 1 for value in vectors[1]]
    again = await ask(here)
    assert again.state is State.FAILED and again.ending is not None
    assert (again.ending.reason, again.shares) == ("INCONSISTENT_SHARES", ())
    # What all kept of it is gone everywhere.
    assert all(first.contract_digest not in here.nodes[entity].agent.kept for entity in SEATS)
    assert (await ask(here)).state is State.RELEASED
    assert sessions(here) == [2, 2, 2]


async def test_a_share_that_is_lost_fails_it_and_names_who_lost_it_and_the_next_asking_computes(here: World) -> None:
    await ask(here)
    here.nodes[NEUTRAL].agent.lost = True
    again = await ask(here)
    assert again.state is State.FAILED and again.ending is not None
    assert (again.ending.reason, again.ending.space) == ("KEPT_SHARE_UNREADABLE", NEUTRAL)
    assert (await ask(here)).state is State.RELEASED


async def test_a_dispute_of_a_repeat_deletes_what_it_came_from(here: World) -> None:
    first = await ask(here)
    again = await ask(here)
    await here.home.drive.dispute(again)
    assert all(first.contract_digest not in here.nodes[entity].agent.kept for entity in SEATS)


async def test_what_fails_or_is_withheld_is_not_kept(here: World) -> None:
    for node in here.nodes.values():
        node.agent.counts = {("LABOUR",): 3, ("SEXUAL",): 4, ("OTHER",): 5}
    assert (await ask(here)).state is State.WITHHELD
    here.nodes[POLICE].agent.wrong_share = True
    assert (await ask(here)).state is State.FAILED
    assert [here.nodes[entity].agent.kept for entity in SEATS] == [{}, {}, {}]


@pytest.mark.parametrize("said", ["", "e" * 64])
async def test_a_receipt_that_says_otherwise_where_shares_come_from_fails_it(here: World, said: str) -> None:
    await ask(here)
    here.nodes[POLICE].agent.receipt = {"redelivered": said}
    again = await ask(here)
    assert again.state is State.FAILED and again.ending is not None
    assert (again.ending.reason, again.ending.space) == ("PROTOCOL_VIOLATION", POLICE)


async def test_a_demonstration_is_computed(here: World) -> None:
    for node in here.nodes.values():
        offer = node.agent.own.offer
        shown = tuple(replace(item, terms=replace(item.terms, demo_view=True)) for item in offer.datasets)
        node.agent.own = replace(node.agent.own, offer=replace(offer, datasets=shown))
        for known in here.nodes.values():
            space = known.federation.known[node.entity]
            known.federation.known[node.entity] = replace(space, offer=replace(space.offer, datasets=shown))
    await ask(here)
    assert origins(await ask(here, question(demo_view=True))) == {""}


async def test_a_repeat_has_no_traffic_between_gateways(here: World) -> None:
    started: list[str] = []
    tunnel = here.nodes[POLICE].tunnel
    start = tunnel.start
    tunnel.start = lambda session: (started.append(session), start(session))[1]  # type: ignore[method-assign]
    first, again = await ask(here), await ask(here)
    assert started == [first.id] != [again.id]
