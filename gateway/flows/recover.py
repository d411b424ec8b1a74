"""What a gateway finds when it starts again, and what nobody ran or concluded in time.

Invariant: a party is never silently run again: a session that was live when its gateway went down has
failed, and its account says whose gateway that was.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from gateway.domain.computation import Computation, Role, State
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.session import UNDETERMINED, Failure
from gateway.flows.account import Account
from gateway.ports import Tunnels
from gateway.rules.lifecycle import LIVE, Event
from gateway.rules.planning import LONGEST_SESSION

GRACE = 15  # seconds past a contract's expiry, for clocks that differ and sessions that are just starting


@dataclass(frozen=True, slots=True)
class Recover:
    account: Account
    tunnels: Tunnels
    # Drives on what waits for people.
    resume: Callable[[Computation], None]

    async def end_what_is_left(self) -> None:
        """At start: home computations and running sessions have ended with the process that drove them; those that wait
        for people go on waiting."""
        # The same reason and culprit as everybody else finds, who only sees this gateway go away.
        entity = self.account.entity
        text, action = "the gateway was started again in mid-session", "Ask again"
        gone = Failure(Reason.PEER_UNREACHABLE.value, entity, "session", text, action)
        for found in await self.account.store.live(sorted(LIVE)):
            if found.role is Role.HOME and found.waits_for_people:
                with suppress(IsthmusError):  # one that cannot be read any more expires
                    self.resume(found)
            elif found.role is Role.HOME or found.state is State.RUNNING:
                await self._end(found, Event.FAIL, gone)

    async def expire(self) -> None:
        """Contracts that nobody ran have expired; sessions that nobody concluded have failed."""
        now = self.account.clock.now()
        for found in await self.account.store.live(sorted(LIVE)):
            initiator = self.account.entity if found.role is Role.HOME else found.requester
            action = f"Ask again, or ask the operator of {initiator}"
            if found.state is not State.RUNNING and now > found.expires + GRACE:
                text = "the contract was not run in time"
                late = Failure(Reason.CONTRACT_EXPIRED.value, initiator, "approval", text, action)
                await self._end(found, Event.EXPIRE, late)
            elif found.role is Role.PARTICIPANT and now > found.expires + LONGEST_SESSION + GRACE:
                text = f"{initiator} never said how the session ended"
                silent = Failure(Reason.PEER_UNREACHABLE.value, UNDETERMINED, "session", text, action)
                await self._end(found, Event.FAIL, silent)

    async def _end(self, found: Computation, event: Event, failure: Failure) -> None:
        # One that cannot be written now does not keep the others; the next round tries it again.
        with suppress(IsthmusError):
            await self.account.end(found.id, event, failure)
            await self.tunnels.close(found.id)
