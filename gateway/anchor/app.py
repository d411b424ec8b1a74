"""Builds an anchor from its configuration and runs it until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from gateway.anchor.config import AnchorProcessConfig
from gateway.api.trust.v1 import anchor_pb2
from gateway.config import database_url, load
from gateway.domain.errors import IsthmusError
from gateway.domain.identity import EntityId
from gateway.edges import keys
from gateway.edges.certificates import Credentials
from gateway.edges.clock import SystemClock, SystemIds
from gateway.edges.documents import ReplayStore
from gateway.edges.grpc import serve
from gateway.edges.grpc.anchor_api import AnchorService
from gateway.edges.grpc.anchor_gate import AnchorGate
from gateway.edges.herald import Shelf
from gateway.edges.logging import configure_logging
from gateway.edges.memory import set_aside
from gateway.edges.parent import stop_when_parent_ends
from gateway.edges.revoking import FILE, OwnList
from gateway.edges.store.database import Database
from gateway.edges.tokens import signature_holds
from gateway.edges.vouching import AnchorDesk
from gateway.flows.vouch import Vouch
from gateway.ports import Members
from gateway.rules.invitations import AnchorCard

FORGET_EVERY = 60.0
# Strangers may connect: small messages, few calls at once on a connection, and none that stays without a call.
OPTIONS = (
    ("grpc.max_receive_message_length", 256 * 1024),
    ("grpc.max_send_message_length", serve.MAX_MESSAGE),
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.absolute_max_metadata_size", 32 * 1024),
    ("grpc.max_concurrent_streams", 8),
    ("grpc.max_connection_idle_ms", 60_000),
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.so_reuseport", 0),
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Office:
    """An anchor's parts, without a port: what the command line works with too."""

    settings: AnchorProcessConfig
    database: Database
    desk: AnchorDesk
    vouch: Vouch


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Office]:
    """The anchor that `path` configures. Raises IsthmusError(CONFIGURATION)."""
    settings = load(AnchorProcessConfig, path)
    clock = SystemClock()
    key = keys.load_signing_key(settings.keys.federation)
    revocation = keys.load_signing_key(settings.keys.revocation)
    card = AnchorCard(
        entity=settings.entity,
        address=settings.address,
        tls_ca=settings.tls.ca.read_text(),
        keys=(key.jwk,),
        revocation_keys=(revocation.jwk,),
        prefixes=settings.prefixes,
    )
    desk = AnchorDesk(card, key, clock)
    async with await Database.open(database_url(settings.database, path.parent)) as database:
        members, invitations, rulebooks = database.members, database.invitations, database.rulebooks
        vouch = Vouch(settings.entity, clock, members, invitations, desk, signature_holds, rulebooks)
        yield Office(settings, database, desk, vouch)


class Suspended:
    """The members whom the anchor does not vouch for now; each call reads what has changed since the last."""

    def __init__(self, members: Members) -> None:
        self._members = members
        self._version = 0
        self._suspended: frozenset[EntityId] = frozenset()

    async def __call__(self) -> frozenset[EntityId]:
        while changed := await self._members.since(self._version, 500):
            self._suspended -= {EntityId(member.entity) for member in changed if not member.suspended}
            self._suspended |= {EntityId(member.entity) for member in changed if member.suspended}
            self._version = changed[-1].version
        return self._suspended


@asynccontextmanager
async def running(path: Path) -> AsyncIterator[int]:
    """An anchor that listens; its port."""
    async with AsyncExitStack() as stack:
        office = await stack.enter_async_context(opened(path))
        settings, database, clock = office.settings, office.database, SystemClock()
        gate = AnchorGate(office.vouch, ReplayStore(database.once), database.audit, clock)
        key = keys.load_signing_key(settings.keys.revocation)
        own_list = OwnList(
            settings.entity,
            lambda: key,
            database.beliefs,
            path.parent / FILE,
            clock,
            SystemIds(),
            Suspended(database.members),
        )
        shelf = Shelf(own_list)
        await shelf.look()
        service = AnchorService(office.vouch, office.desk, shelf)
        handlers = [
            serve.handlers(descriptor, service, gate) for descriptor in anchor_pb2.DESCRIPTOR.services_by_name.values()
        ]
        shown = Credentials(settings.tls.certificate.read_bytes(), keys.read_secret(settings.tls.key))
        tls = serve.PortTls(shown, roots=None)  # of who wants to join no certificate can be asked
        server, port = await serve.listen(settings.listen, tls, handlers, options=OPTIONS)
        stack.push_async_callback(server.stop, 1.0)
        forgetting = asyncio.create_task(_forget_for_ever(database, clock))
        stack.callback(forgetting.cancel)
        looking = asyncio.create_task(shelf.look_for_ever())
        stack.callback(looking.cancel)
        log.info("anchor listens", entity=settings.entity, port=port)
        yield port


async def serve_until_stopped(path: Path, *, embedded: bool = False) -> None:
    """`isthmus trust serve`. `embedded`: end when standard input closes, because a supervisor started us."""
    configure_logging(load(AnchorProcessConfig, path).log.level)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if embedded:
        stop_when_parent_ends(stop)
    async with running(path):
        set_aside()
        await stop.wait()


async def _forget_for_ever(database: Database, clock: SystemClock) -> None:
    """Tokens that have expired need not be remembered."""
    while True:
        await asyncio.sleep(FORGET_EVERY)
        with suppress(IsthmusError):
            await database.once.forget(clock.now())
