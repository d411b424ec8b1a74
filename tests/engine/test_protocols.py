"""Each protocol against what it computes in the clear, at m = 3, 5 and 7; costs are exact; wrong shares are
noticed.
"""

import asyncio
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.engine.arithmetic import multiply
from connectors.engine.cost import Cost, Shape
from connectors.engine.errors import Abort, Culprit, SessionAborted
from connectors.engine.field import Array
from connectors.engine.runtime import Engine
from connectors.engine.sharing import drawn, open_, reshare
from gateway.rules.sharing import InconsistentShares, P, reconstruct
from tests.engine.harness import SHAPES, Party, engines, revealed, run, run_parties, shared

EDGES = [0, 1, 2, P - 1, P - 2, P >> 1, (P >> 1) + 1, 2**60, 2**32]
elements = st.one_of(st.sampled_from(EDGES), st.integers(0, P - 1))
vectors = st.lists(elements, min_size=1, max_size=12)
few = settings(max_examples=6, deadline=None)
shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"m{shape.m}")


def sent(parties: list[Party], setup: Cost) -> Cost:
    """What a run cost, without its set-up."""
    total = sum(c.bytes_sent - 24 * c.messages_sent for p in parties for c in p.engine.channels.values())
    return Cost(parties[0].engine.rounds - 1, total // 8 - setup.elements)


def setup_cost(shape: Shape) -> Cost:
    async def nothing(rt: Engine) -> None:
        return None

    return Cost(0, sent(run(shape, nothing), Cost()).elements)


@shapes
@few
@given(xs=vectors, data=st.data())
def test_products(shape: Shape, xs: list[int], data: st.DataObject) -> None:
    ys = data.draw(st.lists(elements, min_size=len(xs), max_size=len(xs)))
    x, y = shared(shape, xs), shared(shape, ys)
    parties = run(shape, lambda rt: multiply(rt, x[rt.pid], y[rt.pid], "test"))
    assert revealed(parties, shape.t) == [a * b % P for a, b in zip(xs, ys, strict=True)]


@shapes
def test_resharing_keeps_values_and_changes_every_share(shape: Shape) -> None:
    x = shared(shape, EDGES)
    parties = run(shape, lambda rt: reshare(rt, x[rt.pid], "test"))
    assert revealed(parties, shape.t) == EDGES
    assert not np.any(parties[0].result == x[0])


def opened_by_all(shape: Shape, x: list[Array]) -> list[object]:
    async def all_end() -> list[object]:
        parties = engines(shape)

        async def one(rt: Engine) -> object:
            await rt.start()
            return await open_(rt, x[rt.pid], "test")

        return await asyncio.gather(*(one(p.engine) for p in parties), return_exceptions=True)

    return asyncio.run(all_end())


@shapes
def test_opening_notices_a_wrong_share(shape: Shape) -> None:
    x = shared(shape, [5, 6, 7])
    x[1][2] ^= np.uint64(1)
    failures = opened_by_all(shape, x)
    assert all(isinstance(f, SessionAborted) and f.reason is Abort.INCONSISTENT_SHARES for f in failures)


@shapes
def test_an_opened_share_outside_the_field_names_its_sender_to_whoever_reads_it(shape: Shape) -> None:
    x = shared(shape, [5, 6, 7])
    x[1][2] = P
    ended = opened_by_all(shape, x)
    readers = [failure for pid, failure in enumerate(ended) if 1 in drawn(pid, shape)]
    assert len(readers) == shape.t
    for failure in readers:
        assert isinstance(failure, SessionAborted)
        assert (failure.reason, failure.culprit) == (Abort.ELEMENT_OUT_OF_RANGE, Culprit("pid", 1))
    assert all(isinstance(failure, SessionAborted) for failure in ended)


def spoil(shares: dict[int, list[int]]) -> None:
    shares[2][0] = (shares[2][0] + 1) % P


def shorten(shares: dict[int, list[int]]) -> None:
    shares[1].pop()


def leave(shares: dict[int, list[int]]) -> None:
    del shares[0]


def exceed(shares: dict[int, list[int]]) -> None:
    shares[0][1] += P


@shapes
@pytest.mark.parametrize("spoiled", [spoil, shorten, leave, exceed])
def test_wrong_output_shares_are_detected(shape: Shape, spoiled: Callable[[dict[int, list[int]]], None]) -> None:
    shares = {pid: [int(v) for v in row] for pid, row in enumerate(shared(shape, [1, 2, 3]))}
    assert reconstruct(shares, shape.t) == [1, 2, 3]
    spoiled(shares)
    with pytest.raises(InconsistentShares):
        reconstruct(shares, shape.t)


@shapes
def test_up_to_t_wrong_parties_together_are_detected(shape: Shape) -> None:
    shares = {pid: [int(row[0])] for pid, row in enumerate(shared(shape, [1234]))}
    for pid in range(shape.t):
        shares[pid] = [(shares[pid][0] + 1) % P]  # the same shift: itself a polynomial, of degree 0
    with pytest.raises(InconsistentShares):
        reconstruct(shares, shape.t)


async def test_stray_frames_at_the_end_abort_the_session() -> None:
    parties = engines(SHAPES[0])
    parties[0].engine.channels[1].send(99, b"more")
    await asyncio.sleep(0)

    async def one(party: Party) -> None:
        await party.engine.start()
        party.engine.finish()

    results = await asyncio.gather(*(one(party) for party in parties), return_exceptions=True)
    assert isinstance(results[1], SessionAborted)
    assert results[1].reason is Abort.UNDECLARED_PAYLOAD
    assert results[1].culprit is not None
    assert results[1].culprit.index == 0
    assert results[0] is None
    assert results[2] is None


async def test_runs_do_not_depend_on_who_is_fast() -> None:
    x = shared(SHAPES[0], [3])

    async def slow_for_party_2(rt: Engine) -> Array:
        for _ in range(rt.pid * 50):
            await asyncio.sleep(0)
        return await multiply(rt, x[rt.pid], x[rt.pid], "test")

    assert revealed(await run_parties(SHAPES[0], slow_for_party_2), 1) == [9]
