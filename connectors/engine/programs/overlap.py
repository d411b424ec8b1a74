"""How many people are on exactly which lists: the overlap table of up to eight lists of any number of
providers.

Cells are the patterns 1 .. 2^k - 1 (bit i = list i), in that order. Output: a value per cell, then a flag per
cell.

Route: link rows by key (linking.py); a person's lists are the OR over its rows, and so are the providers that have it
on some list (a row on none would count as its provider's part of a cell that other providers' lists make);
at the first row of each person its pattern is counted, for all people and for those of each provider; limits. Nothing
is opened but what linking opens: how many rows of a provider are out of order, and comparisons of shuffled rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine import noise
from connectors.engine.bits import invert
from connectors.engine.cost import Cost, Shape
from connectors.engine.errors import InputRejected
from connectors.engine.field import Array
from connectors.engine.limits import Limits, limited_clear
from connectors.engine.linking import (
    OPENS as LINKING_OPENS,
)
from connectors.engine.linking import (
    both,
    both_cost,
    every,
    every_cost,
    link,
    link_clear,
    link_cost,
    spread,
    spread_cost,
)
from connectors.engine.programs.about import About
from connectors.engine.programs.parameters import LIMITS, known, strings
from connectors.engine.programs.parameters import limits as read_limits
from connectors.engine.rows import InputRows, Parameters, TokenBytes, Words, check_rows, pack, words_per_row
from connectors.engine.tables import count_people, count_people_cost

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

NAME = "overlap"
VERSION = 1
OPENS = LINKING_OPENS
LEAKAGE = (
    "Parties learn the row bounds of the providers and the parameters, nothing of the rows. "
    "Recipients learn, for each pattern of lists, the number of people on exactly those lists, "
    "with noise or rounded where the parameters say so, or that the number is suppressed, which says that it is small, "
    "or that what is left of it without one provider's own people is, or that one provider has more of it than the "
    "parameters allow."
)
ABOUT = About(
    title="People by exactly which lists they are on",
    inputs="A row for each person: a linkage key of 60 bits and a bit for each list; padded to a public bound. With "
    "noise, 64 uniform bits for each coin.",
    outputs="For each pattern of lists, 1 to 2^k - 1, the number of people; then for each whether it is shown.",
    takes="two to eight lists",
    formula="For n rows of P providers and k lists: a check of order, a shuffle and a sort of n rows by 63 bits, a "
    "comparison of neighbours, 1 + ceil(log2 P) rounds to spread k + P bits over the rows of a person; then a "
    "conversion to the field of L + (1 + P) H bits a row, with L H patterns in two halves; then limits, in the number "
    "of patterns alone.",
    sampled="three lists, least cell 11",
    sample={"lists": ["a", "b", "c"], "minimum_cell": 11},
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
    def order(self) -> list[int]:
        """For each cell its place when lists are sorted by their names."""
        rank = {name: place for place, name in enumerate(sorted(self.lists))}
        return [
            sum(1 << rank[name] for bit, name in enumerate(self.lists) if pattern >> bit & 1) - 1
            for pattern in range(1, 1 << self.k)
        ]

    @property
    def cells(self) -> int:
        return (1 << self.k) - 1


def _read(parameters: Parameters) -> _Query:
    known(parameters, ("lists", *LIMITS))
    lists = strings(parameters.get("lists"), "lists", MAX_LISTS)
    return _Query(lists, read_limits(parameters, 2 ** len(lists) - 1))


def words(parameters: Parameters) -> int:
    """Words of bits per input row."""
    return words_per_row(_read(parameters).k)


def outputs(parameters: Parameters) -> int:
    return 2 * _read(parameters).cells


def encode(parameters: Parameters, rows: InputRows, bound: int, token_bytes: TokenBytes) -> Words:
    """A provider's rows as [C, bound] words of bits. Raises InputRejected, naming the field."""
    query = _read(parameters)
    check_rows(rows, bound)
    if len(rows.lists) != len(rows.keys):
        raise InputRejected("lists", "does not have one entry per row")
    if any(not 0 < mask < 1 << query.k for mask in rows.lists):
        raise InputRejected("lists", f"a row is on none of the {query.k} lists, or on one that the query does not name")
    return pack(rows.keys, np.array(rows.lists, dtype=np.uint64), query.k, bound, token_bytes)


def noise_words(parameters: Parameters) -> int:
    """Words of uniform bits that each provider puts in beside its rows."""
    query = _read(parameters)
    return noise.noise_words(query.limits, query.cells)


def own_noise(parameters: Parameters, seed: bytes) -> Words:
    """A provider's uniform bits, from a seed of 32 bytes."""
    query = _read(parameters)
    return noise.own_noise(seed, query.limits, query.order)


async def run(rt: "Engine", parameters: Parameters, inputs: Sequence[Array], uniform: Sequence[Array] = ()) -> Array:
    """Output shares from the providers' input shares, and those of their uniform bits where there is noise, in the
    contract's order."""
    query = _read(parameters)
    people = await link(rt, inputs, query.k, query.limits, uniform)
    claimed, real = people.payload, np.repeat(people.real, query.k, axis=1)
    if query.limits.by_provider:
        listed = await _on_some_list(rt, people.payload)
        claimed = np.concatenate([claimed, people.providers], axis=1)
        real = np.concatenate([real, np.repeat(listed, len(inputs), axis=1)], axis=1)
    flags = await both(rt, claimed, real, "overlap: lists of real rows")
    flags = await spread(rt, flags, people.same_next, len(inputs), "overlap: lists of a person")
    pattern, having = flags[:, : query.k], flags[:, query.k :]
    counted = people.first
    if query.limits.by_provider:
        with_provider = await both(rt, having, people.first, "overlap: people of a provider")
        counted = np.concatenate([counted, with_provider], axis=1)
    counts = await count_people(rt, pattern, range(1, 1 << query.k), counted, "overlap: sums")
    return await noise.settled(rt, counts, sum(shares.shape[-1] for shares in inputs), query.limits, uniform)


async def _on_some_list(rt: "Engine", lists: Array) -> Array:
    """The OR [S, 1, W] of planes [S, k, W]. ceil(log2 k) rounds."""
    return invert(rt, await every(rt, invert(rt, lists), "overlap: rows on some list"))


def clear(parameters: Parameters, providers: Sequence[InputRows], uniform: Sequence[Words] = ()) -> list[int]:
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
    if query.limits.coins:
        return noise.settled_clear(counts, query.limits, noise.noise_clear(uniform, query.limits, query.cells))
    return limited_clear(counts, parts, query.limits)


def cost(parameters: Parameters, bounds: Sequence[int], shape: Shape) -> Cost:
    """What `run` costs for providers with these row bounds."""
    query, n, providers = _read(parameters), sum(bounds), len(bounds)
    owners = providers if query.limits.by_provider else 0
    out = link_cost(shape, n, query.k, providers, query.limits) + both_cost(shape, query.k + owners, n)
    if owners:
        out += every_cost(shape, query.k, n)
    out += spread_cost(shape, n, query.k + owners, providers)
    if owners:
        out += both_cost(shape, owners, n)
    out += count_people_cost(shape, n, query.k, range(1, 1 << query.k), 1 + owners)
    return out + noise.settled_cost(shape, n, query.cells, providers, query.limits)
