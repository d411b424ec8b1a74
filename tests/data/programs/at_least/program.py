"""People by the codes of a column whose number is at least a threshold, decided at the owner; limits as for counts."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.cost import Cost, Shape
from connectors.engine.counting import count_first_rows, count_first_rows_cost, parts_of, parts_with
from connectors.engine.field import Array
from connectors.engine.limits import limited, limited_clear, limited_cost
from connectors.engine.linking import link, link_clear, link_cost
from connectors.engine.programs import packaged
from connectors.engine.programs.cells import Columns
from connectors.engine.rows import InputRows, Parameters, TokenBytes, Words, check_rows, pack, words_per_row

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine


def _read(parameters: Parameters) -> tuple[packaged.Asked, Columns, list[int]]:
    """What was asked; the column with one code more, for whoever is not counted; and the places that are."""
    asked = packaged.read(parameters, "at_least")
    shared = replace(asked.columns, codes=((*asked.columns.codes[0], ""),))
    return asked, shared, [shared.place([code]) for code in range(asked.columns.cells)]


def _code(asked: packaged.Asked, rows: InputRows, row: int) -> int:
    value = rows.values[row][0]
    (code,), reached = rows.codes[row], value is not None and value >= asked.settings["threshold"]
    return code if reached else asked.columns.cells


def words(parameters: Parameters) -> int:
    _, shared, _ = _read(parameters)
    return words_per_row(shared.bits)


def encode(parameters: Parameters, rows: InputRows, bound: int, token_bytes: TokenBytes) -> Words:
    asked, shared, _ = _read(parameters)
    check_rows(rows, bound)
    places = [shared.place([_code(asked, rows, row)]) for row in range(len(rows.keys))]
    return pack(rows.keys, np.array(places, dtype=np.uint64), shared.bits, bound, token_bytes)


async def run(rt: "Engine", parameters: Parameters, inputs: Sequence[Array], uniform: Sequence[Array] = ()) -> Array:
    asked, shared, places = _read(parameters)
    people = await link(rt, inputs, shared.bits, asked.limits, uniform)
    counts = await count_first_rows(rt, people, places, asked.limits, len(inputs), "at least")
    return await limited(rt, counts, sum(shares.shape[-1] for shares in inputs), asked.limits)


def clear(parameters: Parameters, providers: Sequence[InputRows], uniform: Sequence[Words] = ()) -> list[int]:
    asked, _, _ = _read(parameters)
    counts = [[0] * (asked.columns.cells + 1) for _ in range(2 * len(providers))]
    for person in link_clear(providers):
        first, row = next(iter(person.items()))
        for part in (0, *(1 + own for own in parts_with(person, len(providers)))):
            counts[part][_code(asked, providers[first], row)] += 1
    told, *parts = (own[:-1] for own in counts)
    return limited_clear(told, parts, asked.limits)


def cost(parameters: Parameters, bounds: Sequence[int], shape: Shape) -> Cost:
    asked, shared, places = _read(parameters)
    n, owners = sum(bounds), parts_of(len(bounds), asked.limits)
    out = link_cost(shape, n, shared.bits, len(bounds), asked.limits)
    out += count_first_rows_cost(shape, n, shared.bits, places, asked.limits, len(bounds))
    return out + limited_cost(shape, n, asked.columns.cells, owners, asked.limits)
