"""A party's pipe to its agent.

Invariants: writing never blocks the party (what the pipe does not take is kept, so two parties that write to
each other through one agent cannot lock up); only the event loop's thread writes, so frames are never interleaved; a
party whose agent is gone dies.
"""

import asyncio
import json
import os
from collections import deque
from itertools import islice

from connectors.engine.pipe import FromParty, head

AT_ONCE = 1 << 15  # bytes that are not kept for what the same step says next
_PIECES = 64  # in one call; IOV_MAX is 1024


class Writer:
    """Without blocking: what the pipe does not take is kept. What one step sends to several peers leaves together: the
    agent wakes once for it, and one message to its gateway carries it."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._rest: deque[memoryview] = deque()
        self._size = 0
        self._watched = self._due = False

    def write(self, kind: FromParty, *body: bytes) -> None:
        self._put(kind, body)
        self._now()

    def post(self, *body: bytes) -> None:
        """A frame for a peer: when this step has said all it says, unless it is long."""
        self._put(FromParty.PEER, body)
        if self._size >= AT_ONCE:
            self._now()
        elif not self._due and not self._watched:
            self._due = True
            asyncio.get_running_loop().call_soon(self._now)

    def write_json(self, kind: FromParty, body: object) -> None:
        self.write(kind, json.dumps(body).encode())

    def drain(self) -> None:
        """Write everything, blocking."""
        os.set_blocking(self._descriptor, True)
        self._flush()

    def _put(self, kind: FromParty, body: tuple[bytes, ...]) -> None:
        for piece in (head(kind, sum(map(len, body))), *body):
            if piece:
                self._rest.append(memoryview(piece))
                self._size += len(piece)

    def _now(self) -> None:
        self._due = False
        self._flush()
        if bool(self._rest) is self._watched:
            return
        self._watched = not self._watched
        loop = asyncio.get_running_loop()
        if self._watched:
            loop.add_writer(self._descriptor, self._now)
        else:
            loop.remove_writer(self._descriptor)

    def _flush(self) -> None:
        try:
            while self._rest:
                self._written(os.writev(self._descriptor, list(islice(self._rest, _PIECES))))
        except BlockingIOError:
            pass
        except OSError:  # nobody reads any more: the agent is gone
            os._exit(2)

    def _written(self, count: int) -> None:
        self._size -= count
        while count:
            first = self._rest[0]
            if count < len(first):
                self._rest[0] = first[count:]
                return
            count -= len(first)
            self._rest.popleft()
