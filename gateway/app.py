"""Builds a gateway from its configuration and runs it until it is told to stop."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from gateway import config
from gateway.api.agent.v1 import agent_pb2
from gateway.api.client.v1 import catalogue_pb2, computations_pb2, tokens_pb2
from gateway.api.peer.v1 import peer_pb2
from gateway.domain.caller import Rights
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import Entity
from gateway.domain.session import Failure
from gateway.edges import keys
from gateway.edges.agents import AgentLine
from gateway.edges.certificates import Credentials, key_of
from gateway.edges.clock import SystemClock, SystemIds
from gateway.edges.documents import Desk, Reader, ReplayStore, Writer
from gateway.edges.federation import Federation, News, entity_configuration
from gateway.edges.grpc import serve
from gateway.edges.grpc.client_api import CatalogueService, ComputationService, Grant, TokenService
from gateway.edges.grpc.gate import Gate
from gateway.edges.grpc.peer_api import PeerService
from gateway.edges.herald import Herald
from gateway.edges.logging import configure_logging
from gateway.edges.opener import RecipientKey
from gateway.edges.parent import stop_when_parent_ends
from gateway.edges.peers import PeerLine
from gateway.edges.revocations import Revocations
from gateway.edges.revoking import FILE, OwnList
from gateway.edges.spaces import Spaces
from gateway.edges.store.database import Database
from gateway.edges.tokens import Verifier
from gateway.edges.tunnel import Tunnel
from gateway.edges.watchers import LocalWatchers
from gateway.flows.account import Account
from gateway.flows.discover import Discover
from gateway.flows.drive import Drive, Stopped
from gateway.flows.recover import Recover
from gateway.flows.submit import Submit
from gateway.flows.take_part import TakePart
from gateway.flows.withdraw import Withdraw
from gateway.ports import Clock
from gateway.rules.gateway_metadata import GatewayMetadata
from gateway.rules.jose import Problem, TokenProblem
from gateway.rules.jwks import parse_jwk
from gateway.rules.lifecycle import Event

log = structlog.get_logger()
STATEMENT_EVERY = 3600  # seconds after which the own statement is made anew; it lives a day
SWEEP_EVERY = 10.0


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that listens."""

    port: int
    spaces: Spaces


class OwnChain:
    """This space's chain: its own statement, fresh, and the anchor's statement about it."""

    def __init__(self, made: Callable[[], str], superior: str, clock: Clock) -> None:
        self._made, self._superior, self._clock = made, superior, clock
        self._chain: tuple[str, ...] = ()
        self._at = 0

    def __call__(self) -> tuple[str, ...]:
        if self._clock.now() - self._at > STATEMENT_EVERY:
            self._chain, self._at = (self._made(), self._superior), self._clock.now()
        return self._chain


@asynccontextmanager
async def running(path: Path, clock: Clock | None = None) -> AsyncIterator[Running]:
    """A gateway with all its parts, listening; stopped and drained on the way out."""
    clock = clock or SystemClock()
    settings = config.load(config.GatewayConfig, path)
    entity = settings.entity
    ids = SystemIds()
    federation_key = keys.load_signing_key(settings.keys.federation)
    token_key = keys.load_signing_key(settings.keys.token)
    revocation_key = keys.load_signing_key(settings.keys.revocation)
    recipient = RecipientKey(_raw(keys.load_agreement_key(settings.keys.recipient).secret))
    own_ca = settings.tls.ca.read_bytes()

    def statement() -> str:
        metadata = GatewayMetadata(
            endpoint=settings.endpoint,
            operator=settings.operator.name,
            operator_group=settings.operator.group,
            affiliates=tuple(settings.operator.affiliates),
            jurisdiction=settings.operator.jurisdiction,
            token_keys=(token_key.jwk,),
            contract_keys=(parse_jwk(json.loads(settings.keys.contract.read_text())),),
            revocation_keys=(revocation_key.jwk,),
            tls_ca=own_ca.decode(),
            seats=settings.operator.seats,
        )
        hints = [anchor.entity for anchor in settings.anchors]
        return entity_configuration(entity, metadata, hints, federation_key, clock.now())

    own_chain = OwnChain(statement, settings.statement.read_text().strip(), clock)
    chains: dict[str, tuple[str, ...]] = {
        peer.entity: tuple(json.loads(peer.chain.read_text())) for peer in settings.peers
    }

    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(
            await Database.open(config.database_url(settings.database, path.parent))
        )
        trust = Federation([anchor.load() for anchor in settings.anchors], clock.now, database.beliefs)
        revocations = Revocations(
            entity,
            trust,
            database.beliefs,
            database.audit,
            clock,
            grace=60 * settings.revocation.grace_minutes,
            own_keys=lambda: {token_key.kid: "token"},
        )
        # The own ones too: what runs over them ends here as it does at those who know them from outside.
        for certificate in (settings.tls.certificate, settings.tls.client_certificate):
            trust.saw(entity, key_of(certificate.read_bytes()))
        await revocations.restore()
        await trust.restore()
        for chain in (own_chain(), *chains.values()):
            await _believed(trust, chain)
        verifier = Verifier(trust, clock.now, ReplayStore(database.once))
        documents = Desk(Reader(verifier), Writer(entity, token_key, clock, ids))
        addresses = {peer.entity: peer.address for peer in settings.peers}
        to_peers = Credentials(settings.tls.client_certificate.read_bytes(), keys.read_secret(settings.tls.client_key))

        def dial(peer: Entity) -> PeerLine:
            return PeerLine(entity, peer, addresses[peer.entity_id], to_peers, token_key, clock, ids)

        spaces = Spaces(entity, trust, documents.reader, clock, own_chain, dial, chains, revocations)
        stack.push_async_callback(spaces.close)

        async def tunnel_failed(session: str, failure: Failure) -> None:
            log.error("tunnel", session=session, space=failure.culprit, problem=failure.text)
            await agent.stop(session, failure)

        tunnel = Tunnel(entity, spaces.tunnel, tunnel_failed)
        agent = AgentLine(entity, tunnel, spaces.offered, lambda: (trust.chains(), revocations.all()))
        watchers = LocalWatchers()
        store = database.computations
        account = Account(entity, clock, store, watchers)
        take_part = TakePart(account, agent, documents, tunnel)
        spaces.take_part_as(take_part)
        drive = Drive(account, spaces, documents, recipient, revocations)
        submit = Submit(entity, clock, ids, store, spaces, documents, recipient, revocations, drive.start)
        withdraw = Withdraw(account, documents, revocations, agent, tunnel, drive.stop)
        grants = {
            client.id: Grant(client.scopes, Rights(client.datasets, client.statistics, client.purposes))
            for client in settings.clients
        }
        gate = Gate(entity, own_ca, trust, verifier, database.audit, clock, frozenset(grants))
        services = {
            catalogue_pb2.DESCRIPTOR: CatalogueService(Discover(spaces), spaces),
            computations_pb2.DESCRIPTOR: ComputationService(
                entity, submit, drive, store, documents, recipient, watchers
            ),
            tokens_pb2.DESCRIPTOR: TokenService(entity, token_key, clock, ids, grants, revocations.check_own_keys),
            peer_pb2.DESCRIPTOR: PeerService(
                take_part, agent, tunnel, own_chain, spaces.admit, revocations.hear, spaces.lists
            ),
            agent_pb2.DESCRIPTOR: agent,
        }
        handlers = [
            serve.handlers(service, implementation, gate)
            for file, implementation in services.items()
            for service in file.services_by_name.values()
        ]
        own_list = OwnList(entity, lambda: revocation_key, database.beliefs, path.parent / FILE, clock, ids)
        files = [anchor.revocations for anchor in settings.anchors if anchor.revocations is not None]
        herald = Herald(own_list, revocations, spaces.refresh, files)
        await herald.look()
        revoked = asyncio.Event()

        def hear(news: News) -> None:
            agent.believe(news.chains, news.lists)
            if news.revokes:
                revoked.set()

        trust.follow(hear)
        recover = Recover(account, tunnel)
        await recover.end_what_is_left()
        roots = own_ca + b"".join(peer.tls_ca.encode() for peer in trust.entities() if peer.entity_id != entity)
        server, port = await serve.listen(
            settings.listen, settings.tls.certificate.read_bytes(), keys.read_secret(settings.tls.key), roots, handlers
        )
        stack.push_async_callback(server.stop, 1.0)
        stopping = Failure(Reason.CANCELLED.value, entity, "session", "the home gateway was stopped", "Ask again")
        stack.push_async_callback(drive.drain, Stopped(Event.CANCEL, stopping))
        work = (
            spaces.refresh_for_ever(),
            _sweep(recover, database, clock),
            herald.look_for_ever(),
            _withdraw(withdraw, gate, revoked),
        )
        tasks = [asyncio.create_task(item) for item in work]
        stack.push_async_callback(_cancelled, tasks)
        log.info("gateway listens", entity=entity, port=port)
        yield Running(port, spaces)


async def serve_until_stopped(path: Path, *, embedded: bool = False) -> None:
    """`isthmus gateway serve`: the gateway, and its agent as a child where the configuration embeds one.

    `embedded`: end when standard input closes, because a supervisor started us.
    """
    settings = config.load(config.GatewayConfig, path)
    configure_logging(settings.log.level)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if embedded:
        stop_when_parent_ends(stop)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(path))
        if settings.agent is not None and not stop.is_set():
            await stack.enter_async_context(_embedded(settings.agent.config, stop))
        await stop.wait()


@asynccontextmanager
async def _embedded(agent_config: Path, stop: asyncio.Event) -> AsyncIterator[None]:
    """The agent as a child; it ends when its standard input closes, so it cannot outlive this process."""
    command = (sys.executable, "-m", "gateway", "agent", "serve", "--config", str(agent_config), "--embedded")
    child = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, env=dict(os.environ))
    watch = asyncio.create_task(_ended(child, stop))
    try:
        yield
    finally:
        watch.cancel()
        if child.stdin is not None:
            child.stdin.close()
        try:
            async with asyncio.timeout(5):
                await child.wait()
        except TimeoutError:
            child.kill()
            await child.wait()


async def _ended(child: asyncio.subprocess.Process, stop: asyncio.Event) -> None:
    code = await child.wait()
    log.error("the embedded agent ended, so the gateway stops", code=code)
    stop.set()


async def _sweep(recover: Recover, database: Database, clock: Clock) -> None:
    """What nobody ran in time is expired; what may be forgotten is."""
    while True:
        await asyncio.sleep(SWEEP_EVERY)
        with suppress(IsthmusError):
            await recover.expire()
            await database.once.forget(clock.now())


async def _withdraw(withdraw: Withdraw, gate: Gate, revoked: asyncio.Event) -> None:
    """Whenever something was revoked, end what runs under it: computations first, so that all say why."""
    while True:
        await revoked.wait()
        revoked.clear()
        with suppress(IsthmusError):
            await withdraw.look_again()
        gate.look_again()


async def _believed(trust: Federation, chain: tuple[str, ...]) -> None:
    """A chain that was known at start; a newer one may have come since it was written down."""
    try:
        await trust.believe(chain)
    except TokenProblem as problem:
        if problem.problem is not Problem.OLDER:
            raise


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _raw(secret: X25519PrivateKey) -> bytes:
    return secret.private_bytes_raw()
