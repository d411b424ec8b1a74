"""Steps 4 to 7 of the route at the home gateway: propose, run, release, and tell every space how it ended.

Invariants: state changes only through `rules.lifecycle`; a session is started once and never again; the first failure
that is reported ends it (follow.py), and every space is told the same culprit, by `rules.blame`, and the same reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from gateway.domain.approval import SignedApproval, SignedContract
from gateway.domain.computation import Computation, SpaceStatus, State
from gateway.domain.decision import SignedPlan
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.session import UNDETERMINED, Failure, Refusal
from gateway.flows.account import Account, ending_of
from gateway.flows.approve import Approve
from gateway.flows.consult import Consult, NotDecided
from gateway.flows.follow import Follow, Session
from gateway.ports import Documents, Federation, Opener, Revocations
from gateway.rules import blame, redelivery, sharing
from gateway.rules.lifecycle import ENDINGS, Event

CONCLUDE_WITHIN = 2.0
# Reasons of spaces that gave no answer, rather than a veto.
_NO_ANSWER = frozenset({Reason.PEER_UNREACHABLE, Reason.AGENT_UNREACHABLE, Reason.DEADLINE_EXCEEDED, Reason.INTERNAL})


class Stopped(Exception):
    """The computation ends here, other than by release."""

    def __init__(self, event: Event, failure: Failure) -> None:
        super().__init__(failure.text)
        self.event = event
        self.failure = failure


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a session brought, ready to be written."""

    computation: Computation
    event: Event
    changes: dict[str, Any]


@dataclass(slots=True)
class _Asked:
    """What the other spaces know of a computation: its contract, or still its plan."""

    last: SignedContract | SignedPlan

    @property
    def contract(self) -> SignedContract:
        if isinstance(self.last, SignedPlan):
            raise AssertionError("people have not decided yet")
        return self.last


@dataclass(slots=True)
class Drive:
    account: Account
    federation: Federation
    documents: Documents
    opener: Opener
    revocations: Revocations
    consult: Consult
    # What waits for people outlives this process: nobody ends it when the process does.
    _waiting: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _stops: dict[str, asyncio.Future[Stopped]] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def start(self, computation: Computation, asked: SignedContract | SignedPlan) -> None:
        """Drive it in the background until it has ended; of a plan, first until people have decided."""
        self._stops[computation.id] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._drive(computation, asked), name=f"drive {computation.id}")
        if isinstance(asked, SignedPlan):
            self._waiting[computation.id] = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self, id: str, stopped: Stopped) -> bool:
        """End a driven computation; False when nobody drives it here, or its outcome is being written already."""
        future = self._stops.get(id)
        if future is None or future.done():
            return False
        future.set_result(stopped)
        return True

    async def drain(self, stopped: Stopped) -> None:
        """End everything that is driven and wait until every space has been told. What waits for people goes on
        waiting, and is driven again when the process is back."""
        for id in list(self._stops):
            if (waiting := self._waiting.get(id)) is not None:
                waiting.cancel()
            else:
                self.stop(id, stopped)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2 * CONCLUDE_WITHIN)

    async def dispute(self, computation: Computation) -> Computation:
        """The recipient found its shares inconsistent: the computation has failed after all, everywhere."""
        contract, _ = self.documents.recall(computation)
        problem = sharing.inconsistent("the recipient said so")
        failure = Failure(problem.reason.value, UNDETERMINED, "release", problem.public, problem.advice)
        ended = await self.account.advance(
            computation,
            Event.DISPUTE,
            "computation.disputed",
            problem.public,
            subject=computation.requester,
            ending=ending_of(failure),
        )
        await self._conclude(contract, ended.state, failure, [])
        return ended

    async def _drive(self, computation: Computation, asked: SignedContract | SignedPlan) -> None:
        agreed = _Asked(asked)
        try:
            outcome = await self._unless_stopped(computation.id, self._decide_and_work(computation, agreed))
            await self._release(agreed.contract, outcome)
        except Stopped as stopped:
            await self._end(computation.id, agreed, stopped)
        except NotDecided as problem:
            await self._end(computation.id, agreed, Stopped(problem.event, problem.failure))
        except IsthmusError as problem:
            await self._end(computation.id, agreed, _stopped_by(problem, problem.space or self.account.entity))
        except Exception as bug:  # whatever it was, nobody may wait for ever: every space is told
            internal = IsthmusError(Reason.INTERNAL, "the home gateway failed", private=repr(bug))
            await self._end(computation.id, agreed, _stopped_by(internal, self.account.entity))
            raise
        finally:
            self._waiting.pop(computation.id, None)

    async def _decide_and_work(self, computation: Computation, asked: _Asked) -> _Outcome:
        if isinstance(asked.last, SignedPlan):
            if computation.state is State.PENDING:
                detail = f"plan {asked.last.digest}"
                computation = await self.account.advance(computation, Event.PROPOSE, "plan.proposed", detail)
            computation, asked.last = await self.consult.decided(computation, asked.last)
            self._waiting.pop(computation.id, None)
        return await self._work(computation, asked.contract)

    async def _unless_stopped(self, id: str, work: Coroutine[Any, Any, _Outcome]) -> _Outcome:
        """What `work` brings; raises Stopped if somebody stops it before. From then on nobody can."""
        stop = self._stops[id]
        task = asyncio.create_task(work)
        try:
            await asyncio.wait((task, stop), return_when=asyncio.FIRST_COMPLETED)
            if stop.done():
                raise stop.result()
            return task.result()
        finally:
            del self._stops[id]
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _work(self, computation: Computation, contract: SignedContract) -> _Outcome:
        advance = self.account.advance
        if computation.state is State.PENDING:
            computation = await advance(computation, Event.PROPOSE, "computation.proposed")
        approvals, refusals = await Approve(self.federation, self.documents).gather(contract)
        if refusals:
            raise _refused(refusals)
        agreed = tuple(SpaceStatus(entity, "APPROVED") for entity in contract.body.entities())
        tokens = tuple(approval.token for approval in approvals)
        computation = await advance(computation, Event.AGREE, "computation.agreed", spaces=agreed, approvals=tokens)
        # Between the answers of the others and now; from here on `Withdraw` sees the approvals in the store.
        if (revoked := self.revocations.revoked(contract, approvals)) is not None:
            raise revoked
        computation = await advance(computation, Event.START, "session.started")
        began = asyncio.get_running_loop().time()
        origin = redelivery.origin(contract, approvals)
        session = Session({status.space: status for status in agreed}, origin=origin)
        try:
            async with asyncio.timeout(contract.body.deadlines.total):
                follow = Follow(self.account, self.federation, self.documents)
                reports = await follow.failures(computation, contract, approvals, session)
        except TimeoutError:
            text = "the session took longer than its contract allows"
            late = Failure(Reason.DEADLINE_EXCEEDED.value, UNDETERMINED, "session", text, "Ask again")
            raise Stopped(Event.FAIL, late) from None
        if reports:
            # Who says that something was revoked is held against the signed lists that have come here.
            said = any(report.failure.reason == Reason.REVOKED for report in reports)
            if said and (revoked := self.revocations.revoked(contract, approvals)) is not None:
                raise revoked
            failure = blame.verdict(contract.body, reports)
            raise Stopped(Event.EXPIRE if failure.reason == Reason.CONTRACT_EXPIRED else Event.FAIL, failure)
        seconds = asyncio.get_running_loop().time() - began
        return self._outcome(computation, contract, approvals, session, seconds)

    def _outcome(
        self,
        computation: Computation,
        contract: SignedContract,
        approvals: list[SignedApproval],
        session: Session,
        seconds: float,
    ) -> _Outcome:
        event = Event.RELEASE
        if any(recipient.kind == "gateway" for recipient in contract.body.recipients):
            try:
                table = self.opener.open(contract, approvals, session.shares)
            except IsthmusError as problem:  # whose share is wrong, nobody can tell
                raise _stopped_by(problem, UNDETERMINED, "release") from None
            if all(row.suppressed for row in table.rows):
                event = Event.WITHHOLD
        changes = {
            "spaces": tuple(session.statuses.values()),
            "shares": tuple(sorted(session.shares, key=lambda share: (share.recipient, share.pid))),
            "receipts": tuple(sorted(session.receipts, key=lambda receipt: receipt.space)),
            "views": tuple(session.views),
            "seconds": round(seconds, 3),
        }
        return _Outcome(computation, event, changes)

    async def _release(self, contract: SignedContract, outcome: _Outcome) -> None:
        kind = "computation.released" if outcome.event is Event.RELEASE else "computation.withheld"
        ended = await self.account.advance(outcome.computation, outcome.event, kind, **outcome.changes)
        await self._conclude(contract, ended.state, None, [receipt.token for receipt in ended.receipts])
        # Nobody waits for this any more; what it cannot write now, `isthmus audit verify` finds in the receipts.
        with suppress(IsthmusError):
            await self.account.witness.see(ended.receipts)

    async def _end(self, id: str, asked: _Asked, stopped: Stopped) -> None:
        try:
            await self.account.end(id, stopped.event, stopped.failure)
        finally:  # even if this space cannot write: the others must not wait
            if isinstance(asked.last, SignedPlan):
                await self.consult.withdraw(asked.last)
            else:
                await self._conclude(asked.contract, ENDINGS[stopped.event], stopped.failure, [])

    async def _conclude(
        self, contract: SignedContract, state: State, failure: Failure | None, receipts: list[str]
    ) -> None:
        async def tell(entity: str) -> None:
            try:
                async with asyncio.timeout(CONCLUDE_WITHIN):
                    line = self.federation.line(entity)
                    await line.conclude(contract.body.session, contract.digest, state, failure, receipts)
            except (TimeoutError, IsthmusError):
                # A space that cannot be told finds out by itself: by its Run, or when the session's time is up.
                return

        await asyncio.gather(*(tell(entity) for entity in contract.body.entities()))


def _stopped_by(problem: IsthmusError, culprit: str, phase: str = "session") -> Stopped:
    event = Event.EXPIRE if problem.reason is Reason.CONTRACT_EXPIRED else Event.FAIL
    return Stopped(event, Failure(problem.reason.value, culprit, phase, problem.public, problem.advice))


def _refused(refusals: list[Refusal]) -> Stopped:
    """How it ends when not everybody approved: by a veto if there is one, else by who could not be asked."""
    vetoes = [refusal for refusal in refusals if refusal.reason not in _NO_ANSWER]
    first = (vetoes or refusals)[0]
    event = Event.REJECT if vetoes else Event.FAIL
    if first.reason == Reason.CONTRACT_EXPIRED:
        event = Event.EXPIRE
    text = "; ".join(f"{refusal.space}: {refusal.text[:500]}" for refusal in refusals)
    return Stopped(event, Failure(first.reason, first.space, "approval", text, first.advice))
