"""A federation in memory for the tests of flows: real rules, documents, keys and stores; agents that play their part.

`FakeAgent` approves by the real rules and seals real shares of a table that it was given; it computes nothing.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from connectors.people import People
from connectors.rules.approval import OwnPart, check_draft, check_plan, check_proposal
from connectors.rules.decisions import Rule, Steward
from gateway.domain.approval import ApprovalBody, SeatKey, SignedContract
from gateway.domain.audit import Fact, TreeHead
from gateway.domain.caller import Caller, CallerKind, Rights
from gateway.domain.computation import Computation, SealedShare, State
from gateway.domain.contract import Contract
from gateway.domain.decision import Consulted, SignedPlan, Stage
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import EntityId
from gateway.domain.kept import Kept, KeptShare
from gateway.domain.offer import Space as KnownSpace
from gateway.domain.plan import Decision, Verdict
from gateway.domain.query import Query
from gateway.domain.revocation import Belief
from gateway.domain.session import Approval, Completed, Failure, Frame, Heartbeat, Progress, Refusal, RunEvent
from gateway.edges import steward_keys
from gateway.edges.documents import Desk, PlanDesk, Reader, Writer
from gateway.edges.federation import Federation as Trust
from gateway.edges.keys import SigningKey, new_signing_key
from gateway.edges.opener import RecipientKeys
from gateway.edges.revocations import Revocations
from gateway.edges.spaces import OwnLine
from gateway.edges.store.database import Database
from gateway.edges.store.inbox import StoredInbox
from gateway.edges.tokens import Verifier
from gateway.edges.tunnel import Tunnel
from gateway.edges.watchers import LocalWatchers
from gateway.flows.account import Account
from gateway.flows.consult import Consult
from gateway.flows.drive import Drive
from gateway.flows.recover import Recover
from gateway.flows.submit import Submit
from gateway.flows.take_part import TakePart
from gateway.flows.withdraw import Withdraw
from gateway.flows.witness import Witness
from gateway.ports import Chains, SpaceLine
from gateway.rules import redelivery, sealing
from gateway.rules.canonical import question
from gateway.rules.jose import parse_compact
from gateway.rules.lifecycle import LIVE
from gateway.rules.plans import need_of
from gateway.rules.records import from_bytes
from gateway.rules.revocation import next_seq, plain
from gateway.rules.roster import Roster, roster
from gateway.rules.tokens import payload_digest
from tests import examples
from tests.examples import cell_codes
from tests.unit import trust_kit

STEWARDS = ("anna", "ben")
ANALYST = Caller(CallerKind.CLIENT, "analyst", frozenset({"compute"}), Rights(("*",), ("*",), ("*",)))


@dataclass
class FakeClock:
    at: int = trust_kit.NOW

    def now(self) -> int:
        return self.at


@dataclass
class FakeIds:
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def fresh(self) -> str:
        return f"{next(self.numbers):032x}"


@dataclass
class MemoryAuditLog:
    """Port `AuditLog` in memory."""

    facts: list[Fact] = field(default_factory=list)

    async def append(self, facts: Sequence[Fact]) -> TreeHead:
        self.facts += facts
        return await self.head()

    async def head(self) -> TreeHead:
        return TreeHead(len(self.facts), "")

    async def read(self, *, start: int, limit: int) -> Sequence[Fact]:
        return self.facts[start : start + limit]


@dataclass
class MemoryBeliefs:
    """Port `Beliefs` in memory."""

    kept: dict[tuple[str, str], Belief] = field(default_factory=dict)

    async def keep(self, kind: str, belief: Belief) -> Belief:
        def newer(before: Belief | None) -> Belief:
            return belief if before is None or belief.order > before.order else before

        return await self.renew(kind, belief.issuer, newer)

    async def renew(self, kind: str, issuer: str, make: Callable[[Belief | None], Belief]) -> Belief:
        before = self.kept.get((kind, issuer))
        made = make(before)
        if before is not None and made != before and made.order <= before.order:
            raise IsthmusError(Reason.INTERNAL, "an older belief would replace a newer one")
        self.kept[kind, issuer] = made
        return made

    async def all(self, kind: str) -> Sequence[Belief]:
        return [belief for (of, _), belief in sorted(self.kept.items()) if of == kind]


@dataclass
class FakeAgent:
    """Approves by the real rules. `stage` scripts what it does in a session; by default it completes."""

    own: OwnPart
    trust: Trust
    reader: Reader
    writer: Writer
    clock: FakeClock
    counts: Mapping[tuple[str, ...], int]
    # Whom its policies may want: two stewards of every space, with their keys.
    stewards: tuple[Steward, ...]
    signers: Mapping[str, SigningKey]
    inbox: StoredInbox
    connected: bool = True
    veto: Refusal | None = None
    wrong_share: bool = False
    receipt: dict[str, Any] = field(default_factory=dict)
    # What it keeps: of a contract, by its digest, what it answers and the vectors by pid. `lost`: they do not open.
    kept: dict[str, Kept] = field(default_factory=dict)
    vectors: dict[str, dict[int, list[int]]] = field(default_factory=dict)
    lost: bool = False
    computed: list[str] = field(default_factory=list)
    # Set by a test that wants to act in mid-session: the agent reports, then waits to be let on or stopped.
    hold: asyncio.Event | None = None
    silent: bool = False
    fails_with: Failure | None = None
    started: asyncio.Event = field(default_factory=asyncio.Event)
    proposed: asyncio.Event = field(default_factory=asyncio.Event)
    answers: asyncio.Event | None = None
    stopped: dict[str, Failure] = field(default_factory=dict)
    _approvals: dict[str, str] = field(default_factory=dict)
    _keys: dict[str, dict[int, bytes]] = field(default_factory=dict)
    _stop: dict[str, asyncio.Event] = field(default_factory=dict)
    _done: dict[str, Kept] = field(default_factory=dict)
    _origins: dict[str, str] = field(default_factory=dict)

    @property
    def people(self) -> People:
        return People(self.own.entity, self._rule_of, self.stewards, self.inbox, self.clock)

    def _rule_of(self, name: str, statistic: str) -> Rule | None:
        dataset = self.own.dataset(name)
        need = None if dataset is None else need_of(statistic, [dataset.terms])
        return None if need is None else Rule(need, tuple(item.name for item in self.stewards))

    def wants_persons(self, persons: int = 1, **more: Any) -> None:
        """From now on its policy wants that many stewards; who offers it to others is told by the test."""
        datasets = tuple(
            replace(item, terms=replace(item.terms, persons=persons, **more)) for item in self.own.offer.datasets
        )
        self.own = replace(self.own, offer=replace(self.own.offer, datasets=datasets))

    async def consult(self, plan: str, chains: Chains, withdrawn: bool) -> Consulted | Refusal:
        self._reach()
        signed = await self.reader.plan(plan)
        if withdrawn:
            await self.people.withdraw(signed)
            return Consulted(Stage.NOT_NEEDED)
        try:
            check_plan(signed.body, self.own, examples.operators(), self.clock.now())
            return await self.people.consult(signed)
        except IsthmusError as problem:
            return Refusal(problem.reason.value, problem.public, problem.field, problem.advice, self.own.entity)

    async def decide(self, plan: SignedPlan, name: str, said: str = "approve", reason: str = "") -> None:
        """What the steward `name` of this space does on the command line."""
        key, jti = self.signers[name], secrets.token_hex(8)
        token = steward_keys.decision(plan, key, said, reason, self.clock.now(), jti, space=self.own.entity)
        digest = payload_digest(parse_compact(token, 65536).payload)
        await self.inbox.decide(plan.digest, digest, token, self.clock.now(), [])

    def offer(self) -> str | None:
        return self.writer.offer(self.own.offer) if self.connected else None

    async def check(self, draft: bytes) -> Verdict:
        self._reach()
        try:
            known = from_bytes(Contract, draft, what="draft")
            check_draft(known, self.own, examples.operators(), self.clock.now())
        except IsthmusError as problem:
            return Verdict(self.own.entity, Decision.REFUSED, 0, 0, problem.reason, problem.public, problem.advice)
        seats = ()
        if known.provider_of(self.own.entity) is not None:
            asked = question(known)
            seats = next((one.seats for one in self.kept.values() if one.question == asked), ())
        return Verdict(self.own.entity, Decision.ALLOWED, 100, 1000, kept_seats=seats)

    async def propose(self, contract: str, chains: Chains) -> Approval | Refusal:
        self._reach()
        self.proposed.set()
        if self.answers is not None:
            await self.answers.wait()
        if self.veto is not None:
            return self.veto
        signed = await self.reader.contract(contract)
        try:
            check_proposal(signed.body, self.own, examples.operators(), self.clock.now())
            evidence = await self.people.check(signed.body)
        except IsthmusError as problem:
            return Refusal(problem.reason.value, problem.public, problem.field, problem.advice, self.own.entity)
        if signed.digest not in self._approvals:
            seats = {seat.pid: sealing.fresh_key() for seat in signed.body.seats_of(self.own.entity)}
            provides = signed.body.provider_of(self.own.entity) is not None
            provider = base64.b64encode(sealing.fresh_key()[1]).decode() if provides else ""
            keys = tuple(SeatKey(pid, base64.b64encode(public).decode()) for pid, (_, public) in sorted(seats.items()))
            answers = [c for c, k in self.kept.items() if redelivery.answers(k, signed.body, self.own.entity)]
            body = ApprovalBody(signed.digest, keys, provider, evidence, kept=answers[-1] if answers else "")
            self._approvals[signed.digest] = self.writer.approval(signed.body, body)
            self._keys[signed.digest] = {pid: private for pid, (private, _) in seats.items()}
        return Approval(self._approvals[signed.digest])

    async def run(self, contract: str, approvals: Sequence[str], chains: Chains) -> AsyncGenerator[RunEvent, None]:
        self._reach()
        signed = await self.reader.contract(contract)
        body = signed.body
        verified = [await self.reader.approval(approval, signed) for approval in approvals]
        keys = roster(signed, verified)
        origin = self._origins[body.session] = redelivery.origin(signed, verified)
        await self.people.spend(body, signed.digest)
        stop = self._stop[body.session] = asyncio.Event()
        self.started.set()
        yield Heartbeat()
        yield Progress("share", 0.5)
        if self.silent:
            await stop.wait()
        if self.hold is not None:
            waits = [asyncio.create_task(event.wait()) for event in (self.hold, stop)]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
        if body.session in self.stopped:
            yield self.stopped[body.session]
            return
        if self.fails_with is not None:
            yield self.fails_with
            return
        if origin and self.lost:
            self.kept.pop(origin, None)
            yield Failure("KEPT_SHARE_UNREADABLE", self.own.entity, "re-delivered", "it cannot be read", "Ask again")
            return
        pids = [seat.pid for seat in body.seats_of(self.own.entity)]
        vectors = self._kept_vectors(origin, body) if origin else {pid: self._vector(body, pid) for pid in pids}
        if not origin:
            self.computed.append(body.session)
        self._keep(signed, vectors)
        shares = [self._share(body, keys, signed.digest, pid, vectors[pid]) for pid in pids]
        for share in shares:
            yield share
        outputs = sorted(hashlib.sha256(base64.b64decode(share.sealed)).hexdigest() for share in shares)
        said = {
            "outputs": outputs, "minimum_cell": body.limits.minimum_cell, "zero_is_small": body.limits.zero_is_small,
            "tree_size": 1, "tree_head": "ab" * 32, "bytes_sent": 1, "rounds": 1, "seconds": 0.5,
            "redelivered": origin, **self.receipt,
        }  # fmt: skip
        yield Completed(self.writer.receipt(body, signed.digest, said))

    async def stop(self, session: str, failure: Failure | None) -> None:
        done, origin = self._done.get(session), self._origins.get(session, "")
        if failure is None:
            if done is not None and not origin:
                self.kept[done.contract] = done
            return
        if failure.reason == Reason.INCONSISTENT_SHARES and done is not None:
            self.kept.pop(origin or done.contract, None)
        self.stopped[session] = failure
        if session in self._stop:
            self._stop[session].set()

    def _keep(self, signed: SignedContract, vectors: dict[int, list[int]]) -> None:
        body = signed.body
        self.vectors[signed.digest] = vectors
        self._done[body.session] = Kept(
            signed.digest, body.session, body.initiator, question(body), tuple(seat.entity for seat in body.seats),
            body.t, body.program.digest, body.program.parameters, "", "",
            tuple(KeptShare(pid, "", "") for pid in vectors), self.clock.now(),
        )  # fmt: skip

    def _kept_vectors(self, origin: str, body: Contract) -> dict[int, list[int]]:
        kept = self.kept[origin]
        return {
            pid: redelivery.rearranged(vector, kept.parameters, body.program.parameters)
            for pid, vector in self.vectors[origin].items()
        }

    def _vector(self, body: Contract, pid: int) -> list[int]:
        cells = [self.counts.get(codes, 0) for codes in cell_codes(body)]
        kept = [int(count == 0 or count >= body.limits.minimum_cell) for count in cells]
        opened = [count * flag for count, flag in zip(cells, kept, strict=True)] + kept
        slope = int(body.session, 16) % 1000 + 5  # shares of different sessions lie on different polynomials
        return [value + (pid + 1) * slope + (self.wrong_share and 1) for value in opened]

    def _share(self, body: Contract, keys: Roster, digest: str, pid: int, vector: list[int]) -> SealedShare:
        recipient = body.recipients[0]
        key = base64.b64decode(recipient.key)
        sealed = sealing.seal_output(key, self._keys[digest][pid], keys.transcript, pid, recipient.name, vector)
        return SealedShare(pid, recipient.name, base64.b64encode(sealed).decode())

    def _reach(self) -> None:
        if not self.connected:
            raise IsthmusError(Reason.AGENT_UNREACHABLE, "the agent is away", space=self.own.entity)


@dataclass
class Rounds:
    """The pauses between rounds in which a gateway asks whether people have decided: they end when a test says so."""

    asked: int = 0
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _let: int = 0

    async def pause(self, seconds: float) -> None:
        async with self._changed:
            self.asked += 1
            mine = self.asked
            self._changed.notify_all()
            await self._changed.wait_for(lambda: self._let >= mine)

    async def over(self, number: int) -> None:
        """Once that many rounds are over."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.asked >= number)

    async def next(self) -> None:
        """Begin another round when the present one is over, and wait for its end, or that of the computation."""
        await self.over(self._let + 1)
        async with self._changed:
            self._let += 1
            self._changed.notify_all()


@dataclass
class FakeFederation:
    """Port `Federation` of one gateway: every line is the other gateway's flow, called in this process."""

    entity: str
    known: dict[str, KnownSpace]
    nodes: Mapping[str, Node]
    cut: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    # Their statements have expired.
    gone: set[str] = field(default_factory=set)

    def spaces(self) -> Mapping[str, KnownSpace]:
        return self.known

    def line(self, entity: str) -> SpaceLine:
        if entity in self.cut:
            return _Cut(entity, self.nodes[entity].take_part)
        return _Line(self.entity, self.nodes[entity].take_part)

    def chains(self, entities: Sequence[str]) -> Chains:
        for entity in self.gone.intersection(entities):
            raise IsthmusError(Reason.PEER_UNREACHABLE, "no peer of ours", space=entity)
        return []

    async def alive(self, entity: str, within: float) -> bool:
        return entity not in self.silent


@dataclass(frozen=True)
class _Line(OwnLine):
    """A line whose caller is another space: `entity` is who calls."""

    async def check(self, draft: bytes) -> Verdict:
        return await self.take_part.check(draft, caller=self.entity)


@dataclass(frozen=True)
class _Cut(OwnLine):
    async def check(self, draft: bytes) -> Verdict:
        raise IsthmusError(Reason.PEER_UNREACHABLE, "it cannot be reached", space=self.entity)

    async def propose(self, contract: str, chains: Chains) -> Approval | Refusal:
        raise IsthmusError(Reason.PEER_UNREACHABLE, "it cannot be reached", space=self.entity)


@dataclass
class Node:
    """One space: its gateway's flows over a store of its own, and its agent."""

    entity: str
    agent: FakeAgent
    database: Database
    account: Account
    documents: Desk
    tunnel: Tunnel
    take_part: TakePart
    drive: Drive
    submit: Submit
    federation: FakeFederation
    watchers: LocalWatchers
    revocations: Revocations
    withdraw: Withdraw
    rounds: Rounds

    @property
    def recover(self) -> Recover:
        return Recover(self.account, self.tunnel, lambda found: self.drive.start(found, self.plans.recall(found)))

    @property
    def plans(self) -> PlanDesk:
        return PlanDesk(self.documents.reader, self.documents.writer)

    async def ask(self, asked: Query | None = None, request_id: str = "request-1", key: bytes = b"") -> Computation:
        return await self.submit.create(ANALYST, request_id, asked or examples.question(), key)

    async def reaches(self, id: str, *states: State) -> Computation:
        """The computation once it is in one of `states`, or has ended."""
        changes = self.watchers.follow(id)
        found = await self.get(id)
        if found is None or (found.state not in states and found.state in LIVE):
            async for found in changes:
                if found.state in states or found.state not in LIVE:
                    break
        assert found is not None
        return found

    async def get(self, id: str) -> Computation | None:
        return await self.database.computations.get(id)

    async def ended(self, id: str) -> Computation:
        return await self.reaches(id)

    async def kinds(self) -> list[str]:
        return [fact.kind for fact in await self.database.audit.read(start=0, limit=1000)]


@dataclass
class World:
    clock: FakeClock
    nodes: dict[str, Node]
    # Revocation keys of spaces and anchor, and everything else that spaces sign with.
    signers: dict[str, SigningKey]
    keyring: dict[str, trust_kit.Space]

    async def list_all(self) -> None:
        """A fresh list of everybody reaches everybody; nothing more is revoked."""
        for issuer in self.signers:
            await self.revoke(issuer)

    async def revoke(self, issuer: str, **revoked: list[str]) -> None:
        """A new list of `issuer`, which keeps what was revoked for good, reaches every space."""
        before = self.home.agent.trust.list_of(issuer)
        final = {} if before is None else plain(before.revoked)
        said = {name: sorted({*final.get(name, []), *revoked.get(name, [])}) for name in {*final, *revoked}}
        at = self.clock.now()
        seq = {"seq": next_seq(0 if before is None else before.seq, at)}
        token = trust_kit.revocation_list(EntityId(issuer), self.signers[issuer], at, claims=seq, **said)
        for node in self.nodes.values():
            await node.revocations.admit(token)
            await node.withdraw.look_again()

    @property
    def home(self) -> Node:
        return self.nodes[examples.HOME]

    async def idle(self) -> None:
        """Once nothing is driven any more, and everybody has been told."""
        while tasks := {task for node in self.nodes.values() for task in node.drive._tasks}:
            await asyncio.wait(tasks)

    async def all_ended(self, id: str) -> dict[str, Computation]:
        """Every space's own account once it has ended. Every space of the contract takes part."""
        return {entity: await node.ended(id) for entity, node in self.nodes.items()}


@asynccontextmanager
async def world(folder: Path, counts: Mapping[tuple[str, ...], int] | None = None) -> AsyncIterator[World]:
    clock = FakeClock()
    anchor = new_signing_key()
    known = {entity: replace(item, seen=clock.now()) for entity, item in examples.spaces().items()}
    keyring = {entity: trust_kit.new_space(EntityId(entity)) for entity in known}
    trust = Trust([trust_kit.anchor_of(anchor, *map(EntityId, known))], clock.now)
    for item in keyring.values():
        trust.admit(trust_kit.chain_of(item, anchor, clock.now()))
    reader, ids = Reader(Verifier(trust, clock.now)), FakeIds()
    nodes: dict[str, Node] = {}
    async with AsyncExitStack() as stack:
        for number, (entity, item) in enumerate(known.items()):
            url = f"sqlite+aiosqlite:///{folder}/{number}.db"
            database = await stack.enter_async_context(await Database.open(url))
            watchers = LocalWatchers()
            witness = Witness(database.beliefs, database.audit, clock)
            account = Account(entity, clock, database.computations, watchers, witness)
            documents = Desk(reader, Writer(entity, partial(getattr, keyring[entity], "tokens"), clock, ids))
            own = OwnPart(entity, item.offer, {dataset.name: ("*",) for dataset in item.offer.datasets})
            writer = Writer(entity, partial(getattr, keyring[entity], "contracts"), clock, ids)
            signers = {name: new_signing_key() for name in STEWARDS}
            stewards = tuple(Steward(name, key.jwk) for name, key in signers.items())
            agent = FakeAgent(
                own,
                trust,
                reader,
                writer,
                clock,
                counts or {("LABOUR",): 40, ("SEXUAL",): 5},
                stewards,
                signers,
                database.inbox,
            )
            tunnel = Tunnel(entity, _quiet, agent.stop)
            federation = FakeFederation(entity, dict(known), nodes)
            private = bytes([number + 1]) * 32
            opener = RecipientKeys(partial(bytes, private), partial(list, [private]))
            revocations = Revocations(entity, trust, MemoryBeliefs(), database.audit, clock)
            plans, rounds = PlanDesk(documents.reader, documents.writer), Rounds()
            consult = Consult(account, federation, documents, plans, revocations, rounds.pause)
            drive = Drive(account, federation, documents, opener, revocations, consult)
            store = database.computations
            submit = Submit(entity, clock, ids, store, federation, documents, opener, revocations, drive.start, consult)
            take_part = TakePart(account, agent, documents, tunnel, federation.alive, plans, agent)
            withdraw = Withdraw(account, documents, revocations, agent, tunnel, drive.stop)
            nodes[entity] = Node(
                entity,
                agent,
                database,
                account,
                documents,
                tunnel,
                take_part,
                drive,
                submit,
                federation,
                watchers,
                revocations,
                withdraw,
                rounds,
            )
        signers = {entity: item.revocations for entity, item in keyring.items()}
        made = World(clock, nodes, {**signers, trust_kit.ANCHOR: trust_kit.ANCHOR_REVOCATIONS}, keyring)
        await made.list_all()
        yield made
        for node in nodes.values():
            for task in list(node.drive._waiting.values()):  # for people who will not decide any more
                task.cancel()
        for node in nodes.values():
            while tasks := {*node.drive._tasks, *node.take_part._tasks}:
                for task in tasks:
                    if task.get_name().startswith("done "):  # it waits for a conclusion that does not come
                        task.cancel()
                await asyncio.wait(tasks)


async def _quiet(entity: str, session: str, within: float, outgoing: AsyncIterator[Frame]) -> AsyncIterator[Frame]:
    """A tunnel to a space that says nothing, until the session is over."""
    async for _ in outgoing:
        pass
    return
    yield
