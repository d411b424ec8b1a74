"""A gateway that checks nothing, in front of a real agent process.

The attacker is the agent's own gateway: it holds that space's token, federation and TLS keys and knows every public
document. It does not hold any agent's contract key; where a test signs with one, it plays that honest agent.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gateway.api.agent.v1 import agent_pb2
from gateway.domain.approval import ApprovalBody, SeatKey
from gateway.domain.audit import Fact
from gateway.domain.caller import Caller, CallerKind
from gateway.domain.contract import Contract, Recipient
from gateway.domain.errors import IsthmusError
from gateway.domain.identity import Anchor, EntityId
from gateway.domain.offer import Offer, Operator, Space
from gateway.domain.query import CountBy, Overlap, Query, Source, Statistic
from gateway.domain.query import Limits as Wished
from gateway.domain.session import Failure, Frame
from gateway.edges import keys
from gateway.edges.agents import AgentLine
from gateway.edges.certificates import Credentials
from gateway.edges.clock import SystemClock, SystemIds
from gateway.edges.documents import CONTRACT, Reader, Writer
from gateway.edges.federation import Federation, entity_configuration, subordinate_statement
from gateway.edges.grpc import serve
from gateway.edges.grpc.serve import PortTls
from gateway.edges.tokens import Verifier, sign
from gateway.edges.tunnel import Tunnel
from gateway.rules import planning, sealing
from gateway.rules.contract import audience
from gateway.rules.gateway_metadata import GatewayMetadata
from gateway.rules.jose import parse_compact
from gateway.rules.jwks import parse_jwk
from gateway.rules.records import from_bytes, to_plain
from gateway.rules.tokens import payload_digest
from gateway.sandbox import processes
from gateway.sandbox.anchor import ANCHOR
from gateway.sandbox.layout import SPACES, SpaceSpec, lay_out
from tests.unit.trust_kit import forge, revocation_list

CARE, POLICE, REGISTRY, NEUTRAL, BRANCH, SISTER = (
    EntityId(f"https://{name}.example") for name in ("care", "police", "registry", "neutral", "branch", "sister")
)
# Two operators more: one in the group of Care Alliance, one that calls it an affiliate.
EVERYBODY = (*SPACES, SpaceSpec("branch", "Care Branch", 1), SpaceSpec("sister", "Care Sister", 1))
LA, NG, PFNCA, GO = (
    f"spaces/{place}"
    for place in (
        "care.example/datasets/la",
        "care.example/datasets/ng",
        "police.example/datasets/pfnca",
        "registry.example/datasets/go",
    )
)
LINK_ON = ("prs_FirstName", "prs_SecondName", "prs_Birthdate")
FORM = "vic_TypeOfExploitation"
COUNT = Query(
    title="Victims by form",
    purpose="trend-monitoring",
    legal_basis="gdpr-6-1-e",
    sources=(Source(LA), Source(NG), Source(PFNCA), Source(GO)),
    link_on=LINK_ON,
    statistic=Statistic(count_by=CountBy((FORM,))),
)
OVERLAP = replace(
    COUNT, sources=(Source(NG), Source(PFNCA)), statistic=Statistic(overlap=Overlap()), limits=Wished(minimum_cell=0)
)
ANSWER_WITHIN = 40.0
START_WITHIN = 90.0
TELL_EVERY = 60.0


class OpenGate:
    """Every check patched out: whoever dials is the agent."""

    def __init__(self) -> None:
        self.streams: set[object] = set()

    async def admit(self, rpc: str, received: bytes, context: object) -> Caller:
        return Caller(CallerKind.AGENT, CARE)

    async def refused(self, rpc: str, subject: str, problem: IsthmusError) -> None:
        return


@dataclass(slots=True)
class World:
    """A laid out federation, the rogue gateway of `care`, and its agent."""

    folder: Path
    trust: Federation
    line: AgentLine
    tunnel: Tunnel
    offered: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    # What every other space says when it is dialled for a session.
    injected: list[Frame] = field(default_factory=list)
    # What one of them says when it is.
    says: dict[str, list[Frame]] = field(default_factory=dict)
    offer: Offer | None = None
    agent: asyncio.subprocess.Process | None = None
    # Whether an agent that connects is told of everybody, as any gateway would.
    tells: bool = True
    # The number of the latest revocation list.
    number: int = 0

    # What the attacker has.

    def home(self, entity: str) -> Path:
        return self.folder / "spaces" / _name(entity)

    def token_key(self, entity: str) -> keys.SigningKey:
        return keys.load_signing_key(self.home(entity) / "keys" / "token.pem")

    def federation_key(self, entity: str) -> keys.SigningKey:
        return keys.load_signing_key(self.home(entity) / "keys" / "federation.pem")

    def chain(self, entity: str, *, superior: str = "", **metadata: Any) -> tuple[str, ...]:
        """The entity's statement, fresh, and its superior's; `metadata` changes what it says of itself."""
        home = self.home(entity)
        spec = next(spec for spec in EVERYBODY if spec.entity == entity)
        says: dict[str, Any] = {
            "endpoint": "127.0.0.1:1",
            "operator": spec.operator,
            "operator_group": {BRANCH: "care"}.get(spec.entity, spec.name),
            "affiliates": (CARE,) if entity == SISTER else (),
            "jurisdiction": spec.jurisdiction,
            "token_keys": (self.token_key(entity).jwk,),
            "revocation_keys": (keys.load_signing_key(home / "keys" / "revocation.pem").jwk,),
            "contract_keys": (keys.load_signing_key(home / "agent" / "contract.pem").jwk,),
            "tls_ca": (home / "tls" / "ca.pem").read_text(),
            "seats": spec.seats,
        }
        made = GatewayMetadata(**{**says, **metadata})
        own = entity_configuration(EntityId(entity), made, (ANCHOR,), self.federation_key(entity), int(time.time()))
        return own, superior or (home / "keys" / "anchor.statement.jwt").read_text()

    def chains(self, contract: Contract) -> list[tuple[str, ...]]:
        return [self.chain(entity) for entity in dict.fromkeys([*contract.entities(), contract.initiator])]

    def revocation_key(self, issuer: str) -> keys.SigningKey:
        home = self.folder / "anchor" if issuer == ANCHOR else self.home(issuer) / "keys"
        return keys.load_signing_key(home / "revocation.pem")

    def list_of(self, issuer: str, **said: Any) -> str:
        """What `issuer` revokes now: by default nothing. No two lists have one number, in one second neither."""
        now = int(time.time())
        self.number = max(now, self.number + 1)
        claims = {"seq": self.number, **said.pop("claims", {})}
        return revocation_list(EntityId(issuer), self.revocation_key(issuer), now, claims=claims, **said)

    def believed(self) -> tuple[list[tuple[str, ...]], list[str]]:
        """Everybody's chains and lists, honest and fresh."""
        everybody = [spec.entity for spec in EVERYBODY] if self.tells else []
        return [self.chain(entity) for entity in everybody], [self.list_of(issuer) for issuer in (ANCHOR, *everybody)]

    async def tell_for_ever(self) -> None:
        while True:
            await asyncio.sleep(TELL_EVERY)
            if self.tells:
                self.line.tell([], self.believed()[1])

    def vouched(self, entity: str, anchor: keys.SigningKey, by: EntityId = ANCHOR) -> str:
        """What `anchor` would say of `entity`."""
        return subordinate_statement(by, EntityId(entity), (self.federation_key(entity).jwk,), anchor, int(time.time()))

    # Contracts and approvals.

    def contract(self, query: Query = COUNT, *, initiator: str = CARE, seats: Sequence[str] = ()) -> Contract:
        """What an honest home gateway would draft."""
        recipient = Recipient("client analyst", "client", base64.b64encode(sealing.fresh_key()[1]).decode())
        request = planning.Request(initiator, "analyst", recipient, SystemIds().fresh(), int(time.time()))
        asked = replace(query, seats=replace(query.seats, at=tuple(seats or (CARE, POLICE, NEUTRAL))))
        return planning.draft_contract(asked, self._spaces(), request)

    def sign(self, contract: Contract, key: keys.SigningKey | None = None, /, **claims: Any) -> str:
        """The contract signed by its initiator's gateway; `claims` replace what the envelope says."""
        now = int(time.time())
        envelope = {
            "iss": contract.initiator,
            "sub": contract.initiator,
            "aud": audience(contract.session),
            "iat": now,
            "exp": now + 600,
            "jti": SystemIds().fresh(),
        }
        signer = key or self.token_key(contract.initiator)
        return sign(CONTRACT, {**envelope, "contract": to_plain(contract), **claims}, signer)

    def signed_otherwise(self, contract: str) -> str:
        """The same payload by the same key under another spelling of its header, and so under another signature."""
        token = parse_compact(contract, 512 * 1024)
        header = {"typ": token.typ, "kid": token.kid, "alg": token.alg}
        return forge(header, token.payload.decode(), self.token_key(token.claims["iss"]).secret)

    def approve(
        self, entity: str, contract: Contract, digest: str, *, key: keys.SigningKey | None = None, **changes: Any
    ) -> str:
        """The approval by another space's honest agent; `key` in place of its contract key for a forged one."""
        seats = tuple(SeatKey(seat.pid, _fresh()) for seat in contract.seats_of(entity))
        body = ApprovalBody(digest, seats, _fresh() if contract.provider_of(entity) else "")
        signer = key or keys.load_signing_key(self.home(entity) / "agent" / "contract.pem")
        return Writer(entity, lambda: signer, SystemClock(), SystemIds()).approval(contract, replace(body, **changes))

    def _spaces(self) -> dict[str, Space]:
        if self.offer is None:
            raise RuntimeError("the agent has not made its offer")
        like = self.offer.datasets[0]
        others = {POLICE: (PFNCA,), REGISTRY: (GO,)}
        spaces = {}
        for spec in EVERYBODY:
            datasets = tuple(replace(like, name=name) for name in others.get(spec.entity, ()))
            offer = self.offer if spec.entity == CARE else replace(self.offer, datasets=datasets, seats=spec.seats)
            spaces[str(spec.entity)] = Space(Operator(spec.entity, spec.operator, spec.name), offer, 0)
        return spaces

    # What the agent did.

    def facts(self, start: int = 0) -> list[Fact]:
        """The agent's audit log, from its database."""
        with sqlite3.connect(f"file:{self.home(CARE) / 'agent.db'}?mode=ro", uri=True) as database:
            wanted = "SELECT record FROM facts WHERE position >= ? ORDER BY position"
            rows = database.execute(wanted, (start,)).fetchall()
        database.close()
        return [from_bytes(Fact, record, what="fact") for (record,) in rows]

    def parties(self) -> set[int]:
        """Process IDs of the agent's parties: one that was used is replaced by another."""
        if self.agent is None:
            return set()
        children = processes.descendants(self.agent.pid)
        return {child.id for child in children if processes.role_of(child) == "party"}

    async def warm_parties(self) -> set[int]:
        """The same, once there is one: the next is forked after the last has ended."""
        async with asyncio.timeout(START_WITHIN):
            while not (found := await asyncio.to_thread(self.parties)):
                continue
        return found

    async def start_agent(self) -> None:
        config = self.home(CARE) / "agent.toml"
        command = (sys.executable, "-m", "gateway", "agent", "serve", "--config", str(config), "--embedded")
        self.agent = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE)
        async with asyncio.timeout(START_WITHIN):
            token = await self.offered.get()
        await self.warm_parties()  # after the offer: kernels are loaded first
        self.offer = await Reader(Verifier(self.trust, SystemClock().now)).offer(token, CARE)

    async def stop_agent(self) -> None:
        if self.agent is not None and self.agent.stdin is not None:
            self.agent.stdin.close()
            async with asyncio.timeout(ANSWER_WITHIN):
                await self.agent.wait()
            self.agent = None

    async def restart_agent(self) -> None:
        await self.stop_agent()
        await self.start_agent()


@asynccontextmanager
async def running(folder: Path, edit: Callable[[Path], None]) -> AsyncIterator[World]:
    """The rogue gateway with its agent connected; `edit` may change the agent's folder before it starts."""
    trust = Federation([], SystemClock().now)

    async def dial(entity: str, session: str, within: float, outgoing: AsyncIterator[Frame]) -> AsyncIterator[Frame]:
        for frame in (*world.injected, *world.says.get(entity, ())):
            yield frame
        await asyncio.Event().wait()

    async def failed(session: str, failure: Failure) -> None:
        return

    async def offered(token: str) -> None:
        world.offered.put_nowait(token)

    tunnel = Tunnel(CARE, dial, failed)

    def own() -> tuple[str, ...]:
        return world.chain(CARE) if world.tells else ()

    line = AgentLine(CARE, tunnel, offered, own, lambda: world.believed())
    world = World(folder, trust, line, tunnel)
    ports = _lay_out(folder)
    edit(world.home(CARE))
    anchor = parse_jwk(json.loads((folder / "anchor" / "anchor.jwk.json").read_text()))
    world.trust = Federation([Anchor(ANCHOR, (anchor,), tuple(spec.entity for spec in EVERYBODY))], SystemClock().now)
    world.trust.admit(world.chain(CARE))
    tls = world.home(CARE) / "tls"
    services = agent_pb2.DESCRIPTOR.services_by_name.values()
    handlers = [serve.handlers(service, world.line, OpenGate()) for service in services]  # type: ignore[arg-type]
    server, _ = await serve.listen(
        f"127.0.0.1:{ports['care']}",
        PortTls(
            Credentials((tls / "gateway.pem").read_bytes(), keys.read_secret(tls / "gateway.key.pem")),
            (tls / "ca.pem").read_bytes(),
        ),
        handlers,
    )
    telling = asyncio.create_task(world.tell_for_ever())
    try:
        await world.start_agent()
        yield world
    finally:
        telling.cancel()
        await world.stop_agent()
        await server.stop(None)


def digest_of(token: str) -> str:
    return payload_digest(parse_compact(token, 512 * 1024).payload)


def _lay_out(folder: Path) -> dict[str, int]:
    from gateway.sandbox.federation import _free_ports

    ports = _free_ports(EVERYBODY)
    lay_out(folder, ports, int(time.time()), spaces=EVERYBODY)
    return ports


def _name(entity: str) -> str:
    return entity.removeprefix("https://").removesuffix(".example")


def _fresh() -> str:
    return base64.b64encode(sealing.fresh_key()[1]).decode()
