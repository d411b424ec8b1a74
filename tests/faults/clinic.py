"""Gateways to be examined: real servers of the house's own parts on loopback, each with what is wrong with it.

What is left out is what no examination touches: sessions, computations, a database. The agent is one that offers
and says who may ask; the audit log and the replay store are in memory.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

from gateway.api.peer.v1 import examination_pb2, peer_pb2
from gateway.domain.diagnosis import LINE, Actor, Cause, Finding, Outcome, Spoken, Step, Way
from gateway.domain.identity import Anchor, EntityId, parse_entity_id
from gateway.domain.offer import Offer
from gateway.edges.certificates import (
    Authority,
    Credentials,
    Role,
    client_certificate,
    create_authority,
    server_certificate,
)
from gateway.edges.clock import SystemIds
from gateway.edges.doctor import ESSENTIAL, Doctor, spoken_by
from gateway.edges.documents import Reader, Writer
from gateway.edges.federation import Federation, entity_configuration, subordinate_statement
from gateway.edges.grpc import serve
from gateway.edges.grpc.examination_api import ExaminationService
from gateway.edges.grpc.gate import Gate
from gateway.edges.grpc.peer_api import PeerService
from gateway.edges.keys import SigningKey, new_signing_key
from gateway.edges.tokens import Verifier
from gateway.rules.gateway_metadata import GatewayMetadata
from gateway.rules.jose import Problem, TokenProblem
from tests import examples
from tests.fakes import MemoryAuditLog
from tests.unit.trust_kit import MemoryReplay

ANCHOR = EntityId("https://anchor.example")
HOME, PEER, THIRD = (parse_entity_id(f"https://{name}.example") for name in ("home", "police", "care"))


@dataclass
class OffClock:
    """The clock of this machine, and how far off: seconds."""

    off: float = 0.0

    def now(self) -> int:
        return int(time.time() + self.off)

    def milliseconds(self) -> int:
        return int((time.time() + self.off) * 1000)


@dataclass
class Agent:
    """Offers what it is given, signed, and says who may ask."""

    writer: Writer
    offered: Offer
    allowed: tuple[str, ...] = ("*",)
    connected: bool = True

    def offer(self) -> str | None:
        return self.writer.offer(self.offered) if self.connected else None

    async def open_to(self, space: str) -> tuple[str, ...]:
        if "*" not in self.allowed and space not in self.allowed:
            return ()
        return tuple(dataset.name for dataset in self.offered.datasets)


@dataclass
class Site:
    """One gateway, before and while it runs. A test changes what it wants wrong before `serving`."""

    entity: EntityId
    anchor: SigningKey
    clock: OffClock = field(default_factory=OffClock)
    federation: SigningKey = field(default_factory=new_signing_key)
    token: SigningKey = field(default_factory=new_signing_key)
    contract: SigningKey = field(default_factory=new_signing_key)
    revocation: SigningKey = field(default_factory=new_signing_key)
    audit: MemoryAuditLog = field(default_factory=MemoryAuditLog)
    addresses: dict[str, str] = field(default_factory=dict)
    release: str = ""
    # What the statement says, where that is not the address on which it listens.
    endpoint: str = ""
    # Seconds before now at which its anchor vouched, and which anchor that is.
    vouched: int = 0
    anchor_id: EntityId = ANCHOR

    def __post_init__(self) -> None:
        now = int(time.time())
        self.authority: Authority = create_authority(self.entity, now)
        self.server: Credentials = server_certificate(self.authority, self.entity, now, loopback=True)
        self.to_peers: Credentials = client_certificate(self.authority, self.entity, Role.GATEWAY, now)
        self.trust = Federation([Anchor(ANCHOR, (self.anchor.jwk,), (HOME, PEER, THIRD))], self.clock.now)
        self.verifier = Verifier(self.trust, self.clock.now, MemoryReplay())
        writer = Writer(self.entity, lambda: self.contract, self.clock, SystemIds())
        offer = Offer((examples.dataset(self.entity),), examples.PROGRAMS, 1, "mpyc 0.11", 1)
        self.agent = Agent(writer, offer)

    def spoken(self) -> Spoken:
        said = spoken_by(self.agent.offered if self.agent.connected else None)
        return replace(said, release=self.release) if self.release else said

    def chain(self, at: int | None = None) -> tuple[str, ...]:
        """Its statement of now, by its own clock, or of `at`."""
        metadata = GatewayMetadata(
            endpoint=self.endpoint,
            operator=self.entity,
            operator_group=self.entity,
            affiliates=(),
            jurisdiction="NL",
            token_keys=(self.token.jwk,),
            contract_keys=(self.contract.jwk,),
            revocation_keys=(self.revocation.jwk,),
            tls_ca=self.authority.certificate_pem.decode(),
            seats=1,
        )
        own = entity_configuration(self.entity, metadata, (self.anchor_id,), self.federation, at or self.clock.now())
        vouched = int(time.time()) - 60 - self.vouched
        return own, subordinate_statement(self.anchor_id, self.entity, (self.federation.jwk,), self.anchor, vouched)

    def doctor(self) -> Doctor:
        return Doctor(
            own=self.entity,
            trust=self.trust,
            reader=Reader(self.verifier),
            credentials=lambda: self.to_peers,
            signer=lambda: self.token,
            own_chain=self.chain,
            addresses=lambda: self.addresses,
            spoken=self.spoken,
            clock=self.clock,
            milliseconds=self.clock.milliseconds,
            ids=SystemIds(),
        )

    async def admit(self, caller: str, chain: tuple[str, ...]) -> None:
        """As `gateway.edges.spaces` does."""
        try:
            self.trust.admit(chain)
        except TokenProblem as problem:
            if problem.problem is not Problem.OLDER:
                raise

    @asynccontextmanager
    async def serving(
        self,
        *knows: Site,
        roots: bytes | None = None,
        examines: bool = True,
        options: Sequence[tuple[str, int]] = serve.OPTIONS,
    ) -> AsyncIterator[Site]:
        """Listens; `knows` are those whose chains it has admitted, and whose CAs it accepts unless `roots` says
        otherwise."""
        gate = Gate(
            self.entity,
            lambda: self.authority.certificate_pem,
            self.trust,
            self.verifier,
            self.audit,
            self.clock,
            {},
            lambda _: (),
        )
        # No examination proposes or runs anything.
        nothing = cast(Any, None)
        peers = PeerService(nothing, cast(Any, self.agent), nothing, self.chain, self.admit, _heard, list, _offered)
        handlers = [serve.handlers(service_of(peer_pb2), peers, gate)]
        if examines:
            examination = ExaminationService(self.doctor(), self.agent.open_to, self.audit)
            handlers.append(serve.handlers(service_of(examination_pb2), examination, gate))
        accepted = [self.authority.certificate_pem, *(site.authority.certificate_pem for site in knows)]
        server, port = await serve.listen(
            "127.0.0.1:0",
            serve.PortTls(self.server, b"".join(accepted) if roots is None else roots),
            handlers,
            options=options,
        )
        self.endpoint = self.endpoint or f"127.0.0.1:{port}"
        self.port = port
        try:
            yield self
        finally:
            await server.stop(None)

    def knows(self, *others: Site) -> None:
        """Admits their chains of a minute ago, when all clocks were right, and dials them where they listen."""
        at = int(time.time()) - 60
        self.trust.admit(self.chain(at))
        for other in others:
            self.trust.admit(other.chain(at))
            self.addresses.setdefault(other.entity, f"127.0.0.1:{other.port}")


def service_of(module: Any) -> Any:
    (service,) = module.DESCRIPTOR.services_by_name.values()
    return service


@asynccontextmanager
async def federation(home: Site, *peers: Site, **how: Any) -> AsyncIterator[Site]:
    """All of them listening and knowing each other; `how` is said of the first peer's listening."""
    everybody = (home, *peers)
    async with AsyncExitStack() as stack:
        for site in everybody:
            others = [other for other in everybody if other is not site]
            await stack.enter_async_context(site.serving(*others, **(how if site is peers[0] else {})))
        for site in everybody:
            site.knows(*(other for other in everybody if other is not site))
        yield home


@dataclass(frozen=True)
class Diagnosis:
    """All findings of one examination, both ways."""

    found: list[tuple[Way, Finding]]

    def at(self, step: Step, way: Way = Way.THERE) -> Finding:
        (finding,) = (finding for there, finding in self.found if there is way and finding.step is step)
        return finding

    def way(self, way: Way) -> list[Finding]:
        return [finding for there, finding in self.found if there is way]

    @property
    def root(self) -> tuple[Way, Finding]:
        """The first that failed, else the first that warns."""
        for outcome in (Outcome.FAILED, Outcome.WARNING):
            for way, finding in self.found:
                if finding.outcome is outcome:
                    return way, finding
        raise AssertionError("nothing is wrong")


async def diagnosed(home: Site, peer: EntityId = PEER) -> Diagnosis:
    async with asyncio.timeout(60):
        return Diagnosis([item async for item in home.doctor().diagnose(peer)])


def holds(found: Diagnosis, step: Step, cause: Cause, actor: Actor, way: Way = Way.THERE) -> None:
    """The root cause is this one; all before it went well, and nothing was tried for which it is needed."""
    at, root = found.root
    assert (at, root.step, root.cause, root.actor) == (way, step, cause, actor), root
    assert root.text and root.advice
    findings = found.way(way)
    assert {finding.step for finding in findings} == set(LINE)
    before = findings[: [finding.step for finding in findings].index(step)]
    assert {finding.outcome for finding in before} <= {Outcome.OK}, before
    if step in ESSENTIAL and root.outcome is Outcome.FAILED:
        after = findings[len(before) + 1 :]
        assert {finding.outcome for finding in after} == {Outcome.NOT_TRIED}
        if way is Way.THERE:
            (back,) = found.way(Way.BACK)
            assert back.outcome is Outcome.NOT_TRIED


async def _heard(lists: Sequence[str], by: str) -> None:
    """Nobody's lists are kept here."""


async def _offered(caller: str, token: str) -> None:
    """Nor is what somebody offers."""
