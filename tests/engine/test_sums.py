"""Adding up numbers by cells and limiting the sums, by themselves, up to the largest numbers."""

import random
from dataclasses import replace

import numpy as np
import pytest

from connectors.engine import tables
from connectors.engine.cost import Shape
from connectors.engine.limits import Limits
from connectors.engine.rows import MAX_ROWS
from connectors.engine.sums import Measure, Sums, limited_sums, limited_sums_clear, limited_sums_cost
from connectors.engine.tables import add_up, add_up_cost
from tests.engine.harness import SHAPES, revealed, run, shared
from tests.engine.packed import sent, shared_planes

shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"m{shape.m}")


@shapes
@pytest.mark.parametrize("squared", [(), (1,), (2, 0)])
@pytest.mark.parametrize(("bits", "weights"), [(0, 2), (1, 1), (3, 3)])
def test_rows_are_added_up_where_their_number_is_asked_for(
    shape: Shape, bits: int, weights: int, squared: tuple[int, ...]
) -> None:
    rng, n, sizes = np.random.default_rng(bits), 150, (1, 7, 20)
    index, weighing = rng.integers(0, 1 << bits, n), rng.integers(0, 1 << weights, n)
    numbers = np.stack([rng.integers(0, 1 << size, n) for size in sizes])
    digits = numbers[0] | numbers[1] << 1 | numbers[2] << 8
    places = sorted({0, *rng.integers(0, 1 << bits, 5).tolist()})
    place, weight = shared_planes(shape, index.tolist(), bits), shared_planes(shape, weighing.tolist(), weights)
    digit = shared_planes(shape, digits.tolist(), sum(sizes))
    parties = run(
        shape,
        lambda rt: add_up(rt, place[rt.pid], places, weight[rt.pid], digit[rt.pid], sizes, squared, "test"),
    )
    quantities = np.concatenate([np.ones((1, n), dtype=np.int64), numbers, numbers[list(squared)] ** 2])
    expected = [
        int(quantity[(index == place) & (weighing >> w & 1 == 1)].sum())
        for quantity in quantities
        for w in range(weights)
        for place in places
    ]
    assert revealed(parties, shape.t) == expected
    spent, cost = sent(parties), add_up_cost(shape, n, bits, places, weights, sizes, squared)
    assert (spent.rounds, spent.elements) == (cost.rounds, cost.elements)


def test_adding_up_in_many_blocks_gives_what_one_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ELEMENTS", 64 * 20)
    rng, n = np.random.default_rng(1), 1000
    index, numbers = rng.integers(0, 8, n), rng.integers(0, 16, n)
    place, digits = shared_planes(SHAPES[0], index.tolist(), 3), shared_planes(SHAPES[0], numbers.tolist(), 4)
    ones = shared_planes(SHAPES[0], [1] * n, 1)
    parties = run(
        SHAPES[0],
        lambda rt: add_up(rt, place[rt.pid], range(8), ones[rt.pid], digits[rt.pid], (4,), (0,), "test"),
    )
    expected = [np.bincount(index, weights=of, minlength=8) for of in (index**0, numbers, numbers**2)]
    assert revealed(parties, 1) == np.ravel(expected).astype(int).tolist()
    spent, cost = sent(parties), add_up_cost(SHAPES[0], n, 3, range(8), 1, (4,), (0,))
    assert (spent.rounds, spent.elements) == (cost.rounds, cost.elements)


WIDE = Measure("wide", -(2**31), -(2**31) + 2**24)
LARGE = [
    Measure("most", 2**31 - 2**24, 2**31, step=1000),
    WIDE,
    replace(WIDE, step=7),
    Measure("squared", 0, 2**19 - 1, squares=True),
    Measure("sunk", -(2**19) + 1, 0, squares=True),
    Measure("bit", 0, 1, step=1),
]


@shapes
@pytest.mark.parametrize("rows", [1, 64, MAX_ROWS])
@pytest.mark.parametrize(
    "limits", [Limits(0), Limits(2), Limits(11, dominance=99), Limits(3, dominance=1, rounding=1000)]
)
def test_the_largest_sums_are_limited_and_rounded_without_a_wrap(shape: Shape, rows: int, limits: Limits) -> None:
    """Of two providers with half of the people each, who all have the same number; all of them know it."""
    rng, counts = random.Random(rows), np.array([rows, rows, rows // 2, 0])
    people = np.stack([counts, *([counts // 2] * (0 if limits.exact else 2))])
    known, carried, totals, squares, of_carried = [], [], [], [], []
    for measure in LARGE:
        each = np.array([measure.largest, 0, rng.randint(0, measure.largest), 0])
        known.append(people)
        carried.append(people * each)
        totals.append(people * (each + measure.least))
        squares.append(counts * (each + measure.least) ** 2 if measure.squares else counts)
        of_carried += [counts * each**2] if measure.squares else []
    given_ = [shared(shape, np.array(x, dtype=np.uint64)) for x in (people, known, carried, of_carried)]
    parties = run(shape, lambda rt: limited_sums(rt, Sums(*(x[rt.pid] for x in given_)), rows, limits, LARGE))
    in_the_clear = [np.stack(x).tolist() for x in (people, known, totals, squares)]
    assert revealed(parties, shape.t) == limited_sums_clear(*in_the_clear, limits, LARGE)
    spent, cost = sent(parties), limited_sums_cost(shape, rows, 4, len(people) - 1, limits, LARGE)
    assert (spent.rounds, spent.elements) == (cost.rounds, cost.elements)
