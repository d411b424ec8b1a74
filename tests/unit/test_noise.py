"""The table of coins against exact arithmetic, its own distribution, and opendp's sampler of the same one."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import opendp.prelude as dp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.rules import noise
from gateway.rules.noise import BITS, DELTA, LEAST, MOST, SENSITIVITY, UNITS, Noise

SAMPLES = 200_000
# How far apart, in standard errors, what is measured may be from what is expected: once in 10^9 by chance.
APART = 6.1


def drawn(table: Noise, seed: int, n: int = SAMPLES) -> npt.NDArray[np.int64]:
    """What the coins give for words of a seeded generator."""
    words = np.random.default_rng(seed).integers(0, 2**64, (2, len(table.coins), n), dtype=np.uint64)
    ones = words < np.array(table.coins, dtype=np.uint64)[None, :, None]
    digits = ones.astype(np.int64) << np.arange(len(table.coins))[None, :, None]
    return (digits[0] - digits[1]).sum(axis=0)


def two_sided(table: Noise) -> list[Fraction]:
    """The exact distribution, of -largest .. largest, as the coins make it."""
    one, most, whole = [1], table.largest, 1 << 2 * BITS * len(table.coins)
    for coin in table.coins:
        one = [*(q * ((1 << BITS) - coin) for q in one), *(q * coin for q in one)]
    tails = [sum(one[g] * one[g - z] for g in range(z, most + 1)) for z in range(most + 1)]
    return [Fraction(tails[abs(z)], whole) for z in range(-most, most + 1)]


@settings(max_examples=25, deadline=None)
@given(st.integers(LEAST, MOST))
def test_the_base_is_rounded_towards_more_noise_by_less_than_a_unit(amount: int) -> None:
    base, x = Fraction(noise.noise(amount).base, 1 << BITS), Fraction(amount, UNITS * SENSITIVITY)
    # 1 / e^x lies between the inverses of two partial sums; e^x < sum + twice the next term, x <= 5 < 80 / 2.
    terms = [Fraction(1)]
    for k in range(1, 80):
        terms.append(terms[-1] * x / k)
    low, high = 1 / (sum(terms) + 2 * terms[-1]), 1 / sum(terms)
    assert base >= high and base - low < Fraction(2, 1 << BITS)


@settings(max_examples=25, deadline=None)
@given(st.integers(LEAST, MOST))
def test_delta_of_any_epsilon_is_less_than_what_is_promised(amount: int) -> None:
    assert 0 < noise.delta(amount) < DELTA / 8
    assert len(noise.noise(amount).coins) <= 14


@pytest.mark.parametrize("epsilon", ["0.5", "1", "3.3333", "10"])
def test_the_exact_distribution_of_the_coins_is_epsilon_delta_private(epsilon: str) -> None:
    """The hockey-stick divergence of a moved person: half of ε in each of two cells, δ doubled (Dwork and Roth 2014,
    theorem 3.16), summed over all values, the truncated ones too."""
    table, amount = noise.of(epsilon), noise.epsilon(epsilon)
    of = two_sided(table)
    assert sum(of) == 1 and of == of[::-1]
    # e^(ε / 2) from below: partial sums.
    x, term, most = Fraction(amount, UNITS * SENSITIVITY), Fraction(1), Fraction(0)
    for k in range(1, 60):
        most += term
        term = term * x / k
    moved = sum((p - most * q for p, q in zip([*of, 0], [0, *of], strict=True) if p > most * q), Fraction())
    assert SENSITIVITY * moved <= noise.delta(amount) < DELTA


@pytest.mark.parametrize("epsilon", ["0.5", "1", "3.3333", "10"])
def test_the_distribution_is_the_two_sided_geometric_one(epsilon: str) -> None:
    table = noise.of(epsilon)
    of, a = two_sided(table), Fraction(table.base, 1 << BITS)
    ideal = [(1 - a) / (1 + a) * a ** abs(z) for z in range(-table.largest, table.largest + 1)]
    apart = sum(abs(p - q) for p, q in zip(of, ideal, strict=True)) + (1 - sum(ideal))
    # Twice the statistical distance: of two numbers each by the tail and half a unit per coin.
    assert apart / 2 <= 2 * (a ** (table.largest + 1) + Fraction(len(table.coins), 1 << (BITS + 1)))
    variance = sum(p * z * z for p, z in zip(of, range(-table.largest, table.largest + 1), strict=True))
    assert abs(float(variance / table.variance) - 1) < 1e-12
    b = table.within()
    outside = [1 - sum(of[table.largest - x : table.largest + x + 1]) for x in (b, b - 1) if x >= 0]
    assert outside[0] < Fraction(1, 20) + Fraction(1, 1 << 50) and all(p > Fraction(1, 20) for p in outside[1:])


@pytest.mark.parametrize("epsilon", ["0.01", "0.5", "1", "4"])
def test_mean_variance_and_tails_of_samples_are_those_of_the_distribution(epsilon: str) -> None:
    """Mean and variance within six standard errors; each tail within six of its binomial count."""
    table = noise.of(epsilon)
    z, a, v = drawn(table, 11), table.base / 2**64, float(table.variance)
    assert abs(z.mean()) < APART * math.sqrt(v / SAMPLES)
    fourth = 2 * a * (1 + 10 * a + a * a) / (1 - a) ** 4  # the fourth moment
    assert abs(z.var() / v - 1) < APART * math.sqrt((fourth / v**2 - 1) / SAMPLES)
    for k in (1, table.within() + 1, 2 * table.within() + 1):
        p = 2 * a**k / (1 + a)
        assert abs(int((abs(z) >= k).sum()) - SAMPLES * p) < APART * math.sqrt(SAMPLES * p * (1 - p)) + 1


@pytest.mark.parametrize("epsilon", ["0.1", "0.5", "1", "4"])
def test_samples_of_opendp_are_of_the_same_distribution(epsilon: str) -> None:
    """Chi-squared on two samples over the values that come up often, and the two variances within four percent."""
    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l1_distance(T="i64")
    sampler = dp.m.make_geometric(*space, scale=SENSITIVITY / float(epsilon))
    n = SAMPLES // 4
    ours, theirs = drawn(noise.of(epsilon), 5, n), np.array(sampler([0] * n))
    edges = np.unique(np.quantile(ours, np.linspace(0.01, 0.99, 25)).astype(int))
    one, other = (np.bincount(np.searchsorted(edges, sample), minlength=len(edges) + 1) for sample in (ours, theirs))
    often = one + other > 20
    chi = float((((one - other) ** 2)[often] / (one + other)[often]).sum())
    freedom = int(often.sum())
    # Wilson and Hilferty 1931: the cube root of chi-squared is nearly normal; once in 10^9 by chance.
    assert ((chi / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / math.sqrt(2 / (9 * freedom)) < APART
    assert abs(ours.var() / theirs.var() - 1) < 0.12


@given(st.integers(0, 10**8))
def test_an_amount_is_written_in_one_way_and_read_back(amount: int) -> None:
    assert noise.units(noise.text(amount)) == amount


def test_amounts_are_decimals_of_four_places_within_their_range() -> None:
    assert noise.epsilon("0.5") == noise.epsilon("0.50") == 5_000
    assert (noise.epsilon("0.01"), noise.epsilon("10"), noise.budget("10000")) == (LEAST, MOST, noise.MOST_BUDGET)
    assert noise.is_epsilon(None) and noise.is_epsilon("0.5") and not noise.is_epsilon("0.50")
    for wrong in ("", "0", "0.0099", "10.0001", "11", ".5", "5.", "1e0", "-1", "+1", "01", "0.00001", "½", "１", "1\n"):
        assert not noise.is_epsilon(wrong)
        with pytest.raises(ValueError):
            noise.epsilon(wrong)


def test_more_noise_for_less_epsilon() -> None:
    amounts = random.Random(1).sample(range(LEAST, MOST), 40)
    tables = [noise.noise(amount) for amount in sorted(amounts)[5:]]
    assert all(x.base >= y.base and x.within() >= y.within() for x, y in pairwise(tables))
