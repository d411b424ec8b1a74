"""A party's pipe to its agent.

Invariants: writing never blocks the party (what the pipe does not take is kept, so two parties that write to
each other through one agent cannot lock up); only the event loop's thread writes, so frames are never interleaved; a
party whose agent is gone dies.
"""

import asyncio
import json
import os

from connectors.engine.pipe import FromParty, Unwritten, head

AT_ONCE = 1 << 15  # bytes that are not kept for what the same step says next


class Writer:
    """Without blocking: what the pipe does not take is kept. What one step sends to several peers leaves together: the
    agent wakes once for it, and one message to its gateway carries it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._unwritten = descriptor, Unwritten(descriptor)
        self._watched = self._due = False

    def write(self, kind: FromParty, *body: bytes) -> None:
        self._put(kind, body)
        self._now()

    def post(self, *body: bytes) -> None:
        """A frame for a peer: when this step has said all it says, unless it is long."""
        self._put(FromParty.PEER, body)
        if self._unwritten.size >= AT_ONCE:
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
        self._unwritten.put(head(kind, sum(map(len, body))), *body)

    def _now(self) -> None:
        self._due = False
        self._flush()
        if bool(self._unwritten.size) is self._watched:
            return
        self._watched = not self._watched
        loop = asyncio.get_running_loop()
        if self._watched:
            loop.add_writer(self._descriptor, self._now)
        else:
            loop.remove_writer(self._descriptor)

    def _flush(self) -> None:
        try:
            self._unwritten.flush()
        except OSError:  # nobody reads any more: the agent is gone
            os._exit(2)
