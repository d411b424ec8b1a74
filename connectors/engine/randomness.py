"""Pseudorandom streams.

Invariants: a stream is AES-256-CTR under a key derived by HKDF for one purpose, with the program counter in
the upper half of the counter block and the block number in the lower; `Streams.at` hands out each (purpose,
program counter) once, so no stream serves two secrets. Elements are exactly uniform (the one value outside
the field is drawn again, by both ends alike), and so are permutations.
"""

import secrets
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from connectors.engine.field import Array
from connectors.engine.native import lazily
from gateway.rules.sharing import P

if TYPE_CHECKING:
    from connectors.engine.native import field as kernels
else:
    kernels = lazily("field")

KEY_BYTES = 32
_ZEROS = bytes(1 << 16)
_SLACK = 2  # words: the cipher wants room for a block more than it writes


class Stream:
    """One keystream, read from its start."""

    def __init__(self, key: bytes, counter: int = 0) -> None:
        block = (counter % 2**64).to_bytes(8, "big") + bytes(8)
        self._cipher = Cipher(algorithms.AES256(key), modes.CTR(block)).encryptor()

    def words(self, n: int) -> Array:
        out = np.empty(n + _SLACK, dtype="<u8")
        room = memoryview(out).cast("B")  # type: ignore[arg-type]  # arrays are buffers
        for start in range(0, 8 * n, len(_ZEROS)):
            self._cipher.update_into(_ZEROS[: min(len(_ZEROS), 8 * n - start)], room[start:])
        return out[:n].astype(np.uint64, copy=False)

    def elements(self, n: int) -> Array:
        """n uniform field elements."""
        out = self.words(n)
        while kernels.into_field(out):  # 61 bits: the field, and p itself
            outside = np.flatnonzero(out == P)
            out[outside] = self.words(outside.size)
        return out

    def permutation(self, n: int) -> npt.NDArray[np.intp]:
        """A uniform permutation of range(n): the order of n random words, drawn again if two are equal."""
        while True:
            words = self.words(n)
            order = np.argsort(words)
            ordered = words[order]
            if n < 2 or bool(np.all(ordered[1:] != ordered[:-1])):
                return order


def fresh() -> Stream:
    """A stream of this process alone, seeded by the operating system."""
    return Stream(secrets.token_bytes(KEY_BYTES))


class Streams:
    """All streams under one shared key: one per purpose and program counter."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._purposes: dict[str, bytes] = {}
        self._used: set[tuple[str, int]] = set()

    def at(self, purpose: str, counter: int) -> Stream:
        """The stream of `purpose` at a program counter. A second request for it raises RuntimeError."""
        if (purpose, counter) in self._used:
            raise RuntimeError(f"the stream {purpose!r} at {counter} was already drawn")
        self._used.add((purpose, counter))
        if purpose not in self._purposes:
            expand = HKDFExpand(SHA256(), KEY_BYTES, info=b"isthmus stream v1 " + purpose.encode())
            self._purposes[purpose] = expand.derive(self._key)
        return Stream(self._purposes[purpose], counter)
