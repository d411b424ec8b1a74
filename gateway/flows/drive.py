"""Steps 4 to 7 of the route at the home gateway: propose, run, release, and tell every space how it ended.

Invariants: state changes only through `rules.lifecycle`; a session is started once and never again; the
first failure that a space reports decides, and every space is told the same culprit and reason.
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
from gateway.domain.session import Completed, Failure, Progress, Refusal, RunEvent, ViewSample
from gateway.flows.account import Account, ending_of
from gateway.flows.approve import Approve
from gateway.ports import Documents, Federation, Opener, Revocations
from gateway.rules import release
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
        failure = Failure(problem.reason.value, "", "release", problem.public, problem.advice)
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
            raise _failed(Reason.DEADLINE_EXCEEDED, "", "the session took longer than its contract allows") from None
        seconds = asyncio.get_running_loop().time() - began
        return self._outcome(computation, contract, approvals, session, seconds)

    async def _run(
        self,
        computation: Computation,
        contract: SignedContract,
        approvals: list[SignedApproval],
        session: _Session,
    ) -> None:
        """Exchange 2: all spaces in parallel; the first failure ends it."""
        entities = contract.body.entities()
        tokens = [approval.token for approval in approvals]
        chains = self.federation.chains(entities)

        async def follow(entity: str) -> None:
            stall = contract.body.deadlines.stall
            try:
                async with aclosing(self.federation.line(entity).run(contract.token, tokens, chains)) as events:
                    done = False
                    while not done:
                        async with asyncio.timeout(stall):
                            event = await anext(events, None)
                        if event is None:
                            raise _failed(Reason.PEER_UNREACHABLE, entity, "the space ended its report in mid-session")
                        done = await self._take(entity, event, contract, session)
                        self.account.watchers.changed(replace(computation, spaces=tuple(session.statuses.values())))
            except TimeoutError:
                raise _failed(
                    Reason.PEER_UNREACHABLE, entity, f"the space gave no sign of life for {stall} s"
                ) from None
            except IsthmusError as problem:
                raise _stopped_by(problem, entity) from None

        await _first_failure([follow(entity) for entity in entities])

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
                raise Stopped(Event.FAIL, _believable(event, entity, contract))
        return False

    def _check_share(self, entity: str, share: SealedShare, contract: SignedContract, session: _Session) -> None:
        """A share comes once, for a seat of the space that sends it, to a recipient that the contract names."""
        if share.pid not in {seat.pid for seat in contract.body.seats_of(entity)}:
            raise _failed(Reason.PROTOCOL_VIOLATION, entity, "an output share came for a seat of another space")
        if share.recipient not in {recipient.name for recipient in contract.body.recipients}:
            raise _failed(Reason.PROTOCOL_VIOLATION, entity, "an output share came for nobody of the contract")
        if any((share.pid, share.recipient) == (other.pid, other.recipient) for other in session.shares):
            raise _failed(Reason.PROTOCOL_VIOLATION, entity, "an output share came twice")

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
            raise _failed(Reason.PROTOCOL_VIOLATION, entity, "the receipt does not fit the shares or the limits")

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
                raise _stopped_by(problem, "", "release") from None
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


async def _first_failure(work: list[Coroutine[Any, Any, None]]) -> None:
    """All of it, or the first exception as it comes, with the rest cancelled."""
    tasks = [asyncio.create_task(item) for item in work]
    try:
        for task in asyncio.as_completed(tasks):
            await task
    finally:
        for pending in tasks:
            pending.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _believable(failure: Failure, entity: str, contract: SignedContract) -> Failure:
    """What a space reports, as far as it can be true: a known reason, and a culprit that takes part."""
    reason = failure.reason if failure.reason in Reason.__members__ else Reason.INTERNAL.value
    culprit = failure.culprit if failure.culprit in ("", *contract.body.entities()) else entity
    return replace(failure, reason=reason, culprit=culprit, text=failure.text[:1000], action=failure.action[:1000])


def _failed(reason: Reason, culprit: str, text: str) -> Stopped:
    action = f"The operator of {culprit} has to look into it" if culprit else "Ask again"
    return Stopped(Event.FAIL, Failure(reason.value, culprit, "session", text, action))


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
