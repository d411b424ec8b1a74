"""A provider's rows on their way to the seats: packed, padded, secret-shared, sealed, in chunks.

Invariants: sharing is fresh each time; each seat's shares are sealed to that seat alone and authenticated by
the provider's session key; number and size of chunks follow from program, parameters and bound. A chunk is
whether it is the last (u8), its number (u32, little-endian) and the HPKE message. Agents run `seal_inputs`; a
party collects with `Inbox`. No MPyC and no kernel here.

Rows are shared as the XOR of one array of words per group of m - t seats, each known to that group alone
(replicated or CNF sharing: Ito, Saito, Nishizeki 1987; bits.py computes on it). Every group but the first gets a
seed of 32 bytes that its array is expanded from; the first gets the array that is left, in words. Behind the rows
stand the uniform bits that a provider puts in where there is noise (noise.py).
"""

import secrets
import struct
from collections.abc import Mapping
from itertools import combinations

import numpy as np

from connectors.engine import programs
from connectors.engine.cost import Shape
from connectors.engine.errors import Abort, Culprit, InputRejected, SessionAborted
from connectors.engine.randomness import KEY_BYTES, Stream
from connectors.engine.rows import InputCells, InputRows, Parameters, Words
from connectors.engine.wire import ELEMENT_BYTES
from connectors.rules.session_keys import open_input, seal_input
from gateway.rules.sealing import OVERHEAD, SealBroken

_HEAD = struct.Struct("<?I")
CHUNK_BYTES = 1 << 20  # of a chunk as it travels
_PLAIN = (CHUNK_BYTES - OVERHEAD - _HEAD.size) // ELEMENT_BYTES * ELEMENT_BYTES


def split(words: Words, shape: Shape) -> list[bytes]:
    """For each seat what it needs to know of the shares of `words` [C, n]: for each of its groups, in order, the words
    (of the first group of all) or the seed of the group's share.
    """
    first, *others = _groups(shape)
    seeds = {group: secrets.token_bytes(KEY_BYTES) for group in others}
    rest = words.reshape(-1).copy()
    for seed in seeds.values():
        rest ^= Stream(seed).words(rest.size)
    parts = {first: rest.astype("<u8", copy=False).tobytes(), **seeds}
    return [b"".join(part for group, part in parts.items() if pid in group) for pid in range(shape.m)]


def join(plaintext: bytes, pid: int, shape: Shape, words: int, n: int) -> Words:
    """The shares [S, C, n] of one seat, by its groups in order."""
    first, *others = _groups(shape)
    size, shares, start = words * n, [], 0
    if pid in first:
        start = ELEMENT_BYTES * size
        shares.append(np.frombuffer(plaintext[:start], dtype="<u8").astype(np.uint64))
    for group in others:
        if pid in group:
            shares.append(Stream(plaintext[start : start + KEY_BYTES]).words(size))
            start += KEY_BYTES
    return np.stack(shares).reshape(len(shares), words, n)


def length(pid: int, shape: Shape, words: int, n: int) -> int:
    """Bytes of what `split` makes for a seat."""
    first, *others = _groups(shape)
    return ELEMENT_BYTES * words * n * (pid in first) + KEY_BYTES * sum(pid in group for group in others)


def _groups(shape: Shape) -> list[tuple[int, ...]]:
    return list(combinations(range(shape.m), shape.m - shape.t))


def seal_inputs(
    *,
    transcript: bytes,
    entity: str,
    private_key: bytes,
    seats: Mapping[int, bytes],
    program: str,
    parameters: Parameters,
    bound: int,
    rows: InputRows | InputCells,
    noise_seed: bytes = b"",
) -> dict[int, list[bytes]]:
    """Chunks for each seat (pid -> in order). `noise_seed`: 32 bytes where the parameters have noise. Raises
    InputRejected naming the field that does not fit, KeyError for the program.
    """
    shape, named = Shape(len(seats), (len(seats) - 1) // 2), programs.PROGRAMS[program]
    words = named.encode(parameters, rows, bound, secrets.token_bytes).reshape(-1)
    if named.noise_words(parameters):
        if len(noise_seed) != KEY_BYTES:
            raise InputRejected("noise", f"takes a seed of {KEY_BYTES} bytes")
        words = np.concatenate([words, named.own_noise(parameters, noise_seed)])
    shares = split(words, shape)
    sealed = {}
    for pid, seat in seats.items():
        pieces = [shares[pid][start : start + _PLAIN] for start in range(0, len(shares[pid]), _PLAIN)]
        sealed[pid] = [
            _HEAD.pack(final := i == len(pieces) - 1, i)
            + seal_input(seat, private_key, transcript, entity, pid, i, final, piece)
            for i, piece in enumerate(pieces)
        ]
    return sealed


class Inbox:
    """Collects one provider's chunks for one seat, in order. Raises SessionAborted naming the provider."""

    def __init__(
        self,
        index: int,
        *,
        entity: str,
        public_key: bytes,
        transcript: bytes,
        pid: int,
        private_key: bytes,
        shape: Shape,
        words: int,
        bound: int,
        noise: int = 0,
    ) -> None:
        self._culprit = Culprit("provider", index)
        self._entity, self._public, self._transcript = entity, public_key, transcript
        self._pid, self._private = pid, private_key
        self._shape, self._words, self._bound = shape, words, bound
        self._noise = noise
        self._want = length(pid, shape, 1, words * bound + noise)
        self._pieces: list[bytes] = []
        self._have = 0
        self.complete = False

    def feed(self, chunk: bytes) -> None:
        if self.complete or len(chunk) > CHUNK_BYTES or len(chunk) < _HEAD.size:
            raise self._refused("sent a chunk too many, too long or too short")
        final, number = _HEAD.unpack_from(chunk)
        if number != len(self._pieces):
            raise self._refused("sent its chunks out of order")
        try:
            piece = open_input(
                self._private,
                self._public,
                self._transcript,
                self._entity,
                self._pid,
                number,
                final,
                chunk[_HEAD.size :],
            )
        except SealBroken as exc:
            raise self._refused("sent a chunk that does not open") from exc
        self._pieces.append(piece)
        self._have += len(piece)
        if self._have > self._want or (final and self._have != self._want) or not piece:
            # It opened, so the provider made it.
            text = f"provider {self._culprit.index} sent {self._have} bytes of shares where {self._want} are due"
            raise SessionAborted(Abort.WRONG_LENGTH, text, self._culprit, "input")
        self.complete = final

    def shares(self) -> tuple[Words, Words]:
        """[S, C, bound]: words of the rows, by this seat's groups in order; and [S, noise]: the uniform bits behind
        them. Once: the chunks are let go.
        """
        pieces, self._pieces = self._pieces, []
        rows = self._words * self._bound
        words = join(b"".join(pieces), self._pid, self._shape, 1, rows + self._noise)[:, 0]
        return words[:, :rows].reshape(len(words), self._words, self._bound), words[:, rows:]

    def _refused(self, what: str) -> SessionAborted:
        return SessionAborted(Abort.BAD_INPUT, f"provider {self._culprit.index} {what}", self._culprit, "input")
