"""The agent's answers: check, propose, run, stop. Everything is verified here again, over signed bytes.

Invariants: the same contract always gets the same approval; a contract's digest is consumed once, durably,
before its session starts; session keys live in this process's memory alone; what is refused is in the audit
log with its reason; new sessions need fresh revocation lists of everybody concerned, and what is revoked ends here
whatever the gateway does.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import structlog

from connectors.budgets import held_now
from connectors.desk import Desk
from connectors.engine import programs
from connectors.engine.cost import Shape
from connectors.engine.wire import ELEMENT_BYTES
from connectors.holdings import Holding, read_rows
from connectors.in_hand import InHand
from connectors.keeping import Keeper
from connectors.launch.subprocesses import PartyPool
from connectors.ledgers import Ledgers, in_uniform_time
from connectors.noise_seeds import noise_seed
from connectors.offering import of_holdings
from connectors.people import People
from connectors.policy_desk import PolicyDesk
from connectors.redelivery import Redelivery
from connectors.rules.approval import OwnPart, check_draft, check_plan, check_proposal
from connectors.rules.decisions import Rule, Steward
from connectors.session import Session, SessionKeys
from connectors.stewards import rule_of
from gateway.domain.approval import ApprovalBody, Approved, SeatKey, SignedContract
from gateway.domain.audit import Fact
from gateway.domain.contract import Contract
from gateway.domain.decision import Consulted, Stage
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.inbox import Waiting
from gateway.domain.offer import Operator
from gateway.domain.plan import Decision, Verdict
from gateway.domain.policy_text import Proposed
from gateway.domain.revocation import Belief
from gateway.domain.session import Approval, Completed, Failure, Refusal, RunEvent
from gateway.edges.audit_heads import OWN_RECEIPT
from gateway.edges.documents import Reader, Writer
from gateway.edges.federation import Federation, operator_of
from gateway.edges.revocations import Revocations
from gateway.edges.store.database import Database
from gateway.ports import Clock
from gateway.rules import queries, redelivery, sealing
from gateway.rules.canonical import question
from gateway.rules.contract import check_contract
from gateway.rules.heads import signed_head
from gateway.rules.jose import Problem, TokenProblem
from gateway.rules.records import from_bytes
from gateway.rules.roster import Roster, roster

log = structlog.get_logger()


@dataclass(slots=True)
class Agent:
    own: OwnPart
    # Shared with the ledgers; a policy that changes puts another holding in its place.
    holdings: dict[str, Holding]
    trust: Federation
    revocations: Revocations
    reader: Reader
    writer: Writer
    database: Database
    ledgers: Ledgers
    pool: PartyPool
    clock: Clock
    keeper: Keeper
    # Whom its policies may want to approve a question.
    stewards: Sequence[Steward] = ()
    # How many of them change a policy together; 0: only its file does.
    policy_persons: int = 0
    people: People = field(init=False)
    desk: Desk = field(init=False)
    policies: PolicyDesk = field(init=False)
    in_hand: InHand = field(init=False)
    _proposing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.in_hand = InHand(self.ledgers.let_go)
        self.people = People(self.own.entity, self._rule_of, self.stewards, self.database.inbox, self.clock)
        self.desk = Desk(
            self.own.entity, self.database, self.people, lambda: held_now(self.holdings), self._believed, self.clock
        )

        self.policies = PolicyDesk(
            self.own.entity, self.holdings, self.stewards, self.policy_persons, self.database, self.clock
        )

    def offer(self) -> str:
        """What this space offers, signed afresh."""
        return self.writer.offer(self.own.offer)

    def open_to(self, space: str) -> list[str]:
        """The datasets that `space` may ask about."""
        return [dataset.name for dataset in self.own.offer.datasets if self.own.is_open(dataset.name, space)]

    async def check(self, draft: bytes) -> Verdict:
        """The dry run: public metadata alone, and whether this very question was answered before; writes nothing."""
        kept: tuple[str, ...] = ()
        try:
            contract = from_bytes(Contract, draft, what="draft", reason=Reason.CONTRACT_INVALID)
            queries.checked(contract.query, what="draft")
            check_draft(contract, self.own, self.operators(), self.clock.now())
            kept = await self.keeper.seats_of(contract) if await self._might_be_run(contract) else ()
        except IsthmusError as problem:
            return Verdict(
                self.own.entity,
                Decision.REFUSED,
                reason=problem.reason.value,
                text=problem.public,
                advice=problem.advice,
            )
        if not contract.seats_of(self.own.entity):
            return Verdict(self.own.entity, Decision.ALLOWED, kept_seats=kept)
        cost = programs.PROGRAMS[contract.program.name].cost(
            json.loads(contract.program.parameters),
            [provider.row_bound for provider in contract.providers],
            Shape(contract.m, contract.t),
        )
        sent = cost.elements * ELEMENT_BYTES // contract.m
        return Verdict(self.own.entity, Decision.ALLOWED, cost.rounds, sent, kept_seats=kept)

    async def consult(self, token: str, chains: Sequence[Sequence[str]], withdrawn: bool) -> Consulted | Refusal:
        """How far this space's people are with a plan, which is put before them where its policies want that.

        Nothing here depends on a row: the ledger is asked when the contract is proposed.
        """
        about = "plan"
        try:
            operators = await self.believe(chains)
            plan = await self.reader.plan(token)
            about = plan.digest
            if withdrawn:
                await self.people.withdraw(plan)
                return Consulted(Stage.NOT_NEEDED)
            await self.database.guard.check()
            self._check_revocations(SignedContract(plan.body, plan.digest, token))
            check_plan(plan.body, self.own, operators, self.clock.now())
            return await self.people.consult(plan)
        except IsthmusError as problem:
            await self._refused("plan.refused", about, problem)
            return self._refusal(problem)

    async def decide(self, plan: str, token: str) -> Waiting:
        """What a steward signed about a plan, brought by the gateway. Raises IsthmusError."""
        try:
            return await self.desk.take(plan, token)
        except IsthmusError as problem:
            await self._refused("decision.refused", plan[:64], problem)
            raise

    async def propose_policy(self, dataset: str, token: str) -> Proposed:
        """A policy that a steward signed, brought by the gateway. Raises IsthmusError."""
        try:
            return await self.policies.propose(dataset, token)
        except IsthmusError as problem:
            await self._refused("policy.refused", dataset[:400], problem)
            raise

    async def _believed(self) -> tuple[Reader, dict[str, Operator]]:
        return self.reader, self.operators()

    async def propose(self, token: str, chains: Sequence[Sequence[str]]) -> Approval | Refusal:
        """A signed approval with fresh session keys, or the veto with its reason."""
        about, began = "contract", asyncio.get_running_loop().time()
        try:
            operators = await self.believe(chains)
            contract = await self.reader.contract(token)
            about = contract.digest
            await self.database.guard.check()
            self._check_revocations(contract)
            async with self._proposing:
                if (known := await self.database.approvals.get(contract.digest)) is not None:
                    return Approval(known)
                check_proposal(contract.body, self.own, operators, self.clock.now())
                evidence = await self.people.check(contract.body)
                await self.ledgers.hold(contract)
                return await self._approve(contract, evidence)
        except IsthmusError as problem:
            await self._refused("contract.refused", about, problem)
            await in_uniform_time(problem, began)
            return self._refusal(problem)

    async def prepare(
        self, token: str, approvals: Sequence[str], chains: Sequence[Sequence[str]]
    ) -> Session | Redelivery:
        """Verify everything again and consume the digest; what comes back may run: a session, or the shares that were
        kept of an earlier one, if all its seats keep them.

        Raises IsthmusError; nothing of it has started then.
        """
        about, began = "contract", asyncio.get_running_loop().time()
        try:
            operators = await self.believe(chains)
            contract = await self.reader.contract(token)
            about = contract.digest
            await self.database.guard.check()
            self._check_revocations(contract)
            check_proposal(contract.body, self.own, operators, self.clock.now())
            await self.people.check(contract.body)
            signed = [await self.reader.approval(approval, contract) for approval in approvals]
            if (revoked := self.revocations.revoked(contract, signed)) is not None:
                raise revoked
            keys = roster(contract, signed)
            own = await self.database.approvals.get(contract.digest)
            if own is None or own not in approvals:
                raise IsthmusError(
                    Reason.APPROVALS_INVALID,
                    "this space did not approve the contract with these keys",
                    space=self.own.entity,
                    advice="Propose the contract first",
                )
            if not await self.database.once.consume("contract", contract.body.initiator, contract.digest, None):
                raise IsthmusError(
                    Reason.CONTRACT_CONSUMED,
                    "this contract was run before",
                    space=self.own.entity,
                    advice="Ask again: a new contract is made",
                )
            # A second contract for the session would share its linkage salt, and its place among the running ones.
            if not await self.database.once.consume("session", self.own.entity, contract.body.session, None):
                raise IsthmusError(
                    Reason.CONTRACT_CONSUMED,
                    "another contract was run for this session before",
                    space=self.own.entity,
                    advice="Ask again: a new contract is made",
                )
            private = self.in_hand.take(contract.digest)
            if private is None:
                raise IsthmusError(
                    Reason.CONTRACT_CONSUMED,
                    "the agent was started again since it approved, and its session keys are gone",
                    space=self.own.entity,
                    advice="Ask again: a new contract is made",
                )
            await self.people.spend(contract.body, contract.digest)
            await self.ledgers.answer(contract)
        except IsthmusError as problem:
            await self._refused("session.refused", about, problem)
            await in_uniform_time(problem, began)
            raise
        session: Session | Redelivery
        if origin := redelivery.origin(contract, signed):
            await self._note("redelivery.started", contract, f"contract consumed; shares kept of contract {origin}")
            session = self._redelivery(contract, keys, private, origin)
        else:
            await self._note("session.started", contract, "contract consumed")
            session = Session(
                entity=self.own.entity,
                contract=contract,
                roster=keys,
                keys=private,
                pool=self.pool,
                read_rows=lambda: read_rows(contract.body, self.own.entity, self.holdings),
                spend=lambda: self._spend(contract),
                receipt=lambda outputs, summary: self._receipt(contract, "session.completed", outputs, summary),
                storage_key=self.keeper.storage_key,
                noise_seed=noise_seed(contract.body, self.own.entity, self.holdings),
            )
        self.in_hand.begin(session, signed)
        # Something may have been revoked, or a policy changed, before anybody could find this session.
        self.look_again()
        self.look_at_policies()
        return session

    async def run(self, session: Session | Redelivery) -> AsyncGenerator[RunEvent, None]:
        """The session's events; how it ended is in the audit log."""
        contract = session.contract
        kind = "redelivery.failed" if isinstance(session, Redelivery) else "session.failed"
        try:
            async with aclosing(session.run()) as events:
                async for event in events:
                    if isinstance(event, Failure):
                        await self._note(kind, contract, f"{event.reason}, {event.culprit}: {event.text}")
                    if isinstance(event, Completed) and isinstance(session, Session):
                        self.keeper.completed(contract, session.roster, session.kept)
                    yield event
                    if isinstance(event, Completed):  # afterwards: nobody waits for it
                        own = Belief(self.own.entity, signed_head(event.receipt).size, event.receipt)
                        await self.database.beliefs.keep(OWN_RECEIPT, own)
        finally:
            self.in_hand.done(contract)

    def stop(self, session: str, failure: Failure) -> None:
        """The initiator, or the gateway, says that the session has ended, or that it will not begin."""
        self.in_hand.stop(session, failure)

    async def ended(self, session: str, failure: Failure | None) -> None:
        """How a session ended that may be done here: with a failure, or well, its result released."""
        try:
            if failure is None:
                await self.keeper.released(session)
            else:
                self.stop(session, failure)
                await self.keeper.failed(session, failure.reason)
        except IsthmusError as problem:
            log.error("kept shares", problem=problem.public, why=problem.private)

    async def hear(self, chains: Sequence[Sequence[str]], lists: Sequence[str]) -> None:
        """What the gateway passes on of others. What does not hold is left out, and noted; the rest is believed."""
        for chain in chains:
            try:
                await self.believe([chain])
            except IsthmusError as problem:
                try:
                    await self._refused("chain.refused", "chain", problem)
                except (
                    IsthmusError
                ) as lost:  # the line must not end with it: through it everybody hears of a broken log
                    log.error("a refusal is not in the audit log", refused=problem, problem=lost)
        try:
            await self.revocations.hear(lists, self.own.entity)
        except IsthmusError as problem:  # the store: without it nothing is believed, and sessions fail closed
            log.error("revocations cannot be kept", problem=problem.public, why=problem.private)
        self.look_again()

    def look_again(self) -> None:
        """Hold what runs and waits against what is revoked now; it ends here even if the gateway does nothing."""
        for contract, signed in self.in_hand.contracts():
            if (problem := self.revocations.revoked(contract, signed)) is not None:
                self.in_hand.end(contract, problem)

    async def change_policy(self, holding: Holding) -> None:
        """From now on the dataset is under this policy. It is in force before it is written down: it may be a
        withdrawal. Raises IsthmusError where it cannot be written down."""
        await self._hold(holding, "policy.changed", f"version {holding.dataset.terms.version} is in force")

    async def keep_policy(self, dataset: str, problem: IsthmusError) -> None:
        """A new policy was no policy: the one in force stays."""
        await self._refused("policy.refused", dataset, problem)

    async def change_edition(self, holding: Holding) -> None:
        """From now on the dataset is offered in this edition; what was agreed on the one before still runs. Raises
        IsthmusError where it cannot be written down."""
        await self._hold(holding, "edition.offered", f"edition {holding.dataset.edition.id} is offered")

    async def _hold(self, holding: Holding, kind: str, detail: str) -> None:
        """In the place of what was held of the dataset; in force first, then written down."""
        name = holding.dataset.name
        self.holdings[name] = holding
        self.own = of_holdings(self.own, self.holdings)
        self.look_at_policies()
        await self.database.audit.append([Fact(self.clock.now(), kind, self.own.entity, name, detail)])

    async def keep_edition(self, dataset: str, problem: IsthmusError) -> None:
        """What was published cannot be answered from: the edition on offer stays."""
        await self._refused("edition.refused", dataset, problem)

    def look_at_policies(self) -> None:
        """Hold what runs and waits against the policies in force; what they allow no more ends here."""
        for contract, _ in self.in_hand.contracts():
            if (problem := self._objection(contract)) is not None:
                self.in_hand.end(contract, problem)

    async def look_at_decisions(self) -> None:
        """Hold what runs and waits against what people have decided now; what they took back ends here."""
        for contract, _ in self.in_hand.contracts():
            if (problem := await self._taken_back(contract)) is not None:
                self.in_hand.end(contract, problem)

    async def _might_be_run(self, draft: Contract) -> bool:
        """Whether nothing but rows and keys stands between this draft and an answer: whoever may not have that is not
        told that somebody had it."""
        try:
            check_contract(draft, self.operators(), self.clock.now())  # one that is dated back names a former edition
            self.revocations.check(draft)
            await self.people.check(draft)
        except IsthmusError:
            return False
        return True

    async def _taken_back(self, contract: SignedContract) -> IsthmusError | None:
        try:
            await self.people.check(contract.body)
        except IsthmusError as problem:
            return problem
        return None

    def _rule_of(self, dataset: str, statistic: str) -> Rule | None:
        held = self.holdings.get(dataset)
        if held is None:
            return None
        return rule_of(held.dataset.terms, held.stewards, statistic, self.stewards)

    def _objection(self, contract: SignedContract) -> IsthmusError | None:
        try:
            check_draft(contract.body, self.own, self.operators(), self.clock.now())
        except IsthmusError as problem:
            return problem
        return None

    def _check_revocations(self, contract: SignedContract) -> None:
        """Fresh lists of everybody concerned, and nothing of it revoked. Raises IsthmusError."""
        self.revocations.check(contract.body)
        if (problem := self.revocations.revoked(contract, ())) is not None:
            raise problem

    async def believe(self, chains: Sequence[Sequence[str]]) -> dict[str, Operator]:
        """Admit the pushed chains, verified against this agent's own anchors; the operators they prove.

        A chain older than the one already believed is passed over: the newer one counts. One that is believed now, byte
        for byte, was verified when it came and has neither expired nor been revoked since: it is not verified again.
        """
        believed = set(self.trust.chains())
        for chain in chains:
            if tuple(chain) in believed:
                continue
            try:
                await self.trust.believe(chain)
            except TokenProblem as problem:
                if problem.problem is not Problem.OLDER:
                    raise
        return self.operators()

    def operators(self) -> dict[str, Operator]:
        """Everybody who is believed now."""
        return {entity.entity_id: operator_of(entity) for entity in self.trust.entities()}

    async def _approve(self, contract: SignedContract, decisions: tuple[str, ...]) -> Approval:
        self.in_hand.make_room(contract.body.initiator)
        seats = {seat.pid: sealing.fresh_key() for seat in contract.body.seats_of(self.own.entity)}
        provides = contract.body.provider_of(self.own.entity) is not None
        provider = sealing.fresh_key() if provides else (b"", b"")
        body = ApprovalBody(
            contract.digest,
            tuple(SeatKey(pid, base64.b64encode(public).decode()) for pid, (_, public) in sorted(seats.items())),
            base64.b64encode(provider[1]).decode(),
            decisions,
            kept=await self.keeper.claim(contract),
        )
        token = self.writer.approval(contract.body, body)
        now = self.clock.now()
        fact = Fact(now, "contract.approved", self.own.entity, contract.digest, f"session {contract.body.session}")
        private = SessionKeys({pid: pair[0] for pid, pair in seats.items()}, provider[0])
        self.in_hand.wait(contract, private)
        asked = question(contract.body)
        approved = Approved(contract.digest, token, contract.token, asked, contract.body.initiator, now)
        return Approval(await self.database.approvals.keep(approved, [fact]))

    def _redelivery(self, contract: SignedContract, keys: Roster, private: SessionKeys, origin: str) -> Redelivery:
        async def spend() -> None:
            if (problem := self._objection(contract) or await self._taken_back(contract)) is not None:
                raise problem
            await self.keeper.deliver(contract, origin)

        return Redelivery(
            entity=self.own.entity,
            contract=contract,
            roster=keys,
            keys=private,
            origin=origin,
            vectors=lambda: self.keeper.open(contract, origin),
            spend=spend,
            receipt=lambda outputs, summary: self._receipt(contract, "redelivery.completed", outputs, summary),
        )

    async def _receipt(self, contract: SignedContract, kind: str, outputs: list[str], summary: dict[str, Any]) -> str:
        head = await self.database.audit.append([self._fact(kind, contract, "receipt signed")])
        limits = contract.body.limits
        return self.writer.receipt(
            contract.body,
            contract.digest,
            {
                "outputs": outputs,
                "minimum_cell": limits.minimum_cell,
                "zero_is_small": limits.zero_is_small,
                **({} if limits.epsilon is None else {"epsilon": limits.epsilon}),
                "tree_size": head.size,
                "tree_head": head.root,
                **summary,
            },
        )

    async def _spend(self, contract: SignedContract) -> None:
        """Durably, before output shares leave. A policy or approval taken back a moment ago keeps them here."""
        if (problem := self._objection(contract) or await self._taken_back(contract)) is not None:
            raise problem
        await self._note("session.output", contract, "output shares leave for the recipients")

    async def _note(self, kind: str, contract: SignedContract, detail: str) -> None:
        await self.database.audit.append([self._fact(kind, contract, detail)])

    def _fact(self, kind: str, contract: SignedContract, detail: str) -> Fact:
        return Fact(self.clock.now(), kind, contract.body.initiator, contract.digest, detail[:1000])

    def _refusal(self, problem: IsthmusError) -> Refusal:
        space = problem.space or self.own.entity
        return Refusal(problem.reason.value, problem.public, problem.field, problem.advice, space)

    async def _refused(self, kind: str, about: str, problem: IsthmusError) -> None:
        await self.database.audit.append([Fact(self.clock.now(), kind, self.own.entity, about, problem.in_full[:1000])])
