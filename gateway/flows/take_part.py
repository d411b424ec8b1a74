"""Exchanges 1 and 2 of the route at a space that takes part: ask the own agent, keep an account, carry frames.

Invariants: this gateway checks who asks, but decides nothing: its agent verifies everything again. Each
participant ends with the same state, culprit and receipts as the home gateway; when the initiator vanishes
in mid-session, the session ends here too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.domain.approval import SignedContract
from gateway.domain.audit import Fact
from gateway.domain.computation import Computation, Ending, Receipt, Role, SpaceStatus, State
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.plan import Verdict
from gateway.domain.session import Approval, Completed, Failure, Progress, Refusal, RunEvent
from gateway.ports import Agent, Chains, Clock, ComputationStore, Documents, Tunnels, Watchers
from gateway.rules.lifecycle import LIVE, Event, next_state

CONCLUSION_WITHIN = 1.5

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

    entity: str
    clock: Clock
    store: ComputationStore
    agent: Agent
    documents: Documents
    tunnels: Tunnels
    watchers: Watchers
    _running: dict[str, asyncio.Event] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def check(self, draft: bytes) -> Verdict:
        return await self.agent.check(draft)

    async def propose(self, contract: str, chains: Chains, *, caller: str) -> Approval | Refusal:
        """The agent's answer, kept with the contract; the same contract always gets the same answer."""
        signed = await self._read(contract, caller)
        self.tunnels.open(signed.body)
        known = await self._known(signed, Event.PROPOSE)
        answer = await self.agent.propose(contract, chains)
        if known is not None and known.state is State.AWAITING_APPROVAL:
            if isinstance(answer, Approval):
                await self._save(known, Event.AGREE, "contract.approved", approvals=(answer.token,))
            else:
                ending = Ending(answer.reason, self.entity, "approval", answer.text, answer.advice)
                await self._save(known, Event.REJECT, "contract.refused", answer.text, ending=ending)
        return answer

    async def run(
        self, contract: str, approvals: Sequence[str], chains: Chains, *, caller: str
    ) -> AsyncIterator[RunEvent]:
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
        known = await self._known(signed, Event.START)
        if known is not None:
            known = await self._save(known, Event.START, "session.started", approvals=tuple(approvals))
        self._running[session] = asyncio.Event()
        ended = False
        try:
            self.tunnels.open(signed.body)
            self.tunnels.start(session)
            async for event in self.agent.run(contract, approvals, chains):
                ended = isinstance(event, Completed | Failure)
                if isinstance(event, Progress) and known is not None:
                    status = SpaceStatus(self.entity, "RUNNING", event.phase, event.fraction)
                    self.watchers.changed(replace(known, spaces=(status,)))
                yield event
        finally:
            if ended:
                del self._running[session]
            else:
                task = asyncio.create_task(self._abandoned(signed, self._running[session]), name=f"abandoned {session}")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                task.add_done_callback(lambda _: self._running.pop(session, None))

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
        """How the session ended, as the initiator says; a failure stops this space's party at once."""
        if state not in _EVENT_OF_STATE:
            raise IsthmusError(Reason.INVALID_ARGUMENT, "a session does not end in this state", field="state")
        known = await self.store.get(session)
        initiated_here = caller == self.entity
        if not initiated_here and (known is None or known.contract_digest != digest):
            raise IsthmusError(Reason.NOT_FOUND, "no such session here", advice="Propose the contract first")
        if session in self._running:
            self._running[session].set()
        if failure is not None:
            await self.agent.stop(session, failure)
        await self.tunnels.close(session)
        if initiated_here or known is None or known.state not in LIVE:
            return
        signed = await self._read(known.contract, caller)
        kept: list[Receipt] = []
        for token in receipts:
            kept.append(await self.documents.receipt(token, signed, _issuer(token, signed)))
        ending = None
        if failure is not None:
            ending = Ending(failure.reason, failure.culprit, failure.phase, failure.text, failure.action)
        await self._save(
            known,
            _EVENT_OF_STATE[state],
            f"computation.{state.lower()}",
            failure.text if failure is not None else "",
            receipts=tuple(kept),
            ending=ending,
        )

    async def _read(self, token: str, caller: str) -> SignedContract:
        signed = await self.documents.contract(token)
        if signed.body.initiator != caller:
            raise IsthmusError(
                Reason.PERMISSION_DENIED,
                "only the initiator may propose or run its contract",
                private=f"{caller} brought a contract of {signed.body.initiator}",
                field="contract",
            )
        return signed

    async def _known(self, signed: SignedContract, event: Event) -> Computation | None:
        """This space's account of the contract; None where it is the home gateway, which keeps its own."""
        if signed.body.initiator == self.entity:
            return None
        known = await self.store.get(signed.body.session)
        if known is None and event is Event.PROPOSE:
            now = self.clock.now()
            known = await self.store.create(
                Computation(
                    id=signed.body.session,
                    role=Role.PARTICIPANT,
                    requester=signed.body.initiator,
                    request_id=signed.body.session,
                    request_digest=signed.digest,
                    state=State.AWAITING_APPROVAL,
                    query="",
                    contract=signed.token,
                    contract_digest=signed.digest,
                    created=now,
                    updated=now,
                    expires=signed.body.expires,
                    spaces=(SpaceStatus(self.entity, "PROPOSED"),),
                ),
                [Fact(now, "contract.proposed", signed.body.initiator, signed.body.session, signed.digest)],
            )
        if known is None or known.contract_digest != signed.digest:
            raise IsthmusError(
                Reason.CONTRACT_INVALID,
                "this session was not proposed with these bytes",
                field="contract",
                space=self.entity,
                advice="Propose the contract before it is run",
            )
        return known

    async def _abandoned(self, signed: SignedContract, concluded: asyncio.Event) -> None:
        """The initiator let go before the end: nothing of the session may stay behind here."""
        try:
            # When it let go because another space failed, its conclusion is on its way and says more.
            async with asyncio.timeout(CONCLUSION_WITHIN):
                await concluded.wait()
        except TimeoutError:
            initiator = signed.body.initiator
            failure = Failure(
                Reason.PEER_UNREACHABLE.value,
                initiator,
                "session",
                "the initiator's gateway went away in mid-session",
                f"The operator of {initiator} has to look into it",
            )
            await self.agent.stop(signed.body.session, failure)
            await self.tunnels.close(signed.body.session)
            await self._account(signed.body.session, failure)

    async def _account(self, session: str, failure: Failure) -> None:
        known = await self.store.get(session)
        if known is not None and known.role is Role.PARTICIPANT and known.state in LIVE:
            ending = Ending(failure.reason, failure.culprit, failure.phase, failure.text, failure.action)
            await self._save(known, Event.FAIL, "computation.failed", failure.text, ending=ending)

    async def _save(
        self, computation: Computation, event: Event, kind: str, detail: str = "", **changes: Any
    ) -> Computation:
        now = self.clock.now()
        state = next_state(computation.state, event)
        moved = replace(computation, state=state, updated=now, **changes)
        fact = Fact(now, kind, self.entity, computation.name, detail or f"contract {computation.contract_digest}")
        saved = await self.store.save(moved, [fact])
        self.watchers.changed(saved)
        return saved


def _issuer(token: str, signed: SignedContract) -> str:
    """Whose receipt this says it is; the reader then verifies that it is."""
    from gateway.rules.jose import parse_compact

    issuer = parse_compact(token, 64 * 1024).claims.get("iss")
    if issuer not in signed.body.entities():
        raise IsthmusError(Reason.APPROVALS_INVALID, "a receipt comes from a space that took no part")
    return str(issuer)
