"""Carries sealed session traffic between this space's agent and the other spaces of a session.

Invariants: the gateway sees ciphertext alone; a frame is taken from a space only for a source that the
contract seats there, and only towards a destination of this space or, from the own agent, of another; per
session, what waits is bounded, and a full queue holds its sender back. Of two spaces the one that the
contract names first dials.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from gateway.domain.contract import Contract
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.session import PROVIDER_BASE, Frame

MAX_FRAME = 4 * 1024 * 1024
WAITING_FRAMES = 512
MAX_SESSIONS = 256

# Opens a stream to a peer for a session: sends what the iterator yields, yields what comes.
Dial = Callable[[str, str, AsyncIterator[Frame]], AsyncIterator[Frame]]


class Mailbox:
    """A bounded queue of frames that can be closed; reading ends when it is."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Frame | None] = asyncio.Queue(WAITING_FRAMES)
        self._closed = asyncio.Event()

    async def put(self, frame: Frame) -> None:
        if not self._closed.is_set():
            await self._queue.put(frame)

    def close(self) -> None:
        self._closed.set()
        while self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(None)

    async def frames(self) -> AsyncIterator[Frame]:
        while (frame := await self._queue.get()) is not None:
            yield frame


@dataclass(slots=True)
class _Route:
    """One session's mailboxes: one for the own agent, one per other space."""

    contract: Contract
    agent: Mailbox = field(default_factory=Mailbox)
    peers: dict[str, Mailbox] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    started: bool = False

    def entity_of(self, address: int) -> str | None:
        """The space behind an address: a pid, or 256 plus a provider's index in the contract."""
        if 0 <= address < self.contract.m:
            return self.contract.seats[address].entity
        index = address - PROVIDER_BASE
        if 0 <= index < len(self.contract.providers):
            return self.contract.providers[index].entity
        return None


class Tunnel:
    """All sessions of one gateway."""

    def __init__(self, entity: str, dial: Dial, on_breach: Callable[[str, str, str], Awaitable[None]]) -> None:
        """`on_breach(session, entity, text)` is told of a space that sends what it may not."""
        self._entity = entity
        self._dial = dial
        self._on_breach = on_breach
        self._routes: dict[str, _Route] = {}

    def open(self, contract: Contract) -> None:
        """Get ready to carry this session; frames that come early wait, within bounds."""
        if contract.session in self._routes:
            return
        if len(self._routes) >= MAX_SESSIONS:
            raise IsthmusError(
                Reason.RESOURCE_EXHAUSTED, "too many sessions at once", space=self._entity, advice="Try again later"
            )
        route = _Route(contract)
        for entity in contract.entities():
            if entity != self._entity:
                route.peers[entity] = Mailbox()
        self._routes[contract.session] = route

    def start(self, session: str) -> None:
        """Dial the spaces that this one has to dial: those that the contract names after it."""
        route = self._route(session)
        if route.started:
            return
        route.started = True
        order = route.contract.entities()
        seated = {seat.entity for seat in route.contract.seats}
        for entity in order[order.index(self._entity) + 1 :]:
            if entity in seated or self._entity in seated:
                task = asyncio.create_task(self._carry(route, entity), name=f"tunnel {session} {entity}")
                route.tasks.add(task)
                task.add_done_callback(route.tasks.discard)

    async def close(self, session: str) -> None:
        route = self._routes.pop(session, None)
        if route is None:
            return
        route.closed.set()
        for mailbox in (route.agent, *route.peers.values()):
            mailbox.close()
        for task in list(route.tasks):
            task.cancel()
        await asyncio.gather(*route.tasks, return_exceptions=True)

    async def accept(self, session: str, entity: str, incoming: AsyncIterator[Frame]) -> AsyncIterator[Frame]:
        """A peer's stream for a session: takes what it sends, yields what is for it."""
        route = self._route(session)
        if entity not in route.peers:
            raise IsthmusError(Reason.PERMISSION_DENIED, "this space takes no part in the session")
        async with _pumping(self._take_all(route, entity, incoming)):
            async for frame in route.peers[entity].frames():
                yield frame

    async def attach(self, session: str, incoming: AsyncIterator[Frame]) -> AsyncIterator[Frame]:
        """The own agent's stream for a session."""
        route = self._route(session)
        async with _pumping(self._take_all(route, self._entity, incoming)):
            async for frame in route.agent.frames():
                yield frame

    async def _carry(self, route: _Route, entity: str) -> None:
        session = route.contract.session
        try:
            await self._take_all(route, entity, self._dial(entity, session, route.peers[entity].frames()))
        except IsthmusError:
            # A broken tunnel shows at both ends as a session that stalls; whoever runs it decides whose doing.
            if not route.closed.is_set():
                await self._on_breach(session, entity, "the tunnel to this space broke")

    async def _take_all(self, route: _Route, sender: str, incoming: AsyncIterator[Frame]) -> None:
        async for frame in incoming:
            source, destination = route.entity_of(frame.source), route.entity_of(frame.destination)
            inbound = sender != self._entity
            if (
                source != sender
                or destination is None
                or (destination == self._entity) is not inbound
                or frame.destination >= PROVIDER_BASE
                or len(frame.sealed) > MAX_FRAME
            ):
                await self._on_breach(
                    route.contract.session, sender, "a frame came that the contract does not provide for"
                )
                return
            await (route.agent if inbound else route.peers[destination]).put(frame)

    def _route(self, session: str) -> _Route:
        route = self._routes.get(session)
        if route is None:
            raise IsthmusError(
                Reason.NOT_FOUND, "no such session here", space=self._entity, advice="Propose the contract first"
            )
        return route


class _pumping:
    """Runs one coroutine beside a generator's body and ends it with the body."""

    def __init__(self, work: Awaitable[None]) -> None:
        self._work = work

    async def __aenter__(self) -> None:
        self._task = asyncio.ensure_future(self._work)

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
