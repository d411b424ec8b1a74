"""Tails of distributions, against SciPy."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, t

from gateway.rules.distributions import chi_square_tail, t_tails


@settings(max_examples=500)
@given(degrees=st.integers(1, 64), value=st.floats(0, 200) | st.floats(0, 1e4) | st.floats(0, 1e-3))
def test_the_tail_of_chi_square_is_that_of_scipy(degrees: int, value: float) -> None:
    expected = chi2.sf(value, degrees)
    assert chi_square_tail(value, degrees) == pytest.approx(expected, rel=1e-11, abs=1e-300)


@pytest.mark.parametrize("degrees", [1, 2, 49])
def test_its_ends(degrees: int) -> None:
    assert chi_square_tail(0, degrees) == 1
    assert chi_square_tail(2.0**25, degrees) == 0
    with pytest.raises(ValueError, match="degrees of freedom"):
        chi_square_tail(1, 0)


@settings(max_examples=300)
@given(
    value=st.floats(-60, 60).filter(lambda value: value == 0 or abs(value) > 1e-6),
    degrees=st.floats(1, 200) | st.sampled_from([1.0, 2.0, 1000.0, 8192.0, 1e6]),
)
def test_the_tails_of_t_are_scipys(value: float, degrees: float) -> None:
    expected = 2 * t.sf(abs(value), degrees)
    assert t_tails(value, degrees) == pytest.approx(expected, rel=1e-8, abs=1e-300)


def test_t_needs_degrees_of_freedom_and_has_fallen_to_nothing_far_out() -> None:
    assert t_tails(0, 5) == 1 and t_tails(1e6, 8192) == 0
    with pytest.raises(ValueError, match="degrees of freedom"):
        t_tails(1, 0)


@settings(max_examples=500)
@given(
    degrees=st.integers(1, 50) | st.integers(1, 1 << 22),
    value=st.floats(-9, 9) | st.floats(-200, 200) | st.floats(-1e-4, 1e-4),
)
def test_they_are_of_many_degrees_too(degrees: int, value: float) -> None:
    expected = 2 * t.sf(abs(value), degrees)
    assert t_tails(value, degrees) == pytest.approx(expected, rel=1e-8, abs=1e-300)


def test_their_ends() -> None:
    assert t_tails(0, 5) == 1
    assert t_tails(1e6, 1 << 20) == 0
    with pytest.raises(ValueError, match="degrees of freedom"):
        t_tails(1, 0)
