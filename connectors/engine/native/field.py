"""Kernels of F_p, p = 2^61 - 1: what `connectors.engine.field` and `sharing` call.

Invariants: elements come in and go out in [0, p); no operation overflows 64 bits (each line says why); inner loops run
over contiguous words without branches, so that they vectorise.
"""

import numpy as np
from numba import njit, types, vectorize

from gateway.rules.sharing import P as _P

P = np.uint64(_P)
LOW = np.uint64(0xFFFF_FFFF)
B3, B29, B32, B61 = (np.uint64(bits) for bits in (3, 29, 32, 61))
LOW29 = np.uint64(0x1FFF_FFFF)
ZERO = np.uint64(0)

_vector = types.uint64[::1]
_matrix = types.uint64[:, ::1]
_BLOCK = 4096  # elements: what a combination reads and writes at once stays in the first-level cache


@njit(inline="always")
def _reduced(s):
    """s < 2^64 -> s mod p."""
    s = (s & P) + (s >> B61)  # <= p + 7
    return min(s, s - P)  # s - p wraps to something huge when s < p


@njit(inline="always")
def _product(x, y):
    """By 32-bit limbs, 2^64 = 8 and 2^61 = 1 mod p; vectorises, where a 128-bit product does not."""
    x_low, x_high = x & LOW, x >> B32  # high limbs < 2^29
    y_low, y_high = y & LOW, y >> B32
    low = x_low * y_low  # < 2^64
    middle = x_low * y_high + x_high * y_low  # < 2^62
    s = (low & P) + (low >> B61)  # < 2^61 + 8
    s += (x_high * y_high) << B3  # < 2^58 << 3, so s < 2^62 + 8
    s += (middle >> B29) + ((middle & LOW29) << B32)  # < 2^33 + 2^61, so s < 2^63
    return _reduced(s)


@njit(inline="always")
def _sum(x, y):
    s = x + y  # < 2^62
    return min(s, s - P)


@vectorize(["uint64(uint64, uint64)"], cache=True)
def add(x, y):
    return _sum(x, y)


@vectorize(["uint64(uint64, uint64)"], cache=True)
def sub(x, y):
    return _sum(x, P - y)  # p - 0 = p: the sum is <= 2p < 2^62


@vectorize(["uint64(uint64, uint64)"], cache=True)
def mul(x, y):
    return _product(x, y)


@njit(types.void(_vector, _matrix, _vector), cache=True, nogil=True)
def combine(weights, rows, out):
    """out = sum of weights[k] * rows[k]."""
    for start in range(0, out.size, _BLOCK):
        part = out[start : start + _BLOCK]
        for k in range(weights.size):
            row, weight = rows[k, start : start + _BLOCK], weights[k]
            if k == 0:
                for i in range(part.size):
                    part[i] = _product(row[i], weight)
            else:
                for i in range(part.size):
                    part[i] = _sum(part[i], _product(row[i], weight))


@njit(types.uint64(_vector), cache=True, nogil=True)
def into_field(words):
    """Keeps the low 61 bits of each word, in place; how many of them are p, which is outside the field."""
    outside = ZERO
    for i in range(words.size):
        words[i] &= P
        outside += np.uint64(words[i] == P)
    return outside


@njit(types.void(_matrix, _vector), cache=True, nogil=True)
def totals(rows, out):
    """out[k] = sum of rows[k], of up to 2^32 elements each."""
    for k in range(out.size):
        low, high = ZERO, ZERO
        for i in range(rows.shape[1]):
            low += rows[k, i] & LOW  # < 2^64 in all
            high += rows[k, i] >> B32  # < 2^61 in all
        out[k] = _sum(_reduced(low), _product(_reduced(high), np.uint64(1 << 32)))


@njit(types.void(_matrix, _matrix, _matrix), cache=True, nogil=True)
def inner_products(left, right, out):
    """out[a, b] += sum over i of left[a, i] * right[b, i], modulo p; up to 2^32 elements."""
    for start in range(0, left.shape[1], _BLOCK):
        stop = min(start + _BLOCK, left.shape[1])
        for a in range(left.shape[0]):
            x = left[a, start:stop]
            for b in range(right.shape[0]):
                y = right[b, start:stop]
                low, high = ZERO, ZERO
                for i in range(x.size):
                    product = _product(x[i], y[i])
                    low += product & LOW
                    high += product >> B32
                part = _sum(_reduced(low), _product(_reduced(high), np.uint64(1 << 32)))
                out[a, b] = _sum(out[a, b], part)
