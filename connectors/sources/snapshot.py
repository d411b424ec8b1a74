"""The keyed digest that pins a dataset's rows in a contract.

Invariants: equal rows in any order give the same digest, and a changed, added, removed or doubled row
another one; without the dataset's key, small data cannot be guessed from it. 32 bytes are kept of a row.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from gateway.edges.store.ledger import WORD

MIN_KEY = 32
Identities = npt.NDArray[np.uint64]
# Cells of which something is at hand while a reading lasts: codes, days and names come again and again.
KNOWN_CELLS = 1 << 14


class Snapshot:
    """HMAC-SHA256 under `key` over the sorted HMACs of the rows that it was given."""

    def __init__(self, key: bytes) -> None:
        if len(key) < MIN_KEY:
            raise ValueError(f"a dataset key has at least {MIN_KEY} bytes")
        self._keyed = hmac.new(key, digestmod=hashlib.sha256)
        self._hashes: list[bytes] = []

    def add(self, rows: Iterable[Sequence[str | int | None]]) -> list[bytes]:
        """The HMAC of each of them."""
        # Two uses of one key: a row begins with its number of cells, the whole with a label of its own.
        encode, keyed = lru_cache(KNOWN_CELLS, typed=True)(_encode), self._keyed
        hashes = []
        for row in rows:
            one = keyed.copy()
            one.update(b"row%b%b" % (len(row).to_bytes(4, "big"), b"".join(map(encode, row))))
            hashes.append(one.digest())
        self._hashes += hashes
        return hashes

    def digest(self) -> str:
        """64 hexadecimal digits."""
        self._hashes.sort()
        whole = self._keyed.copy()
        whole.update(b"set")
        for one in self._hashes:
            whole.update(one)
        return whole.hexdigest()


def identities_of(hashes: Sequence[bytes]) -> Identities:
    """64 bits of each row's keyed hash; equal rows are told apart by how many came before."""
    seen: Counter[bytes] = Counter()
    words = np.frombuffer(b"".join(one[:WORD] for one in hashes), dtype=np.uint64).copy()
    if len(set(hashes)) < len(hashes):
        for place, one in enumerate(hashes):
            words[place] += np.uint64(seen[one])
            seen[one] += 1
    return words


def _encode(cell: str | int | None) -> bytes:
    """A cell with its type and length before it, so that no two rows have one encoding."""
    body = b"" if cell is None else str(cell).encode()
    return {str: b"s", int: b"i"}.get(type(cell), b"n") + len(body).to_bytes(4, "big") + body
