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

from connectors.engine.pipe import Unwritten

HIGH_WATER = 1 << 18
_F_SETPIPE_SZ = 1031  # linux/fcntl.h
_PIPE_BYTES = 1 << 20  # what a user may ask for


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
            # No more room than what has come needs: a buffer for the most that may come is dear when little comes.
            data = os.read(self._descriptor, max(1, _held(self._descriptor)))
            self._read.append(data)
            self._size += len(data)
            self._ended = not data
            if self._ended or self._size >= HIGH_WATER:
                self._pause()
            self._news.set()


class Outgoing:
    """What goes to a party. Takes over the descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._loop = descriptor, asyncio.get_running_loop()
        self._unwritten = Unwritten(descriptor)
        self._room = asyncio.Event()
        self._room.set()

    def write(self, *pieces: bytes | bytearray) -> None:
        """One after the other; a party that is gone takes nothing."""
        if self._descriptor < 0:
            return
        idle = not self._unwritten.size
        self._unwritten.put(*pieces)
        if idle:
            self._flush()
            if self._unwritten.size:
                self._loop.add_writer(self._descriptor, self._on_writable)

    async def drained(self) -> None:
        """Wait until little waits to be written."""
        await self._room.wait()

    def unread(self) -> int:
        """Bytes that were written and that nobody has read."""
        return self._unwritten.size + (_held(self._descriptor) if self._descriptor >= 0 else 0)

    def close(self) -> None:
        if self._descriptor >= 0:
            if self._unwritten.size:
                self._loop.remove_writer(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
        self._unwritten.clear()
        self._room.set()  # the party is gone, and nobody need wait for it

    def _on_writable(self) -> None:
        self._flush()
        if self._descriptor >= 0 and not self._unwritten.size:
            self._loop.remove_writer(self._descriptor)

    def _flush(self) -> None:
        try:
            self._unwritten.flush()
        except OSError:
            self.close()
            return
        if self._unwritten.size >= HIGH_WATER:
            self._room.clear()
        else:
            self._room.set()


def _held(descriptor: int) -> int:
    """Bytes that a pipe holds."""
    held = bytearray(4)
    fcntl.ioctl(descriptor, termios.FIONREAD, held)
    return int.from_bytes(held, sys.byteorder)


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
