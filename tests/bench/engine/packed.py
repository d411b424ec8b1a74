"""Measured on packed bits: comparisons of shared numbers, sorting, counting, and the overlap table."""

from __future__ import annotations

import numpy as np

from connectors.engine.compare import less_field, zero_field
from connectors.engine.convert import count, demux
from connectors.engine.cost import levels
from connectors.engine.field import Array, sub
from connectors.engine.limits import Limits, limited_clear
from connectors.engine.programs import overlap
from connectors.engine.rows import pack
from connectors.engine.runtime import Engine
from connectors.engine.sort import sort
from tests.bench.engine.given import Made, bits_open_to, elements, opens_to, packed, shares, words_open_to

BITS = 32
CATEGORIES = 16
LISTS = 3
LIMITS = {"minimum_cell": 11, "zero_is_small": False}


def less(rt: Engine, n: int) -> Made:
    """Of numbers that are shared in the field, as those of the other engines are."""
    x, y = elements(1, n, 1 << BITS), elements(2, n, 1 << BITS)
    mine = shares(rt, x, 3), shares(rt, y, 4)
    return (
        lambda: less_field(rt, *mine, BITS, "bench: less"),
        lambda plane: bits_open_to(rt, plane, (x < y).astype(np.uint8)),
    )


def equal(rt: Engine, n: int) -> Made:
    x, y = elements(1, n, 1 << BITS), elements(2, n, 1 << BITS)
    y[::2] = x[::2]
    mine = shares(rt, x, 3), shares(rt, y, 4)
    return (
        lambda: zero_field(rt, sub(*mine), BITS, "bench: equal"),
        lambda plane: bits_open_to(rt, plane, (x == y).astype(np.uint8)),
    )


def ordered(rt: Engine, n: int) -> Made:
    """Keys of 32 bits with the row's number below them: equal keys must not show."""
    keys = elements(1, n, 1 << BITS) << np.uint64(levels(n)) | np.arange(n, dtype=np.uint64)
    mine = packed(rt, keys[None], 3)
    return (
        lambda: sort(rt, mine, BITS + levels(n), "bench: sort"),
        lambda rows: words_open_to(rt, rows[:, 0], np.sort(keys)),
    )


def histogram(rt: Engine, n: int) -> Made:
    """Of codes that their owners shared as bits."""
    codes = elements(1, n, CATEGORIES)
    bits = (codes >> np.arange(levels(CATEGORIES), dtype=np.uint64)[:, None] & np.uint64(1)).astype(np.uint8)
    padded = np.pad(bits, ((0, 0), (0, -n % 64)))
    planes = np.packbits(padded, axis=1, bitorder="little").view("<u8").astype(np.uint64)
    mine = packed(rt, planes, 3)

    async def run() -> Array:
        return await count(rt, await demux(rt, mine, CATEGORIES, "bench: one-hot"), n, "bench: histogram")

    expected = np.bincount(codes.astype(np.int64), minlength=CATEGORIES).astype(np.uint64)
    # Rows beyond the last mean nothing: `count` leaves them out.
    return run, lambda counts: opens_to(rt, counts, expected)


def overlap_table(rt: Engine, n: int) -> Made:
    """Three providers with a list of n people each, of whom many are on several."""
    begins = [0, n // 2, 3 * n // 4]
    people = np.arange(max(begins) + n, dtype=np.uint64)
    keys = (people * np.uint64(0x9E3779B97F4A7C15 | 1) & np.uint64((1 << 60) - 1)).tolist()
    inputs = []
    pattern = np.zeros(people.size, dtype=np.int64)
    for number, begin in enumerate(begins):
        payload = np.full(n, 1 << number, dtype=np.uint64)
        rows = pack(keys[begin : begin + n], payload, LISTS, n, bytes)
        inputs.append(packed(rt, rows, 3 + number))
        pattern[begin : begin + n] |= 1 << number
    counts = np.bincount(pattern, minlength=1 << LISTS)[1:].tolist()
    parts = [[c if cell >> p & 1 else 0 for cell, c in enumerate(counts, 1)] for p in range(LISTS)]
    expected = limited_clear(counts, parts, Limits(11, False, frozenset()))
    parameters = {"lists": [f"list {number}" for number in range(LISTS)], **LIMITS}
    return (
        lambda: overlap.run(rt, parameters, inputs),
        lambda result: opens_to(rt, result, np.array(expected, dtype=np.uint64)),
    )
