"""What runs or waits under something that was revoked ends here, whoever else has heard of it.

Invariants: every space that hears of a revocation ends the same computations, with the same reason and culprit: the
space whose key, contract or membership was revoked; a driven computation ends through its driver, which tells the
others.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from gateway.domain.computation import Computation, Role
from gateway.domain.errors import IsthmusError
from gateway.domain.session import Failure
from gateway.flows.account import Account
from gateway.flows.drive import Stopped
from gateway.ports import Agent, Documents, Revocations, Tunnels
from gateway.rules.lifecycle import LIVE, Event


@dataclass(frozen=True, slots=True)
class Withdraw:
    account: Account
    documents: Documents
    revocations: Revocations
    agent: Agent
    tunnels: Tunnels
    # Ends a computation that is driven here; False when it is not.
    stop: Callable[[str, Stopped], bool]

    async def look_again(self) -> None:
        """Hold every live computation against what is revoked now."""
        severed = self.revocations.severed()
        for found in await self.account.store.live(sorted(LIVE)):
            # One that cannot be ended now does not keep the others; its agent ends its session by itself.
            with suppress(IsthmusError):
                contract, approvals = self.documents.recall(found)
                problem = self.revocations.revoked(contract, approvals)
                for entity in (*contract.body.entities(), contract.body.initiator):
                    problem = problem or severed.get(entity)
                if problem is not None:
                    await self._end(found, failure_of(problem))

    async def _end(self, found: Computation, failure: Failure) -> None:
        if found.role is Role.HOME and self.stop(found.id, Stopped(Event.FAIL, failure)):
            return
        await self.agent.stop(found.id, failure)
        await self.tunnels.close(found.id)
        await self.account.end(found.id, Event.FAIL, failure)


def failure_of(problem: IsthmusError) -> Failure:
    return Failure(problem.reason.value, problem.space, "session", problem.public, problem.advice)
