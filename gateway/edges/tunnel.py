"""Carries sealed session traffic between this space's agent and the other spaces of a session.

Invariants: the gateway sees ciphertext alone; a frame is taken from a space only for a source that the
contract seats there, and only towards a destination of this space or, from the own agent, of another; what
waits is bounded per session, and per space over all its sessions; a full queue holds its sender back. Of two
spaces the one that the contract names first dials, once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

from gateway.domain.contract import Contract
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.session import UNDETERMINED, Failure, Frame
from gateway.edges.mailbox import MAX_WAITING, Allowance, Mailbox

MAX_FRAME = 1024 * 1024  # bytes; longer traffic travels in pieces
MAX_SESSIONS = 256
# Bytes of what is sealed as one: as much as a party's pipe takes behind a kind and a source. Agents have the same cap,
# so that it is always the gateway that refuses more.
MAX_SEALED = 64 * 1024 * 1024 - 2
CONCLUDED_WITHIN = 0.3
MAX_SESSIONS_OF_ONE = 64  # of one initiator, so that none can shut out the others
MAX_EARLY = 256 * 1024  # bytes that wait in a session which has not begun here
MAX_WAITING_OF_ONE = 128 * 1024 * 1024  # bytes of one space that wait, in all its sessions together

# Opens a stream to a peer for a session, within so many seconds: sends what the iterator yields, yields what comes.
Dial = Callable[[str, str, float, AsyncIterator[Sequence[Frame]]], AsyncIterator[Frame]]


@dataclass(slots=True)
class _Route:
    """One session's mailboxes: one for the own agent, one per other space."""

    contract: Contract
    agent: Mailbox = field(default_factory=lambda: Mailbox(MAX_EARLY))
    peers: dict[str, Mailbox] = field(default_factory=dict)
    dialled: dict[str, asyncio.Event] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    started: bool = False


class Tunnel:
    """All sessions of one gateway."""

    def __init__(self, entity: str, dial: Dial, on_failure: Callable[[str, Failure], Awaitable[None]]) -> None:
        """`on_failure(session, failure)` is told when a space sends what it may not, or its tunnel breaks."""
        self._entity = entity
        self._dial = dial
        self._on_failure = on_failure
        self._routes: dict[str, _Route] = {}
        # By space: what it may have waiting here, for as long as it has sessions.
        self._allowances: WeakValueDictionary[str, Allowance] = WeakValueDictionary()

    def open(self, contract: Contract) -> None:
        """Get ready to carry this session; frames that come early wait, within bounds."""
        if contract.session in self._routes:
            return
        of_one = sum(route.contract.initiator == contract.initiator for route in self._routes.values())
        if len(self._routes) >= MAX_SESSIONS or of_one >= MAX_SESSIONS_OF_ONE:
            raise IsthmusError(
                Reason.RESOURCE_EXHAUSTED, "too many sessions at once", space=self._entity, advice="Try again later"
            )
        route = _Route(contract)
        for entity in contract.entities():
            if entity != self._entity:
                route.peers[entity] = Mailbox()
                route.dialled[entity] = asyncio.Event()
        self._routes[contract.session] = route

    def start(self, session: str) -> None:
        """Dial the spaces that the contract names after this one, and expect the others to dial within its deadline."""
        route = self._route(session)
        if route.started:
            return
        route.started = True
        route.agent.widen(MAX_WAITING)
        order = route.contract.entities()
        seated = {seat.entity for seat in route.contract.seats}
        own = order.index(self._entity)
        for place, entity in enumerate(order):
            if place != own and (entity in seated or self._entity in seated):
                work = self._carry(route, entity) if place > own else self._expect(route, entity)
                self._spawn(route, work)

    def _spawn(self, route: _Route, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=f"tunnel {route.contract.session}")
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

    async def accept(self, session: str, entity: str, incoming: AsyncIterator[Frame]) -> AsyncIterator[Sequence[Frame]]:
        """A peer's stream for a session: takes what it sends, yields what is for it."""
        route = self._route(session)
        order = route.contract.entities()
        if entity not in route.peers:
            raise IsthmusError(Reason.PERMISSION_DENIED, "this space takes no part in the session")
        if order.index(entity) > order.index(self._entity):
            raise IsthmusError(Reason.PROTOCOL_VIOLATION, "this space is dialled, it does not dial", space=entity)
        route.dialled[entity].set()
        outgoing = route.peers[entity].batches()
        try:
            async with _pumping(self._take_all(route, entity, incoming)):
                async for frames in outgoing:
                    yield frames
        finally:
            if not route.closed.is_set():
                self._spawn(route, self._unless_concluded(route, entity))

    async def attach(self, session: str, incoming: AsyncIterator[Frame]) -> AsyncIterator[Sequence[Frame]]:
        """The own agent's stream for a session."""
        route = self._route(session)
        async with _pumping(self._take_all(route, self._entity, incoming)):
            async for frames in route.agent.batches():
                yield frames

    async def _expect(self, route: _Route, entity: str) -> None:
        """The space that has to dial this one does so within the contract's deadline."""
        try:
            async with asyncio.timeout(route.contract.deadlines.connect):
                await route.dialled[entity].wait()
        except TimeoutError:
            # It, or the line between.
            text = f"{entity} did not open its tunnel within {route.contract.deadlines.connect} s"
            await self._failed(route, UNDETERMINED, Reason.PEER_UNREACHABLE, text)

    async def _carry(self, route: _Route, entity: str) -> None:
        """The tunnel to one space, which has to last as long as the session."""
        body, outgoing = route.contract, route.peers[entity].batches()
        await self._take_all(route, entity, self._dial(entity, body.session, body.deadlines.connect, outgoing))
        await self._unless_concluded(route, entity)

    async def _unless_concluded(self, route: _Route, entity: str) -> None:
        if not await _concluded(route):
            await self._failed(route, entity, Reason.PEER_UNREACHABLE, "the tunnel to this space ended in mid-session")

    async def _take_all(self, route: _Route, sender: str, incoming: AsyncIterator[Frame]) -> None:
        pieces: dict[tuple[int, int], int] = {}
        inbound = sender != self._entity
        allowance = self._allowance(sender) if inbound else None
        try:
            async for frame in incoming:
                whole = (frame.source, frame.destination)
                pieces[whole] = pieces.get(whole, 0) + len(frame.sealed)
                if not self._provided_for(route, sender, frame) or pieces[whole] > MAX_SEALED:
                    text = "a frame came that the contract does not provide for"
                    await self._failed(route, sender, Reason.PROTOCOL_VIOLATION, text)
                    return
                if not frame.more:
                    del pieces[whole]
                destination = route.contract.seats[frame.destination].entity
                await (route.agent if inbound else route.peers[destination]).put(frame, allowance)
        except IsthmusError as problem:
            if not await _concluded(route):
                # Without a space: it may be it, or any line on the way.
                culprit = sender if problem.space else UNDETERMINED
                await self._failed(route, culprit, problem.reason, f"the tunnel to {sender} broke: {problem.public}")

    def _allowance(self, sender: str) -> Allowance:
        found = self._allowances.get(sender)
        if found is None:
            found = self._allowances[sender] = Allowance(MAX_WAITING_OF_ONE)
        return found

    def _provided_for(self, route: _Route, sender: str, frame: Frame) -> bool:
        """Whether `sender` has this source, and the frame is for a party on the other side of this gateway."""
        if not 0 <= frame.destination < route.contract.m or len(frame.sealed) > MAX_FRAME:
            return False
        here = route.contract.seats[frame.destination].entity == self._entity
        return route.contract.entity_at(frame.source) == sender and here is (sender != self._entity)

    async def _failed(self, route: _Route, culprit: str, reason: Reason, text: str) -> None:
        action = f"Ask the operator of {culprit}"
        await self._on_failure(route.contract.session, Failure(reason.value, culprit, "session", text, action))

    def _route(self, session: str) -> _Route:
        route = self._routes.get(session)
        if route is None:
            raise IsthmusError(
                Reason.NOT_FOUND, "no such session here", space=self._entity, advice="Propose the contract first"
            )
        return route


async def _concluded(route: _Route) -> bool:
    """Whether the session is over: a space that hears it first lets go first, and is not to be blamed for that."""
    try:
        async with asyncio.timeout(CONCLUDED_WITHIN):
            await route.closed.wait()
    except TimeoutError:
        return False
    return True


class _pumping:
    """Runs one coroutine beside a generator's body and ends it with the body."""

    def __init__(self, work: Awaitable[None]) -> None:
        self._work = work

    async def __aenter__(self) -> None:
        self._task = asyncio.ensure_future(self._work)

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
