"""Steps 4 to 7 of the route at the home gateway: propose, run, release, and tell every space how it ended.

Invariants: state changes only through `rules.lifecycle`; a session is started once and never again; the first failure
that is reported ends it, what the others report of it is heard for a moment, and every space is told the same
culprit, by `rules.blame`, and the same reason.
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
from gateway.domain.computation import Computation, Receipt, SealedShare, SpaceStatus, State, View
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.session import UNDETERMINED, Completed, Failure, Progress, Refusal, RunEvent, ViewSample
from gateway.flows.account import Account, ending_of
from gateway.flows.approve import Approve
from gateway.ports import Documents, Federation, Opener, Revocations
from gateway.rules import blame, release
from gateway.rules.blame import Report
from gateway.rules.lifecycle import ENDINGS, Event

CONCLUDE_WITHIN = 2.0
# So long the others are heard after the first report that does not settle whose doing it was.
HEARD_WITHIN = 0.8
# What a line tells that broke, rather than the space at its other end.
_LINE_LOST = frozenset({Reason.PEER_UNREACHABLE, Reason.DEADLINE_EXCEEDED, Reason.CANCELLED})
# Reasons of spaces that gave no answer, rather than a veto.
_NO_ANSWER = frozenset({Reason.PEER_UNREACHABLE, Reason.AGENT_UNREACHABLE, Reason.DEADLINE_EXCEEDED, Reason.INTERNAL})


class Stopped(Exception):
    """The computation ends here, other than by release."""

    def __init__(self, event: Event, failure: Failure) -> None:
        super().__init__(failure.text)
        self.event = event
        self.failure = failure


class _Reported(Exception):
    """A space's session has failed, as it says itself or as this gateway finds."""

    def __init__(self, report: Report) -> None:
        super().__init__(report.failure.text)
        self.report = report


@dataclass(slots=True)
class _Session:
    """What has come in of one session so far."""

    statuses: dict[str, SpaceStatus]
    shares: list[SealedShare] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    views: list[View] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a session brought, ready to be written."""

    computation: Computation
    event: Event
    changes: dict[str, Any]


@dataclass(slots=True)
class Drive:
    account: Account
    federation: Federation
    documents: Documents
    opener: Opener
    revocations: Revocations
    _stops: dict[str, asyncio.Future[Stopped]] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def start(self, computation: Computation, contract: SignedContract) -> None:
        """Drive it in the background until it has ended."""
        self._stops[computation.id] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._drive(computation, contract), name=f"drive {computation.id}")
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
        """End everything that is driven and wait until every space has been told."""
        for id in list(self._stops):
            self.stop(id, stopped)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2 * CONCLUDE_WITHIN)

    async def dispute(self, computation: Computation) -> Computation:
        """The recipient found its shares inconsistent: the computation has failed after all, everywhere."""
        contract, _ = self.documents.recall(computation)
        problem = release.inconsistent("the recipient said so")
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

    async def _drive(self, computation: Computation, contract: SignedContract) -> None:
        try:
            outcome = await self._unless_stopped(computation.id, self._work(computation, contract))
            await self._release(contract, outcome)
        except Stopped as stopped:
            await self._end(computation.id, contract, stopped)
        except IsthmusError as problem:
            await self._end(computation.id, contract, _stopped_by(problem, problem.space or self.account.entity))
        except Exception as bug:  # whatever it was, nobody may wait for ever: every space is told
            internal = IsthmusError(Reason.INTERNAL, "the home gateway failed", private=repr(bug))
            await self._end(computation.id, contract, _stopped_by(internal, self.account.entity))
            raise

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
        session = _Session({status.space: status for status in agreed})
        try:
            async with asyncio.timeout(contract.body.deadlines.total):
                await self._run(computation, contract, approvals, session)
        except TimeoutError:
            text = "the session took longer than its contract allows"
            late = Failure(Reason.DEADLINE_EXCEEDED.value, UNDETERMINED, "session", text, "Ask again")
            raise Stopped(Event.FAIL, late) from None
        seconds = asyncio.get_running_loop().time() - began
        return self._outcome(computation, contract, approvals, session, seconds)

    async def _run(
        self,
        computation: Computation,
        contract: SignedContract,
        approvals: list[SignedApproval],
        session: _Session,
    ) -> None:
        """Exchange 2: all spaces in parallel; the first failure ends it, once it is clear whose doing it was."""
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

        reports = await _first_failures(contract, [follow(entity) for entity in entities])
        if reports:
            failure = blame.verdict(contract.body, reports)
            raise Stopped(Event.EXPIRE if failure.reason == Reason.CONTRACT_EXPIRED else Event.FAIL, failure)

    def _found(self, reason: Reason, culprit: str, text: str) -> _Reported:
        action = f"The operator of {culprit} has to look into it"
        return _Reported(Report(self.account.entity, Failure(reason.value, culprit, "session", text, action)))

    def _broken(self, entity: str, problem: IsthmusError) -> _Reported:
        """A line that broke is what this gateway finds; anything else its space has said."""
        if entity != self.account.entity and problem.reason in _LINE_LOST:
            lost = Reason.DEADLINE_EXCEEDED if problem.reason is Reason.DEADLINE_EXCEEDED else Reason.PEER_UNREACHABLE
            return self._found(lost, problem.space or UNDETERMINED, problem.public)
        return _Reported(
            Report(entity, Failure(problem.reason.value, entity, "session", problem.public, problem.advice))
        )

    async def _take(self, entity: str, event: RunEvent, contract: SignedContract, session: _Session) -> bool:
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

    def _check_share(self, entity: str, share: SealedShare, contract: SignedContract, session: _Session) -> None:
        """A share comes once, for a seat of the space that sends it, to a recipient that the contract names."""
        if share.pid not in {seat.pid for seat in contract.body.seats_of(entity)}:
            raise self._found(Reason.PROTOCOL_VIOLATION, entity, "an output share came for a seat of another space")
        if share.recipient not in {recipient.name for recipient in contract.body.recipients}:
            raise self._found(Reason.PROTOCOL_VIOLATION, entity, "an output share came for nobody of the contract")
        if any((share.pid, share.recipient) == (other.pid, other.recipient) for other in session.shares):
            raise self._found(Reason.PROTOCOL_VIOLATION, entity, "an output share came twice")

    def _hold_against(self, entity: str, receipt: Receipt, contract: SignedContract, session: _Session) -> None:
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
        ):
            raise self._found(Reason.PROTOCOL_VIOLATION, entity, "the receipt does not fit the shares or the limits")

    def _outcome(
        self,
        computation: Computation,
        contract: SignedContract,
        approvals: list[SignedApproval],
        session: _Session,
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

    async def _end(self, id: str, contract: SignedContract, stopped: Stopped) -> None:
        try:
            await self.account.end(id, stopped.event, stopped.failure)
        finally:  # even if this space cannot write: the others must not wait
            await self._conclude(contract, ENDINGS[stopped.event], stopped.failure, [])

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


def _view(entity: str, sample: ViewSample) -> View:
    return View(sample.pid, entity, sample.step, sample.sender, sample.values)
