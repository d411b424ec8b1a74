"""Policies that change while the agent runs: read again, held against the dataset, in force within a second.

Invariants: a file that cannot be read, or says what no policy can, changes nothing and is told loudly, once; a file
counts once it was the same at two looks, for half a policy may allow more than the whole; what is in force is what is
offered; what runs is held against it at once, and again when a day begins, since policies expire.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import structlog

from connectors.agent import Agent
from connectors.config import PolicyConfig
from connectors.holdings import under
from connectors.stewards import check_holding
from gateway.config import load
from gateway.domain.errors import IsthmusError
from gateway.edges.files import Stamp, stamp_if_there
from gateway.rules.dates import day_of

LOOK_EVERY = 0.4
log = structlog.get_logger()


class PolicyWatch:
    def __init__(self, agent: Agent, files: Mapping[str, Path]) -> None:
        """`files` are the policies by dataset. They are read once more at first: one may have changed since."""
        self._agent, self._files = agent, files
        # The files that were read, and those that have changed and may still be written to.
        self._seen: dict[str, Stamp | None] = {}
        self._changing: dict[str, Stamp | None] = {}
        self._day = day_of(agent.clock.now())

    async def for_ever(self) -> None:
        while True:
            try:
                await self.look()
            except Exception as bug:  # nobody would look at the policies again
                log.error("policies", exc_info=bug)
            await asyncio.sleep(LOOK_EVERY)

    async def look(self) -> None:
        """Once at every file."""
        for name, file in self._files.items():
            stamp = stamp_if_there(file)
            if name in self._seen and self._seen[name] == stamp:
                continue
            if name not in self._changing or self._changing[name] != stamp:
                self._changing[name] = stamp
                continue
            self._seen[name] = self._changing.pop(name)
            await self._read(name, file)
        if self._day != (today := day_of(self._agent.clock.now())):
            self._day = today
            self._agent.look_at_policies()

    async def _read(self, name: str, file: Path) -> None:
        held = self._agent.holdings[name]
        try:
            changed = under(held, load(PolicyConfig, file))
            check_holding(changed, self._agent.stewards)
        except IsthmusError as problem:
            version = held.dataset.terms.version
            log.error("a policy is refused: the old one stays", dataset=name, stays=version, problem=str(problem))
            await self._agent.keep_policy(name, problem)
            return
        if changed != held:
            log.info("a policy has changed", dataset=name, version=changed.dataset.terms.version)
            await self._agent.change_policy(changed)
