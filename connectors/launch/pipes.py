"""The agent's ends of a party's two pipes.

Invariants: an end that a party got is closed here, so that its death is an end of file; what can be written at once is
(a round of a protocol waits for it), and who writes faster than a party reads can wait for room; what a party sends
waits in the pipe when nobody asks for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sys
import termios
from collections import deque
from collections.abc import Iterator

CHUNK = 1 << 18
HIGH_WATER = 1 << 18
_F_SETPIPE_SZ = 1031  # linux/fcntl.h
_PIPE_BYTES = 1 << 18
_AT_ONCE = 64  # pieces in one call; IOV_MAX is 1024


class Incoming:
    """What a party sends. Takes over the descriptor."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor, self._loop = descriptor, asyncio.get_running_loop()
        self._read: deque[bytes] = deque()
        self._size = 0
        self._ended = self._listening = False
        self._news = asyncio.Event()
        self._listen()

    async def read(self) -> bytes:
        """What has come; empty at the end."""
        while not self._read and not self._ended:
            self._news.clear()
            await self._news.wait()
        if not self._read:
            return b""
        data = b"".join(self._read)
        self._read.clear()
        self._size = 0
        self._listen()
        return data

    def close(self) -> None:
        """Nothing more is read, and who waits is told that it has ended."""
        if self._descriptor >= 0:
            self._ended = True
            self._pause()
            self._news.set()
            os.close(self._descriptor)
            self._descriptor = -1

    def _listen(self) -> None:
        if not self._listening and not self._ended:
            self._listening = True
            self._loop.add_reader(self._descriptor, self._on_readable)

    def _pause(self) -> None:
        if self._listening:
            self._listening = False
            self._loop.remove_reader(self._descriptor)

    def _on_readable(self) -> None:
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._descriptor, CHUNK)
            self._read.append(data)
            self._size += len(data)
            self._ended = not data
            if self._ended or self._size >= HIGH_WATER:
                self._pause()
            self._news.set()


class Outgoing:
    """What goes to a party. Takes over the descriptor."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor, self._loop = descriptor, asyncio.get_running_loop()
        self._waiting: deque[memoryview] = deque()
        self._size = 0
        self._room = asyncio.Event()
        self._room.set()

    def write(self, *pieces: bytes) -> None:
        """One after the other; a party that is gone takes nothing."""
        if self._descriptor < 0:
            return
        idle = not self._waiting
        for piece in filter(None, pieces):
            self._waiting.append(memoryview(piece))
            self._size += len(piece)
        if idle:
            self._flush()
            if self._waiting:
                self._loop.add_writer(self._descriptor, self._on_writable)

    async def drained(self) -> None:
        """Wait until little waits to be written."""
        await self._room.wait()

    def unread(self) -> int:
        """Bytes that were written and that nobody has read."""
        held = bytearray(4)
        if self._descriptor >= 0:
            fcntl.ioctl(self._descriptor, termios.FIONREAD, held)  # of a pipe: what it holds
        return self._size + int.from_bytes(held, sys.byteorder)

    def close(self) -> None:
        if self._descriptor >= 0:
            if self._waiting:
                self._loop.remove_writer(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
        self._waiting.clear()
        self._size = 0
        self._room.set()  # the party is gone, and nobody need wait for it

    def _on_writable(self) -> None:
        self._flush()
        if self._descriptor >= 0 and not self._waiting:
            self._loop.remove_writer(self._descriptor)

    def _flush(self) -> None:
        try:
            while self._waiting:
                self._written(os.writev(self._descriptor, list(self._waiting)[:_AT_ONCE]))
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            return
        if self._size >= HIGH_WATER:
            self._room.clear()
        else:
            self._room.set()

    def _written(self, count: int) -> None:
        self._size -= count
        while count:
            first = self._waiting[0]
            if count < len(first):
                self._waiting[0] = first[count:]
                return
            count -= len(first)
            self._waiting.popleft()


@contextlib.contextmanager
def pipes() -> Iterator[tuple[int, int, Incoming, Outgoing]]:
    """The party's ends, to read and to write, which are closed at the end; and the agent's."""
    reading, to_party = os.pipe()
    from_party, writing = os.pipe()
    for end in (reading, writing):
        with contextlib.suppress(OSError):  # over what one user may have: the usual 64 KiB do
            fcntl.fcntl(end, _F_SETPIPE_SZ, _PIPE_BYTES)
    try:
        yield reading, writing, Incoming(from_party), Outgoing(to_party)
    finally:
        os.close(reading)
        os.close(writing)
