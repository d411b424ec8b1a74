"""What the programs on tables share: linking rows of several providers, and limits on cells before anything
is opened.

Invariants: sizes depend on public bounds only; no key, count or flag is opened, but masked (compare.py) or
shuffled (sort.py).

Linking: check what providers shared (wellformed.py); sort by key; neighbours with equal keys are one person,
on at most as many rows as there are providers. A person is counted at the first of its rows, which is that of
the first provider in the contract's order.

Limits (DESIGN section 7): with c the people of a cell and c_p those of them with provider p, a cell is kept
iff c = 0 (where zero may be shown), or c >= minimum and for every p the rest c - c_p is 0 or >= minimum.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.arithmetic import multiply, product, product_cost
from connectors.engine.compare import zero_and_sign, zero_and_sign_cost
from connectors.engine.cost import Cost, Shape
from connectors.engine.field import Array, add, mul, sub, total
from connectors.engine.rows import DIGIT_BITS, DIGITS, KEY_COLUMNS, ONE_HOT, InputRows, key_weights
from connectors.engine.sharing import reshare, reshare_cost
from connectors.engine.sort import sort, sort_cost
from connectors.engine.wellformed import check_well_formed, well_formed_cost

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine


@dataclass(frozen=True, slots=True)
class Limits:
    """Minimum cell (0 or 1: exact release), whether zero counts as small, and the cells that are zero by
    their codes.
    """

    minimum: int
    zero_is_small: bool = False
    structural: frozenset[int] = frozenset()

    @property
    def exact(self) -> bool:
        return self.minimum <= 1


@dataclass(frozen=True, slots=True)
class Linked:
    """Rows in the order of their keys: `columns` [C, N], `providers` [P, N] (whose row it is, dummies
    nobody's), `same_next` [N - 1].
    """

    columns: Array
    providers: Array
    same_next: Array

    @property
    def first(self) -> Array:
        """1 at the first row of each key."""
        return np.concatenate([np.ones(1, dtype=np.uint64), sub(1, self.same_next)])


async def link(rt: "Engine", inputs: Sequence[Array], limits: Limits, blocks: Sequence[int] = ()) -> Linked:
    """`inputs`: per provider [KEY_COLUMNS + C + 1, bound], the last column 1 for real rows; after the key come one-hot
    columns in blocks of these sizes. Providers only if limits need them.
    """
    await check_well_formed(rt, inputs, blocks)
    rows = np.concatenate(inputs, axis=1)
    digits = rows[:KEY_COLUMNS].reshape(DIGITS, ONE_HOT, -1)
    key = total(mul(rows[:KEY_COLUMNS], key_weights()[:, None]), axis=0)[None]
    owners = np.zeros((0 if limits.exact else len(inputs), rows.shape[1]), dtype=np.uint64)
    ends = np.cumsum([matrix.shape[1] for matrix in inputs])
    for p in range(len(owners)):
        own = slice(ends[p] - inputs[p].shape[1], ends[p])
        owners[p, own] = rows[-1, own]
    payload = await sort(rt, digits, np.concatenate([rows[KEY_COLUMNS:-1], owners, key]), "linking: sort by key")
    split_at = len(rows) - KEY_COLUMNS - 1
    same, _ = await zero_and_sign(
        rt, sub(payload[-1, 1:], payload[-1, :-1]), np.zeros(0, dtype=np.uint64), "linking: equal neighbours"
    )
    return Linked(payload[:split_at], payload[split_at:-1], same)


async def spread(rt: "Engine", flags: Array, same_next: Array, providers: int, step: str) -> Array:
    """The OR of each flag [C, N] over a row and the later rows of its key. `providers` rounds, t C N elements
    each.
    """
    if providers < 2 or flags.shape[1] < 2 or not len(flags):
        return flags
    unless = await multiply(rt, sub(1, flags[:, :-1]), same_next, step)
    spread_to = flags
    for _ in range(providers - 1):
        more = await multiply(rt, unless, spread_to[:, 1:], step)
        spread_to = np.concatenate([add(flags[:, :-1], more), flags[:, -1:]], axis=1)
    return spread_to


async def limited(rt: "Engine", counts: Array, parts: Array, limits: Limits) -> Array:
    """Counts [K] and parts [P, K] -> fresh shares of the K values (0 where suppressed), then of the K flags
    (1 where kept).
    """
    if limits.exact:
        kept = np.ones_like(counts)
        return await reshare(rt, np.concatenate([counts, kept]), "limits: fresh shares")
    n = counts.size
    amounts = np.concatenate([counts[None], sub(counts, parts)])
    flat = amounts.reshape(-1)
    zero, small = await zero_and_sign(
        rt, flat, sub(flat, np.full(1, limits.minimum, dtype=np.uint64)), "limits: compare"
    )
    zero, enough = zero.reshape(amounts.shape), sub(1, small).reshape(amounts.shape)
    rests = add(zero[1:], enough[1:])  # exclusive, as the minimum is at least 2
    met = await product(rt, np.concatenate([enough[:1], rests]), "limits: combine")
    shown = np.array([not limits.zero_is_small or cell in limits.structural for cell in range(n)], dtype=np.uint64)
    kept = add(met, mul(zero[0], shown))
    values = await multiply(rt, counts, kept, "limits: suppress")
    return await reshare(rt, np.concatenate([values, kept]), "limits: fresh shares")


def link_clear(providers: Sequence[InputRows]) -> list[dict[int, int]]:
    """Clear-text twin of `link`: for each person, the row number at each provider that has one, first
    provider first.
    """
    people: dict[int, dict[int, int]] = {}
    for p, rows in enumerate(providers):
        for i, key in enumerate(rows.keys):
            people.setdefault(key, {})[p] = i
    return list(people.values())


def limited_clear(counts: Sequence[int], parts: Sequence[Sequence[int]], limits: Limits) -> list[int]:
    """Clear-text twin of `limited`."""

    def keep(cell: int) -> bool:
        count = counts[cell]
        if limits.exact:
            return True
        if count == 0:
            return not limits.zero_is_small or cell in limits.structural
        rests = [count - part[cell] for part in parts]
        return count >= limits.minimum and all(rest == 0 or rest >= limits.minimum for rest in rests)

    kept = [keep(cell) for cell in range(len(counts))]
    return [count if k else 0 for count, k in zip(counts, kept, strict=True)] + [int(k) for k in kept]


def link_cost(shape: Shape, n: int, columns: int, providers: int, limits: Limits) -> Cost:
    owners = 0 if limits.exact else providers
    sorting = sort_cost(shape, DIGITS, DIGIT_BITS, columns + owners + 1, n)
    return well_formed_cost(shape, providers) + sorting + zero_and_sign_cost(shape, n - 1, 0)


def spread_cost(shape: Shape, n: int, columns: int, providers: int) -> Cost:
    if providers < 2 or n < 2 or not columns:
        return Cost()
    return reshare_cost(shape, columns * (n - 1)).times(providers)


def limited_cost(shape: Shape, cells: int, providers: int, limits: Limits) -> Cost:
    fresh_shares = reshare_cost(shape, 2 * cells)
    if limits.exact:
        return fresh_shares
    amounts = (1 + providers) * cells
    tests = zero_and_sign_cost(shape, amounts, amounts)
    return tests + product_cost(shape, 1 + providers, cells) + reshare_cost(shape, cells) + fresh_shares
