"""Arithmetic in F_p, p = 2^61 - 1, on uint64 arrays.

Invariants: every element that enters or leaves is in [0, p); no operation overflows 64 bits (each line says
why). p = 3 mod 4 and p is a Mersenne prime, so reducing is a shift and an addition.
"""

import numpy as np
import numpy.typing as npt

from gateway.rules.sharing import P

Array = npt.NDArray[np.uint64]

_LOW = np.uint64(0xFFFF_FFFF)
_BLOCK = 8192


def add(x: Array, y: Array) -> Array:
    s: Array = x + y  # < 2^62
    return np.minimum(s, s - P)  # s - p wraps to something huge when s < p


def sub(x: Array | int, y: Array) -> Array:
    s = x + (P - y)  # <= 2p < 2^62
    return np.minimum(s, s - P)


def mul(x: Array, y: Array | int) -> Array:
    """Products, with broadcasting; in blocks, so that the intermediate values stay in the cache."""
    if isinstance(y, int):
        y = np.full(1, y, dtype=np.uint64)
    shape = np.broadcast_shapes(x.shape, y.shape)
    if x.size <= _BLOCK and y.size <= _BLOCK and np.prod(shape) <= _BLOCK:
        return _mul(x, y).reshape(shape)
    flat_x = np.broadcast_to(x, shape).reshape(-1)
    flat_y = y if y.size == 1 else np.broadcast_to(y, shape).reshape(-1)
    out = np.empty(flat_x.size, dtype=np.uint64)
    for start in range(0, out.size, _BLOCK):
        block = slice(start, start + _BLOCK)
        out[block] = _mul(flat_x[block], flat_y if y.size == 1 else flat_y[block])
    return out.reshape(shape)


def _mul(x: Array, y: Array) -> Array:
    """Products by 32-bit limbs: 2^64 = 8 and 2^61 = 1 mod p."""
    x_low, x_high = x & _LOW, x >> 32  # high limbs < 2^29
    y_low, y_high = y & _LOW, y >> 32
    low = x_low * y_low  # < 2^64
    middle = x_low * y_high
    middle += x_high * y_low  # < 2^62
    high = x_high * y_high  # < 2^58
    sum_ = (low & P) + (low >> 61)  # < 2^61 + 8
    sum_ += high << 3  # < 2^62 + 8
    sum_ += middle >> 29  # + 2^33
    sum_ += (middle & 0x1FFF_FFFF) << 32  # + 2^61, in all < 2^63
    return _reduce(sum_)


def total(x: Array, axis: int = -1) -> Array:
    """Sums along an axis of up to 2^32 elements."""
    low: Array = np.sum(x & _LOW, axis=axis, dtype=np.uint64, keepdims=True)
    high: Array = np.sum(x >> 32, axis=axis, dtype=np.uint64, keepdims=True)
    return np.squeeze(_join(low, high), axis=axis)


def running(x: Array) -> Array:
    """Inclusive prefix sums of a vector of up to 2^32 elements."""
    low: Array = np.cumsum(x & _LOW, dtype=np.uint64)
    high: Array = np.cumsum(x >> 32, dtype=np.uint64)
    return _join(low, high)


def dot(x: Array, y: Array) -> Array:
    """Inner products along the last axis."""
    return total(mul(x, y))


def in_field(x: Array) -> bool:
    return x.size == 0 or int(x.max()) < P


def _join(low: Array, high: Array) -> Array:
    """low + 2^32 high, for sums low < 2^64 and high < 2^61 of limbs."""
    return add(_reduce(low), mul(_reduce(high), 1 << 32))


def _reduce(s: Array) -> Array:
    s = (s & P) + (s >> 61)  # <= p + 7
    return np.minimum(s, s - P)
