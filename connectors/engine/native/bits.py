"""Kernels of packed bits: what `connectors.engine.bits` calls.

Invariants: the lowest bit of a word is the first row; a transposition works on eight blocks of 64 words at once, so
that every step of it is one vector operation; what does not fill the last block is zero.
"""

import numpy as np
from numba import njit, types

from gateway.rules.sharing import P as _P

ZERO, ONE = np.uint64(0), np.uint64(1)
LANES = 8
ROWS = 64  # in a word
LOW, B32 = np.uint64(0xFFFF_FFFF), np.uint64(32)
P = np.uint64(_P)
_BLOCK = 1024  # words: what an AND reads and writes at once stays in the first-level cache

_vector = types.uint64[::1]
_matrix = types.uint64[:, ::1]
_given = types.Array(types.uint64, 1, "C", readonly=True)  # what is only read may be read-only
_given_matrix = types.Array(types.uint64, 2, "C", readonly=True)
_given_indices = types.Array(types.int64, 1, "C", readonly=True)


@njit(inline="always")
def _swap(block, shift, low):
    """One level of the recursive transposition: exchange the off-diagonal quarters of squares of 2 * shift bits."""
    by, reach = np.uint64(shift), shift * LANES
    for start in range(0, 64 * LANES, 2 * reach):
        for i in range(start, start + reach):
            off = ((block[i] >> by) ^ block[i + reach]) & low
            block[i] ^= off << by
            block[i + reach] ^= off


@njit(inline="always")
def _transpose(block):
    """Bit j of word i <-> bit i of word j, in each of the eight lanes (Warren, Hacker's Delight, section 7-3)."""
    _swap(block, 32, np.uint64(0x0000_0000_FFFF_FFFF))
    _swap(block, 16, np.uint64(0x0000_FFFF_0000_FFFF))
    _swap(block, 8, np.uint64(0x00FF_00FF_00FF_00FF))
    _swap(block, 4, np.uint64(0x0F0F_0F0F_0F0F_0F0F))
    _swap(block, 2, np.uint64(0x3333_3333_3333_3333))
    _swap(block, 1, np.uint64(0x5555_5555_5555_5555))


@njit(types.void(_given, _matrix), cache=True, nogil=True)
def to_planes(words, planes):
    """planes[l, w], bit i = bit l of words[64 w + i], for up to 64 planes."""
    block = np.empty(64 * LANES, dtype=np.uint64)
    for first in range(0, planes.shape[1], LANES):
        lanes = min(LANES, planes.shape[1] - first)
        for lane in range(LANES):
            start = 64 * (first + lane)
            rows = min(64, words.size - start)
            for i in range(rows):
                block[i * LANES + lane] = words[start + i]
            for i in range(max(rows, 0), 64):
                block[i * LANES + lane] = ZERO
        _transpose(block)
        for plane in range(planes.shape[0]):
            for lane in range(lanes):
                planes[plane, first + lane] = block[plane * LANES + lane]


@njit(types.void(_given_matrix, _vector), cache=True, nogil=True)
def to_words(planes, words):
    """The way back; bits of a word that have no plane are zero."""
    block = np.empty(64 * LANES, dtype=np.uint64)
    for first in range(0, planes.shape[1], LANES):
        lanes = min(LANES, planes.shape[1] - first)
        for plane in range(planes.shape[0]):
            for lane in range(lanes):
                block[plane * LANES + lane] = planes[plane, first + lane]
        for plane in range(planes.shape[0], 64):
            for lane in range(LANES):
                block[plane * LANES + lane] = ZERO
        _transpose(block)
        for lane in range(lanes):
            start = 64 * (first + lane)
            for i in range(min(64, words.size - start)):
                words[start + i] = block[i * LANES + lane]


@njit(types.void(_given_matrix, _given_matrix, _given_indices, _given_indices, _vector), cache=True, nogil=True)
def and_part(x, y, seconds, ends, out):
    """out = XOR over a of x[a] & (XOR of y[b] for b in seconds[ends[a - 1] : ends[a]])."""
    sum_ = np.empty(_BLOCK, dtype=np.uint64)
    for start in range(0, out.size, _BLOCK):
        part = out[start : start + _BLOCK]
        begin = 0
        for a in range(x.shape[0]):
            if a == 0:
                part[:] = ZERO
            if begin == ends[a]:
                continue
            row = y[seconds[begin], start : start + _BLOCK]
            for i in range(part.size):
                sum_[i] = row[i]
            for k in range(begin + 1, ends[a]):
                row = y[seconds[k], start : start + _BLOCK]
                for i in range(part.size):
                    sum_[i] ^= row[i]
            left = x[a, start : start + _BLOCK]
            for i in range(part.size):
                part[i] ^= left[i] & sum_[i]
            begin = ends[a]


@njit(types.void(_given, types.uint64, types.uint64, _vector), cache=True, nogil=True)
def choose(words, zero, one, out):
    """out[i] = `one` where bit i of the words is set, else `zero`."""
    either = zero ^ one
    for word in range(words.size):
        bits, first = words[word], ROWS * word
        for i in range(min(ROWS, out.size - first)):
            out[first + i] = zero ^ (either & (ZERO - (bits >> np.uint64(i) & ONE)))


@njit(types.UniTuple(types.uint64, 2)(_given, _given), cache=True, nogil=True)
def signed_total(x, words):
    """Sum over i of x[i], or of p - x[i] where bit i of the words is set, as low + 2^32 high; up to 2^32 elements."""
    low, high = ZERO, ZERO
    for word in range(words.size):
        bits, first = words[word], ROWS * word
        for i in range(min(ROWS, x.size - first)):
            value = x[first + i]
            value ^= (value ^ (P - value)) & (ZERO - (bits >> np.uint64(i) & ONE))  # in [0, p]
            low += value & LOW  # < 2^64 in all
            high += value >> B32  # < 2^61 in all
    return low, high
