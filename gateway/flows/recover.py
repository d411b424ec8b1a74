"""What a gateway finds when it starts again, and what nobody ran in time.

Invariant: a party is never silently run again: a session that was live when its gateway went down has
failed, and its account says whose gateway that was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.domain.audit import Fact
from gateway.domain.computation import Computation, Ending, Role, State
from gateway.domain.errors import Reason
from gateway.ports import Clock, ComputationStore, Watchers
from gateway.rules.lifecycle import LIVE, Event, next_state

GRACE = 15  # seconds past a contract's expiry, for clocks that differ and sessions that are just starting


@dataclass(frozen=True, slots=True)
class Recover:
    entity: str
    clock: Clock
    store: ComputationStore
    watchers: Watchers

    async def end_what_is_left(self) -> None:
        """At start: home computations and running sessions have ended with the process that drove them."""
        for found in await self.store.live(sorted(LIVE)):
            if found.role is Role.HOME or found.state is State.RUNNING:
                ending = Ending(
                    Reason.CANCELLED.value, self.entity, "restart", "the gateway was started again", "Ask again"
                )
                await self._end(found, Event.FAIL, ending)

    async def expire(self) -> None:
        """Contracts that were never run are expired."""
        waiting = [State.PENDING, State.AWAITING_APPROVAL, State.AGREED]
        for found in await self.store.live(waiting):
            if self.clock.now() > found.expires + GRACE:
                ending = Ending(
                    Reason.CONTRACT_EXPIRED.value, found.requester, "approval", "the contract was not run", "Ask again"
                )
                await self._end(found, Event.EXPIRE, ending)

    async def _end(self, found: Computation, event: Event, ending: Ending) -> None:
        now = self.clock.now()
        ended = replace(found, state=next_state(found.state, event), updated=now, ending=ending)
        fact = Fact(now, f"computation.{ended.state.lower()}", self.entity, found.name, ending.text)
        self.watchers.changed(await self.store.save(ended, [fact]))
