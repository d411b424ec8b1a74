"""Builds an agent from its configuration and keeps its line to the gateway open."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any

import grpc
import structlog

from connectors import steward_line
from connectors.agent import Agent
from connectors.config import AgentConfig
from connectors.dialling import KEYS_EVERY, LineLost, dial_for_ever
from connectors.edition_watch import EditionWatch
from connectors.engine.packages import install
from connectors.holdings import open_holdings
from connectors.keeping import Keeper, storage_key
from connectors.keys import AgentKeys
from connectors.launch.settings import party_settings
from connectors.launch.subprocesses import PartyPool
from connectors.ledgers import Ledgers
from connectors.offering import own_part
from connectors.one_person import OnePersonLimits
from connectors.policy_watch import PolicyWatch
from connectors.publishing import editions_folder, newest_copies
from connectors.session import Ended, Session
from connectors.stewards import check_holding, load_stewards
from gateway.api.agent.v1 import agent_pb2 as pb
from gateway.api.peer.v1.examination_pb2 import ListOpenDatasetsResponse
from gateway.config import broken, database_url, load
from gateway.domain.audit import Break
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.session import Failure
from gateway.edges.audit_heads import own_promises
from gateway.edges.channels import Channels
from gateway.edges.clock import SystemClock, SystemIds
from gateway.edges.documents import Reader, Writer
from gateway.edges.federation import Federation, operator_of
from gateway.edges.grpc import peer_convert as convert
from gateway.edges.logging import configure_logging
from gateway.edges.memory import set_aside
from gateway.edges.parent import stop_when_parent_ends
from gateway.edges.retaining import Retaining
from gateway.edges.revocations import Revocations
from gateway.edges.secrecy import keep_to_itself
from gateway.edges.store.database import Database
from gateway.edges.tokens import Verifier

SERVICE = "/isthmus.agent.v1.AgentService/"
OFFER_EVERY = 3600.0
DECISIONS_EVERY = 0.4
log = structlog.get_logger()


class Line:
    """The agent's connection to its own gateway: asks come in, answers go out, numbered alike."""

    def __init__(self, agent: Agent, channels: Channels, process: str) -> None:
        """`process` is this process's name: by it the gateway knows that a newer line is no other agent's."""
        self._agent, self._channels, self._process = agent, channels, process
        self._outgoing: asyncio.Queue[pb.ConnectRequest | None] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._sessions: set[str] = set()
        self._offering: asyncio.Task[None] | None = None
        self._superseded = False

    async def hold(self) -> None:
        """Until the line ends: raises LineLost unless a newer line has replaced it, and all is done here."""
        async with self._channels.lease() as channel:
            self._offering = asyncio.create_task(self._offer_for_ever())
            call = channel.stream_stream(
                SERVICE + "Connect",
                request_serializer=pb.ConnectRequest.SerializeToString,
                response_deserializer=pb.ConnectResponse.FromString,
            )
            stream = call(self._answers())
            try:
                async for message in stream:
                    if message.WhichOneof("message") == "believe":
                        # Before anything that was asked after it: what is asked may need it.
                        chains = convert.chains_from(message.believe.chains)
                        await self._agent.hear(chains, tuple(message.believe.revocations))
                    else:
                        self._spawn(self._answer(message, channel))
                if self._superseded:
                    # Nothing more is asked here. What runs still sends what others wait for.
                    while self._tasks:
                        await asyncio.wait(self._tasks)
                    return
            except grpc.RpcError as error:
                raise LineLost(str(error.code())) from None
            finally:
                self._outgoing.put_nowait(None)  # of a stream that the gateway ended, gRPC still reads what goes out
                stream.cancel()
                self._offering.cancel()
                for session in self._sessions:
                    self._agent.stop(session, self._lost())
                for task in list(self._tasks):
                    task.cancel()
                await asyncio.gather(self._offering, *self._tasks, return_exceptions=True)
            raise LineLost("the gateway closed the line")

    def supersede(self) -> None:
        """A newer line is on its way: this one offers nothing more, and its end is no loss."""
        self._superseded = True
        if self._offering is not None:
            self._offering.cancel()

    async def _offer_for_ever(self) -> None:
        """An offer lives a day: a fresh one goes out well before, and at once when key or policies have changed."""
        while True:
            kid, own = self._agent.writer.signer().kid, self._agent.own
            self._say(pb.ConnectRequest(hello=pb.Hello(offer=self._agent.offer(), process=self._process)))
            for _ in range(int(OFFER_EVERY / KEYS_EVERY)):
                await asyncio.sleep(KEYS_EVERY)
                if self._agent.writer.signer().kid != kid or self._agent.own is not own:
                    break

    def _lost(self) -> Failure:
        text = "the agent lost its gateway"
        return Failure(Reason.PEER_UNREACHABLE.value, self._agent.own.entity, "session", text, "Ask again")

    async def _answers(self) -> AsyncIterator[pb.ConnectRequest]:
        while (message := await self._outgoing.get()) is not None:
            yield message

    async def _answer(self, message: pb.ConnectResponse, channel: grpc.aio.Channel) -> None:
        number = message.number
        try:
            match message.WhichOneof("message"):
                case "check":
                    checked = convert.checked_to(await self._agent.check(message.check.draft))
                    self._say(pb.ConnectRequest(number=number, checked=checked))
                case "propose":
                    chains = convert.chains_from(message.propose.chains)
                    answer = await self._agent.propose(message.propose.contract, chains)
                    self._say(pb.ConnectRequest(number=number, proposed=convert.proposed_to(answer)))
                case "consult":
                    chains = convert.chains_from(message.consult.chains)
                    told = await self._agent.consult(message.consult.plan, chains, message.consult.withdrawn)
                    self._say(pb.ConnectRequest(number=number, consulted=convert.consulted_to(told)))
                case "run":
                    await self._run(message, channel)
                case "open_to":
                    opened = ListOpenDatasetsResponse(datasets=self._agent.open_to(message.open_to.space))
                    self._say(pb.ConnectRequest(number=number, opened=opened))
                case "stop":
                    failure = None if message.stop.released else convert.failure_from(message.stop.failure)
                    await self._agent.ended(message.stop.session, failure)
                case _:
                    if (answered := await steward_line.answer(self._agent, message)) is not None:
                        self._say(answered)
        except IsthmusError as problem:
            refusal = convert.refusal_to(convert.refusal_of(problem, self._agent.own.entity))
            self._say(pb.ConnectRequest(number=number, refused=refusal))
        except Exception as bug:  # whoever asked must not wait for an answer that never comes
            log.error("an answer failed", exc_info=bug)
            internal = IsthmusError(Reason.INTERNAL, "the agent failed to answer", advice="Its operator finds out why")
            refusal = convert.refusal_to(convert.refusal_of(internal, self._agent.own.entity))
            self._say(pb.ConnectRequest(number=number, refused=refusal))

    async def _run(self, message: pb.ConnectResponse, channel: grpc.aio.Channel) -> None:
        chains = convert.chains_from(message.run.chains)
        session = await self._agent.prepare(message.run.contract, tuple(message.run.approvals), chains)
        name = session.contract.body.session
        self._sessions.add(name)
        try:
            if isinstance(session, Session):  # a re-delivery has no frames
                self._spawn(self._carry(session, channel))
            async with aclosing(self._agent.run(session)) as events:
                async for event in events:
                    self._say(pb.ConnectRequest(number=message.number, ran=convert.event_to(event)))
        finally:
            self._sessions.discard(name)
        self._say(pb.ConnectRequest(number=message.number, done=pb.Done()))

    async def _carry(self, session: Session, channel: grpc.aio.Channel) -> None:
        """The session's frames, both ways, until the gateway closes the stream or the session's time is up."""

        async def frames() -> AsyncIterator[pb.CarryRequest]:
            yield pb.CarryRequest(open={"session": session.contract.body.session})
            async for waiting in session.outgoing():
                message = pb.CarryRequest()
                convert.put_frames(message, waiting)
                yield message

        call = channel.stream_stream(
            SERVICE + "Carry",
            request_serializer=pb.CarryRequest.SerializeToString,
            response_deserializer=pb.CarryResponse.FromString,
        )
        stream = call(frames(), timeout=session.contract.body.deadlines.total + 5)
        try:
            async for message in stream:
                for frame in convert.frames_from(message):
                    await session.deliver(frame)
        except Ended as ended:
            session.stop(ended.failure)
        except grpc.RpcError as error:
            entity = self._agent.own.entity
            text = f"the tunnel between agent and gateway broke: {error.code()}"
            session.stop(
                Failure("AGENT_UNREACHABLE", entity, "session", text, f"The operator of {entity} looks into it")
            )
        finally:
            stream.cancel()

    def _say(self, message: pb.ConnectRequest) -> None:
        self._outgoing.put_nowait(message)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            log.error("an answer failed", exc_info=problem)


async def serve_until_stopped(path: Path, *, embedded: bool) -> None:
    """`isthmus agent serve`. `embedded`: end when standard input closes, because the gateway started us."""
    keep_to_itself()
    settings = load(AgentConfig, path)
    if not settings.anchors:
        raise broken(
            f"{path.name} pins no anchor: nobody could be believed",
            "anchors",
            "Join one: isthmus trust join INVITATION --config gateway.toml --agent agent.toml",
        )
    configure_logging(settings.log.level)
    parties = party_settings(settings, path.parent)
    for item in settings.programs:
        install(item.folder, item.digest)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if embedded:
        stop_when_parent_ends(stop)
    async with AsyncExitStack() as stack:
        pool = PartyPool(settings.seats, parties)
        pool.start()  # parties warm up while sources are read
        stack.push_async_callback(pool.close)
        stewards = load_stewards(settings.stewards)
        clock, ids = SystemClock(), SystemIds()
        database = await stack.enter_async_context(await Database.open(database_url(settings.database, path.parent)))
        frozen = editions_folder(settings, path.parent)
        published = await newest_copies(database.editions, frozen)
        holdings = await asyncio.to_thread(open_holdings, settings.entity, settings.datasets, published)
        for holding in holdings.values():
            check_holding(holding, stewards)
        await database.guard.begin(_log_broken, await own_promises(database.beliefs))
        trust = Federation([anchor.load() for anchor in settings.anchors], clock.now, database.beliefs)
        reader = Reader(Verifier(trust, clock.now))
        rings = AgentKeys(settings, trust, clock)
        revocations = Revocations(
            settings.entity,
            trust,
            database.beliefs,
            database.audit,
            clock,
            grace=60 * settings.revocation.grace_minutes,
            own_keys=lambda: {rings.contract.kid: "contract"},
        )
        await revocations.restore()
        await trust.restore()
        writer = Writer(settings.entity, rings.contract.active, clock, ids)
        own = own_part(settings.entity, holdings, settings.seats)
        ledgers = Ledgers(
            settings.entity,
            holdings,
            database.ledger,
            clock,
            lambda: {entity.entity_id: operator_of(entity) for entity in trust.entities()},
            OnePersonLimits(settings.entity, holdings, database.person_answers, clock),
        )
        private, days = storage_key(settings.keys.storage), settings.retention.kept_days
        keeper = Keeper(settings.entity, database.kept, revocations.of_contract, clock, private, days)
        persons = 0 if settings.policy_changes is None else settings.policy_changes.persons
        agent = Agent(
            own, holdings, trust, revocations, reader, writer, database, ledgers, pool, clock, keeper, stewards, persons
        )
        files = {name: holding.policy_file for name, holding in holdings.items()}
        policies = PolicyWatch(agent, {name: file for name, file in files.items() if file is not None})
        editions = EditionWatch(agent, frozen)
        retaining = Retaining(settings.entity, settings.retention.rules, database.retention, clock)
        channels = Channels(rings.target)
        stack.push_async_callback(channels.close)
        process = ids.fresh()
        tasks = [
            asyncio.create_task(rings.watch()),
            asyncio.create_task(policies.for_ever()),
            asyncio.create_task(editions.for_ever()),
            asyncio.create_task(keeper.expire_for_ever()),
            asyncio.create_task(_watch_decisions(agent)),
            asyncio.create_task(database.guard.watch_for_ever()),
            asyncio.create_task(retaining.for_ever()),
            asyncio.create_task(dial_for_ever(lambda: Line(agent, channels, process), lambda: channels.is_outdated)),
        ]
        stack.push_async_callback(_cancelled, tasks)
        set_aside()
        log.info("agent serves", entity=settings.entity, datasets=len(holdings), seats=settings.seats)
        await stop.wait()


async def _watch_decisions(agent: Agent) -> None:
    """Stewards write to the database from processes of their own; what they took back ends within a second."""
    while True:
        await asyncio.sleep(DECISIONS_EVERY)
        try:
            await agent.look_at_decisions()
        except Exception as bug:  # nobody would look at the decisions again
            log.error("decisions", exc_info=bug)


def _log_broken(found: Break) -> None:
    log.error("the audit log does not hold: no session begins", problem=found.text, record=found.position)


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
