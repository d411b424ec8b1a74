"""The keyed digest that pins a dataset's rows in a contract.

Invariants: equal rows in any order give the same digest, and a changed, added, removed or doubled row
another one; without the dataset's key, small data cannot be guessed from it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence

MIN_KEY = 32


def snapshot_digest(rows: Iterable[Sequence[str | int | None]], key: bytes) -> str:
    """HMAC-SHA256 under `key` over the sorted HMACs of the rows, as 64 hexadecimal digits."""
    if len(key) < MIN_KEY:
        raise ValueError(f"a dataset key has at least {MIN_KEY} bytes")
    # Two uses of one key: a row begins with its number of cells, the whole with a label of its own.
    hashes = sorted(hmac.digest(key, b"row" + _encode(row), hashlib.sha256) for row in rows)
    return hmac.new(key, b"set" + b"".join(hashes), hashlib.sha256).hexdigest()


def _encode(row: Sequence[str | int | None]) -> bytes:
    """Each cell with its type and length before it, so that no two rows have one encoding."""
    parts: list[bytes] = [len(row).to_bytes(4, "big")]
    for cell in row:
        kind, body = {str: b"s", int: b"i"}.get(type(cell), b"n"), b"" if cell is None else str(cell).encode()
        parts += [kind, len(body).to_bytes(4, "big"), body]
    return b"".join(parts)
