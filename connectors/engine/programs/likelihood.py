"""The logistic likelihood of secret totals of a public design, maximised by Newton's method.

For n_c people of cell c, p_c of them with the outcome, eta = X b and t_c = tanh(eta_c / 2), so that the probability is
(1 + t_c) / 2: with v_c = n_c (1 - t_c^2), a step adds 2 (X'VX)^-1 X'(2 p - n - n t) to b, and the covariance of b is
4 (X'VX)^-1 (McCullagh, Nelder, "Generalized Linear Models", 2nd edition, 1989, sections 2.5 and 4.4). From b = 0, in
ITERATIONS steps; the last one says whether it has converged.

Invariants: nothing is opened but products under masks (wide.py); sizes and rounds follow from design and row bounds.
v_c <= n_c, so the inverse of X'NX, which is what is found first, is not above that of X'VX, and inversion.py goes on
from it. If X'NX has too little variation (least_squares.py), the inverse is multiplied by 0, and no b moves. A step
that moves a term by more than FARTHEST, in units of its range, is not made: |eta| <= ITERATIONS FARTHEST (1 + columns).

tanh(a / 2) = (1 - E) / (1 + E) with E = exp(-a), a = |eta|: E is (1 - y + y^2 / 2)^(2^HALVINGS), y = a 2^-HALVINGS, off
by a factor of 1 +- a^3 2^(-2 HALVINGS) / 6 (2^-27 for a = 8), and 1 / (1 + E) comes by Newton's iteration from 2 / 3,
whose error is at most 1 / 3, to its 32nd power. So no number is large, and none is compared but with 0 (its sign).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from connectors.engine.bits import invert
from connectors.engine.compare import all_of, all_of_cost, negative, negative_cost
from connectors.engine.convert import to_field, to_field_cost
from connectors.engine.cost import Cost, Shape
from connectors.engine.field import Array, add, sub
from connectors.engine.inversion import improved, improved_cost, inverse, inverse_cost
from connectors.engine.limits import in_words
from connectors.engine.programs.design import Counts, Design
from connectors.engine.programs.least_squares import Scales, steps_of, variation
from connectors.engine.significant import WINDOW
from connectors.engine.wide import (
    FRACTION,
    Products,
    Q,
    Wide,
    cut_cost,
    deal_masks,
    from_wide,
    from_wide_cost,
    masks_cost,
    to_wide,
    to_wide_cost,
    wide,
)

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

ITERATIONS = 10
FARTHEST = 16
CLOSE_BITS = 17  # the last step moves every term by 2^-17 at most
IMPROVING = 14  # steps of an inverse, for variances down to 2^-8 of the largest
LOST_BITS = 18  # what is missing of the last inverse: 2^-18 of it at most
DIMINISHED = 64  # how many times smaller than of people, the variation of a term may be
HALVINGS = 17
RECIPROCAL_STEPS = 5
SERIES = 11  # terms of the logarithm's series: 2^-35
ETA_BITS = 40
ONE = 1 << FRACTION
_TERM_BITS = 16  # terms are whole numbers of 2^-16 of their range
_EACH = 3 + HALVINGS + 2 * RECIPROCAL_STEPS + 5  # products of a cell in each iteration
_ONCE = 2 + 8 + 2 + SERIES + 1  # and at the end


@dataclass(frozen=True)
class Maximum:
    """Wide shares: coefficients [k], the diagonal of Y [k], 2^-whole of the deviance [1]; and native shares [...] of
    numbers none of which is below zero if it is a maximum indeed."""

    coefficients: Wide
    diagonal: Wide
    deviance: Wide
    margins: Array


@dataclass(frozen=True)
class _Cells:
    """n 2^-whole [C], (2 p - n) 2^-whole [C], fixed; terms [C, k] as whole numbers of 2^-16."""

    people: Wide
    sides: Wide
    terms: npt.NDArray[np.object_]


async def maximised(rt: "Engine", design: Design, at: Scales, minimum: int, people: Array, outcomes: Array) -> Maximum:
    """For shares of people [C] and of those with the outcome [C], both in F_p."""
    cells, terms = design.cells, len(at.terms)
    moved = await to_wide(rt, np.concatenate([people, outcomes]), 1 << WINDOW)
    unit = 1 << FRACTION - at.whole
    x = design.matrix.astype(object) * wide([1 << _TERM_BITS - u for u in at.terms])
    own = _Cells(moved[:cells] * unit % Q, (2 * moved[cells:] - moved[:cells]) * unit % Q, x)
    whole = (x.T * (moved[:cells] << FRACTION - at.whole - 2 * _TERM_BITS)) @ x % Q
    steps = steps_of(design, at, minimum)
    checked, room = min(4, WINDOW - IMPROVING + 3 - steps), WINDOW + 5 - IMPROVING - steps
    first, varied = await _first(rt, design, at, minimum, whole)
    b = wide([0] * terms)
    for _ in range(ITERATIONS):
        products = Products(rt, await deal_masks(rt, _products(design), "likelihood: masks"), "likelihood: step")
        t, z, e = await _tanh(rt, products, own.terms @ b)
        hessian, gradient = await _derivatives(products, own, t)
        y = await improved(rt, hessian, first, IMPROVING, "likelihood: inverse")
        move = 2 * await products(y @ gradient % Q)
        held = await from_wide(rt, await products(move << checked), 1 << WINDOW)
        near = _within(held, FARTHEST << checked)
        good = await _all(rt, near)
        move = await products((await to_wide(rt, good, 2)) * move % Q << FRACTION)
        before, b = b, (b + move) % Q
    products = Products(rt, await deal_masks(rt, _products_once(design), "likelihood: masks"), "likelihood: end")
    deviance = await _deviance(products, own, before, z, e)
    lost = (terms * ONE - await products(np.array([sum((hessian * y).reshape(-1))], dtype=object))) % Q
    bounds = [bound * (1 if j == 0 else DIMINISHED) for j, bound in enumerate(variation(design, minimum))]
    small = [await products(move << 24), await products(lost << 40)]
    held = await from_wide(rt, np.concatenate([*small, await products(y.diagonal() << room)]), 1 << WINDOW)
    margins = [
        near,
        varied,
        _within(held[:terms], 1 << 24 - CLOSE_BITS),
        _within(held[terms : terms + 1], 1 << 40 - LOST_BITS),
    ]
    margins.append(sub(_most(at, bounds, room), held[terms + 1 :]))
    return Maximum(b, y.diagonal(), deviance, np.concatenate(margins))


async def _first(rt: "Engine", design: Design, at: Scales, minimum: int, whole: Wide) -> tuple[Wide, Array]:
    """The inverse of X'NX, or zeros where it has too little variation; and by how much it has enough [k]."""
    steps, terms = steps_of(design, at, minimum), len(at.terms)
    y = await inverse(rt, whole, steps, "likelihood: first inverse")
    count = terms + terms**2
    products = Products(rt, await deal_masks(rt, count, "likelihood: masks"), "likelihood: first inverse")
    room = WINDOW - 1 - steps  # the diagonal is 2^steps at most
    held = await from_wide(rt, await products(y.diagonal() << room), 1 << WINDOW)
    varied = sub(_most(at, variation(design, minimum), room), held)
    fine = await to_wide(rt, await _all(rt, varied), 2)
    return await products(y * fine[0] % Q << FRACTION), varied


def _most(at: Scales, bounds: Sequence[Fraction], room: int) -> Array:
    most = [int(bound * 2 ** (2 * u + at.whole + room)) for bound, u in zip(bounds, at.terms, strict=True)]
    return np.array([min(number, (1 << WINDOW) - 1) for number in most], dtype=np.uint64)


def _within(x: Array, bound: int) -> Array:
    """[2 n]: not below zero, all of them, iff |x| <= bound."""
    return np.concatenate([sub(np.uint64(bound) + np.zeros_like(x), x), add(x, bound)])


async def _all(rt: "Engine", margins: Array) -> Array:
    """Shares [1] of whether none is below zero."""
    return await to_field(
        rt, await all_of(rt, await holding(rt, margins), "likelihood: checks"), 1, "likelihood: checks"
    )


async def holding(rt: "Engine", margins: Array) -> Array:
    """Planes [S, n, 1]: of each, in its first row, whether it is not below zero."""
    below = await negative(rt, in_words(margins[:, None]).reshape(-1), WINDOW, "likelihood: checks")
    return invert(rt, below)[:, :, None]


async def _tanh(rt: "Engine", products: Products, eta: Wide) -> tuple[Wide, Wide, Wide]:
    """t, a 2^-(HALVINGS + 1) and E [C], for eta with _TERM_BITS more fraction bits."""
    native = await from_wide(rt, await products(eta << ETA_BITS - _TERM_BITS), 1 << WINDOW)
    below = await to_field(
        rt, await negative(rt, native, WINDOW - 1, "likelihood: signs"), native.size, "likelihood: signs"
    )
    side = (1 - 2 * await to_wide(rt, below, 2)) % Q
    z = await products(eta * side % Q << FRACTION - _TERM_BITS - HALVINGS - 1)
    e = (ONE - 2 * z + 2 * await products(z * z)) % Q
    for _ in range(HALVINGS):
        e = await products(e * e)
    inverted = await _inverted(products, (ONE + e) % Q, round(Fraction(2, 3) * ONE), RECIPROCAL_STEPS)
    t = await products((ONE - e) * inverted)
    return await products(t * side % Q << FRACTION), z, e


async def _inverted(products: Products, d: Wide, first: int, steps: int) -> Wide:
    """1 / d, by Newton's iteration from a public number."""
    y = wide([first] * d.size)
    for _ in range(steps):
        y = await products(y * (2 * ONE - await products(d * y)) % Q)
    return y


async def _derivatives(products: Products, own: _Cells, t: Wide) -> tuple[Wide, Wide]:
    """X'VX [k, k] and X'(2 p - n - n t) [k]."""
    x = own.terms
    weights = await products((ONE - await products(t * t)) * own.people)
    upper = np.triu_indices(x.shape[1])
    half = await products(((x.T * weights) @ x)[upper] % Q << FRACTION - 2 * _TERM_BITS)
    hessian = np.empty((x.shape[1], x.shape[1]), dtype=object)
    hessian[upper] = hessian.T[upper] = half
    left = (own.sides - await products(t * own.people)) % Q
    return hessian, await products(x.T @ left % Q << FRACTION - _TERM_BITS)


async def _deviance(products: Products, own: _Cells, b: Wide, z: Wide, e: Wide) -> Wide:
    """[1]: -2 log likelihood = sum of n a + 2 n log(1 + E) - (2 p - n) eta, log(1 + E) = 2 artanh(E / (2 + E))."""
    distances = sum(await products(z * own.people)) << HALVINGS + 1
    w = await products(e * await _inverted(products, (2 * ONE + e) % Q, round(Fraction(2, 5) * ONE), 4))
    squared, series = await products(w * w), wide([ONE // (2 * SERIES + 1)] * w.size)
    for place in reversed(range(SERIES)):
        series = (await products(series * squared) + ONE // (2 * place + 1)) % Q
    logarithms = sum(await products(await products(series * w) * own.people))
    sides = await products(own.terms.T @ own.sides % Q << FRACTION - _TERM_BITS)
    aligned = await products(np.array([b @ sides % Q], dtype=object))
    return np.asarray((distances + 4 * logarithms - aligned) % Q)


def _products(design: Design) -> int:
    """In one iteration."""
    terms = len(design.coded)
    return design.cells * _EACH + terms * (terms + 1) // 2 + 4 * terms


def _products_once(design: Design) -> int:
    """At the end."""
    return design.cells * _ONCE + 3 * len(design.coded) + 3


def holding_cost(shape: Shape, n: int) -> Cost:
    return negative_cost(shape, WINDOW, 64 * n)


def margins_of(design: Design) -> int:
    """How many numbers `Maximum.margins` has."""
    return 6 * len(design.coded) + 2


def _all_cost(shape: Shape, n: int) -> Cost:
    return holding_cost(shape, n) + all_of_cost(shape, n, 1) + to_field_cost(shape, 1, 1)


def maximised_cost(shape: Shape, design: Design, at: Scales, minimum: int) -> Cost:
    terms, cells = len(at.terms), design.cells
    checked = cut_cost(shape, terms) + from_wide_cost(shape, terms)
    out = to_wide_cost(shape, 2 * cells) + inverse_cost(shape, terms, steps_of(design, at, minimum))
    out += masks_cost(shape, terms + terms**2) + checked + _all_cost(shape, terms) + to_wide_cost(shape, 1)
    out += cut_cost(shape, terms**2)
    each = masks_cost(shape, _products(design)) + from_wide_cost(shape, cells) + negative_cost(shape, WINDOW - 1, cells)
    each += to_field_cost(shape, 1, cells) + to_wide_cost(shape, cells) + cut_cost(shape, cells).times(_EACH)
    each += cut_cost(shape, terms * (terms + 1) // 2) + cut_cost(shape, terms) + improved_cost(shape, terms, IMPROVING)
    each += cut_cost(shape, terms) + checked + _all_cost(shape, 2 * terms) + to_wide_cost(shape, 1)
    out += (each + cut_cost(shape, terms)).times(ITERATIONS)
    end = masks_cost(shape, _products_once(design)) + cut_cost(shape, cells).times(_ONCE) + cut_cost(shape, 1).times(3)
    return out + end + cut_cost(shape, terms).times(3) + from_wide_cost(shape, 2 * terms + 1)


def maximised_clear(
    design: Design, at: Scales, minimum: int, people: Counts, outcomes: Counts
) -> npt.NDArray[np.float64] | None:
    """Clear-text twin of `maximised`, in floats, in units of the terms' scales: coefficients, deviance, and the
    diagonal; None where a margin is below zero."""
    x = design.matrix / 2.0 ** np.array(at.terms)
    n, p = people.astype(float), outcomes.astype(float)
    bounds = np.array([float(bound * 4**u) for bound, u in zip(variation(design, minimum), at.terms, strict=True)])
    whole = (x.T * n) @ x
    if np.linalg.matrix_rank(whole) < len(bounds) or (np.diag(np.linalg.inv(whole)) > bounds).any():
        return None
    b = np.zeros(len(bounds))
    for _ in range(ITERATIONS):
        eta = x @ b
        t = np.tanh(eta / 2)
        hessian = (x.T * (n * (1 - t**2))) @ x
        if np.linalg.cond(hessian) > 1e15:
            return None
        inverted = np.linalg.inv(hessian)
        move = 2 * inverted @ (x.T @ (2 * p - n - n * t))
        if (abs(move) > FARTHEST).any():
            return None
        before, b = b, b + move
    bounds[1:] *= DIMINISHED
    if (abs(move) > 2.0**-CLOSE_BITS).any() or (np.diag(inverted) > bounds).any():
        return None
    eta = x @ before
    deviance = (n * (abs(eta) + 2 * np.log1p(np.exp(-abs(eta)))) - (2 * p - n) * eta).sum()
    return np.concatenate([b, [deviance], np.diag(inverted)])
