"""What all spaces report of a session, as the home gateway hears it (step 5 of the route).

Invariants: nothing is kept that was not held against the contract; what breaks on the way is told from what a space
says; the first failure that is reported ends it, and what the others report of it is heard for a moment.
"""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64decode
from collections.abc import Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.domain.approval import SignedApproval, SignedContract
from gateway.domain.computation import Computation, Receipt, SealedShare, SpaceStatus, View
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.session import UNDETERMINED, Completed, Failure, Progress, RunEvent, ViewSample
from gateway.flows.account import Account
from gateway.ports import Documents, Federation
from gateway.rules import blame
from gateway.rules.blame import Report

# So long the others are heard after the first report that does not settle whose doing it was.
HEARD_WITHIN = 0.8
# What a line tells that broke, rather than the space at its other end.
_LINE_LOST = frozenset({Reason.PEER_UNREACHABLE, Reason.DEADLINE_EXCEEDED, Reason.CANCELLED})

# What a space that refuses to begin says of somebody else.
_OF_ANOTHER = frozenset({Reason.REVOKED, Reason.REVOCATION_STALE})


class _Reported(Exception):
    """A space's session has failed, as it says itself or as this gateway finds."""

    def __init__(self, report: Report) -> None:
        super().__init__(report.failure.text)
        self.report = report


@dataclass(slots=True)
class Session:
    """What has come in of one session so far."""

    statuses: dict[str, SpaceStatus]
    shares: list[SealedShare] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    # The digest of the contract whose kept shares are re-delivered, if no session is run.
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Follow:
    account: Account
    federation: Federation
    documents: Documents

    async def failures(
        self,
        computation: Computation,
        contract: SignedContract,
        approvals: list[SignedApproval],
        session: Session,
    ) -> list[Report]:
        """Exchange 2: all spaces in parallel, until all are done (nothing then), or until it is clear whose doing the
        first failure was. What comes is kept in `session`.
        """
        entities = contract.body.entities()
        tokens = [approval.token for approval in approvals]
        chains = self.federation.chains(entities)

        async def follow(entity: str) -> None:
            # Its own gateway finds earlier that its agent is silent; what is silent beyond that is the line.
            stall = contract.body.deadlines.stall + HEARD_WITHIN
            try:
                async with aclosing(self.federation.line(entity).run(contract.token, tokens, chains)) as events:
                    done = False
                    while not done:
                        async with asyncio.timeout(stall):
                            event = await anext(events, None)
                        if event is None:
                            text = "the space ended its report in mid-session"
                            raise self._found(Reason.PROTOCOL_VIOLATION, entity, text)
                        done = await self._take(entity, event, contract, session)
                        self.account.watchers.changed(replace(computation, spaces=tuple(session.statuses.values())))
            except TimeoutError:
                # It may be the space or any line on the way.
                text = f"{entity} gave no sign of life for {stall:g} s"
                raise self._found(Reason.PEER_UNREACHABLE, UNDETERMINED, text) from None
            except IsthmusError as problem:
                raise self._broken(entity, problem) from None

        return await _first_failures(contract, [follow(entity) for entity in entities])

    def _found(self, reason: Reason, culprit: str, text: str) -> _Reported:
        action = f"The operator of {culprit} has to look into it"
        failure = Failure(reason.value, culprit, "session", text, action, found=True)
        return _Reported(Report(self.account.entity, failure))

    def _broken(self, entity: str, problem: IsthmusError) -> _Reported:
        """A line that broke is what this gateway finds; anything else its space has said."""
        if entity != self.account.entity and problem.reason in _LINE_LOST:
            lost = Reason.DEADLINE_EXCEEDED if problem.reason is Reason.DEADLINE_EXCEEDED else Reason.PEER_UNREACHABLE
            return self._found(lost, problem.space or UNDETERMINED, problem.public)
        culprit = UNDETERMINED if problem.reason in _OF_ANOTHER else entity
        return _Reported(
            Report(entity, Failure(problem.reason.value, culprit, "session", problem.public, problem.advice))
        )

    async def _take(self, entity: str, event: RunEvent, contract: SignedContract, session: Session) -> bool:
        """One event of one space; True when it was the last."""
        match event:
            case Progress():
                session.statuses[entity] = SpaceStatus(entity, "RUNNING", event.phase, event.fraction)
            case SealedShare():
                self._check_share(entity, event, contract, session)
                session.shares.append(event)
            case Completed():
                receipt = await self.documents.receipt(event.receipt, contract, entity)
                self._hold_against(entity, receipt, contract, session)
                session.receipts.append(receipt)
                viewed = {seat.pid for seat in contract.body.seats_of(entity)} & {contract.body.viewed_pid()}
                session.views += [_view(entity, sample) for sample in event.views if sample.pid in viewed]
                session.statuses[entity] = SpaceStatus(entity, "DONE", "done", 1.0)
                return True
            case Failure():
                raise _Reported(Report(entity, blame.believable(event, entity, contract.body)))
        return False

    def _check_share(self, entity: str, share: SealedShare, contract: SignedContract, session: Session) -> None:
        """A share comes once, for a seat of the space that sends it, to a recipient that the contract names."""
        if share.pid not in {seat.pid for seat in contract.body.seats_of(entity)}:
            raise self._found(Reason.PROTOCOL_VIOLATION, entity, "an output share came for a seat of another space")
        if share.recipient not in {recipient.name for recipient in contract.body.recipients}:
            raise self._found(Reason.PROTOCOL_VIOLATION, entity, "an output share came for nobody of the contract")
        if any((share.pid, share.recipient) == (other.pid, other.recipient) for other in session.shares):
            raise self._found(Reason.PROTOCOL_VIOLATION, entity, "an output share came twice")

    def _hold_against(self, entity: str, receipt: Receipt, contract: SignedContract, session: Session) -> None:
        """A receipt has to name exactly the shares that came, and the contract's limits."""
        mine = {seat.pid for seat in contract.body.seats_of(entity)}
        came = sorted(
            hashlib.sha256(b64decode(share.sealed)).hexdigest() for share in session.shares if share.pid in mine
        )
        limits = contract.body.limits
        if (
            sorted(receipt.outputs) != came
            or len(came) != len(mine) * len(contract.body.recipients)
            or (receipt.minimum_cell, receipt.zero_is_small) != (limits.minimum_cell, limits.zero_is_small)
            or receipt.epsilon != limits.epsilon
            or receipt.redelivered != session.origin
        ):
            raise self._found(Reason.PROTOCOL_VIOLATION, entity, "the receipt does not fit the shares or the limits")


async def _first_failures(contract: SignedContract, work: list[Coroutine[Any, Any, None]]) -> list[Report]:
    """Nothing when all of it succeeds; else the first report and what others come while it matters."""
    loop = asyncio.get_running_loop()
    pending = {asyncio.create_task(item) for item in work}
    tasks, reports, until = set(pending), list[Report](), 0.0
    try:
        while pending:
            left = until - loop.time() if reports else None
            if left is not None and left <= 0:
                break
            done, pending = await asyncio.wait(pending, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                try:
                    task.result()
                except _Reported as reported:
                    until = until or loop.time() + HEARD_WITHIN
                    reports.append(reported.report)
            if reports and blame.is_settled(contract.body, reports):
                break
        return reports
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _view(entity: str, sample: ViewSample) -> View:
    return View(sample.pid, entity, sample.step, sample.sender, sample.values)
