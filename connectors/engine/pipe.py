"""What a party process and its agent say to each other over two pipes.

Invariants: a frame is a length (u32, little-endian, of what follows), a kind (u8) and a body; no frame is
longer than MAX_FRAME; an unknown kind or length ends the conversation. No MPyC here: launchers use this too.

To the party: JOB (json), PEER (u8 from, sealed frame), INPUT (u8 provider index, chunk as in inputs.py), GO.
End of file means: die. From it: READY_FOR_JOB (json confinement, missing: what of confinement.py took effect),
PEER (u8 to, sealed frame), PROGRESS (json phase, fraction),
OUTPUT_READY (waits for GO), OUTPUT (json recipient -> base64), then DONE (json; kept: the output shares sealed to the
agent itself) or FAILED (json culprit, reason, phase, detail).
"""

import contextlib
import os
import struct
from collections import deque
from enum import IntEnum
from itertools import islice

MAX_FRAME = 64 << 20
_AT_ONCE = 64  # pieces in one call; IOV_MAX is 1024
_LENGTH = 4


class ToParty(IntEnum):
    JOB = 1
    PEER = 2
    INPUT = 3
    GO = 4


class FromParty(IntEnum):
    READY_FOR_JOB = 65
    PEER = 66
    PROGRESS = 67
    OUTPUT_READY = 69
    OUTPUT = 70
    DONE = 71
    FAILED = 72


class PipeBroken(ValueError):
    """The other end does not speak this protocol."""


def head(kind: ToParty | FromParty, length: int) -> bytes:
    """What stands before a body of this length."""
    if length >= MAX_FRAME:
        raise PipeBroken(f"a frame of {length} bytes is over the cap of {MAX_FRAME}")
    return struct.pack("<IB", 1 + length, kind)


def frame(kind: ToParty | FromParty, body: bytes = b"") -> bytes:
    return head(kind, len(body)) + body


class Frames:
    """Bytes in, (kind, body) out: a body that came in one read is a part of it, not a copy. Raises PipeBroken for a
    length of 0 or above the cap."""

    def __init__(self) -> None:
        self._begun = bytearray()  # a frame, or its length, that has not come whole
        self._wanted = 0

    def feed(self, data: bytes | bytearray) -> list[tuple[int, memoryview]]:
        if self._begun:
            self._begun += data
            if len(self._begun) < self._wanted:
                return []
            data, self._begun = self._begun, bytearray()
        rest, out = memoryview(data), []
        self._wanted = _LENGTH
        while len(rest) >= _LENGTH:
            (length,) = struct.unpack_from("<I", rest)
            if not 0 < length <= MAX_FRAME:
                raise PipeBroken(f"a frame announces {length} bytes")
            if len(rest) < _LENGTH + length:
                self._wanted = _LENGTH + length
                break
            out.append((rest[_LENGTH], rest[_LENGTH + 1 : _LENGTH + length]))
            rest = rest[_LENGTH + length :]
        self._begun += rest
        return out


class Unwritten:
    """What a pipe that does not block has still to take, in order."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._pieces: deque[memoryview] = deque()
        self.size = 0

    def put(self, *pieces: bytes | bytearray) -> None:
        for piece in filter(len, pieces):
            self._pieces.append(memoryview(piece))
            self.size += len(piece)

    def flush(self) -> None:
        """Write what it takes now. Raises OSError when nobody reads it any more."""
        with contextlib.suppress(BlockingIOError):
            while self._pieces:
                self._written(os.writev(self._descriptor, list(islice(self._pieces, _AT_ONCE))))

    def clear(self) -> None:
        self._pieces.clear()
        self.size = 0

    def _written(self, count: int) -> None:
        self.size -= count
        while count:
            first = self._pieces[0]
            if count < len(first):
                self._pieces[0] = first[count:]
                return
            count -= len(first)
            self._pieces.popleft()
