"""One space's account of its computations: state, facts and watchers, always together.

Invariants: state changes only through `rules.lifecycle`; a change and its fact are one write; watchers hear
of what was written, never of what was only meant.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from gateway.domain.audit import Fact
from gateway.domain.computation import Computation, Ending
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.session import Failure
from gateway.flows.witness import Witness
from gateway.ports import Clock, ComputationStore, Watchers
from gateway.rules.lifecycle import LIVE, Event, next_state

ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Account:
    entity: str
    clock: Clock
    store: ComputationStore
    watchers: Watchers
    witness: Witness

    async def advance(
        self, computation: Computation, event: Event, kind: str, detail: str = "", *, subject: str = "", **changes: Any
    ) -> Computation:
        """`computation` after `event`, written with a fact; `subject` is whose doing it was, by default this space's.

        Raises IsthmusError(ILLEGAL_TRANSITION) when the table has no such step or somebody else wrote in between.
        """
        now = self.clock.now()
        moved = replace(computation, state=next_state(computation.state, event), updated=now, **changes)
        text = detail or f"contract {computation.contract_digest}"
        fact = Fact(now, kind, subject or self.entity, computation.name, text)
        saved = await self.store.save(moved, [fact])
        self.watchers.changed(saved)
        return saved

    async def note(self, changed: Computation, kind: str, detail: str) -> Computation:
        """`changed` in the state in which it is, written with a fact. Raises as `advance`."""
        now = self.clock.now()
        saved = await self.store.save(
            replace(changed, updated=now), [Fact(now, kind, self.entity, changed.name, detail[:1000])]
        )
        self.watchers.changed(saved)
        return saved

    async def end(self, id: str, event: Event, failure: Failure) -> Computation | None:
        """End a computation that is still live, whoever else writes to it; as it is stored then.

        What has ended already stays as it is.
        """
        for attempt in range(ATTEMPTS):
            found = await self.store.get(id)
            if found is None or found.state not in LIVE:
                return found
            ended = next_state(found.state, event)
            try:
                return await self.advance(
                    found, event, f"computation.{ended.lower()}", failure.text, ending=ending_of(failure)
                )
            except IsthmusError as problem:
                if problem.reason is not Reason.ILLEGAL_TRANSITION or attempt == ATTEMPTS - 1:
                    raise
        return None


def ending_of(failure: Failure) -> Ending:
    return Ending(failure.reason, failure.culprit, failure.phase, failure.text, failure.action)
