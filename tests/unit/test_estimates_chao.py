"""Chao's lower bounds against the published formulas, an independent estimate of their spread, and their meaning."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.client.estimates import OverlapTable
from gateway.client.estimates.chao import bounds
from tests.unit.mse_kit import table

COUNTS = st.lists(st.integers(0, 200), min_size=15, max_size=15).filter(any)


def test_the_first_bound_is_chaos_with_her_variance_and_log_normal_interval() -> None:
    f1, f2, n = 54 + 463 + 995 + 695 + 316, 15 + 19 + 3 + 62 + 19 + 1 + 76 + 11 + 8, 2744
    bound = bounds(table("uk_2013_5lists"))[0]
    hidden = f1**2 / (2 * f2)
    r = f1 / f2
    variance = f2 * (r**4 / 4 + r**3 + r**2 / 2)
    factor = math.exp(1.959964 * math.sqrt(math.log(1 + variance / hidden**2)))
    assert (bound.source, bound.point) == ("Chao 1987", pytest.approx(n + hidden))
    assert (bound.lo, bound.hi) == (pytest.approx(n + hidden / factor), pytest.approx(n + hidden * factor))


def test_without_anybody_on_two_lists_the_bias_corrected_form_stands_in() -> None:
    f1, n = 40 + 30 + 20, 96
    bound = bounds(
        OverlapTable.from_patterns("ABC", [((1, 0, 0), 40), ((0, 1, 0), 30), ((0, 0, 1), 20), ((1,) * 3, 6)])
    )[0]
    hidden = f1 * (f1 - 1) / 2
    variance = hidden + f1 * (2 * f1 - 1) ** 2 / 4 - f1**4 / 4 / (n + hidden)
    factor = math.exp(1.959964 * math.sqrt(math.log(1 + variance / hidden**2)))
    assert "f2 + 1" in bound.formula
    assert (bound.point, bound.hi) == (pytest.approx(n + hidden), pytest.approx(n + hidden * factor))


def test_the_second_bound_is_right_on_average_for_independent_lists_and_its_spread_too() -> None:
    """10 000 people on five lists of very different reach: the first bound lies above them, the second at them."""
    reach, everyone = np.array([0.02, 0.05, 0.1, 0.15, 0.3]), 10_000
    share = [math.prod(p if mask >> i & 1 else 1 - p for i, p in enumerate(reach)) for mask in range(32)]
    drawn = np.random.default_rng(5).multinomial(everyone, share, size=400)
    found = [bounds(OverlapTable(tuple("ABCDE"), tuple(row[1:].tolist()))) for row in drawn]
    first, second = (np.array([pair[which].point for pair in found]) for which in (0, 1))
    assert second.mean() == pytest.approx(everyone, rel=0.01)
    assert first.mean() > 1.15 * everyone
    held = np.mean([pair[1].lo < everyone < pair[1].hi for pair in found if pair[1].lo and pair[1].hi])
    assert 0.92 < held < 0.98


@given(COUNTS)
def test_a_bound_is_never_below_the_observed_and_lies_in_its_interval(counts: list[int]) -> None:
    overlaps = OverlapTable(tuple("ABCD"), tuple(counts))
    for bound in bounds(overlaps):
        assert bound.point >= overlaps.observed
        assert (bound.lo is None) == (bound.hi is None)
        if bound.lo is not None and bound.hi is not None:
            assert overlaps.observed <= bound.lo <= bound.point <= bound.hi


@given(COUNTS, st.permutations(list("ABCD")), st.integers(2, 50))
def test_the_order_of_lists_changes_nothing_and_the_first_bound_scales(
    counts: list[int], order: list[str], factor: int
) -> None:
    overlaps = OverlapTable(tuple("ABCD"), tuple(counts))
    for here, there in zip(bounds(overlaps), bounds(overlaps.reorder(order)), strict=True):
        assert (there.point, there.lo, there.hi) == (
            pytest.approx(here.point), pytest.approx(here.lo), pytest.approx(here.hi)
        )  # fmt: skip
    larger = bounds(OverlapTable(tuple("ABCD"), tuple(count * factor for count in counts)))[0]
    if larger.formula == "n + f1²/(2·f2)":
        assert larger.point == pytest.approx(bounds(overlaps)[0].point * factor)


def test_where_nobody_is_on_one_list_alone_there_is_a_bound_and_no_spread() -> None:
    for bound in bounds(OverlapTable(("A", "B"), (0, 0, 7))):
        assert (bound.point, bound.lo, bound.hi) == (7, None, None)
