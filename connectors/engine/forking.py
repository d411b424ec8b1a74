"""What an agent and its fork server say to each other: one datagram each, over a pair of Unix sockets.

To the server: FORK (number; the descriptors that come with it are the party's ends of its two pipes: read, write).
From it: READY (json, what its start took), REFUSED (text: it cannot serve, and ends), FORKED (number, process ID; with
it comes a descriptor of the process, pidfd_open(2)), FAILED (number, errno), ENDED (number, wait status).
No MPyC here: launchers use this too.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any

MAX_DATAGRAM = 4096


class Said(IntEnum):
    FORK = 1
    READY = 2
    REFUSED = 3
    FORKED = 4
    FAILED = 5
    ENDED = 6


@dataclass(frozen=True, slots=True)
class PartySettings:
    """What holds for every party of an agent. `kernels` is the folder of compiled kernels (kernelcache.py), `memory`
    the bytes that one may map to write in (0: no limit but the machine's); `confinement` "required" starts no party
    that cannot be confined in full."""

    kernels: str
    memory: int
    confinement: str = "best effort"
    # Folder and digest of each program that the operator added (packages.py).
    packages: tuple[tuple[str, str], ...] = ()

    def as_text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> PartySettings:
        said = json.loads(text)
        return cls(**{**said, "packages": tuple(map(tuple, said["packages"]))})


def datagram(kind: Said, number: int = 0, value: int = 0) -> bytes:
    return struct.pack("=BIi", kind, number, value)


def datagram_text(kind: Said, text: Any) -> bytes:
    return bytes([kind]) + json.dumps(text).encode()[: MAX_DATAGRAM - 1]


def read(data: bytes) -> tuple[Said, int, int]:
    kind, number, value = struct.unpack("=BIi", data)
    return Said(kind), number, value
