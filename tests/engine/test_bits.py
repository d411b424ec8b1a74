"""Packed bits against what they stand for, at m = 3, 5 and 7; costs are exact; wrong shares are noticed."""

import asyncio
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.engine.bits import (
    and_,
    and_cost,
    invert,
    open_bits,
    open_bits_cost,
    planes,
    share_own,
    share_own_cost,
    words,
    xor_public,
)
from connectors.engine.cost import Shape
from connectors.engine.errors import Abort, SessionAborted
from connectors.engine.field import Array
from connectors.engine.runtime import Engine
from tests.engine.harness import SHAPES, engines, run
from tests.engine.packed import sent, shared_words, vector, words_of

MASK = 2**64 - 1
word = st.one_of(st.sampled_from([0, 1, MASK, 1 << 63]), st.integers(0, MASK))
few = settings(max_examples=6, deadline=None)
shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"m{shape.m}")


@settings(deadline=None)
@given(values=st.lists(word, max_size=700), bits=st.integers(1, 64))
def test_planes_have_a_word_for_64_rows(values: list[int], bits: int) -> None:
    turned = planes(vector(values)[None], bits)
    assert turned.shape == (bits, -(-len(values) // 64))
    for plane in range(bits):
        row = int.from_bytes(turned[plane].tobytes(), "little")
        assert row == sum((value >> plane & 1) << i for i, value in enumerate(values))
    assert [int(v) for v in words(turned, len(values))[0]] == [value & ((1 << bits) - 1) for value in values]


def test_a_row_of_several_words_goes_on_in_the_next_column() -> None:
    values = np.arange(6 * 100, dtype=np.uint64).reshape(2, 3, 100) * np.uint64(0x9E37_79B9_7F4A_7C15)
    turned = planes(values, 150)
    assert turned.shape == (2, 150, 2)
    assert np.array_equal(turned[:, 64:128], planes(values[:, 1:2], 64))
    back = words(turned, 100)
    assert np.array_equal(back[:, :2], values[:, :2])
    assert np.array_equal(back[:, 2], values[:, 2] & np.uint64((1 << 22) - 1))


@shapes
@few
@given(values=st.lists(st.tuples(word, word), min_size=1, max_size=12))
def test_and(shape: Shape, values: list[tuple[int, int]]) -> None:
    xs, ys = zip(*values, strict=True)
    x, y = shared_words(shape, vector(xs)), shared_words(shape, vector(ys))
    parties = run(shape, lambda rt: and_(rt, x[rt.pid], y[rt.pid], "test"))
    assert words_of(parties).tolist() == [a & b for a, b in values]
    assert sent(parties).elements == and_cost(shape, len(values)).elements


@shapes
@pytest.mark.parametrize("n", [0, 1, 3000])
def test_and_broadcasts_and_costs_what_it_says(shape: Shape, n: int) -> None:
    x = np.arange(4 * n, dtype=np.uint64).reshape(4, n) * np.uint64(0xD1B5_4A32_D192_ED03)
    y = x[:1] ^ np.uint64(0xAAAA)
    xs, ys = shared_words(shape, x), shared_words(shape, y)
    parties = run(shape, lambda rt: and_(rt, xs[rt.pid], ys[rt.pid], "test"))
    assert np.array_equal(words_of(parties), x & y)
    spent, expected = sent(parties), and_cost(shape, 4 * n)
    assert (spent.rounds, spent.elements) == (expected.rounds, expected.elements)
    assert n < 3000 or spent.largest == expected.largest


@shapes
@few
@given(values=st.lists(word, min_size=1, max_size=6), public=word)
def test_public_words_and_not(shape: Shape, values: list[int], public: int) -> None:
    x = shared_words(shape, vector(values))

    async def both(rt: Engine) -> tuple[Array, Array]:
        return xor_public(rt, x[rt.pid], np.uint64(public)), invert(rt, x[rt.pid])

    parties = run(shape, both)
    assert words_of(parties, 0).tolist() == [value ^ public for value in values]
    assert words_of(parties, 1).tolist() == [value ^ MASK for value in values]


@shapes
@few
@given(data=st.data())
def test_dealers_share_what_they_alone_know(shape: Shape, data: st.DataObject) -> None:
    dealers = data.draw(st.lists(st.integers(0, shape.m - 1), min_size=1, unique=True))
    values = {d: vector(data.draw(st.lists(word, min_size=1, max_size=5))) for d in dealers}
    sizes = {d: v.size for d, v in values.items()}

    async def share(rt: Engine) -> Array:
        by_dealer = await share_own(rt, values.get(rt.pid), sizes, "test")
        return np.concatenate([by_dealer[d] for d in dealers], axis=1)

    parties = run(shape, share)
    assert np.array_equal(words_of(parties), np.concatenate([values[d] for d in dealers]))
    spent, expected = sent(parties), share_own_cost(shape, sizes)
    assert (spent.rounds, spent.elements) == (expected.rounds, expected.elements)


@shapes
@few
@given(values=st.lists(word, max_size=9))
def test_everyone_learns_what_is_opened(shape: Shape, values: list[int]) -> None:
    x = shared_words(shape, vector(values))
    parties = run(shape, lambda rt: open_bits(rt, x[rt.pid], "test"))
    assert all(party.result.tolist() == values for party in parties)  # type: ignore[attr-defined]
    spent, expected = sent(parties), open_bits_cost(shape, len(values))
    assert (spent.rounds, spent.elements) == (expected.rounds, expected.elements)


@shapes
@pytest.mark.parametrize("alone", [True, False])
def test_wrong_words_from_up_to_t_parties_are_noticed_by_all_others(shape: Shape, alone: bool) -> None:
    """Each changes all its words by itself; or all change the words of the groups that they have but one honest member
    of, alike.
    """
    for wrong in combinations(range(shape.m), shape.t):
        x = shared_words(shape, vector([5, 6, 7]))

        async def all_fail(x: list[Array] = x, wrong: tuple[int, ...] = wrong) -> list[object]:
            parties = engines(shape)

            async def one(rt: Engine) -> object:
                await rt.start()
                for share, group in zip(x[rt.pid], rt.held, strict=True):
                    if rt.pid in wrong and (alone or set(wrong) <= set(group)):
                        share[1] ^= np.uint64(1 << rt.pid if alone else 1)
                return await open_bits(rt, x[rt.pid], "test")

            return await asyncio.gather(*(one(p.engine) for p in parties), return_exceptions=True)

        ended = asyncio.run(all_fail())
        for pid in set(range(shape.m)) - set(wrong):
            failure = ended[pid]
            assert isinstance(failure, SessionAborted)
            assert failure.reason is Abort.INCONSISTENT_SHARES
