"""Whether one person of the asker's own list is on other providers' lists: a result about one person.

List 0 is the asker's, of which it shares the one row that its case names, among rows of padding. Output: a value, or
with `each` one for each further list, 1 for a hit; then a flag, whether it is told.

No minimum cell and no provider subtraction hold here, and neither could: the answer is about one person, whom its
recipient knows. In their place stand, under MPC and before anything is put out, that the asker shared exactly one
person (so that no list is searched with another list at once), and that each further list has at least `least_list`
people. What else holds (policy, stewards, quota) is decided before a session begins.

Route: check what providers shared (wellformed.py); the asker's key is the XOR of all its keys that are real; it is
compared with each row of the others, and since a provider has a key once, at most one row of a list is equal: the XOR
over the rows says whether one is. A provider's bits of lists that are not its own are cut off. No row is sorted or
shuffled, and nothing is opened but how many rows of each provider are out of order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.bits import ROWS, and_, and_cost, invert, planes
from connectors.engine.compare import all_of, all_of_cost, negative, negative_cost
from connectors.engine.convert import count, count_cost, to_field, to_field_cost
from connectors.engine.cost import Cost, Shape
from connectors.engine.errors import InputRejected
from connectors.engine.field import Array, sub
from connectors.engine.linking import OPENS as LINKING_OPENS
from connectors.engine.linking import both, both_cost, every, every_cost
from connectors.engine.programs.about import About
from connectors.engine.programs.noiseless import noise_words as noise_words
from connectors.engine.programs.noiseless import own_noise as own_noise
from connectors.engine.programs.parameters import known, strings
from connectors.engine.rows import (
    HEAD_BITS,
    KEY_BITS,
    MAX_ROWS,
    WORD_BITS,
    InputRows,
    Parameters,
    TokenBytes,
    Words,
    check_rows,
    pack,
    words_per_row,
)
from connectors.engine.sharing import reshare, reshare_cost
from connectors.engine.wellformed import ORDER, check_well_formed, well_formed_cost

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

NAME = "hit"
VERSION = 1
# The step in which values are opened, and why they may be.
OPENS = {ORDER: LINKING_OPENS[ORDER]}
LEAKAGE = (
    "Parties learn the row bounds of the providers and the parameters, nothing of the rows, nor whether it is a hit. "
    "Recipients learn of one person of the asker's list whether it is on any of the other lists, or on each of them "
    "where the parameters say so; or that this is not told, since the asker shared no or several people, or a list has "
    "fewer people than the parameters say. No minimum cell and no subtraction guard holds: the answer is about one "
    "person whom its recipient knows."
)
ABOUT = About(
    title="Whether one person is on other lists",
    inputs="Of the asker a row for the one person, of the others a row for each person of their lists: a linkage key "
    "of 60 bits and a bit for each list; padded to a public bound.",
    outputs="Whether the person is on one of the other lists, or that for each of them; then whether it is told.",
    takes="the asker's list and one to seven others",
    formula="For n rows, of which the asker's bound is a: a check of order; 60 a ANDs to choose the asker's key, "
    "59 (n - a) to compare it, 2 L (n - a) for L further lists; a count of a + L (n - a) bits; 2 + L comparisons.",
    sampled="two further lists, each at least 100 people",
    sample={"lists": ["a", "b", "c"], "owners": [0, 1, 2], "least_list": 100, "minimum_cell": 0},
)
MAX_LISTS = 8
ONES = np.uint64(2**64 - 1)


@dataclass(frozen=True, slots=True)
class _Query:
    """`owners` are the providers of the lists, by their place in the contract; `least` is for lists but the asker's."""

    lists: tuple[str, ...]
    owners: tuple[int, ...]
    least: int
    each: bool

    @property
    def k(self) -> int:
        return len(self.lists)

    @property
    def asker(self) -> int:
        return self.owners[0]

    def own(self, provider: int) -> int:
        """The lists of a provider, as a mask."""
        return sum(1 << place for place, owner in enumerate(self.owners) if owner == provider)


def _read(parameters: Parameters) -> _Query:
    known(parameters, ("lists", "owners", "least_list", "each", "minimum_cell", "zero_is_small"))
    lists = strings(parameters.get("lists"), "lists", MAX_LISTS)
    if len(lists) < 2:
        raise InputRejected("lists", "names no other list than the asker's")
    owners = parameters.get("owners")
    if not isinstance(owners, list | tuple) or len(owners) != len(lists):
        raise InputRejected("owners", "does not have one provider for each list")
    if not all(type(owner) is int and 0 <= owner < MAX_LISTS for owner in owners):
        raise InputRejected("owners", "names a provider that is no place in the contract")
    if owners[0] in owners[1:]:
        raise InputRejected("owners", "the asker's provider has another list too")
    least = parameters.get("least_list")
    if type(least) is not int or not 1 <= least <= MAX_ROWS:
        raise InputRejected("least_list", f"is not a whole number from 1 to {MAX_ROWS}")
    each = parameters.get("each", False)
    if not isinstance(each, bool):
        raise InputRejected("each", "is neither true nor false")
    for name, none in (("minimum_cell", 0), ("zero_is_small", False)):
        if parameters.get(name, none) != none:
            raise InputRejected(name, "limits cells, and a result about one person has none")
    return _Query(lists, tuple(owners), least, each)


def words(parameters: Parameters) -> int:
    """Words of bits per input row."""
    return words_per_row(_read(parameters).k)


def outputs(parameters: Parameters) -> int:
    query = _read(parameters)
    return query.k if query.each else 2


def encode(parameters: Parameters, rows: InputRows, bound: int, token_bytes: TokenBytes) -> Words:
    """A provider's rows as [C, bound] words of bits. Raises InputRejected, naming the field."""
    query = _read(parameters)
    check_rows(rows, bound)
    if len(rows.lists) != len(rows.keys):
        raise InputRejected("lists", "does not have one entry per row")
    if any(not 0 < mask < 1 << query.k for mask in rows.lists):
        raise InputRejected("lists", f"a row is on none of the {query.k} lists, or on one that the query does not name")
    return pack(rows.keys, np.array(rows.lists, dtype=np.uint64), query.k, bound, token_bytes)


async def run(rt: "Engine", parameters: Parameters, inputs: Sequence[Array], uniform: Sequence[Array] = ()) -> Array:
    """Output shares from the providers' input shares, in the contract's order."""
    query = _read(parameters)
    await check_well_formed(rt, inputs)
    asking = planes(_cut(inputs[query.asker], 1), HEAD_BITS + 1)
    listed_here = await both(rt, asking[:, KEY_BITS:HEAD_BITS], asking[:, HEAD_BITS:], "hit: the asker's rows")
    chosen = await both(rt, asking[:, :KEY_BITS], listed_here, "hit: the asker's key")
    key = _spread(_parity(chosen))
    others = [_cut(rows, query.own(p)) for p, rows in enumerate(inputs) if p != query.asker]
    facing = planes(np.concatenate(others, axis=-1), HEAD_BITS + query.k)
    same = await every(rt, invert(rt, facing[:, :KEY_BITS] ^ key), "hit: compare")
    real = facing[:, KEY_BITS:HEAD_BITS]
    listed = await both(rt, facing[:, HEAD_BITS + 1 :], real, "hit: lists of real rows")
    met = _parity(await both(rt, listed, same, "hit: lists of the person"))
    told = await _told(rt, query, listed_here, listed, [rows.shape[-1] for rows in (inputs[query.asker], *others)])
    if not query.each:
        met = invert(rt, await all_of(rt, invert(rt, met), "hit: any list"))[:, None]
    values = await and_(rt, met, told, "hit: limits")
    bits = await to_field(rt, np.concatenate([values, told], axis=1), 1, "hit: to the field")
    return await reshare(rt, bits[:, 0], "hit: fresh shares")


async def _told(rt: "Engine", query: _Query, asking: Array, listed: Array, bounds: Sequence[int]) -> Array:
    """Whether the asker shared one person, and every further list has enough people: the lowest bit of [S, 1, 1]."""
    mine, n = bounds[0], sum(bounds[1:])
    asked = await count(rt, asking, mine, "hit: count the asker's people")
    people = await count(rt, listed, n, "hit: count the lists")
    # Below zero: none, several, too few.
    amounts = np.concatenate([sub(asked, 1), sub(np.ones_like(asked), asked), sub(people, query.least)])
    failed = await negative(rt, amounts, _bits(query, mine + n), "hit: limits")
    each = np.stack([failed[:, 0] >> np.uint64(place) for place in range(amounts.size)], axis=1)[..., None]
    return (await all_of(rt, invert(rt, each), "hit: limits"))[:, None]


def _cut(shares: Array, lists: int) -> Array:
    """A provider's rows [S, C, n] with no other bits of lists than its own; local."""
    mask = (1 << HEAD_BITS) - 1 | lists << HEAD_BITS
    columns = [mask >> WORD_BITS * column & (1 << WORD_BITS) - 1 for column in range(shares.shape[1])]
    cut: Array = shares & np.array(columns, dtype=np.uint64)[:, None]
    return cut


def _parity(flags: Array) -> Array:
    """The XOR [S, L, 1] over all rows of planes [S, L, W], in the lowest bit; local."""
    word = np.bitwise_xor.reduce(flags, axis=-1, keepdims=True)
    by = ROWS
    while by > 1:
        by //= 2
        word = word ^ word >> np.uint64(by)
    return word & np.uint64(1)


def _spread(bit: Array) -> Array:
    """The lowest bit in all places of its word; local."""
    return bit * ONES


def _bits(query: _Query, n: int) -> int:
    """All that is compared with zero is less than 2^bits away from it."""
    return (max(n, query.least) + 1).bit_length()


def clear(parameters: Parameters, providers: Sequence[InputRows], uniform: Sequence[Words] = ()) -> list[int]:
    """Clear-text twin of `run`."""
    query = _read(parameters)
    on: list[set[int]] = [
        {key for key, mask in zip(providers[owner].keys, providers[owner].lists, strict=True) if mask >> place & 1}
        for place, owner in enumerate(query.owners)
    ]
    told = len(on[0]) == 1 and all(len(people) >= query.least for people in on[1:])
    hits = [bool(told and on[0] & people) for people in on[1:]]
    return [*map(int, hits if query.each else [any(hits)]), int(told)]


def cost(parameters: Parameters, bounds: Sequence[int], shape: Shape) -> Cost:
    """What `run` costs for providers with these row bounds."""
    query, n = _read(parameters), sum(bounds)
    mine, further = bounds[query.asker], query.k - 1
    others, tests = n - mine, query.k + 1
    out = well_formed_cost(shape, n, len(bounds))
    out += both_cost(shape, 1, mine) + both_cost(shape, KEY_BITS, mine)
    out += every_cost(shape, KEY_BITS, others) + both_cost(shape, further, others).times(2)
    out += count_cost(shape, 1, mine) + count_cost(shape, further, others)
    out += negative_cost(shape, _bits(query, n), tests) + all_of_cost(shape, tests, 1)
    if not query.each:
        out += all_of_cost(shape, further, 1)
    shown = further if query.each else 1
    return out + and_cost(shape, shown) + to_field_cost(shape, shown + 1, 1) + reshare_cost(shape, shown + 1)
