"""Tails of distributions, against SciPy."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from gateway.rules.distributions import chi_square_tail


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
