"""The job that deletes what was kept for its time, in a gateway and in an agent alike.

Invariant: it deletes by the clock that it is given and by its rules, and nothing else; what fails is tried again at
the next look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from gateway.domain.errors import IsthmusError
from gateway.ports import Clock, Retention
from gateway.rules.retention import Rule

log = structlog.get_logger()
LOOK_EVERY = 3600.0
# Rows of one transaction: other writers wait for no more than that.
BATCH = 100
# Somebody reads at the moment: seconds until the file is tried again, and how often.
SCRUB_AGAIN, SCRUBS = 10.0, 30


class Retaining:
    def __init__(self, entity: str, rules: Sequence[Rule], store: Retention, clock: Clock) -> None:
        self._entity, self._rules, self._store, self._clock = entity, rules, store, clock

    async def look(self) -> bool:
        """Delete all that is due. False where bytes of it are still in the database's files, because somebody
        reads there; `Retention.scrub` takes them away later. Raises IsthmusError."""
        now = self._clock.now()
        for rule in self._rules:
            while await self._store.delete(rule, self._entity, now, BATCH) == BATCH:
                pass  # a transaction each: others write in between
        return await self._store.scrub()

    async def for_ever(self) -> None:
        """At once, then every hour."""
        while True:
            try:
                left = not await self.look()
                for _ in range(SCRUBS if left else 0):
                    await asyncio.sleep(SCRUB_AGAIN)
                    if await self._store.scrub():
                        break
            except IsthmusError as problem:
                log.error("what is due cannot be deleted", problem=problem.public, why=problem.private)
            await asyncio.sleep(LOOK_EVERY)
