"""Arithmetic in F_p, p = 2^61 - 1, on uint64 arrays.

Invariants: every element that enters or leaves is in [0, p). p = 3 mod 4 and p is a Mersenne prime, so reducing is a
shift and an addition (native/field.py has the kernels and says why nothing overflows).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from connectors.engine.native import lazily
from gateway.rules.sharing import P

if TYPE_CHECKING:
    from connectors.engine.native import field as kernels
else:
    kernels = lazily("field")

Array = npt.NDArray[np.uint64]


def add(x: Array | int, y: Array | int) -> Array:
    """Sums, with broadcasting."""
    return _array(kernels.add(_element(x), _element(y)))


def sub(x: Array | int, y: Array | int) -> Array:
    """Differences, with broadcasting."""
    return _array(kernels.sub(_element(x), _element(y)))


def mul(x: Array | int, y: Array | int) -> Array:
    """Products, with broadcasting."""
    return _array(kernels.mul(_element(x), _element(y)))


def combine(weights: Sequence[int], rows: Array) -> Array:
    """The sum of weights[k] * rows[k], for rows [K, ...]."""
    flat = np.ascontiguousarray(rows).reshape(len(weights), -1)
    out = np.empty(flat.shape[1], dtype=np.uint64)
    kernels.combine(np.array([weight % P for weight in weights], dtype=np.uint64), flat, out)
    return out.reshape(rows.shape[1:])


def total(x: Array, axis: int = -1) -> Array:
    """Sums along an axis of up to 2^32 elements."""
    last = np.ascontiguousarray(np.moveaxis(x, axis, -1))
    out = np.empty(last.shape[:-1], dtype=np.uint64)
    kernels.totals(last.reshape(out.size, last.shape[-1]), out.reshape(-1))
    return out


def dot(x: Array, y: Array) -> Array:
    """Inner products along the last axis."""
    return total(mul(x, y))


def inner_products(left: Array, right: Array) -> Array:
    """[A, N] and [B, N] -> [A, B]."""
    out = np.zeros((len(left), len(right)), dtype=np.uint64)
    kernels.inner_products(np.ascontiguousarray(left), np.ascontiguousarray(right), out)
    return out


def in_field(x: Array) -> bool:
    return x.size == 0 or int(x.max()) < P


def _element(x: Array | int) -> Array | np.uint64:
    return np.uint64(x) if isinstance(x, int) else x


def _array(x: object) -> Array:
    return np.asarray(x, dtype=np.uint64)
