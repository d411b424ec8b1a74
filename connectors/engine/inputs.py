"""A provider's rows on their way to the seats: encoded, padded, secret-shared, sealed, in chunks.

Invariants: sharing is fresh each time; each seat's shares are sealed to that seat alone and authenticated by
the provider's session key; number and size of chunks follow from program, parameters and bound. A chunk is
whether it is the last (u8), its number (u32, little-endian) and the HPKE message. Agents run `seal_inputs`; a
party collects with `Inbox`. No MPyC here.
"""

import secrets
import struct
from collections.abc import Mapping

from connectors.engine import programs
from connectors.engine.cost import Shape
from connectors.engine.errors import Abort, Culprit, SessionAborted
from connectors.engine.field import Array
from connectors.engine.randomness import fresh
from connectors.engine.rows import InputRows, Parameters
from connectors.engine.sharing import split
from connectors.engine.wire import ELEMENT_BYTES, decode, encode
from connectors.rules.session_keys import open_input, seal_input
from gateway.rules.sealing import OVERHEAD, SealBroken

_HEAD = struct.Struct("<?I")
CHUNK_BYTES = 1 << 20  # of a chunk as it travels
_PLAIN = (CHUNK_BYTES - OVERHEAD - _HEAD.size) // ELEMENT_BYTES * ELEMENT_BYTES


def seal_inputs(
    *,
    transcript: bytes,
    entity: str,
    private_key: bytes,
    seats: Mapping[int, bytes],
    program: str,
    parameters: Parameters,
    bound: int,
    rows: InputRows,
) -> dict[int, list[bytes]]:
    """Chunks for each seat (pid -> in order). Raises InputRejected naming the field that does not fit,
    KeyError for the program.
    """
    shape = Shape(len(seats), (len(seats) - 1) // 2)
    matrix = programs.PROGRAMS[program].encode(parameters, rows, bound, secrets.token_bytes)
    shares = split(matrix, shape, fresh().elements)
    sealed = {}
    for pid, seat in seats.items():
        plaintext = encode(shares[pid])
        pieces = [plaintext[start : start + _PLAIN] for start in range(0, len(plaintext), _PLAIN)]
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
        columns: int,
        bound: int,
    ) -> None:
        self._culprit = Culprit("provider", index)
        self._entity, self._public, self._transcript = entity, public_key, transcript
        self._pid, self._private = pid, private_key
        self._columns, self._bound = columns, bound
        self._chunks: list[bytes] = []
        self.complete = False

    def feed(self, chunk: bytes) -> None:
        if self.complete or len(chunk) > CHUNK_BYTES or len(chunk) < _HEAD.size:
            raise self._refused("sent a chunk too many, too long or too short")
        final, number = _HEAD.unpack_from(chunk)
        if number != len(self._chunks):
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
        self._chunks.append(piece)
        have, want = sum(map(len, self._chunks)), ELEMENT_BYTES * self._columns * self._bound
        if have > want or (final and have != want) or not piece:
            # It opened, so the provider made it.
            text = f"provider {self._culprit.index} sent {have} bytes of shares where {want} are due"
            raise SessionAborted(Abort.WRONG_LENGTH, text, self._culprit, "input")
        self.complete = final

    def matrix(self) -> Array:
        """The shares [columns, bound]."""
        try:
            elements = decode(b"".join(self._chunks), self._pid)
        except SessionAborted as exc:
            raise SessionAborted(
                Abort.ELEMENT_OUT_OF_RANGE, "an input share is outside the field", self._culprit
            ) from exc
        return elements.reshape(self._columns, self._bound)

    def _refused(self, what: str) -> SessionAborted:
        return SessionAborted(Abort.BAD_INPUT, f"provider {self._culprit.index} {what}", self._culprit, "input")
