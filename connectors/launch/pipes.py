"""The agent's ends of a party's two pipes.

Invariants: an end that a party got is closed here, so that its death is an end of file; who writes faster than a party
reads can wait for room; what a party sends waits in the pipe until it is asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator
from typing import cast

CHUNK = 1 << 18
_F_SETPIPE_SZ = 1031  # linux/fcntl.h
_PIPE_BYTES = 1 << 18


class Incoming:
    """What a party sends."""

    def __init__(self, reader: asyncio.StreamReader, transport: asyncio.BaseTransport) -> None:
        self._reader, self._transport = reader, transport

    async def read(self) -> bytes:
        """Empty at the end."""
        return await self._reader.read(CHUNK)

    def close(self) -> None:
        self._transport.close()


class Outgoing(asyncio.BaseProtocol):
    """What goes to a party."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._room = asyncio.Event()
        self._room.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not every loop's transports (uvloop's) are of asyncio's classes.
        self._transport = cast(asyncio.WriteTransport, transport)

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._room.set()  # the party is gone, and nobody need wait for it

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    async def drained(self) -> None:
        await self._room.wait()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


@contextlib.asynccontextmanager
async def pipes() -> AsyncIterator[tuple[int, int, Incoming, Outgoing]]:
    """The party's ends, to read and to write, which are closed at the end; and the agent's."""
    loop = asyncio.get_running_loop()
    reading, to_party = os.pipe()
    from_party, writing = os.pipe()
    try:
        for end in (reading, writing):
            with contextlib.suppress(OSError):  # over what one user may have: the usual 64 KiB do
                fcntl.fcntl(end, _F_SETPIPE_SZ, _PIPE_BYTES)
        reader = asyncio.StreamReader(CHUNK)
        receiving, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(from_party, "rb", buffering=0)
        )
        _, outgoing = await loop.connect_write_pipe(Outgoing, os.fdopen(to_party, "wb", buffering=0))
        yield reading, writing, Incoming(reader, receiving), outgoing
    finally:
        os.close(reading)
        os.close(writing)
