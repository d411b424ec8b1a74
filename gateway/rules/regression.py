"""What the regressions' outputs mean: numbers of a fit, from digits and powers of two. Pure.

Invariants: terms are made of the program's parameters alone (connectors/engine/programs/design.py), so that every space
reads the same; whatever numbers no fit comes to is not believed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, log, sqrt
from typing import Any

from gateway.rules import sharing

INTERCEPT = "intercept"
# As the engine has them (connectors/engine/significant.py and programs/least_squares.py).
WINDOW, DIGITS = 57, 16
COEFFICIENT_BITS, INVERSE_BITS, VARIANCE_BITS = 40, 40, 51
DEVIANCE_BITS = 30  # programs/logistic_regression.py
FAR_BITS = 15  # programs/linear_regression.py


@dataclass(frozen=True, slots=True)
class Term:
    """A column, and of its codes the one that the term stands for ("": its value); `range` is how many times `step`
    its values go above `least`."""

    column: str
    code: str
    range: int = 1
    step: int = 1
    least: int = 0

    @property
    def bits(self) -> int:
        return _levels(self.range)


@dataclass(frozen=True, slots=True)
class Coefficient:
    """Its estimate, and the standard error of that."""

    estimate: float
    error: float


@dataclass(frozen=True, slots=True)
class Fitted:
    """A linear fit: its coefficients, the residual standard error, the part of the variance that is explained."""

    coefficients: tuple[Coefficient, ...]
    people: int
    residual: float
    r_squared: float


def terms(parameters: Mapping[str, Any]) -> list[Term]:
    """The intercept's, then those of the columns."""
    out = [Term("", INTERCEPT)]
    for column in parameters["columns"]:
        if "events" in column:  # the outcome's own
            continue
        if "values" not in column:
            out += [Term(column["name"], code) for code in column["codes"][1:]]
            continue
        values = sorted(value for value in column["values"] if value is not None)
        step = gcd(*(value - values[0] for value in values))
        out.append(Term(column["name"], "", (values[-1] - values[0]) // step, step, values[0]))
    return out


def read(parameters: str) -> Mapping[str, Any]:
    """A program's parameters, which every approver has made again."""
    given: Mapping[str, Any] = json.loads(parameters)
    return given


def linear(parameters: str, opened: Sequence[int], most: int) -> Fitted | None:
    """What a linear regression of at most so many people puts out; None: it is not told. Raises
    `sharing.inconsistent` for what it does not put out."""
    given = read(parameters)
    of, (outcome,) = terms(given), given["measures"]
    size, bits = _levels(len(of)), (outcome["most"] - outcome["least"]).bit_length()
    numbers, people = _numbers(opened, len(of), 2 * len(of) + 2, most)
    if people is None:
        return None
    slopes, diagonal, (left, about) = numbers[: len(of)], numbers[len(of) : -2], numbers[-2:]
    if people <= len(of) or min(diagonal) <= 0 or not left > 0 or left > about * (1 + Fraction(4, 1 << DIGITS)):
        raise sharing.inconsistent("the opened values are out of their range")
    scale = Fraction(4**bits, 1 << VARIANCE_BITS + size)
    left, about = left * scale, about * scale
    variance = left * Fraction(people, people - len(of))
    coefficients = []
    for term, slope, own in zip(of, slopes, diagonal, strict=True):
        estimate = slope * Fraction(1 << bits, 1 << COEFFICIENT_BITS + term.bits) / term.step
        error = own * Fraction(1, 1 << INVERSE_BITS + size + 2 * term.bits) * variance / term.step**2
        start = outcome["least"] if not term.column and abs(outcome["least"]) >> bits + FAR_BITS else 0
        coefficients.append(Coefficient(float(estimate + start), sqrt(error)))
    explained = max(0.0, 1 - float(left / about))
    return Fitted(tuple(coefficients), people, sqrt(variance), explained)


@dataclass(frozen=True, slots=True)
class Likely:
    """A logistic fit: its coefficients, log odds, the people, those with the outcome, and the deviance."""

    coefficients: tuple[Coefficient, ...]
    people: int
    events: int
    deviance: float

    @property
    def pseudo_r_squared(self) -> float:
        """McFadden's: which part of the deviance of everybody's having the same odds is gone (McFadden 1974)."""
        parts = (self.events, self.people - self.events)
        return max(0.0, 1 - self.deviance / (-2 * sum(part * log(part / self.people) for part in parts)))


def logistic(parameters: str, opened: Sequence[int], most: int) -> Likely | None:
    """What a logistic regression of at most so many people puts out; None: it is not told. Raises
    `sharing.inconsistent` for what it does not put out."""
    of = terms(read(parameters))
    *first, people, events, told = opened
    numbers, all_ = _numbers([*first, people, told], len(of), 2 * len(of) + 1, most)
    if all_ is None:
        if events:
            raise sharing.inconsistent("the opened values are out of their range")
        return None
    slopes, deviance, diagonal = numbers[: len(of)], numbers[len(of)] / (1 << DEVIANCE_BITS), numbers[len(of) + 1 :]
    if not 0 < events < all_ or min(diagonal) <= 0 or not 0 < deviance < 2 * all_:
        raise sharing.inconsistent("the opened values are out of their range")
    coefficients = []
    for term, slope, own in zip(of, slopes, diagonal, strict=True):
        estimate = slope * Fraction(1, 1 << COEFFICIENT_BITS + term.bits) / term.step
        error = 4 * own * Fraction(1, 1 << INVERSE_BITS + _levels(len(of)) + 2 * term.bits) / term.step**2
        coefficients.append(Coefficient(float(estimate), sqrt(error)))
    return Likely(tuple(coefficients), all_, events, float(deviance))


def _numbers(opened: Sequence[int], signed: int, count: int, most: int) -> tuple[list[Fraction], int | None]:
    """Numbers of digits and powers of two, and how many people there are: None where it is not told."""
    digits, powers, (people, told) = opened[:count], opened[count : 2 * count], opened[2 * count :]
    if told not in (0, 1) or not 0 <= people <= told * most or (not told and any(opened)):
        raise sharing.inconsistent("the opened values are out of their range")
    out = []
    for place, (number, power) in enumerate(zip(digits, powers, strict=True)):
        own = number - sharing.P if place < signed and number > sharing.P // 2 else number
        fits = power.bit_count() == 1 and power < 1 << WINDOW and 1 << DIGITS - 1 <= abs(own) <= 1 << DIGITS
        if not fits and (own or power):
            raise sharing.inconsistent("the opened values are out of their range")
        out.append(Fraction(own << WINDOW - DIGITS, power) if power else Fraction(0))
    return out, people if told else None


def _levels(n: int) -> int:
    return max(n - 1, 0).bit_length()
