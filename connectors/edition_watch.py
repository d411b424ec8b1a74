"""Editions that are published while the agent runs: checked, offered and answered from within a second.

Invariants: an edition is offered once its frozen copy has been checked here; one that cannot be answered from changes
nothing and is told loudly, once; what was agreed on the edition before runs on it.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import structlog

from connectors.agent import Agent
from connectors.holdings import Former, on_copy
from connectors.publishing import copy_of
from gateway.domain.errors import IsthmusError

LOOK_EVERY = 0.4
# Seconds for which peers plan on the edition before: their catalogue may be that old.
CATALOGUE_AGE = 60
Stamp = tuple[int, int, int] | None
log = structlog.get_logger()


class EditionWatch:
    def __init__(self, agent: Agent, folder: Path) -> None:
        """`folder` is that of the frozen copies."""
        self._agent, self._folder = agent, folder
        # The number of the newest edition that was seen, by dataset; at first those are on offer already.
        self._seen: dict[str, int] = {}
        # Of those whose copy was refused, what it was then: `publish` may put it back.
        self._refused: dict[str, tuple[Path, Stamp]] = {}

    async def for_ever(self) -> None:
        while True:
            try:
                await self.look()
            except IsthmusError as problem:  # the database: it may be busy or away for a moment
                log.warning("editions cannot be looked for", problem=str(problem))
            except Exception as bug:  # nobody would look for editions again
                log.error("editions", exc_info=bug)
            await asyncio.sleep(LOOK_EVERY)

    async def look(self) -> None:
        """Once for editions of every dataset."""
        for name, number in (await self._agent.database.editions.newest()).items():
            if name in self._agent.holdings and (number != self._seen.get(name) or self._is_mended(name)):
                self._seen[name] = number
                self._refused.pop(name, None)
                await self._take_up(name)

    def _is_mended(self, name: str) -> bool:
        if name not in self._refused:
            return False
        place, stamp = self._refused[name]
        return _stamp(place) != stamp

    async def _take_up(self, name: str) -> None:
        newest = (await self._agent.database.editions.of(name))[-1]
        if newest.edition == self._agent.holdings[name].dataset.edition:
            return
        place = self._folder / newest.file
        stamp = _stamp(place)
        try:
            frozen = await asyncio.to_thread(on_copy, self._agent.holdings[name], copy_of(newest, self._folder))
        except IsthmusError as problem:
            log.error(
                "an edition is refused: the one before stays", dataset=name, edition=newest.id, problem=str(problem)
            )
            self._refused[name] = place, stamp
            await self._agent.keep_edition(name, problem)
            return
        # As it is held now: its policy may have changed while the copy was read.
        held = self._agent.holdings[name]
        until = self._agent.clock.now() + CATALOGUE_AGE
        former = Former(held.dataset.edition, held.source, until)
        dataset = replace(held.dataset, edition=frozen.dataset.edition)
        log.info("an edition was published", dataset=name, edition=newest.id)
        await self._agent.change_edition(replace(held, dataset=dataset, source=frozen.source, former=former))


def _stamp(place: Path) -> Stamp:
    """What tells one file of this name from the next; None where there is none."""
    try:
        state = place.stat()
    except OSError:
        return None
    return state.st_ino, state.st_size, state.st_mtime_ns
