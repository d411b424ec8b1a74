"""Kernels of the sort: which rows meet, and where rows go (`connectors.engine.sort`).

Invariants: everything here is public. Rows are named by their places. Groups of rows lie one after another in one
array, each in the order of its places, and `ends` [G + 1] says where they begin and end.

A group of `parts` parts has a splitter after each but the last, and one that is none after that, so that parts and
splitters have the same numbers. Where the rows of a group meet in pairs, the pairs are numbered j (j - 1) / 2 + i for
i < j, and those of the next group go on from there; where a row meets splitters, its numbers are consecutive. What was
opened for comparison c is bit c % 64 of word c // 64: whether the left key is below the right one. The row in the later
place is left, so equal keys are in the order of their places.
"""

from math import sqrt

import numpy as np
from numba import njit, types

_words = types.uint64[::1]
_places = types.int64[::1]
_count = types.int64
_ONE = np.uint64(1)


@njit(inline="always")
def _bit(words, c):
    return words[c >> 6] >> np.uint64(c & 63) & _ONE


@njit(types.void(_places, _places, _count, _places, _places), cache=True, nogil=True)
def pairs(ends, offsets, first, left, right):
    """The pairs from number `first` on, by their numbers in the array of rows. `offsets` [G + 1] has the number of each
    group's first pair. Row 0 meets itself where there are no more pairs.
    """
    groups = ends.size - 1
    group = np.searchsorted(offsets, first, side="right") - 1
    i = j = np.int64(0)
    if group < groups:
        inside = first - offsets[group]
        j = np.int64((1.0 + sqrt(1.0 + 8.0 * inside)) / 2.0)
        while j * (j - 1) // 2 > inside:
            j -= 1
        while j * (j + 1) // 2 <= inside:
            j += 1
        i = inside - j * (j - 1) // 2
    for c in range(left.size):
        while group < groups and first + c >= offsets[group + 1]:
            group += 1
            i, j = np.int64(0), np.int64(1)
        if group >= groups:
            left[c] = right[c] = 0
            continue
        left[c], right[c] = ends[group] + j, ends[group] + i
        i += 1
        if i == j:
            i, j = np.int64(0), j + 1


@njit(types.boolean(_places, _places, _places, _words, _places), cache=True, nogil=True)
def rank(rows, ends, offsets, less, ordered):
    """From the outcomes of all pairs: `ordered` has the rows of each group in the order of their keys; whether every
    group has one. A tournament is an order exactly if its scores are 0, 1, ..., size - 1.
    """
    score = np.empty(rows.size, dtype=np.int64)
    for g in range(ends.size - 1):
        start, size, c = ends[g], ends[g + 1] - ends[g], offsets[g]
        score[:size] = 0
        for j in range(1, size):
            for i in range(j):
                bit = np.int64(_bit(less, c))
                score[i] += bit
                score[j] += 1 - bit
                c += 1
        ordered[start : start + size] = -1
        for i in range(size):
            if ordered[start + score[i]] != -1:
                return False
            ordered[start + score[i]] = rows[start + i]
    return True


@njit(types.void(_places, _places, _places, _count, _count, _count, _places, _places), cache=True, nogil=True)
def descents(rows, at, splitters, arity, width, first, left, right):
    """Each row meets the arity - 1 splitters that cut what is left of its group's (from `at` on) into parts of `width`,
    one more counted at the end; by their numbers in the arrays of rows and splitters, one after the other. Row 0 meets
    itself where there are no more rows.
    """
    meets = arity - 1
    a, d = first // meets, first % meets
    for c in range(left.size):
        if a >= rows.size:
            left[c] = right[c] = 0
            continue
        part = at[a] + (d + 1) * width - 1
        left[c], right[c] = a, rows.size + part
        if rows[a] < splitters[part]:
            left[c], right[c] = right[c], left[c]
        d += 1
        if d == meets:
            a, d = a + 1, np.int64(0)


@njit(types.boolean(_places, _places, _places, _count, _count, _words), cache=True, nogil=True)
def descend(rows, at, splitters, arity, width, less):
    """Moves `at` on to the part that each row belongs to; whether all outcomes fit the order of the splitters."""
    c = 0
    for a in range(rows.size):
        before, begin = np.uint64(0), at[a]
        for d in range(1, arity):
            outcome = _bit(less, c)
            if rows[a] < splitters[begin + d * width - 1]:  # the splitter was left
                outcome ^= _ONE
            if outcome < before:
                return False
            before = outcome
            at[a] += width * np.int64(_ONE - outcome)
            c += 1
    return True


@njit(types.void(_places, _places, _places, _places, _count, _places, _places), cache=True, nogil=True)
def move(starts, rows, at, splitters, parts, source, sizes):
    """Puts rows between the splitters of their group: source[place] = the row that goes there, from the group's start
    on; and the sizes of its parts. Rows keep their order within a part.
    """
    place = np.empty(sizes.size, dtype=np.int64)
    sizes[:] = 0
    for a in range(rows.size):
        sizes[at[a]] += 1
    for g in range(starts.size):
        here = starts[g]
        for part in range(g * parts, (g + 1) * parts):
            place[part] = here
            here += sizes[part]
            if part + 1 < (g + 1) * parts:
                source[here] = splitters[part]
                here += 1
    for a in range(rows.size):
        source[place[at[a]]] = rows[a]
        place[at[a]] += 1
