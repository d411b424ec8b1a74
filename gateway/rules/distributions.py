"""Distributions of test statistics: how often chance alone comes to as much. Pure; clients lack SciPy."""

from __future__ import annotations

from math import erfc, exp, lgamma, log, sqrt


def chi_square_tail(value: float, degrees: int) -> float:
    """The probability that chi-square with `degrees` >= 1 degrees of freedom is `value` or more: the regularised upper
    incomplete gamma function Q(degrees / 2, value / 2), as a finite sum (Abramowitz and Stegun, "Handbook of
    Mathematical Functions", 1964, 26.4.4 and 26.4.5). To 1e-11 of it up to 64 degrees and a value of 10^4 (tested
    against SciPy); 0 where it is below the least float.

    >>> round(chi_square_tail(3.841459, 1), 6)
    0.05
    """
    if degrees < 1:
        raise ValueError("there is no chi-square without degrees of freedom")
    half, odd = value / 2, degrees % 2
    if half <= 0:
        return 1.0
    terms = (odd / 2 + k for k in range(degrees // 2))
    return (erfc(sqrt(half)) if odd else 0.0) + sum(exp(k * log(half) - half - lgamma(k + 1)) for k in terms)
