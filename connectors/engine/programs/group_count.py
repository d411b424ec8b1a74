"""How many people there are in each cell of one or more group columns, each person once across all providers.

Cells are row-major over the columns' codes. Output: a value per cell, then a flag per cell. Owners share
one-hot columns per code.

Route: link rows by key (tables.py); a person is counted at its first row, with that row's codes; which
providers have the person is the OR over its rows; the product of first-row flag and one-hot columns, all but
the last column's, which enters by an inner product (only the sums are re-shared); limits. Nothing is opened
but masked and shuffled values inside linking and limits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.arithmetic import multiply
from connectors.engine.cost import Cost, Shape
from connectors.engine.errors import InputRejected
from connectors.engine.field import Array, mul, total
from connectors.engine.programs.parameters import MAX_CELLS, known, strings
from connectors.engine.programs.parameters import limits as read_limits
from connectors.engine.rows import (
    KEY_COLUMNS,
    InputRows,
    Parameters,
    TokenBytes,
    check_rows,
    key_columns,
    padded,
)
from connectors.engine.sharing import reshare, reshare_cost
from connectors.engine.tables import (
    Limits,
    limited,
    limited_clear,
    limited_cost,
    link,
    link_clear,
    link_cost,
    spread,
    spread_cost,
)

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

NAME = "group_count"
VERSION = 1
LEAKAGE = (
    "Parties learn the row bounds of the providers and the parameters, nothing of the rows. "
    "Recipients learn, for each combination of codes, the number of people with it, each once, "
    "or that the number is suppressed, which says that it is small, or that what is left of it without one "
    "provider's own people is."
)
MAX_COLUMNS = 6


@dataclass(frozen=True, slots=True)
class _Query:
    names: tuple[str, ...]
    sizes: tuple[int, ...]
    limits: Limits

    @property
    def cells(self) -> int:
        return prod(self.sizes)


def _read(parameters: Parameters) -> _Query:
    known(parameters, ("columns", "minimum_cell", "zero_is_small", "structural_zeros"))
    described = parameters.get("columns")
    if not isinstance(described, list | tuple) or not all(isinstance(column, dict) for column in described):
        raise InputRejected("columns", "is not a list of columns, each with a name and its codes")
    names = strings([column.get("name") for column in described], "columns", MAX_COLUMNS)
    for name, column in zip(names, described, strict=True):
        known(column, ("name", "codes"))
        strings(column.get("codes"), f"columns.{name}.codes", MAX_CELLS)
    sizes = tuple(len(column["codes"]) for column in described)
    if prod(sizes) > MAX_CELLS:
        raise InputRejected("columns", f"make {prod(sizes)} cells; at most {MAX_CELLS} are possible")
    return _Query(names, sizes, read_limits(parameters, prod(sizes)))


def columns(parameters: Parameters) -> int:
    """Input columns per row."""
    return KEY_COLUMNS + sum(_read(parameters).sizes) + 1


def outputs(parameters: Parameters) -> int:
    return 2 * _read(parameters).cells


def encode(parameters: Parameters, rows: InputRows, bound: int, token_bytes: TokenBytes) -> Array:
    """A provider's rows as [columns, bound]. Raises InputRejected, naming the field."""
    query = _read(parameters)
    check_rows(rows, bound)
    if len(rows.codes) != len(rows.keys):
        raise InputRejected("codes", "does not have one entry per row")
    if any(len(codes) != len(query.sizes) for codes in rows.codes):
        raise InputRejected("codes", f"a row does not have one code for each of {', '.join(query.names)}")
    one_hot = []
    for c, (name, size) in enumerate(zip(query.names, query.sizes, strict=True)):
        if any(not 0 <= codes[c] < size for codes in rows.codes):
            raise InputRejected(name, f"a row has a code outside the {size} codes of this column")
        one_hot += [padded([int(codes[c] == code) for codes in rows.codes], bound) for code in range(size)]
    real = padded([1] * len(rows.keys), bound)
    return np.concatenate([key_columns(rows.keys, bound, token_bytes), np.stack([*one_hot, real])])


async def run(rt: "Engine", parameters: Parameters, inputs: Sequence[Array]) -> Array:
    """Output shares from the providers' input shares, in the contract's order."""
    query = _read(parameters)
    linked = await link(rt, inputs, query.limits, query.sizes)
    ends = np.cumsum(query.sizes)
    one_hot = np.split(linked.columns, ends[:-1])
    counted = linked.first[None]
    if not query.limits.exact:
        having = await spread(rt, linked.providers, linked.same_next, len(inputs), "group count: providers of a person")
        with_provider = await multiply(rt, having, linked.first, "group count: people of a provider")
        counted = np.concatenate([counted, with_provider])
    for codes in one_hot[:-1]:
        counted = await multiply(rt, counted[:, None], codes[None], "group count: cells")
        counted = counted.reshape(-1, counted.shape[-1])
    sums = np.stack([total(mul(one_hot[-1], cell)) for cell in counted])
    sums = await reshare(rt, sums, "group count: sums")
    counts = sums.reshape(-1, query.cells)
    return await limited(rt, counts[0], counts[1:], query.limits)


def clear(parameters: Parameters, providers: Sequence[InputRows]) -> list[int]:
    """Clear-text twin of `run`."""
    query = _read(parameters)
    counts = [0] * query.cells
    parts = [[0] * query.cells for _ in providers]
    for person in link_clear(providers):
        first, row = next(iter(person.items()))
        cell = 0
        for size, code in zip(query.sizes, providers[first].codes[row], strict=True):
            cell = cell * size + code
        counts[cell] += 1
        for p in person:
            parts[p][cell] += 1
    return limited_clear(counts, parts, query.limits)


def cost(parameters: Parameters, bounds: Sequence[int], shape: Shape) -> Cost:
    """What `run` costs for providers with these row bounds."""
    query, n, providers = _read(parameters), sum(bounds), len(bounds)
    owners = 0 if query.limits.exact else providers
    out = link_cost(shape, n, sum(query.sizes), providers, query.limits) + spread_cost(shape, n, owners, providers)
    if owners:
        out += reshare_cost(shape, owners * n)
    counted = 1 + owners
    for size in query.sizes[:-1]:
        counted *= size
        out += reshare_cost(shape, counted * n)
    sums = reshare_cost(shape, counted * query.sizes[-1])
    return out + sums + limited_cost(shape, query.cells, providers, query.limits)
