"""Keeps the own revocation list fresh and sends it out: a new one at once when something was revoked.

Invariants: what cannot be signed or read now is tried again and said once, never silently left; a list that came in
a file is judged like one that came over a line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import structlog

from gateway.domain.errors import IsthmusError
from gateway.domain.revocation import Revoked
from gateway.edges.revocations import Revocations
from gateway.edges.revoking import OwnList

LOOK_EVERY = 0.5
log = structlog.get_logger()


class Herald:
    def __init__(
        self, own: OwnList, revocations: Revocations, push: Callable[[], Awaitable[None]], files: Sequence[Path] = ()
    ) -> None:
        """`push` tells every peer now; `files` are where anchors' lists are put down."""
        self._own, self._revocations, self._push, self._files = own, revocations, push, files
        self._said: Revoked | None = None
        self._problem = ""

    async def look(self) -> bool:
        """Sign, read and believe what is due; whether the own list says something new."""
        for file in self._files:
            if file.exists():
                await self._revocations.hear([file.read_text().strip()], str(file))
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
