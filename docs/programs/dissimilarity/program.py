"""The index of dissimilarity of two groups over the codes of a column: D = 1/2 sum |a_i / A - b_i / B|, with a_i and
b_i people of each group with code i, of A and B in all (Duncan, Duncan, "A methodological analysis of segregation
indexes", American Sociological Review 20, 1955). Output: D in steps of 1 / steps, halves up, then whether it is told.

Route: people by both columns, and whether all totals meet the limits (two_columns.py). Then, on the 2 by k counts alone
and on shares: N = sum |a_i B - b_i A| and M = 2 A B, so that D = N / M without a division; both are 0 where nothing is
told. D in steps is how many j from 1 to steps have 2 steps N >= (2 j - 1) M: one comparison for each, of numbers below
steps 2^43, and all at once. Nothing is opened but what linking opens.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.compare import negative, negative_cost
from connectors.engine.convert import to_field, to_field_cost
from connectors.engine.cost import Cost, Shape
from connectors.engine.field import Array, mul, sub, total
from connectors.engine.programs import packaged
from connectors.engine.programs.two_columns import (
    TwoColumns,
    compared,
    crossed,
    crossed_clear,
    crossed_cost,
    encoded,
    told_clear,
)
from connectors.engine.rows import InputRows, Parameters, TokenBytes, Words, words_per_row
from connectors.engine.sharing import reshare, reshare_cost

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

NAME = "dissimilarity"


def _read(parameters: Parameters) -> tuple[TwoColumns, int]:
    """The two columns, and into how many steps the index is rounded. Raises InputRejected."""
    asked = packaged.read(parameters, NAME)
    return compared(asked.columns, asked.limits), asked.settings["steps"]


def words(parameters: Parameters) -> int:
    query, _ = _read(parameters)
    return words_per_row(query.shared.bits)


def encode(parameters: Parameters, rows: InputRows, bound: int, token_bytes: TokenBytes) -> Words:
    query, _ = _read(parameters)
    return encoded(query, rows, bound, token_bytes)


async def run(rt: "Engine", parameters: Parameters, inputs: Sequence[Array], uniform: Sequence[Array] = ()) -> Array:
    query, steps = _read(parameters)
    people = await crossed(rt, query, inputs, uniform, "dissimilarity")
    one, other = people.cells
    apart = sub(mul(one, people.rows[1]), mul(other, people.rows[0]))
    both = mul(people.rows[:1], people.rows[1:])
    numbers = await reshare(rt, np.concatenate([apart, both]), "dissimilarity: products")
    # Of what is not told only zeros are left.
    numbers = await reshare(rt, mul(numbers, people.told), "dissimilarity: unless told")
    apart, both = numbers[:-1], numbers[-1:]
    width = _width([shares.shape[-1] for shares in inputs])
    below = await to_field(
        rt, await negative(rt, apart, width, "dissimilarity: signs"), len(apart), "dissimilarity: signs"
    )
    magnitude = await reshare(rt, sub(apart, mul(mul(apart, below), 2)), "dissimilarity: magnitudes")
    halves = np.arange(1, 2 * steps, 2, dtype=np.uint64)
    short = sub(mul(total(magnitude)[None], 2 * steps), mul(mul(both, 2), halves))
    missed = await negative(rt, short, _compared(width, steps), "dissimilarity: steps")
    reached = sub(
        np.full(1, steps, dtype=np.uint64), total(await to_field(rt, missed, steps, "dissimilarity: steps"))[None]
    )
    value = await reshare(rt, mul(reached, people.told), "limits: suppress")
    return await reshare(rt, np.concatenate([value, people.told]), "limits: fresh shares")


def clear(parameters: Parameters, providers: Sequence[InputRows], uniform: Sequence[Words] = ()) -> list[int]:
    query, steps = _read(parameters)
    counts = crossed_clear(query, providers)
    if not told_clear(counts, query.limits):
        return [0, 0]
    (one, other), (of_one, of_other) = counts[0], counts[0].sum(axis=1)
    apart, both = int(abs(one * of_other - other * of_one).sum()), int(2 * of_one * of_other)
    return [(2 * steps * apart + both) // (2 * both), 1]


def cost(parameters: Parameters, bounds: Sequence[int], shape: Shape) -> Cost:
    query, steps = _read(parameters)
    codes, width = query.shape[1], _width(bounds)
    out = crossed_cost(query, bounds, shape) + reshare_cost(shape, codes + 1).times(2)
    out += negative_cost(shape, width, codes) + to_field_cost(shape, 1, codes) + reshare_cost(shape, codes)
    out += negative_cost(shape, _compared(width, steps), steps) + to_field_cost(shape, 1, steps)
    return out + reshare_cost(shape, 1) + reshare_cost(shape, 2)


def _width(bounds: Sequence[int]) -> int:
    """Bits of a product of the counts of two groups without anybody in common: at most a quarter of all people
    squared."""
    return (sum(bounds) ** 2 // 4).bit_length()


def _compared(width: int, steps: int) -> int:
    """Bits of what tells a step: at most 4 steps A B, on both sides of zero."""
    return width + (4 * steps).bit_length()
