"""Wide fixed-point numbers, inverses of matrices of them, and digits that count: each against what it should be."""

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.engine.cost import Shape
from connectors.engine.field import Array
from connectors.engine.inversion import inverse, inverse_cost
from connectors.engine.runtime import Engine
from connectors.engine.significant import DIGITS, WINDOW, significant, significant_clear, significant_cost
from connectors.engine.wide import (
    BOUND_BITS,
    FRACTION,
    WORDS,
    Q,
    Wide,
    cut,
    cut_cost,
    deal_masks,
    from_wide,
    from_wide_cost,
    masks_cost,
    to_wide,
    to_wide_cost,
    wide,
)
from gateway.rules.sharing import P, lagrange
from tests.engine.harness import SHAPES, Party, revealed, run, shared
from tests.engine.stocked import compute
from tests.engine.test_chi_square import nothing, words_sent

shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"m{shape.m}")
ONE = 1 << FRACTION


def dealt(shape: Shape, numbers: list[int]) -> list[Wide]:
    rng = random.Random(5)
    polynomials = [[number, *(rng.randrange(Q) for _ in range(shape.t))] for number in numbers]
    return [wide([sum(c * (pid + 1) ** i for i, c in enumerate(p)) % Q for p in polynomials]) for pid in range(shape.m)]


def meant(parties: list[Party], t: int) -> list[int]:
    """What shares [n] stand for; all m of them lie on one polynomial."""
    results: list[Any] = [np.ravel(party.result) for party in parties]
    points = tuple(range(1, t + 2))
    for pid in range(t + 1, len(parties)):
        by = lagrange(points, pid + 1, Q)
        assert [
            sum(a * b for a, b in zip(by, row, strict=True)) % Q for row in zip(*results[: t + 1], strict=True)
        ] == [*results[pid]]
    by = lagrange(points, 0, Q)
    values = [sum(a * b for a, b in zip(by, row, strict=True)) % Q for row in zip(*results[: t + 1], strict=True)]
    return [value - Q if value > Q // 2 else value for value in values]


@shapes
def test_a_product_is_off_by_a_few_units_of_the_last_place(shape: Shape) -> None:
    rng = random.Random(1)
    pairs = [(rng.randrange(-(1 << 159), 1 << 159), rng.randrange(-ONE, ONE)) for _ in range(200)]
    pairs += [(0, 0), (1, -1), (-1, 1), ((1 << 160) - 1, ONE - 1), (1 - (1 << 160), ONE - 1)]
    assert max(abs(a * b) for a, b in pairs) < 1 << BOUND_BITS
    left, right = (dealt(shape, list(side)) for side in zip(*pairs, strict=True))

    async def program(rt: Engine) -> object:
        masks = await deal_masks(rt, len(pairs), "test")
        return await cut(rt, left[rt.pid] * right[rt.pid], masks, "test")

    parties = compute(shape, program)
    for (a, b), found in zip(pairs, meant(parties, shape.t), strict=True):
        assert -1 <= found - a * b / ONE <= shape.t + 1 or abs(found - (a * b >> FRACTION)) <= shape.t + 2
    words = sum(words_sent(parties)) - sum(words_sent(compute(shape, nothing)))
    assert words == (masks_cost(shape, len(pairs)) + cut_cost(shape, len(pairs))).elements


def test_what_is_opened_is_as_good_as_random_whatever_the_product() -> None:
    """The highest word of what a party receives of zeros, and of the largest products there are."""
    for number in (0, (1 << 160) - 1):
        shares = dealt(SHAPES[0], [number] * 500)

        async def program(rt: Engine, shares: list[Wide] = shares) -> object:
            return await cut(rt, shares[rt.pid] * (ONE - 1), await deal_masks(rt, 500, "masks"), "product")

        parties = compute(SHAPES[0], program)
        seen = [elements for step, _, elements in parties[0].seen if step == "product"]
        high = np.concatenate([elements.reshape(-1, WORDS)[:, -1] for elements in seen]).astype(np.float64) / 2**63
        assert abs(high.mean() - 0.5) < 0.06 and abs(high.std() - 12**-0.5) < 0.03


@shapes
def test_numbers_go_over_and_come_back(shape: Shape) -> None:
    numbers = [0, 1, -1, (1 << WINDOW) - 1, 1 - (1 << WINDOW), 12345678901]
    shares = shared(shape, [number % P for number in numbers])

    async def program(rt: Engine) -> object:
        return await from_wide(rt, await to_wide(rt, shares[rt.pid], 1 << WINDOW), 1 << WINDOW)

    parties = compute(shape, program)
    assert revealed(parties, shape.t) == [number % P for number in numbers]
    words = sum(words_sent(parties)) - sum(words_sent(compute(shape, nothing)))
    assert words == (to_wide_cost(shape, 6) + from_wide_cost(shape, 6)).elements


def inverted(shape: Shape, b: Wide, steps: int) -> tuple[list[Party], np.ndarray[Any, np.dtype[np.float64]]]:
    shares = dealt(shape, list(b.ravel()))

    async def program(rt: Engine) -> object:
        return await inverse(rt, shares[rt.pid].reshape(b.shape), steps, "test")

    parties = compute(shape, program)
    return parties, np.array([found / ONE for found in meant(parties, shape.t)]).reshape(b.shape)


@shapes
def test_an_inverse_is_what_numpy_says(shape: Shape) -> None:
    rng = np.random.default_rng(2)
    x = rng.integers(0, 2, (60, 6)).astype(float)
    b = x.T @ x / 2**10
    fixed = np.array([[round(v * ONE) for v in row] for row in b], dtype=object)
    parties, found = inverted(shape, fixed, 20)
    assert found == pytest.approx(np.linalg.inv(b), rel=1e-9, abs=1e-9)
    words = sum(words_sent(parties)) - sum(words_sent(compute(shape, nothing)))
    assert words == inverse_cost(shape, 6, 20).elements
    assert parties[0].engine.rounds == 1 + inverse_cost(shape, 6, 20).rounds


def test_the_inverse_of_a_singular_matrix_is_large_and_within_bounds() -> None:
    b = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 0]], dtype=object) * (ONE // 4)
    for steps in (10, 50):
        _, found = inverted(SHAPES[0], b, steps)
        # On what is singular, 2^steps; on (1, 1) the inverse, 2.
        expected = [[2**steps / 2 + 1, 1 - 2**steps / 2, 0], [1 - 2**steps / 2, 2**steps / 2 + 1, 0], [0, 0, 2**steps]]
        assert found == pytest.approx(np.array(expected), rel=1e-6, abs=1e-3)


@pytest.mark.parametrize(("shape", "examples"), [(SHAPES[0], 6), (SHAPES[1], 1), (SHAPES[2], 1)])
def test_digits_that_count_equal_their_twin(shape: Shape, examples: int) -> None:
    top = 1 << WINDOW
    numbers = st.lists(
        st.integers(1 - top, top - 1) | st.integers(-99999, 99999) | st.sampled_from([0, 1, -1, top - 1]), min_size=1
    )

    @settings(max_examples=examples, deadline=None)
    @given(signed=numbers, others=numbers)
    def holds(signed: list[int], others: list[int]) -> None:
        x = signed + [abs(number) for number in others]
        shares = shared(shape, [number % P for number in x])

        async def protocol(rt: Engine) -> Array:
            return np.concatenate(await significant(rt, shares[rt.pid], len(signed), "test"))

        parties = run(shape, protocol)
        expected = [significant_clear(number) for number in x]
        assert revealed(parties, shape.t) == [d % P for d, _ in expected] + [v for _, v in expected]
        assert parties[0].engine.rounds == 1 + significant_cost(shape, len(x), len(signed)).rounds

    holds()


@given(x=st.integers(1, (1 << WINDOW) - 1))
def test_digits_are_off_by_half_of_the_last_at_most(x: int) -> None:
    digits, lift = significant_clear(x)
    assert abs(digits * 2 ** (WINDOW - DIGITS) / lift - x) <= x * 2**-DIGITS
    assert 1 << DIGITS - 1 <= digits <= 1 << DIGITS
