"""Exchanges 1 and 2 of the route at a space that takes part: ask the own agent, keep an account, carry frames.

Invariants: this gateway checks who asks, but decides nothing: its agent verifies everything again. Each
participant ends with the same state, culprit and receipts as the home gateway; only the initiator of a
session can end it; when the initiator vanishes in mid-session, or the agent falls silent, the session ends here too,
and what only the others could tell is left open.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.domain.approval import SignedContract
from gateway.domain.audit import Fact
from gateway.domain.computation import Computation, Receipt, Role, SpaceStatus, State
from gateway.domain.contract import Contract
from gateway.domain.decision import Consulted
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.plan import Verdict
from gateway.domain.session import Approval, Completed, Failure, Progress, Refusal, RunEvent
from gateway.flows.account import Account, ending_of
from gateway.flows.oversee import lines_watched, overseen
from gateway.ports import Agent, Chains, Documents, Plans, Stewards, Tunnels
from gateway.rules import blame, redelivery
from gateway.rules.jose import parse_compact
from gateway.rules.lifecycle import LIVE, Event
from gateway.rules.records import from_bytes

# Longer than the initiator hears the others before it concludes.
CONCLUSION_WITHIN = 1.4

_EVENT_OF_STATE = {
    State.RELEASED: Event.RELEASE,
    State.WITHHELD: Event.WITHHOLD,
    State.REJECTED: Event.REJECT,
    State.CANCELLED: Event.CANCEL,
    State.FAILED: Event.FAIL,
    State.EXPIRED: Event.EXPIRE,
}


@dataclass(slots=True)
class TakePart:
    """This space's side of every session; also the line through which its own gateway talks to it."""

    account: Account
    agent: Agent
    documents: Documents
    tunnels: Tunnels
    # Whether the gateway of another space answers within so many seconds.
    alive: Callable[[str, float], Awaitable[bool]]
    plans: Plans
    stewards: Stewards
    # Sessions that run here; set when the initiator has said how one ended.
    _running: dict[str, asyncio.Event] = field(default_factory=dict)
    # Those that are done here and wait for how it ended.
    _done: dict[str, asyncio.Event] = field(default_factory=dict)
    # What this gateway itself finds wrong with a session that runs here.
    _found: dict[str, asyncio.Future[Failure]] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def entity(self) -> str:
        return self.account.entity

    async def check(self, draft: bytes, *, caller: str) -> Verdict:
        """The agent's verdict from public metadata; nobody hears what it would say to somebody else."""
        read = from_bytes(Contract, draft, what="draft", reason=Reason.CONTRACT_INVALID)
        if read.initiator != caller:
            raise _not_the_initiator(caller, read)
        return await self.agent.check(draft)

    async def consult(self, plan: str, chains: Chains, withdrawn: bool, *, caller: str) -> Consulted | Refusal:
        """What the agent says of its people's decision. Nothing is kept here: the agent keeps the plan."""
        signed = await self.plans.read(plan)
        if signed.body.initiator != caller:
            raise _not_the_initiator(caller, signed.body)
        return await self.stewards.consult(plan, chains, withdrawn)

    async def propose(self, contract: str, chains: Chains, *, caller: str) -> Approval | Refusal:
        """The agent's answer, kept with the contract; the same contract always gets the same answer."""
        signed = await self._read(contract, caller)
        session = signed.body.session
        await self.account.witness.check(signed.body.entities())
        known = await self._proposed(signed)
        if known is not None and known.state not in LIVE:
            return self._answered(known)
        self.tunnels.open(signed.body)
        try:
            answer = await self.agent.propose(contract, chains)
        except BaseException:
            latest = await self.account.store.get(session)
            # By a repeat of this very proposal it may have been approved meanwhile.
            if latest is None or latest.state is State.AWAITING_APPROVAL:
                await self.tunnels.close(session)
            raise
        if isinstance(answer, Refusal):
            await self.tunnels.close(session)
        if known is not None and known.state is State.AWAITING_APPROVAL:
            with suppress(_Overtaken):  # by a repeat of this very proposal, which got the same answer
                if isinstance(answer, Approval):
                    await self._advance(known, Event.AGREE, "contract.approved", approvals=(answer.token,))
                else:
                    vetoed = Failure(answer.reason, self.entity, "approval", answer.text, answer.advice)
                    ending = ending_of(vetoed)
                    await self._advance(known, Event.REJECT, "contract.refused", answer.text, ending=ending)
        if isinstance(answer, Approval):
            self.tunnels.open(signed.body)  # again, if a repeat of it failed meanwhile
        return answer

    async def run(
        self, contract: str, approvals: Sequence[str], chains: Chains, *, caller: str
    ) -> AsyncGenerator[RunEvent, None]:
        """The agent's events, as they come. When the caller goes away in mid-session, the session ends."""
        signed = await self._read(contract, caller)
        session = signed.body.session
        if session in self._running:
            raise IsthmusError(
                Reason.CONTRACT_CONSUMED,
                "this session runs already",
                space=self.entity,
                advice="Ask again: a new contract is made",
            )
        concluded = self._running[session] = asyncio.Event()
        try:
            known = await self._known(signed)
            if known is not None:
                approved = tuple(approvals)
                known = await self.account.advance(known, Event.START, "session.started", approvals=approved)
        except BaseException:
            del self._running[session]
            raise
        last: RunEvent | None = None
        found = self._found[session] = asyncio.get_running_loop().create_future()
        try:
            self.tunnels.open(signed.body)
            if not await self._is_redelivered(signed, approvals):  # it has no traffic
                self.tunnels.start(session)
            ran = self.agent.run(contract, approvals, chains)
            async with (
                lines_watched(self.entity, signed.body, self.alive, found),
                aclosing(overseen(self.entity, self.agent, signed.body, ran, found)) as events,
            ):
                async for event in events:
                    last = event
                    if isinstance(event, Progress) and known is not None:
                        status = SpaceStatus(self.entity, "RUNNING", event.phase, event.fraction)
                        self.account.watchers.changed(replace(known, spaces=(status,)))
                    yield event
        except IsthmusError as problem:
            last = Failure(problem.reason.value, self.entity, "start", problem.public, problem.advice)
            raise
        finally:
            if isinstance(last, Completed):
                self._done[session] = self._running.pop(session)
                task = asyncio.create_task(self._until_concluded(signed, concluded, found), name=f"done {session}")
            else:
                self._found.pop(session, None)
                failure = last if isinstance(last, Failure) else None
                task = asyncio.create_task(self._left_alone(signed, concluded, failure), name=f"ending {session}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def found(self, session: str, failure: Failure) -> None:
        """This gateway finds that a session has failed: it ends here, and whoever follows it is told."""
        found = self._found.get(session)
        if found is None:
            await self.agent.stop(session, failure)
        elif not found.done():
            found.set_result(replace(failure, found=True))

    async def conclude(
        self,
        session: str,
        digest: str,
        state: State,
        failure: Failure | None,
        receipts: Sequence[str],
        *,
        caller: str,
    ) -> None:
        """How the session ended, as its initiator says; a failure stops this space's party at once."""
        event = _EVENT_OF_STATE.get(state)
        if event is None:
            raise IsthmusError(Reason.INVALID_ARGUMENT, "a session does not end in this state", field="state")
        if (failure is None) is not (state in (State.RELEASED, State.WITHHELD)):
            # What ended well comes with every space's receipt, and nothing else does: nobody chooses what is looked at.
            text = "a session that ended well has no failure, and any other has one"
            raise IsthmusError(Reason.INVALID_ARGUMENT, text, field="failure", advice="Say how it ended")
        known = await self.account.store.get(session)
        own = caller == self.entity
        # A session that somebody else initiated is as unknown to the caller as one that is not there.
        if not own and (
            known is None or (known.role, known.requester, known.contract_digest) != (Role.PARTICIPANT, caller, digest)
        ):
            raise IsthmusError(Reason.NOT_FOUND, "no such session here", advice="Propose the contract first")
        if failure is not None and known is not None:
            with suppress(IsthmusError):  # of a contract that cannot be read any more the session ends all the same
                failure = blame.believable(failure, caller, self.documents.recall(known)[0].body)
        for sessions in (self._running, self._done):
            if session in sessions:
                sessions[session].set()
        if failure is not None or (own and state is State.RELEASED):
            await self.agent.stop(session, failure)
        await self.tunnels.close(session)
        if own or known is None:
            return
        ending = None if failure is None else ending_of(failure)
        if known.state is State.RELEASED and ending is not None and ending.reason == Reason.INCONSISTENT_SHARES:
            await self.account.advance(known, Event.DISPUTE, "computation.disputed", ending.text, ending=ending)
        elif known.state in LIVE:
            kept = await self._receipts(known, receipts) if failure is None else ()
            text = "" if failure is None else failure.text
            await self.account.advance(known, event, f"computation.{state.lower()}", text, receipts=kept, ending=ending)
            if state is State.RELEASED:
                await self.agent.stop(session, None)
            await self.account.witness.see(kept)

    async def _receipts(self, known: Computation, tokens: Sequence[str]) -> tuple[Receipt, ...]:
        """The verified receipts, one of every space: what audit logs are held against each other with."""
        contract, _ = self.documents.recall(known)
        kept = [await self.documents.receipt(token, contract, _issuer(token)) for token in tokens]
        if sorted(receipt.space for receipt in kept) != sorted(contract.body.entities()):
            raise IsthmusError(
                Reason.APPROVALS_INVALID,
                "a session ends with one receipt of every space that took part",
                field="receipts",
                space=self.entity,
                advice="Bring the receipts as the spaces signed them",
            )
        return tuple(kept)

    async def _is_redelivered(self, signed: SignedContract, approvals: Sequence[str]) -> bool:
        """What the agent will come to, if the approvals hold; it decides."""
        with suppress(IsthmusError):
            return bool(redelivery.origin(signed, [await self.documents.approval(a, signed) for a in approvals]))
        return False

    async def _read(self, token: str, caller: str) -> SignedContract:
        signed = await self.documents.contract(token)
        if signed.body.initiator != caller:
            raise _not_the_initiator(caller, signed.body)
        return signed

    async def _proposed(self, signed: SignedContract) -> Computation | None:
        """This space's account of the contract, begun if there is none; None where it is the home gateway."""
        body = signed.body
        if body.initiator == self.entity or await self.account.store.get(body.session) is not None:
            return await self._known(signed)
        now = self.account.clock.now()
        wanted = Computation(
            id=body.session,
            role=Role.PARTICIPANT,
            requester=body.initiator,
            request_id=body.session,
            request_digest=signed.digest,
            state=State.AWAITING_APPROVAL,
            query="",
            contract=signed.token,
            contract_digest=signed.digest,
            created=now,
            updated=now,
            expires=body.expires,
            spaces=(SpaceStatus(self.entity, "PROPOSED"),),
        )
        fact = Fact(now, "contract.proposed", body.initiator, wanted.name, f"contract {signed.digest}")
        return await self.account.store.create(wanted, [fact])

    async def _known(self, signed: SignedContract) -> Computation | None:
        """This space's account of the contract; None where it is the home gateway, which keeps its own."""
        if signed.body.initiator == self.entity:
            return None
        known = await self.account.store.get(signed.body.session)
        if known is None or known.contract_digest != signed.digest:
            raise IsthmusError(
                Reason.CONTRACT_INVALID,
                "this session was not proposed with these bytes",
                field="contract",
                space=self.entity,
                advice="Propose the contract before it is run",
            )
        return known

    def _answered(self, known: Computation) -> Refusal:
        """The answer to a contract whose computation has ended: what was refused stays so, nothing runs again."""
        if known.state is State.REJECTED and known.ending is not None and known.ending.space == self.entity:
            ending = known.ending
            return Refusal(ending.reason, ending.text, advice=ending.action, space=self.entity)
        return Refusal(
            Reason.CONTRACT_CONSUMED.value,
            f"the computation of this contract is {known.state} already",
            advice="Ask again: a new contract is made",
            space=self.entity,
        )

    async def _advance(self, known: Computation, event: Event, kind: str, detail: str = "", **changes: Any) -> None:
        try:
            await self.account.advance(known, event, kind, detail, **changes)
        except IsthmusError as problem:
            if problem.reason is Reason.ILLEGAL_TRANSITION:
                raise _Overtaken from None
            raise

    async def _until_concluded(
        self, signed: SignedContract, concluded: asyncio.Event, found: asyncio.Future[Failure]
    ) -> None:
        """This space has done its part; the session ends here all the same when the others fall away."""
        session = signed.body.session
        told = asyncio.create_task(concluded.wait())
        try:
            async with lines_watched(self.entity, signed.body, self.alive, found):
                total = signed.body.deadlines.total
                await asyncio.wait((told, found), timeout=total, return_when=asyncio.FIRST_COMPLETED)
            if not concluded.is_set():
                await self._left_alone(signed, concluded, found.result() if found.done() else None)
        finally:
            told.cancel()
            self._found.pop(session, None)
            self._done.pop(session, None)

    async def _left_alone(self, signed: SignedContract, concluded: asyncio.Event, failure: Failure | None) -> None:
        """The report ended before the session was complete: nothing of it may stay behind here."""
        session, initiator = signed.body.session, signed.body.initiator
        try:
            # When the initiator let go because another space failed, its conclusion is on its way and says more.
            async with asyncio.timeout(CONCLUSION_WITHIN):
                await concluded.wait()
        except TimeoutError:
            # Without the initiator nobody here knows what the others report, or whose line it was that broke.
            text = f"nothing more is heard of {initiator}, whose gateway holds the session together"
            away = Failure(Reason.PEER_UNREACHABLE.value, initiator, "session", text)
            ended = blame.alone(self.entity, failure or away)
            await self.agent.stop(session, ended)
            await self.tunnels.close(session)
            if initiator != self.entity:
                await self.account.end(session, Event.FAIL, ended)
        finally:
            self._running.pop(session, None)


class _Overtaken(Exception):
    """Somebody else wrote the same step first."""


def _not_the_initiator(caller: str, contract: Contract) -> IsthmusError:
    return IsthmusError(
        Reason.PERMISSION_DENIED,
        "only its initiator may bring a contract",
        private=f"{caller} brought a contract of {contract.initiator}",
        field="contract",
    )


def _issuer(token: str) -> str:
    """Whose receipt this says it is; the reader then verifies that it is."""
    return str(parse_compact(token, 64 * 1024).claims.get("iss"))
