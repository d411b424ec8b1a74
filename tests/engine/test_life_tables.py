"""Curves and the test between them: against exact fractions, against the twins at m = 3, 5 and 7, and their cost."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.engine.cost import Shape
from connectors.engine.field import Array
from connectors.engine.life_tables import (
    MAX_INTERVALS,
    TEST_UNIT,
    curves,
    curves_clear,
    curves_cost,
    log_rank,
    log_rank_clear,
    log_rank_cost,
)
from connectors.engine.runtime import Engine
from tests.engine.harness import SHAPES, Party, revealed, run, shared

Table = list[list[int]]
STEPS = 1000
shapes = pytest.mark.parametrize(
    ("shape", "examples"), [(SHAPES[0], 8), (SHAPES[1], 2), (SHAPES[2], 1)], ids=["m3", "m5", "m7"]
)


@st.composite
def life_tables(draw: st.DrawFn, groups: int, most: int, intervals: int = MAX_INTERVALS) -> tuple[Table, Table]:
    """Numbers at risk and events of groups of up to `most` people."""
    size = draw(st.integers(1, intervals))
    seed = draw(st.integers(0, 2**32))
    random = np.random.default_rng(seed)
    at_risk, events = [], []
    for _ in range(groups):
        n, ns, ds = draw(st.integers(0, most)), [], []
        chance, lost = draw(st.sampled_from([0.0, 0.001, 0.05, 0.4, 1.0])), draw(st.sampled_from([0.0, 0.05, 0.6]))
        for _ in range(size):
            d = int(random.binomial(n, chance))
            ns.append(n)
            ds.append(d)
            n -= d + int(random.binomial(n - d, lost))
        at_risk.append(ns)
        events.append(ds)
    return at_risk, events


def exact_curve(ns: list[int], ds: list[int]) -> list[Fraction]:
    out, left = [], Fraction(1)
    for n, d in zip(ns, ds, strict=True):
        left *= Fraction(n - d, n) if n else 1
        out.append(left)
    return out


def exact_test(at_risk: Table, events: Table) -> tuple[Fraction, Fraction]:
    """U and V."""
    u = v = Fraction(0)
    for n1, n2, d1, d2 in zip(*at_risk, *events, strict=True):
        n, d = n1 + n2, d1 + d2
        if n:
            u += d1 - Fraction(d * n1, n)
        if n > 1:
            v += Fraction(d * n1 * n2 * (n - d), n * n * (n - 1))
    return u, v


def width_of(at_risk: Table) -> int:
    return max(2, sum(ns[0] for ns in at_risk).bit_length())


@settings(max_examples=150, deadline=None)
@given(data=st.data(), most=st.sampled_from([3, 40, 2000, 1 << 20]))
def test_a_curve_is_off_by_half_a_step_and_a_64th_of_one(data: st.DataObject, most: int) -> None:
    at_risk, events = data.draw(life_tables(2, most))
    found = curves_clear(at_risk, events, width_of(at_risk), STEPS)
    exact = [left for pair in zip(at_risk, events, strict=True) for left in exact_curve(*pair)]
    assert all(abs(s - STEPS * left) <= Fraction(1, 2) + Fraction(1, 64) for s, left in zip(found, exact, strict=True))
    assert all(0 <= s <= STEPS for s in found)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), most=st.sampled_from([3, 40, 2000, 1 << 20]))
def test_the_test_is_off_by_what_is_stated(data: st.DataObject, most: int) -> None:
    at_risk, events = data.draw(life_tables(2, most))
    u, v = exact_test(at_risk, events)
    found = Fraction(log_rank_clear(at_risk, events, width_of(at_risk)), TEST_UNIT)
    exact = u * u / v if v else Fraction(0)
    if v == 0 or v >= 1:
        assert abs(found - exact) <= Fraction(1, 32) + exact / 64
    assert 0 <= found <= sum(max(0, x + y - 1) for x, y in zip(*at_risk, strict=True)) + 1


def zeros_of(at_risk: Table) -> tuple[list[int], list[int], list[int]]:
    everybody = [x + y for x, y in zip(*at_risk, strict=True)]
    return (
        [int(n == 0) for ns in at_risk for n in ns],
        [int(n == 0) for n in everybody],
        [int(n == 1) for n in everybody],
    )


def computed(shape: Shape, at_risk: Table, events: Table, width: int, test: bool) -> list[Party]:
    size = len(at_risk[0])
    flat = [n for ns in at_risk for n in ns] + [d for ds in events for d in ds]
    empty, none, one = zeros_of(at_risk)
    shares = shared(shape, [*flat, *empty, *none, *one])

    async def program(rt: Engine) -> Array:
        ns, ds, empties, nones, ones = np.split(shares[rt.pid], np.cumsum([2 * size, 2 * size, 2 * size, size]))
        ns, ds = ns.reshape(2, size), ds.reshape(2, size)
        if test:
            return await log_rank(rt, ns, ds, nones, ones, width)
        return (await curves(rt, ns, ds, empties.reshape(2, size), width, 100)).reshape(-1)

    return run(shape, program)


@shapes
@pytest.mark.parametrize("test", [False, True], ids=["curves", "test"])
def test_they_equal_their_twins_and_cost_what_is_said(shape: Shape, examples: int, test: bool) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data(), most=st.sampled_from([3, 40, 1 << 20]))
    def holds(data: st.DataObject, most: int) -> None:
        at_risk, events = data.draw(life_tables(2, most, intervals=9))
        width, size = width_of(at_risk) + data.draw(st.integers(0, 1)), len(at_risk[0])
        parties = computed(shape, at_risk, events, width, test)
        if test:
            expected, cost = [log_rank_clear(at_risk, events, width)], log_rank_cost(shape, size, width)
        else:
            expected, cost = curves_clear(at_risk, events, width, 100), curves_cost(shape, 2, size, width, 100)
        assert revealed(parties, shape.t) == expected
        received = [elements.size for party in parties for _, _, elements in party.seen]
        assert parties[0].engine.rounds == 1 + cost.rounds
        assert (sum(received), max(received)) == (cost.elements, cost.largest)

    holds()
