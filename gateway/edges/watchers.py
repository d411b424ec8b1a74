"""Tells watchers in this process that a computation changed; only the newest version waits for each.

Invariant: who no longer follows, or never began to read, leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator

from gateway.domain.computation import Computation
from gateway.rules.lifecycle import LIVE


class _Followers:
    """The queues of one computation's followers; each follower keeps it alive, and its own queue."""

    def __init__(self) -> None:
        self.queues: weakref.WeakSet[asyncio.Queue[Computation]] = weakref.WeakSet()


class LocalWatchers:
    def __init__(self) -> None:
        self._followers: weakref.WeakValueDictionary[str, _Followers] = weakref.WeakValueDictionary()

    def changed(self, computation: Computation) -> None:
        followers = self._followers.get(computation.id)
        for queue in () if followers is None else tuple(followers.queues):
            while not queue.empty():  # a slow watcher skips what is old
                queue.get_nowait()
            queue.put_nowait(computation)

    def follow(self, id: str) -> AsyncIterator[Computation]:
        """Every version from this call on, until one has ended."""
        followers = self._followers.setdefault(id, _Followers())
        queue: asyncio.Queue[Computation] = asyncio.Queue(1)
        followers.queues.add(queue)
        return _versions(followers, queue)


async def _versions(_: _Followers, queue: asyncio.Queue[Computation]) -> AsyncIterator[Computation]:
    while True:
        computation = await queue.get()
        yield computation
        if computation.state not in LIVE:
            return
