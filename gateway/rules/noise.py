"""Noise for differential privacy: the two-sided geometric distribution as a public table of biased coins.

Invariants: everything is exact arithmetic on whole numbers and fractions; what is rounded is rounded towards more
noise, or its error is counted into `delta`; ε is a decimal text and never a float.

The mechanism (Ghosh, Roughgarden, Sundararajan, STOC 2009): to each count a whole number z is added that has the
probability (1 - a) / (1 + a) * a^|z|, a = exp(-ε / Δ). One person is in one cell at most, whatever lists it is on, so
all records of one person that come, go or change move it between two cells at most: Δ = 2.

The coins. z is the difference of two geometric numbers, P(g) = (1 - a) a^g, and the binary digits of a geometric number
are independent: digit j is 1 with probability a^(2^j) / (1 + a^(2^j)) (Dwork, Kenthapadi, McSherry, Mironov, Naor,
EUROCRYPT 2006, section 4, for parties that draw noise together). So z takes two coins for each of n digits. The table
has the probability of each digit in units of 2^-64; a coin is 1 if 64 uniform bits are a number below it.

What is not ideal, and where it goes:
- a is a fraction of 2^64, rounded up: a little more noise than ε asks for.
- Digits from n on are left out: a geometric number reaches 2^n with probability a^(2^n) <= 2^-64.
- The probability of a digit is rounded to 2^-64: off by 2^-65 at most.
Both errors bound the statistical distance of one geometric number: τ = a^(2^n) + n 2^-65. Noise of other cells than the
two is the same in both worlds, so (ε, δ) holds with δ = (1 + e^ε) * 4 τ, for two cells of two geometric numbers each.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

UNITS = 10_000  # of ε: four decimals
LEAST, MOST = UNITS // 100, 10 * UNITS  # 0.01 and 10
MOST_BUDGET = 10_000 * UNITS
SENSITIVITY = 2
BITS = 64
# What a question may add to δ; `delta` of any ε is less.
DELTA = Fraction(1, 1 << 40)
SURE = Fraction(95, 100)
_ONE = 1 << BITS
_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,4})(?:\.([0-9]{1,4}))?")
_TERMS = 80  # of the series of e^x, x <= 5: what is left out is below 2^-180


def units(text: str) -> int:
    """ε or a budget in units of 1/10000. Raises ValueError unless it is a decimal of at most four places."""
    found = _DECIMAL.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is not a decimal number such as 0.5, with four places at most")
    return int(found[1]) * UNITS + int((found[2] or "").ljust(4, "0"))


def text(amount: int) -> str:
    """The one way to write so many units: no zeros behind."""
    whole, part = divmod(amount, UNITS)
    return f"{whole}.{part:04}".rstrip("0").rstrip(".")


def epsilon(written: str) -> int:
    """ε of one question in units. Raises ValueError for one out of range."""
    if not LEAST <= (amount := units(written)) <= MOST:
        raise ValueError(f"{written} is not between {text(LEAST)} and {text(MOST)}")
    return amount


def budget(written: str) -> int:
    """A budget in units. Raises ValueError for one out of range."""
    if not LEAST <= (amount := units(written)) <= MOST_BUDGET:
        raise ValueError(f"{written} is not between {text(LEAST)} and {text(MOST_BUDGET)}")
    return amount


def is_epsilon(written: str | None) -> bool:
    """Whether it is nothing, or ε of a question in the one way to write it."""
    if written is None:
        return True
    try:
        return text(epsilon(written)) == written
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Noise:
    """`coins[j]` is the probability that digit j of a geometric number is 1, in units of 2^-64; `base` is a, in units
    of 2^-64."""

    base: int
    coins: tuple[int, ...]

    @property
    def largest(self) -> int:
        """No noise is further from zero."""
        return int((1 << len(self.coins)) - 1)

    @property
    def variance(self) -> Fraction:
        """2 a / (1 - a)^2, of the ideal distribution."""
        a = Fraction(self.base, _ONE)
        return 2 * a / (1 - a) ** 2

    def within(self, sure: Fraction = SURE) -> int:
        """The least b such that noise is at most b from zero this surely: P(|z| > b) = 2 a^(b + 1) / (1 + a)."""
        a = Fraction(self.base, _ONE)
        low, high = -1, self.largest
        while high - low > 1:
            middle = (low + high) // 2
            if 2 * a ** (middle + 1) <= (1 + a) * (1 - sure):
                high = middle
            else:
                low = middle
        return high


@lru_cache(256)
def noise(amount: int) -> Noise:
    """The table for ε in units, within its range."""
    base = _base(amount)
    coins: list[int] = []
    while True:
        power = base ** (1 << len(coins))  # of 2^-64, to the same power
        one = 1 << BITS * (1 << len(coins))
        if power << BITS <= one:
            return Noise(base, tuple(coins))
        coins.append((2 * _ONE * power + one + power) // (2 * (one + power)))


def of(written: str) -> Noise:
    """The table for ε as a contract has it. Raises ValueError."""
    return noise(epsilon(written))


def delta(amount: int) -> Fraction:
    """What δ is at most, for one question with this ε in units."""
    table = noise(amount)
    tail = Fraction(table.base, _ONE) ** (1 << len(table.coins))
    apart = tail + Fraction(len(table.coins), 1 << (BITS + 1))
    # e^ε <= 3^ceil(ε).
    return Fraction(1 + int(3 ** -(-amount // UNITS))) * 2 * SENSITIVITY * apart


def table(written: str) -> list[str]:
    """The coins as a program's parameters have them: 16 hexadecimal digits each."""
    return [f"{coin:016x}" for coin in of(written).coins]


def _base(amount: int) -> int:
    """a, rounded up: partial sums of the series of e^x are below it, so their inverse is above e^-x."""
    x, term, total = Fraction(amount, UNITS * SENSITIVITY), Fraction(1), Fraction(0)
    for k in range(1, _TERMS):
        total += term
        term = term * x / k
    return -(-_ONE * total.denominator // total.numerator)
