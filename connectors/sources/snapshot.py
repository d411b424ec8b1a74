"""The keyed digest that pins a dataset's rows in a contract.

Invariants: equal rows in any order give the same digest, and a changed, added, removed or doubled row
another one; without the dataset's key, small data cannot be guessed from it. 32 bytes are kept of a row.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from functools import lru_cache

MIN_KEY = 32
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


def _encode(cell: str | int | None) -> bytes:
    """A cell with its type and length before it, so that no two rows have one encoding."""
    body = b"" if cell is None else str(cell).encode()
    return {str: b"s", int: b"i"}.get(type(cell), b"n") + len(body).to_bytes(4, "big") + body
