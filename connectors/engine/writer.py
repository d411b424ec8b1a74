"""A party's pipe to its agent.

Invariants: writing never blocks the party (what the pipe does not take is kept, so two parties that write to
each other through one agent cannot lock up); only the event loop's thread writes, so frames are never interleaved; a
party whose agent is gone dies.
"""

import asyncio
import json
import os

from connectors.engine.pipe import FromParty, frame


class Writer:
    """Without blocking: what the pipe does not take is kept."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor, self._rest = descriptor, bytearray()
        self._watched = False

    def write(self, kind: FromParty, body: bytes = b"") -> None:
        self._rest += frame(kind, body)
        self._flush()
        if self._rest and not self._watched:
            self._watched = True
            asyncio.get_running_loop().add_writer(self._descriptor, self._on_writable)

    def write_json(self, kind: FromParty, body: object) -> None:
        self.write(kind, json.dumps(body).encode())

    def drain(self) -> None:
        """Write everything, blocking."""
        os.set_blocking(self._descriptor, True)
        self._flush()

    def _on_writable(self) -> None:
        self._flush()
        if not self._rest:
            self._watched = False
            asyncio.get_running_loop().remove_writer(self._descriptor)

    def _flush(self) -> None:
        try:
            while self._rest:
                del self._rest[: os.write(self._descriptor, memoryview(self._rest)[: 1 << 18])]
        except BlockingIOError:
            pass
        except OSError:  # nobody reads any more: the agent is gone
            os._exit(2)
