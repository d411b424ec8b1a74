"""Steps 4 to 7 of the route at the home gateway: propose, run, release, and tell every space how it ended.

Invariants: state changes only through `rules.lifecycle`; a session is started once and never again; the
first failure that a space reports decides, and every space is told the same culprit and reason.
"""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64decode
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.domain.approval import SignedApproval, SignedContract
from gateway.domain.audit import Fact
from gateway.domain.computation import Computation, Ending, Receipt, SealedShare, SpaceStatus, State, View
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.session import Completed, Failure, Progress, Refusal, RunEvent, ViewSample
from gateway.flows.approve import Approve
from gateway.ports import Clock, ComputationStore, Documents, Federation, Opener, Watchers
from gateway.rules import release
from gateway.rules.lifecycle import Event, next_state

CONCLUDE_WITHIN = 2.0


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


@dataclass(slots=True)
class Drive:
    entity: str
    clock: Clock
    store: ComputationStore
    federation: Federation
    documents: Documents
    opener: Opener
    watchers: Watchers
    _stops: dict[str, asyncio.Future[Stopped]] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def start(self, computation: Computation, contract: SignedContract) -> None:
        """Drive it in the background until it has ended."""
        self._stops[computation.id] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._drive(computation, contract), name=f"drive {computation.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self, id: str, stopped: Stopped) -> bool:
        """End a driven computation; False when nobody drives it here."""
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

    async def _drive(self, computation: Computation, contract: SignedContract) -> None:
        work = asyncio.create_task(self._work(computation, contract))
        stop = self._stops[computation.id]
        await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        try:
            if not work.done():
                work.cancel()
                await asyncio.wait({work})
                raise stop.result()
            await work
        except Stopped as stopped:
            await self._end(computation.id, contract, stopped)
        except IsthmusError as problem:
            await self._end(computation.id, contract, _stopped_by(problem, self.entity))
        except Exception as bug:  # whatever it was, nobody may wait for ever: every space is told
            problem = IsthmusError(Reason.INTERNAL, "the home gateway failed", private=repr(bug))
            await self._end(computation.id, contract, _stopped_by(problem, self.entity))
            raise
        finally:
            self._stops.pop(computation.id, None)

    async def _work(self, computation: Computation, contract: SignedContract) -> None:
        computation = await self._save(computation, Event.PROPOSE, "computation.proposed")
        approvals, refusals = await Approve(self.federation, self.documents).gather(contract)
        if refusals:
            raise _vetoed(refusals)
        agreed = tuple(SpaceStatus(entity, "APPROVED") for entity in contract.body.entities())
        tokens = tuple(approval.token for approval in approvals)
        computation = await self._save(computation, Event.AGREE, "computation.agreed", spaces=agreed, approvals=tokens)
        computation = await self._save(computation, Event.START, "session.started")
        began = asyncio.get_running_loop().time()
        session = _Session({status.space: status for status in agreed})
        try:
            async with asyncio.timeout(contract.body.deadlines.total):
                await self._run(computation, contract, approvals, session)
        except TimeoutError:
            raise _failed(Reason.DEADLINE_EXCEEDED, "", "the session took longer than its contract allows") from None
        seconds = asyncio.get_running_loop().time() - began
        await self._release(computation, contract, approvals, session, seconds)

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
            events = self.federation.line(entity).run(contract.token, tokens, chains)
            try:
                while True:
                    async with asyncio.timeout(stall):
                        event = await anext(events, None)
                    if event is None:
                        raise _failed(Reason.PEER_UNREACHABLE, entity, "the space ended its report in mid-session")
                    done = await self._take(entity, event, contract, session)
                    self.watchers.changed(replace(computation, spaces=tuple(session.statuses.values())))
                    if done:
                        return
            except TimeoutError:
                raise _failed(
                    Reason.PEER_UNREACHABLE, entity, f"the space gave no sign of life for {stall} s"
                ) from None
            except IsthmusError as problem:
                raise _stopped_by(problem, problem.space or entity) from None

        await _first_failure([follow(entity) for entity in entities])

    async def _take(self, entity: str, event: RunEvent, contract: SignedContract, session: _Session) -> bool:
        """One event of one space; True when it was the last."""
        match event:
            case Progress():
                session.statuses[entity] = SpaceStatus(entity, "RUNNING", event.phase, event.fraction)
            case SealedShare():
                if event.pid not in {seat.pid for seat in contract.body.seats_of(entity)}:
                    raise _failed(Reason.PROTOCOL_VIOLATION, entity, "an output share came for a seat of another space")
                session.shares.append(event)
            case Completed():
                receipt = await self.documents.receipt(event.receipt, contract, entity)
                self._hold_against(entity, receipt, contract, session)
                session.receipts.append(receipt)
                session.views += [_view(entity, sample) for sample in event.views if contract.body.demo_view]
                session.statuses[entity] = SpaceStatus(entity, "DONE", "done", 1.0)
                return True
            case Failure():
                raise Stopped(_event_of(event), event)
        return False

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

    async def _release(
        self,
        computation: Computation,
        contract: SignedContract,
        approvals: list[SignedApproval],
        session: _Session,
        seconds: float,
    ) -> None:
        event = Event.RELEASE
        if any(recipient.kind == "gateway" for recipient in contract.body.recipients):
            table = self.opener.open(contract, approvals, session.shares)  # raises INCONSISTENT_SHARES
            if all(row.suppressed for row in table.rows):
                event = Event.WITHHOLD
        receipts = tuple(sorted(session.receipts, key=lambda receipt: receipt.space))
        ended = await self._save(
            computation,
            event,
            "computation.released" if event is Event.RELEASE else "computation.withheld",
            spaces=tuple(session.statuses.values()),
            shares=tuple(sorted(session.shares, key=lambda share: (share.recipient, share.pid))),
            receipts=receipts,
            views=tuple(session.views),
            seconds=round(seconds, 3),
        )
        await self._conclude(contract, ended.state, None, [receipt.token for receipt in receipts])

    async def _end(self, id: str, contract: SignedContract, stopped: Stopped) -> None:
        computation = await self.store.get(id)
        if computation is None:
            return
        failure = stopped.failure
        ending = Ending(failure.reason, failure.culprit, failure.phase, failure.text, failure.action)
        ended = await self._save(
            computation, stopped.event, f"computation.{stopped.event.lower()}", str(failure.text), ending=ending
        )
        await self._conclude(contract, ended.state, failure, [])

    async def _conclude(
        self, contract: SignedContract, state: State, failure: Failure | None, receipts: list[str]
    ) -> None:
        async def tell(entity: str) -> None:
            try:
                async with asyncio.timeout(CONCLUDE_WITHIN):
                    line = self.federation.line(entity)
                    await line.conclude(contract.body.session, contract.digest, state, failure, receipts)
            except (TimeoutError, IsthmusError):
                # A space that cannot be told finds out by itself: its Run ends when this gateway lets go.
                return

        await asyncio.gather(*(tell(entity) for entity in contract.body.entities()))

    async def _save(
        self, computation: Computation, event: Event, kind: str, detail: str = "", **changes: Any
    ) -> Computation:
        now = self.clock.now()
        moved = replace(computation, state=next_state(computation.state, event), updated=now, **changes)
        fact = Fact(now, kind, self.entity, computation.name, detail or f"contract {computation.contract_digest}")
        saved = await self.store.save(moved, [fact])
        self.watchers.changed(saved)
        return saved


async def dispute(store: ComputationStore, clock: Clock, computation: Computation) -> Computation:
    """The recipient found its shares inconsistent: the computation has failed after all."""
    problem = release.inconsistent("the recipient said so")
    ended = replace(
        computation,
        state=next_state(computation.state, Event.DISPUTE),
        updated=clock.now(),
        ending=Ending(problem.reason.value, "", "release", problem.public, problem.advice),
    )
    return await store.save(
        ended, [Fact(clock.now(), "computation.disputed", computation.requester, computation.name, problem.public)]
    )


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


def _event_of(failure: Failure) -> Event:
    return Event.CANCEL if failure.reason == Reason.CANCELLED else Event.FAIL


def _failed(reason: Reason, culprit: str, text: str) -> Stopped:
    action = f"The operator of {culprit} has to look into it" if culprit else "Ask again"
    return Stopped(Event.FAIL, Failure(reason.value, culprit, "session", text, action))


def _stopped_by(problem: IsthmusError, culprit: str) -> Stopped:
    event = Event.EXPIRE if problem.reason is Reason.CONTRACT_EXPIRED else Event.FAIL
    return Stopped(event, Failure(problem.reason.value, culprit, "session", problem.public, problem.advice))


def _vetoed(refusals: list[Refusal]) -> Stopped:
    first = refusals[0]
    text = "; ".join(f"{refusal.space}: {refusal.text}" for refusal in refusals)
    return Stopped(Event.REJECT, Failure(first.reason, first.space, "approval", text, first.advice))


def _view(entity: str, sample: ViewSample) -> View:
    return View(sample.pid, entity, sample.step, sample.sender, sample.values)
