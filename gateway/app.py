"""Builds a gateway from its configuration and runs it until it is told to stop."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from gateway import config, sign_in
from gateway.api.agent.v1 import agent_pb2
from gateway.api.client.v1 import (
    approvals_pb2,
    catalogue_pb2,
    computations_pb2,
    diagnostics_pb2,
    policies_pb2,
    tokens_pb2,
)
from gateway.api.peer.v1 import examination_pb2, peer_pb2
from gateway.domain.audit import Break
from gateway.domain.diagnosis import Spoken
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import EntityId, host_of
from gateway.domain.session import Failure
from gateway.edges.agents import AgentLine
from gateway.edges.anchors import AnchorLine, AnchorPoll, located
from gateway.edges.certificates import kid_of
from gateway.edges.channels import Target
from gateway.edges.clock import SystemClock, SystemIds
from gateway.edges.doctor import Doctor, spoken_by
from gateway.edges.documents import Desk, PlanDesk, Reader, ReplayStore, Writer
from gateway.edges.federation import Federation, News
from gateway.edges.grpc import serve
from gateway.edges.grpc.client_api import CatalogueService, ComputationService, TokenService
from gateway.edges.grpc.examination_api import DiagnosticsService, ExaminationService
from gateway.edges.grpc.gate import Gate
from gateway.edges.grpc.peer_api import PeerService
from gateway.edges.grpc.serve import PortTls
from gateway.edges.grpc.steward_api import ApprovalService, PolicyService
from gateway.edges.herald import Herald
from gateway.edges.keys import SigningKey
from gateway.edges.logging import configure_logging
from gateway.edges.memory import set_aside
from gateway.edges.own_chain import OwnChain
from gateway.edges.own_statement import own_statement
from gateway.edges.own_tokens import SignedTokens
from gateway.edges.parent import stop_when_parent_ends
from gateway.edges.peers import PeerLine
from gateway.edges.retaining import Retaining
from gateway.edges.revocations import Revocations
from gateway.edges.revoking import FILE, OwnList
from gateway.edges.rulebooks import OwnWordFile
from gateway.edges.secrecy import keep_to_itself
from gateway.edges.space_keys import SpaceKeys
from gateway.edges.spaces import Spaces
from gateway.edges.store.database import Database
from gateway.edges.tokens import Verifier
from gateway.edges.tunnel import Tunnel
from gateway.edges.watchers import LocalWatchers
from gateway.flows.account import Account
from gateway.flows.consult import Consult
from gateway.flows.discover import Discover
from gateway.flows.drive import Drive, Stopped
from gateway.flows.recover import Recover
from gateway.flows.submit import Submit
from gateway.flows.take_part import TakePart
from gateway.flows.withdraw import Withdraw
from gateway.flows.witness import Witness
from gateway.rules.jose import TokenProblem
from gateway.rules.lifecycle import Event

log = structlog.get_logger()
SWEEP_EVERY = 10.0
KEYS_EVERY = 0.5


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that listens."""

    port: int
    spaces: Spaces
    revocations: Revocations


@asynccontextmanager
async def running(path: Path, clock: SystemClock | None = None) -> AsyncIterator[Running]:
    """A gateway with all its parts, listening; stopped and drained on the way out."""
    settings = config.load(config.GatewayConfig, path)
    entity = settings.entity
    clock, ids = clock or SystemClock(), SystemIds()
    listed = frozenset(str(peer.entity) for peer in settings.peers) | {entity}
    trust = Federation(
        [anchor.load() for anchor in settings.anchors], clock.now, listed=listed if settings.admit == "listed" else None
    )
    keys = SpaceKeys(settings.keys, settings.tls, entity, trust, clock)

    def statement(now: int) -> str:
        return own_statement(settings, keys, [anchor.entity for anchor in settings.anchors], now)

    own_word = OwnWordFile.beside(settings.statement)

    def says() -> tuple[object, ...]:
        return keys.described(), own_word.read()

    own_chain = OwnChain(statement, says, settings.statement, trust, clock)
    keys.vouched_by(own_chain)
    own_chain.refresh()

    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(
            await Database.open(config.database_url(settings.database, path.parent))
        )
        await database.guard.begin(_log_broken)
        trust.keep_in(database.beliefs)
        revocations = Revocations(
            entity,
            trust,
            database.beliefs,
            database.audit,
            clock,
            grace=60 * settings.revocation.grace_minutes,
            own_keys=lambda: {keys.token.kid: "token"},
        )
        await revocations.restore()
        # The own ones too: what runs over them ends here as it does at those who know them from outside.
        for credentials in (keys.server.active(), keys.client.active()):
            trust.saw(entity, kid_of(credentials.certificate_pem))

        def token_key() -> SigningKey:
            """The key that signs now. Raises IsthmusError(REVOKED): with one that was revoked nothing is signed."""
            revocations.check_own_keys()
            return keys.token.active()

        verifier = Verifier(trust, clock.now, ReplayStore(database.once))
        documents = Desk(Reader(verifier), Writer(entity, token_key, clock, ids))
        addresses: dict[str, str] = {peer.entity: peer.address for peer in settings.peers if peer.address}

        def dial(peer: EntityId) -> PeerLine:
            def target() -> Target:
                address = addresses.get(peer) or trust.endpoint(peer)
                return Target(address, host_of(peer), trust.authorities(peer), keys.client.active())

            return PeerLine(entity, peer, target, token_key, clock, ids)

        spaces = Spaces(entity, trust, documents.reader, clock, own_chain, dial, revocations)
        await spaces.restore()
        for peer in settings.peers:
            if peer.chain is not None:
                try:
                    await spaces.believe(tuple(json.loads(peer.chain.read_text())))
                except TokenProblem as problem:  # expired, or older than what was learnt since: it introduces itself
                    log.info(
                        "a peer's chain in the configuration is passed over", space=peer.entity, why=problem.private
                    )
        stack.push_async_callback(spaces.close)

        async def tunnel_failed(session: str, failure: Failure) -> None:
            log.error("tunnel", session=session, space=failure.culprit, problem=failure.text)
            await take_part.found(session, failure)

        tunnel = Tunnel(entity, spaces.tunnel, tunnel_failed)
        agent = AgentLine(entity, tunnel, spaces.offered, own_chain, lambda: (trust.chains(), revocations.all()))
        watchers = LocalWatchers()
        store = database.computations
        account = Account(entity, clock, store, watchers, Witness(database.beliefs, database.audit, clock))
        plans = PlanDesk(documents.reader, documents.writer)
        take_part = TakePart(account, agent, documents, tunnel, spaces.alive, plans, agent)
        spaces.take_part_as(take_part)
        recipient = keys.recipients()
        consult = Consult(account, spaces, documents, plans, revocations)
        drive = Drive(account, spaces, documents, recipient, revocations, consult)
        submit = Submit(entity, clock, ids, store, spaces, documents, recipient, revocations, drive.start, consult)
        withdraw = Withdraw(account, documents, revocations, agent, tunnel, drive.stop)
        tokens = SignedTokens(entity, token_key, verifier)
        signing_in = sign_in.build(settings, database, tokens, clock, ids)
        gate = Gate(
            entity, keys.authorities, trust, verifier, database.audit, clock, signing_in.clients, signing_in.standing
        )

        def spoken() -> Spoken:
            offered = spaces.spaces().get(entity)
            return spoken_by(offered.offer if offered is not None and agent.offer() is not None else None)

        def dialled() -> dict[str, str]:
            stated: dict[str, str] = {
                peer.entity_id: peer.endpoint for peer in trust.entities() if peer.entity_id != entity
            }
            return {**stated, **addresses}

        doctor = Doctor(
            own=entity,
            trust=trust,
            reader=documents.reader,
            credentials=keys.client.active,
            signer=token_key,
            own_chain=own_chain,
            addresses=dialled,
            spoken=spoken,
            clock=clock,
            milliseconds=clock.milliseconds,
            ids=ids,
        )
        services = {
            catalogue_pb2.DESCRIPTOR: CatalogueService(Discover(spaces, entity), spaces),
            computations_pb2.DESCRIPTOR: ComputationService(
                entity, submit, drive, store, documents, recipient, watchers
            ),
            tokens_pb2.DESCRIPTOR: TokenService(signing_in),
            diagnostics_pb2.DESCRIPTOR: DiagnosticsService(doctor),
            approvals_pb2.DESCRIPTOR: ApprovalService(agent),
            policies_pb2.DESCRIPTOR: PolicyService(agent),
            examination_pb2.DESCRIPTOR: ExaminationService(doctor, agent.open_to, database.audit),
            peer_pb2.DESCRIPTOR: PeerService(
                take_part, agent, tunnel, own_chain, spaces.admit, revocations.hear, spaces.lists, spaces.offered_by
            ),
            agent_pb2.DESCRIPTOR: agent,
        }
        handlers = [
            serve.handlers(service, implementation, gate)
            for file, implementation in services.items()
            for service in file.services_by_name.values()
        ]
        own_list = OwnList(entity, keys.revocation.active, database.beliefs, path.parent / FILE, clock, ids)
        herald = Herald(own_list, revocations, spaces.refresh)
        await herald.look()
        revoked = asyncio.Event()

        def hear(news: News) -> None:
            agent.tell(news.chains, news.lists)
            if news.revokes:
                revoked.set()

        trust.follow(hear)
        recover = Recover(account, tunnel, lambda found: drive.start(found, plans.recall(found)))
        await recover.end_what_is_left()
        polls = [
            AnchorPoll(
                AnchorLine(entity, located(anchor), token_key, clock, ids),
                own_chain,
                settings.statement,
                trust,
                spaces,
                clock,
                revocations=partial(herald.heard, str(anchor.entity)),
                rotations=keys.rotations,
            )
            for anchor in settings.anchors
            if anchor.address
        ]
        await asyncio.gather(*(poll.before_listening() for poll in polls))
        tls = PortTls(keys.server.active(), trust.roots())
        server, port = await serve.listen(settings.listen, tls, handlers)
        stack.push_async_callback(server.stop, 1.0)
        stopping = Failure(Reason.CANCELLED.value, entity, "session", "the home gateway was stopped", "Ask again")
        stack.push_async_callback(drive.drain, Stopped(Event.CANCEL, stopping))
        if settings.login is not None:
            await stack.enter_async_context(sign_in.page(settings, signing_in, clock))

        async def own_statement_changed() -> None:
            agent.believe()
            for poll in polls:
                poll.wake()
            await spaces.refresh()

        tasks = [
            asyncio.create_task(spaces.refresh_for_ever()),
            asyncio.create_task(_sweep(recover, database, clock)),
            asyncio.create_task(Retaining(entity, settings.retention.rules, database.retention, clock).for_ever()),
            asyncio.create_task(database.guard.watch_for_ever()),
            asyncio.create_task(herald.look_for_ever()),
            asyncio.create_task(_withdraw(withdraw, gate, revoked)),
            asyncio.create_task(_watch_keys(keys, own_chain, tls, trust, own_statement_changed)),
            *(asyncio.create_task(poll.for_ever()) for poll in polls),
        ]
        stack.push_async_callback(_cancelled, tasks)
        log.info("gateway listens", entity=entity, port=port)
        yield Running(port, spaces, revocations)


async def serve_until_stopped(path: Path, *, embedded: bool = False) -> None:
    """`isthmus gateway serve`: the gateway, and its agent as a child where the configuration embeds one.

    `embedded`: end when standard input closes, because a supervisor started us.
    """
    keep_to_itself()
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
        set_aside()
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


async def _sweep(recover: Recover, database: Database, clock: SystemClock) -> None:
    """What nobody ran in time is expired; what may be forgotten is."""
    while True:
        await asyncio.sleep(SWEEP_EVERY)
        with suppress(IsthmusError):
            await recover.expire()
            await database.once.forget(clock.now())
            await database.sign_ins.forget(clock.now())


def _log_broken(found: Break) -> None:
    log.error("the audit log does not hold: no session begins", problem=found.text, record=found.position)


async def _watch_keys(
    keys: SpaceKeys, own_chain: OwnChain, tls: PortTls, trust: Federation, changed: Callable[[], Awaitable[None]]
) -> None:
    """Rings that change, keys whose time comes, peers whose CA is another now: all take effect without a restart."""
    telling: set[asyncio.Task[None]] = set()
    while True:
        await asyncio.sleep(KEYS_EVERY)
        told = False
        try:
            keys.refresh()
            told = own_chain.refresh()
            tls.present(keys.server.active(), trust.roots())
        except Exception as bug:  # nobody would look at the rings again
            log.error("rings of keys", exc_info=bug)
        if told:
            log.info("own statement changed")
            # Beside the watch: a peer that does not answer must not hold up the next change.
            task = asyncio.ensure_future(changed())
            telling.add(task)
            task.add_done_callback(telling.discard)


async def _withdraw(withdraw: Withdraw, gate: Gate, revoked: asyncio.Event) -> None:
    """Whenever something was revoked, end what runs under it: computations first, so that all say why."""
    while True:
        await revoked.wait()
        revoked.clear()
        with suppress(IsthmusError):
            await withdraw.look_again()
        gate.look_again()


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
