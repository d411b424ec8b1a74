"""Party processes on this machine: one per seat, forked warm, each for one job.

Invariants: a party inherits no key, no environment and no file but its pipes, and is confined before it has its job
(connectors/engine/confinement.py); it is never used twice; when it is let go it is dead and reaped. A fork server that
ends takes its parties with it and is started again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections import deque
from collections.abc import AsyncIterator

import structlog
from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from connectors.engine.forking import PartySettings
from connectors.engine.pipe import Frames, FromParty, PipeBroken, ToParty, head
from connectors.launch.forkserver import ForkServer, Process, ServerGone
from connectors.launch.pipes import Incoming, Outgoing, pipes
from gateway.domain.errors import IsthmusError, Reason

log = structlog.get_logger()
WARM_WITHIN = 30.0
TOLD_WITHIN = 1.0


class Party:
    """One party process."""

    def __init__(self, process: Process, incoming: Incoming, outgoing: Outgoing) -> None:
        self._process, self._incoming, self._outgoing = process, incoming, outgoing
        self._frames = Frames()
        self._read: deque[tuple[int, memoryview]] = deque()

    @property
    def process_id(self) -> int:
        return self._process.number

    @property
    def is_alive(self) -> bool:
        return not self._process.ended.done()

    def send(self, kind: ToParty, *body: bytes | bytearray) -> None:
        """Hand over one frame, in pieces; a party that is gone takes none, and its end is seen by whoever reads."""
        self._outgoing.write(head(kind, sum(map(len, body))), *body)

    async def drained(self) -> None:
        """Wait until the pipe has room: what holds a fast sender back."""
        await self._outgoing.drained()

    def unread(self) -> int:
        """Bytes that were sent and that the party has not read."""
        return self._outgoing.unread()

    async def messages(self) -> AsyncIterator[tuple[int, memoryview]]:
        """(kind, body) as they come; ends when the party has ended. Raises PipeBroken for nonsense."""
        while True:
            while self._read:
                yield self._read.popleft()
            data = await self._incoming.read()
            if not data:
                return
            self._read.extend(self._frames.feed(data))

    async def ending(self) -> tuple[Reason, str]:
        """Why a party that says nothing more ended, as far as the kernel tells."""
        await asyncio.wait({self._process.ended}, timeout=TOLD_WITHIN)
        status = self._process.ended.result() if self._process.ended.done() else None
        if status is None:
            return Reason.PARTY_DIED, "with the server that it was forked from"
        if os.WIFEXITED(status):
            return Reason.PARTY_DIED, f"with exit code {os.WEXITSTATUS(status)}"
        number = signal.Signals(os.WTERMSIG(status))
        if number == signal.SIGXCPU:
            return Reason.RESOURCE_EXHAUSTED, "when it had used up its processor time"
        if number == signal.SIGSYS:
            return Reason.PARTY_DIED, "at a system call that no party makes"
        return Reason.PARTY_DIED, f"by {number.name}"

    def let_go(self) -> None:
        """Nothing more goes to it: it ends itself."""
        self._outgoing.close()

    async def end(self) -> None:
        """Dead and reaped, whatever it was doing."""
        await self._process.end()
        self._incoming.close()
        self._outgoing.close()


class PartyPool:
    """`seats` warm parties; one that is taken is replaced when it is given back."""

    def __init__(self, seats: int, settings: PartySettings, command: tuple[str, ...] = ()) -> None:
        self._seats, self._settings, self._command = seats, settings, command
        self._warm: list[asyncio.Task[Party]] = []
        self._out: set[Party] = set()
        self._server: asyncio.Future[ForkServer] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._confinement: str | None = None

    def start(self) -> None:
        if self._keeper is None and self._seats:
            self._server = asyncio.get_running_loop().create_future()
            self._keeper = asyncio.create_task(self._keep())
        while len(self._warm) + len(self._out) < self._seats:
            self._warm.append(asyncio.create_task(self._forked()))

    async def take(self) -> Party:
        """A party that is ready for its job; raises IsthmusError(NO_FREE_SEAT)."""
        while self._warm:
            warming = self._warm[0]
            try:
                # Shielded: who waits here may be told to stop, and the party is then for the next one.
                party = await asyncio.shield(warming)
            except IsthmusError:
                self._forget(warming)
                raise
            if warming not in self._warm:
                continue  # somebody else who waited took it
            self._warm.remove(warming)
            if party.is_alive:
                self._out.add(party)
                return party
            await party.end()
            self.start()  # it died while it waited for a job
        raise IsthmusError(
            Reason.NO_FREE_SEAT, "every seat of this space is taken", advice="Try again when a session has ended"
        )

    def _forget(self, warming: asyncio.Task[Party]) -> None:
        """A party that did not start: another is started in its place."""
        if warming in self._warm:
            self._warm.remove(warming)
            self.start()

    async def give_back(self, party: Party) -> None:
        await party.end()
        self._out.discard(party)
        self.start()

    async def close(self) -> None:
        self._seats = 0
        for task in self._warm:
            task.cancel()  # one that is still starting ends itself
            with contextlib.suppress(IsthmusError, asyncio.CancelledError):
                await (await task).end()
        for party in list(self._out):
            await party.end()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)

    async def _keep(self) -> None:
        """A fork server at all times: one that ended, or did not start, is started again, not too often."""
        while True:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(ServerGone), wait=wait_random_exponential(multiplier=0.2, max=30.0)
            ):
                with attempt:
                    await self._keep_one()

    async def _keep_one(self) -> None:
        """One fork server, until it ends. Raises ServerGone if it never could fork."""
        server = None
        try:
            try:
                server = await ForkServer.started(self._settings, self._command)
                took = await server.warm()
            except ServerGone as gone:
                log.error("fork server cannot serve", why=str(gone))
                self._promised().set_exception(_not_started())
                raise
            log.info("parties can be forked", seconds=took["seconds"])
            self._promised().set_result(server)
            await server.gone.wait()
            log.error("fork server ended", process=server.process_id)
        finally:
            self._promise_another()
            if server is not None:
                await server.close()
        await self._replace_dead()

    def _promised(self) -> asyncio.Future[ForkServer]:
        if self._server is None:
            raise RuntimeError("the pool was not started")
        return self._server

    def _promise_another(self) -> None:
        promised = self._promised()
        if promised.done():
            promised.exception()  # whoever waited has it; nobody need
            self._server = asyncio.get_running_loop().create_future()

    async def _replace_dead(self) -> None:
        for task in list(self._warm):
            if task.done() and task.exception() is None and not task.result().is_alive:
                self._warm.remove(task)
                await task.result().end()
        self.start()

    async def _forked(self) -> Party:
        """A party that is ready for its job. Raises IsthmusError(NO_FREE_SEAT)."""
        try:
            async with asyncio.timeout(WARM_WITHIN):
                while True:
                    server = await asyncio.shield(self._promised())
                    try:
                        return await self._forked_from(server)
                    except ServerGone:
                        if self._promised().done() and self._promised().result() is server:
                            self._promise_another()
        except TimeoutError:
            raise IsthmusError(
                Reason.NO_FREE_SEAT,
                "the parties of this space are still being prepared",
                advice="Try again in a minute; after an upgrade kernels are compiled once",
            ) from None

    async def _forked_from(self, server: ForkServer) -> Party:
        with pipes() as (reading, writing, incoming, outgoing):
            try:
                party = Party(await server.fork(reading, writing), incoming, outgoing)
            except BaseException as problem:
                incoming.close()
                outgoing.close()
                if not isinstance(problem, OSError):
                    raise
                log.error("a party did not start", why=str(problem))
                raise _not_started() from None
        why = ""
        try:
            async for kind, body in party.messages():
                if kind == FromParty.READY_FOR_JOB:
                    self._tell_confinement(body)
                    return party
                why = str(json.loads(bytes(body))["detail"])
        except PipeBroken:
            pass
        except asyncio.CancelledError:
            await party.end()
            raise
        _, ended = await party.ending()
        await party.end()
        if server.gone.is_set():
            raise ServerGone
        log.error("a party did not start", why=why or ended)
        raise _not_started(why)

    def _tell_confinement(self, body: memoryview) -> None:
        said = str(body, "utf-8")
        if said != self._confinement:  # of all parties alike, so once
            self._confinement = said
            found = json.loads(said)
            (log.warning if found["missing"] else log.info)("parties are confined", **found)


def _not_started(why: str = "") -> IsthmusError:
    return IsthmusError(
        Reason.NO_FREE_SEAT,
        why or "a party process did not start",
        advice="The operator finds the reason in the agent's log",
    )
