"""Reconstruction of a result from the output shares of all parties.

Invariants: a result's field is F_p with p = 2^61 - 1; party `pid` holds the polynomial's value at x = pid + 1;
every share of every party is used, so that a wrong one is seen instead of believed (with t < m/2, up to t wrong
parties are detected: two polynomials of degree t agree on at most t points, and m - t > t honest ones are
left).
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from gateway.domain.errors import IsthmusError, Reason

P = 2**61 - 1


class InconsistentShares(ValueError):
    """The shares do not lie on polynomials of degree t: at least one party's shares are wrong, or missing."""


@lru_cache(maxsize=4096)
def lagrange(points: tuple[int, ...], at: int, modulus: int = P) -> tuple[int, ...]:
    """Coefficients c with f(at) = sum of c_i f(points_i) modulo a prime, for every f of degree < len(points)."""
    coefficients = []
    for i, x in enumerate(points):
        above = below = 1
        for k, other in enumerate(points):
            if k != i:
                above = above * (at - other) % modulus
                below = below * (x - other) % modulus
        coefficients.append(above * pow(below, -1, modulus) % modulus)
    return tuple(coefficients)


def reconstruct(shares: Mapping[int, Sequence[int]], t: int) -> list[int]:
    """The secrets behind `shares` (pid -> one share per secret), all of them, in order.

    Raises InconsistentShares if fewer than 2t + 1 parties are there, lengths differ, an element is outside
    the field, or the shares of one secret do not lie on one polynomial of degree at most t.
    """
    pids = sorted(shares)
    if len(pids) < 2 * t + 1 or t < 1:
        raise InconsistentShares(f"{len(pids)} sets of shares cannot be checked against degree {t}")
    if any(len(shares[pid]) != len(shares[pids[0]]) for pid in pids):
        raise InconsistentShares("the parties sent different numbers of shares")
    if any(not 0 <= share < P for pid in pids for share in shares[pid]):
        raise InconsistentShares("a share is not an element of the field")
    basis, rest = pids[: t + 1], pids[t + 1 :]
    points = tuple(pid + 1 for pid in basis)
    secrets = []
    for position in range(len(shares[pids[0]])):
        known = [shares[pid][position] for pid in basis]
        for pid in rest:
            if _dot(lagrange(points, pid + 1), known) != shares[pid][position]:
                raise InconsistentShares(f"the shares of value {position} do not lie on one polynomial of degree {t}")
        secrets.append(_dot(lagrange(points, 0), known))
    return secrets


def _dot(coefficients: Sequence[int], values: Sequence[int]) -> int:
    return sum(c * v for c, v in zip(coefficients, values, strict=True)) % P


def inconsistent(private: str) -> IsthmusError:
    return IsthmusError(
        Reason.INCONSISTENT_SHARES,
        "the parties' output shares do not fit together, so there is no result",
        private=private,
        advice="At least one party sent a wrong share; ask the operators to compare their receipts, then ask again",
    )
