"""Keeps the own revocation list fresh and sends it out: a new one at once when something was revoked.

Invariant: what cannot be signed now is tried again and said once, never silently left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from gateway.domain.errors import IsthmusError
from gateway.domain.revocation import Revoked
from gateway.edges.revocations import Revocations
from gateway.edges.revoking import OwnList

LOOK_EVERY = 0.5
log = structlog.get_logger()


class Shelf:
    """Where an anchor keeps its newest list, for those who ask for it."""

    def __init__(self, own: OwnList) -> None:
        self._own = own
        self._token = ""
        self._problem = ""

    def __call__(self) -> str:
        return self._token

    async def look(self) -> None:
        try:
            self._token, self._problem = await self._own.current(), ""
        except IsthmusError as problem:
            if str(problem) != self._problem:
                log.error("the anchor's revocation list cannot be renewed", problem=str(problem), why=problem.private)
            self._problem = str(problem)

    async def look_for_ever(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            await self.look()


class Herald:
    def __init__(self, own: OwnList, revocations: Revocations, push: Callable[[], Awaitable[None]]) -> None:
        """`push` tells every peer now."""
        self._own, self._revocations, self._push = own, revocations, push
        self._said: Revoked | None = None
        self._problem = ""
        self._pushing: set[asyncio.Task[None]] = set()

    async def heard(self, anchor: str, token: str) -> None:
        """An anchor's list, from the anchor itself. Peers are told at once of what it newly revokes: whoever hears of
        it first spares the others the wait until they ask."""
        before = self._revocations.said(anchor)
        await self._revocations.hear([token], anchor)
        if self._revocations.said(anchor) != before:
            task = asyncio.ensure_future(self._push())
            self._pushing.add(task)
            task.add_done_callback(self._pushing.discard)

    async def look(self) -> bool:
        """Sign and believe what is due; whether the own list says something new."""
        try:
            said = (await self._revocations.admit(await self._own.current())).revoked
        except IsthmusError as problem:
            if str(problem) != self._problem:
                log.error("this space's revocation list cannot be renewed", problem=str(problem), why=problem.private)
            self._problem = str(problem)
            return False
        changed, self._said, self._problem = self._said not in (None, said), said, ""
        return changed

    async def look_for_ever(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                if await self.look():
                    await self._push()
            except IsthmusError as problem:  # the store does not answer: the next round tries again
                log.warning("revocations", problem=str(problem), why=problem.private)
