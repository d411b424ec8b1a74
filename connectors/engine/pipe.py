"""What a party process and its agent say to each other over two pipes.

Invariants: a frame is a length (u32, little-endian, of what follows), a kind (u8) and a body; no frame is
longer than MAX_FRAME; an unknown kind or length ends the conversation. No MPyC here: launchers use this too.

To the party: JOB (json), PEER (u8 from, sealed frame), INPUT (u8 provider index, chunk as in inputs.py), GO.
End of file means: die. From it: READY_FOR_JOB (json confinement, missing: what of confinement.py took effect),
PEER (u8 to, sealed frame), PROGRESS (json phase, fraction),
OUTPUT_READY (waits for GO), OUTPUT (json recipient -> base64), then DONE (json) or
FAILED (json culprit, reason, phase, detail).
"""

import struct
from enum import IntEnum

MAX_FRAME = 64 << 20


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
    """Bytes in, (kind, body) out. Raises PipeBroken for a length of 0 or above the cap."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        self._buffer += data
        out, start = [], 0
        while len(self._buffer) - start >= 4:
            (length,) = struct.unpack_from("<I", self._buffer, start)
            if not 0 < length <= MAX_FRAME:
                raise PipeBroken(f"a frame announces {length} bytes")
            if len(self._buffer) - start < 4 + length:
                break
            out.append((self._buffer[start + 4], bytes(self._buffer[start + 5 : start + 4 + length])))
            start += 4 + length
        del self._buffer[:start]
        return out
