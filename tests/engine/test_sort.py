"""Shuffling and sorting rows of bits, against what they are in the clear; the schedule; outcomes that are no order."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.engine import shuffle as shuffling
from connectors.engine import sort as sorting
from connectors.engine.cost import Shape
from connectors.engine.errors import Abort, SessionAborted
from connectors.engine.field import Array
from connectors.engine.native import lazily
from connectors.engine.rows import MAX_ROWS
from connectors.engine.runtime import Engine
from connectors.engine.shuffle import sequence, shuffle, shuffle_cost
from connectors.engine.sort import Phase, plan, sort, sort_cost
from tests.engine.harness import SHAPES, Party, engines, run
from tests.engine.packed import sent, shared_words, words_of

few = settings(max_examples=6, deadline=None)
shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"m{shape.m}")
kernels = lazily("ordering")


def keyed(keys: list[int], columns: int = 2) -> Array:
    """[columns, n]: the key, then the row's number."""
    return np.array([keys, *[range(len(keys))] * (columns - 1)], dtype=np.uint64)


def sorted_by(shape: Shape, words: Array, bits: int) -> list[Party]:
    x = shared_words(shape, words)
    return run(shape, lambda rt: sort(rt, x[rt.pid], bits, "test"))


@shapes
def test_groups_follow_each_other_by_one_member_and_are_all_there(shape: Shape) -> None:
    groups = sequence(shape)
    assert len(set(groups)) == {3: 3, 5: 10, 7: 35}[shape.m]
    assert all(len(set(a) - set(b)) == 1 for a, b in pairwise(groups))


@shapes
@pytest.mark.parametrize("n", [0, 1, 20])
def test_a_shuffle_keeps_rows_and_changes_their_order_and_shares(shape: Shape, n: int) -> None:
    words = keyed(list(range(100, 100 + n)))
    x = shared_words(shape, words)
    parties = run(shape, lambda rt: shuffle(rt, x[rt.pid], "test"))
    shuffled = words_of(parties)
    assert sorted(map(tuple, shuffled.T)) == sorted(map(tuple, words.T))
    assert n < 2 or not np.array_equal(shuffled, words)
    assert not np.any(parties[0].result == x[0])
    spent, expected = sent(parties), shuffle_cost(shape, 2, n)
    assert (spent.rounds, spent.elements) == (expected.rounds, expected.elements)


@shapes
@pytest.mark.parametrize("slow", [0, 1, 2])
async def test_nobody_runs_far_ahead_of_a_party_that_is_busy(
    shape: Shape, slow: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shuffling, "BLOCK", 8)
    n = 8 * (400 if shape.m == 3 else 80)
    x = shared_words(shape, keyed(list(range(n)), 1))
    parties = engines(shape, cap=640)  # ten messages, or the keys of groups

    async def one(party: Party) -> None:
        await party.engine.start()
        for _ in range(200 if party.engine.pid == slow else 0):
            await asyncio.sleep(0)  # turns of the loop in which the others go as far as they can
        party.result = await shuffle(party.engine, x[party.engine.pid], "test")
        party.engine.finish()

    await asyncio.gather(*(one(party) for party in parties))
    assert np.array_equal(np.sort(words_of(parties)[0]), np.arange(n))


@shapes
@few
@given(keys=st.lists(st.one_of(st.integers(0, 3), st.sampled_from([2**60 - 1, 2**59])), max_size=12))
def test_sorting_is_by_key_with_the_rest_of_each_row(shape: Shape, keys: list[int]) -> None:
    """Keys repeat, so that equal ones meet."""
    parties = sorted_by(shape, keyed(keys), 60)
    ordered = words_of(parties)
    assert ordered[0].tolist() == sorted(keys)
    assert sorted(map(tuple, ordered.T.tolist())) == sorted((key, i) for i, key in enumerate(keys))
    spent, expected = sent(parties), sort_cost(shape, 2, len(keys), 60)
    assert (spent.rounds, spent.elements) == (expected.rounds, expected.elements)


@pytest.mark.parametrize("bits", [1, 63, 64, 65, 128])
def test_keys_may_cover_several_words_and_a_part_of_the_last(bits: int) -> None:
    draw = np.random.default_rng(bits).integers(0, 2**64, (3, 150), dtype=np.uint64)
    low = [int(b) << 64 | int(a) for a, b in draw[:2].T]
    ordered = words_of(sorted_by(SHAPES[0], draw, bits))
    assert sorted(map(tuple, ordered.T.tolist())) == sorted(map(tuple, draw.T.tolist()))
    found = [(int(b) << 64 | int(a)) % 2**bits for a, b in ordered[:2].T]
    assert found == sorted(key % 2**bits for key in low)


@pytest.mark.parametrize(
    ("shape", "n", "phases", "equal"),
    [
        (SHAPES[0], 40_000, 2, False),
        (SHAPES[0], 5000, 1, True),
        (SHAPES[1], 5000, 1, False),
        (SHAPES[2], 2500, 1, True),
    ],
)
def test_many_rows_go_through_phases_in_the_rounds_that_are_planned(
    shape: Shape, n: int, phases: int, equal: bool
) -> None:
    bits = 32
    assert len(plan(n, bits).phases) == phases
    keys = np.random.default_rng(1).integers(0, 2 if equal else 2**bits, n, dtype=np.uint64)
    parties = sorted_by(shape, np.stack([keys, np.arange(n, dtype=np.uint64)]), bits)
    ordered = words_of(parties)
    assert np.array_equal(ordered[0], np.sort(keys))
    assert np.array_equal(np.sort(ordered[1]), np.arange(n))
    spent, expected = sent(parties), sort_cost(shape, 2, n, bits)
    assert spent.rounds == expected.rounds
    assert spent.largest <= expected.largest
    assert abs(spent.elements / expected.elements - 1) < 0.25


def test_rounds_are_few_and_a_function_of_size_and_bits() -> None:
    assert sort_cost(SHAPES[0], 1, 10**5, 49).rounds <= 120
    assert sort_cost(SHAPES[0], 2, 3 * 10**6, 62).rounds <= 200
    for n in (2, 1000, 10**5, MAX_ROWS):
        batches = plan(n, 62).batches(n)
        assert sort_cost(SHAPES[0], 2, n, 62).rounds == 3 + 8 * len(batches)
        assert sum(batches) < 60 * max(n, 10**4)


class InTheClear(sorting._Order):
    """Numbers in the clear in the place of shares, and an outcome for each comparison in the place of opened ones."""

    def __init__(self, rt: Engine, keys: Array, outcome: Callable[[Array, Array], Array] = np.less) -> None:
        super().__init__(rt, keys.astype(np.uint64)[None, None], 64, "test")
        self.outcome, self.met = outcome, 0

    async def _meet(self, n: int, keys: Array, meetings: sorting.Meetings) -> Array:
        left, right = np.empty((2, sorting._padded(n)), dtype=np.int64)
        meetings(0, left, right)
        assert np.all(left[:n] != right[:n])
        self.met += n
        outcomes = self.outcome(keys[0, 0, left], keys[0, 0, right]).astype(np.uint64).reshape(-1, 64)
        return (outcomes << np.arange(64, dtype=np.uint64)).sum(axis=1, dtype=np.uint64)

    async def sort(self, phases: Sequence[Phase]) -> None:
        segments = np.zeros(1, dtype=np.int64), np.full(1, self.rows.size, dtype=np.int64)
        for phase in phases:
            segments = await self.split(*segments, phase)
        await self.finish(*segments)


async def nobody() -> Engine:
    return engines(SHAPES[0])[0].engine


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 300),
    different=st.sampled_from([1, 2, 10, 10**6]),
    arities=st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=3), max_size=3),
    seed=st.integers(0, 2**32),
)
async def test_every_schedule_sorts_and_keeps_equal_keys_in_place(
    n: int, different: int, arities: list[list[int]], seed: int
) -> None:
    keys = np.random.default_rng(seed).integers(0, different, n)
    order = InTheClear(await nobody(), keys)
    await order.sort([Phase(tuple(levels)) for levels in arities])
    assert np.array_equal(order.rows, np.argsort(keys, kind="stable"))
    assert np.array_equal(order.keys[0, 0], np.sort(keys))


@pytest.mark.parametrize("different", [1, 2, 10**9])
@pytest.mark.parametrize("n", [3000, 100_000])
async def test_comparisons_are_as_many_as_expected_whatever_is_equal(n: int, different: int) -> None:
    order = InTheClear(await nobody(), np.random.default_rng(n).integers(0, different, n))
    await order.sort(plan(n, 62).phases)
    assert order.met < 1.2 * sum(plan(n, 62).batches(n))
    assert different < n or order.met > 0.8 * sum(plan(n, 62).batches(n))


@pytest.mark.parametrize("phases", [(), (Phase((2,)),), (Phase((1, 1)),)])
async def test_outcomes_that_are_no_order_end_the_session(phases: tuple[Phase, ...]) -> None:
    flips = np.random.default_rng(1)
    order = InTheClear(await nobody(), np.arange(60), lambda left, right: flips.integers(0, 2, left.size))
    with pytest.raises(SessionAborted) as ended:
        await order.sort(phases)
    assert (ended.value.reason, ended.value.culprit) == (Abort.INCONSISTENT_SHARES, None)


def vector(*values: int) -> Array:
    return np.array(values, dtype=np.uint64)


def places(*values: int) -> sorting.Places:
    return np.array(values, dtype=np.int64)


def test_a_tournament_in_a_circle_is_no_order() -> None:
    """Pairs (1, 0), (2, 0), (2, 1): 1 before 0, 0 before 2, 2 before 1."""
    rows, ends, offsets, ordered = places(7, 8, 9), places(0, 3), places(0, 3), places(0, 0, 0)
    assert not kernels.rank(rows, ends, offsets, vector(0b101), ordered)
    assert kernels.rank(rows, ends, offsets, vector(0b001), ordered)
    assert ordered.tolist() == [8, 7, 9]


def test_a_row_below_one_splitter_and_not_below_a_higher_one_is_no_order() -> None:
    splitters = places(0, 1, 2, -1)
    assert not kernels.descend(places(5), places(0), splitters, 4, 1, vector(0b001))
    at = places(0, 0)
    assert kernels.descend(places(5, 6), at, splitters, 4, 1, vector(0b110_000))
    assert at.tolist() == [3, 1]
