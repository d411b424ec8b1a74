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
from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from connectors.agent import Agent
from connectors.config import AgentConfig
from connectors.engine import programs
from connectors.holdings import open_holdings
from connectors.launch.subprocesses import PartyPool
from connectors.rules.approval import OwnPart
from connectors.session import Ended, Session
from gateway.api.agent.v1 import agent_pb2 as pb
from gateway.config import database_url, load
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import host_of
from gateway.domain.offer import Offer, ProgramOffer
from gateway.domain.session import Failure
from gateway.edges import keys
from gateway.edges.clock import SystemClock, SystemIds
from gateway.edges.documents import Reader, Writer
from gateway.edges.federation import Federation
from gateway.edges.grpc import peer_convert as convert
from gateway.edges.logging import configure_logging
from gateway.edges.parent import stop_when_parent_ends
from gateway.edges.peers import CHANNEL_OPTIONS
from gateway.edges.revocations import Revocations
from gateway.edges.store.database import Database
from gateway.edges.tokens import Verifier

SERVICE = "/isthmus.agent.v1.AgentService/"
# What a session is spoken in: the runtime, and the version of the codec of `engine/wire.py`.
ENGINE, CODEC = "mpyc 0.11", 1
OFFER_EVERY = 3600.0
log = structlog.get_logger()


class LineLost(Exception):
    """The line to the gateway broke; it is dialled again."""


class Line:
    """The agent's connection to its own gateway: asks come in, answers go out, numbered alike."""

    def __init__(self, agent: Agent, channel: grpc.aio.Channel) -> None:
        self._agent, self._channel = agent, channel
        self._outgoing: asyncio.Queue[pb.ConnectRequest] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()

    async def hold(self) -> None:
        """Until the line breaks: raises LineLost."""
        self._spawn(self._offer_for_ever())
        call = self._channel.stream_stream(
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
                    self._spawn(self._answer(message))
        except grpc.RpcError as error:
            raise LineLost(str(error.code())) from None
        finally:
            stream.cancel()
            self._agent.stop_all("the agent lost its gateway")
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        raise LineLost("the gateway closed the line")

    async def _offer_for_ever(self) -> None:
        """An offer lives a day: a fresh one goes out well before."""
        while True:
            self._outgoing.put_nowait(pb.ConnectRequest(hello=pb.Hello(offer=self._agent.offer())))
            await asyncio.sleep(OFFER_EVERY)

    async def _answers(self) -> AsyncIterator[pb.ConnectRequest]:
        while True:
            yield await self._outgoing.get()

    async def _answer(self, message: pb.ConnectResponse) -> None:
        number = message.number
        try:
            match message.WhichOneof("message"):
                case "check":
                    checked = convert.checked_to(self._agent.check(message.check.draft))
                    self._say(pb.ConnectRequest(number=number, checked=checked))
                case "propose":
                    chains = convert.chains_from(message.propose.chains)
                    answer = await self._agent.propose(message.propose.contract, chains)
                    self._say(pb.ConnectRequest(number=number, proposed=convert.proposed_to(answer)))
                case "run":
                    await self._run(message)
                case "stop":
                    failure = convert.failure_from(message.stop.failure)
                    self._agent.stop(message.stop.session, failure)
                case _:
                    return
        except IsthmusError as problem:
            refusal = convert.refusal_to(convert.refusal_of(problem, self._agent.own.entity))
            self._say(pb.ConnectRequest(number=number, refused=refusal))
        except Exception as bug:  # whoever asked must not wait for an answer that never comes
            log.error("an answer failed", exc_info=bug)
            internal = IsthmusError(Reason.INTERNAL, "the agent failed to answer", advice="Its operator finds out why")
            refusal = convert.refusal_to(convert.refusal_of(internal, self._agent.own.entity))
            self._say(pb.ConnectRequest(number=number, refused=refusal))

    async def _run(self, message: pb.ConnectResponse) -> None:
        chains = convert.chains_from(message.run.chains)
        session = await self._agent.prepare(message.run.contract, tuple(message.run.approvals), chains)
        self._spawn(self._carry(session))
        async with aclosing(self._agent.run(session)) as events:
            async for event in events:
                self._say(pb.ConnectRequest(number=message.number, ran=convert.event_to(event)))
        self._say(pb.ConnectRequest(number=message.number, done=pb.Done()))

    async def _carry(self, session: Session) -> None:
        """The session's frames, both ways, until the gateway closes the stream or the session's time is up."""

        async def frames() -> AsyncIterator[pb.CarryRequest]:
            yield pb.CarryRequest(open={"session": session.contract.body.session})
            async for frame in session.outgoing():
                yield pb.CarryRequest(frame=convert.frame_to(frame))

        call = self._channel.stream_stream(
            SERVICE + "Carry",
            request_serializer=pb.CarryRequest.SerializeToString,
            response_deserializer=pb.CarryResponse.FromString,
        )
        stream = call(frames(), timeout=session.contract.body.deadlines.total + 5)
        try:
            async for message in stream:
                await session.deliver(convert.frame_from(message.frame))
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
    settings = load(AgentConfig, path)
    configure_logging(settings.log.level)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if embedded:
        stop_when_parent_ends(stop)
    async with AsyncExitStack() as stack:
        pool = PartyPool(settings.seats)
        pool.start()  # parties warm up while sources are read
        stack.push_async_callback(pool.close)
        holdings = await asyncio.to_thread(open_holdings, settings.entity, settings.datasets)
        clock, ids = SystemClock(), SystemIds()
        database = await stack.enter_async_context(await Database.open(database_url(settings.database, path.parent)))
        trust = Federation([anchor.load() for anchor in settings.anchors], clock.now, database.beliefs)
        reader = Reader(Verifier(trust, clock.now))
        contract_key = keys.load_signing_key(settings.keys.contract)
        writer = Writer(settings.entity, contract_key, clock, ids)
        revocations = Revocations(
            settings.entity,
            trust,
            database.beliefs,
            database.audit,
            clock,
            grace=60 * settings.revocation.grace_minutes,
            own_keys=lambda: {contract_key.kid: "contract"},
        )
        await revocations.restore()
        await trust.restore()
        offer = Offer(
            datasets=tuple(holdings[name].dataset for name in sorted(holdings)),
            programs=tuple(
                ProgramOffer(name, module.VERSION, programs.digest(name), module.LEAKAGE)
                for name, module in sorted(programs.PROGRAMS.items())
            ),
            seats=settings.seats,
            engine=ENGINE,
            codec=CODEC,
        )
        own = OwnPart(settings.entity, offer, {name: holding.spaces for name, holding in holdings.items()})
        agent = Agent(own, holdings, trust, revocations, reader, writer, database, pool, clock)
        tls = grpc.ssl_channel_credentials(
            settings.tls.ca.read_bytes(), keys.read_secret(settings.tls.key), settings.tls.certificate.read_bytes()
        )
        named = ("grpc.ssl_target_name_override", host_of(settings.entity))
        channel = grpc.aio.secure_channel(settings.gateway, tls, options=(*CHANNEL_OPTIONS, named))
        stack.push_async_callback(channel.close, None)
        dial = asyncio.create_task(_dial_for_ever(agent, channel))
        stack.push_async_callback(_cancelled, dial)
        log.info("agent serves", entity=settings.entity, datasets=len(holdings), seats=settings.seats)
        await stop.wait()


async def _dial_for_ever(agent: Agent, channel: grpc.aio.Channel) -> None:
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(LineLost), wait=wait_random_exponential(multiplier=0.2, max=5.0)
    ):
        with attempt:
            await Line(agent, channel).hold()


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
