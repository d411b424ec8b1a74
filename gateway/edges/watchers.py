"""Tells watchers in this process that a computation changed; only the newest version waits for each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from gateway.domain.computation import Computation
from gateway.rules.lifecycle import LIVE


class LocalWatchers:
    def __init__(self) -> None:
        self._queues: dict[str, set[asyncio.Queue[Computation]]] = {}

    def changed(self, computation: Computation) -> None:
        for queue in self._queues.get(computation.id, ()):
            while not queue.empty():  # a slow watcher skips what is old
                queue.get_nowait()
            queue.put_nowait(computation)

    async def follow(self, id: str) -> AsyncIterator[Computation]:
        """Every version from now on, until one has ended."""
        queue: asyncio.Queue[Computation] = asyncio.Queue(1)
        self._queues.setdefault(id, set()).add(queue)
        try:
            while True:
                computation = await queue.get()
                yield computation
                if computation.state not in LIVE:
                    return
        finally:
            self._queues[id].discard(queue)
            if not self._queues[id]:
                del self._queues[id]
