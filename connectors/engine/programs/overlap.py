"""How many people are on exactly which lists: the overlap table of up to eight lists of any number of
providers.

Cells are the patterns 1 .. 2^k - 1 (bit i = list i), in that order. Output: a value per cell, then a flag per
cell.

Route: link rows by key (tables.py); a person's lists are the OR over its rows; products of list bits over all
subsets I of the lists, in ceil(log2 k) rounds; S_I = people on all lists of I, as an inner product with the
first-row flags (only the sums are re-shared); exact patterns from the S_I by Möbius inversion, which is
linear; limits. Nothing is opened but masked and shuffled values inside linking and limits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.arithmetic import multiply
from connectors.engine.cost import Cost, Shape, levels
from connectors.engine.errors import InputRejected
from connectors.engine.field import Array, mul, sub, total
from connectors.engine.programs.parameters import known, strings
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

NAME = "overlap"
VERSION = 1
LEAKAGE = (
    "Parties learn the row bounds of the providers and the parameters, nothing of the rows. "
    "Recipients learn, for each pattern of lists, the number of people on exactly those lists, "
    "or that the number is suppressed, which says that it is small, or that what is left of it without one "
    "provider's own people is."
)
MAX_LISTS = 8


@dataclass(frozen=True, slots=True)
class _Query:
    lists: tuple[str, ...]
    limits: Limits

    @property
    def k(self) -> int:
        return len(self.lists)

    @property
    def cells(self) -> int:
        return (1 << self.k) - 1


def _read(parameters: Parameters) -> _Query:
    known(parameters, ("lists", "minimum_cell", "zero_is_small"))
    lists = strings(parameters.get("lists"), "lists", MAX_LISTS)
    return _Query(lists, read_limits(parameters, 2 ** len(lists) - 1))


def columns(parameters: Parameters) -> int:
    """Input columns per row."""
    return KEY_COLUMNS + _read(parameters).k + 1


def outputs(parameters: Parameters) -> int:
    return 2 * _read(parameters).cells


def encode(parameters: Parameters, rows: InputRows, bound: int, token_bytes: TokenBytes) -> Array:
    """A provider's rows as [columns, bound]. Raises InputRejected, naming the field."""
    query = _read(parameters)
    check_rows(rows, bound)
    if len(rows.lists) != len(rows.keys):
        raise InputRejected("lists", "does not have one entry per row")
    if any(not 0 < mask < 1 << query.k for mask in rows.lists):
        raise InputRejected("lists", f"a row is on none of the {query.k} lists, or on one that the query does not name")
    bits = [padded([mask >> i & 1 for mask in rows.lists], bound) for i in range(query.k)]
    real = padded([1] * len(rows.keys), bound)
    return np.concatenate([key_columns(rows.keys, bound, token_bytes), np.stack([*bits, real])])


async def run(rt: "Engine", parameters: Parameters, inputs: Sequence[Array]) -> Array:
    """Output shares from the providers' input shares, in the contract's order."""
    query = _read(parameters)
    linked = await link(rt, inputs, query.limits)
    flags = np.concatenate([linked.columns, linked.providers])
    flags = await spread(rt, flags, linked.same_next, len(inputs), "overlap: lists of a person")
    subsets = await _subset_products(rt, flags[: query.k])
    counted = linked.first[None]
    if not query.limits.exact:
        with_provider = await multiply(rt, flags[query.k :], linked.first, "overlap: people of a provider")
        counted = np.concatenate([counted, with_provider])
    sums = np.stack([total(mul(subsets, weights)) for weights in counted])
    counts = _exactly(await reshare(rt, sums, "overlap: sums"), query.k)
    return await limited(rt, counts[0], counts[1:], query.limits)


async def _subset_products(rt: "Engine", bits: Array) -> Array:
    """[2^k - 1, N]: row I - 1 is the product of the bits in the mask I."""
    k = len(bits)
    products = {1 << i: bits[i] for i in range(k)}
    size = 1
    while size < k:
        masks = _masks(k, size)
        low = {mask: _lowest(mask, size) for mask in masks}
        left = np.stack([products[low[mask]] for mask in masks])
        right = np.stack([products[mask - low[mask]] for mask in masks])
        products.update(zip(masks, await multiply(rt, left, right, "overlap: subsets of lists"), strict=True))
        size *= 2
    return np.stack([products[mask] for mask in range(1, 2**k)])


def _masks(k: int, size: int) -> list[int]:
    return [mask for mask in range(1, 2**k) if size < mask.bit_count() <= 2 * size]


def _lowest(mask: int, n: int) -> int:
    """The n lowest set bits of a mask."""
    rest = mask
    for _ in range(n):
        rest &= rest - 1
    return mask - rest


def _exactly(sums: Array, k: int) -> Array:
    """From "on all lists of I" to "on exactly the lists of I", along the last axis (mask I at I - 1)."""
    counts = sums.copy()
    for i in range(k):
        for mask in range(1, 2**k):
            if not mask >> i & 1:
                counts[..., mask - 1] = sub(counts[..., mask - 1], counts[..., (mask | 1 << i) - 1])
    return counts


def clear(parameters: Parameters, providers: Sequence[InputRows]) -> list[int]:
    """Clear-text twin of `run`."""
    query = _read(parameters)
    counts = [0] * query.cells
    parts = [[0] * query.cells for _ in providers]
    for person in link_clear(providers):
        pattern = 0
        for p, row in person.items():
            pattern |= providers[p].lists[row]
        counts[pattern - 1] += 1
        for p in person:
            parts[p][pattern - 1] += 1
    return limited_clear(counts, parts, query.limits)


def cost(parameters: Parameters, bounds: Sequence[int], shape: Shape) -> Cost:
    """What `run` costs for providers with these row bounds."""
    query, n, providers = _read(parameters), sum(bounds), len(bounds)
    owners = 0 if query.limits.exact else providers
    out = link_cost(shape, n, query.k, providers, query.limits) + spread_cost(shape, n, query.k + owners, providers)
    for level in range(levels(query.k)):
        out += reshare_cost(shape, n * len(_masks(query.k, 2**level)))
    if owners:
        out += reshare_cost(shape, owners * n)
    return (
        out
        + reshare_cost(shape, (1 + owners) * query.cells)
        + limited_cost(shape, query.cells, providers, query.limits)
    )
