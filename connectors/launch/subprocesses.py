"""Party processes on this machine: one subprocess per seat, started warm, each for one job.

Invariants: a party inherits no key, no environment beyond what Python needs and no file but its pipes; it is
never used twice; when it is let go it is dead and reaped.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import stat
import sys
import termios
from collections.abc import AsyncIterator
from pathlib import Path

import connectors
from connectors.engine.pipe import Frames, FromParty, PipeBroken, ToParty, frame
from gateway.domain.errors import IsthmusError, Reason

COMMAND = (sys.executable, "-P", "-m", "connectors.engine.party")
WARM_WITHIN = 30.0
CHUNK = 1 << 18


class Party:
    """One party process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._frames = Frames()
        self._read: list[tuple[int, bytes]] = []

    @property
    def process_id(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None

    def send(self, kind: ToParty, body: bytes = b"") -> None:
        """Hand over one frame; a party that is gone takes none, and its end is seen by whoever reads."""
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(frame(kind, body))

    async def drained(self) -> None:
        """Wait until the pipe has room: what holds a fast sender back."""
        if self._process.stdin is not None:
            with contextlib.suppress(ConnectionError):
                await self._process.stdin.drain()

    def unread(self) -> int:
        """Bytes that were sent and that the party has not read; 0 where the system does not say."""
        if self._process.stdin is None or self._process.stdin.is_closing():
            return 0
        waiting = self._process.stdin.transport.get_write_buffer_size()
        pipe = self._process.stdin.get_extra_info("pipe") or self._process.stdin.get_extra_info("socket")
        counted = bytearray(4)
        with contextlib.suppress(OSError, AttributeError, ValueError):
            # What a pipe holds; of a socket, what its other end has not taken.
            is_pipe = stat.S_ISFIFO(os.fstat(pipe.fileno()).st_mode)
            fcntl.ioctl(pipe.fileno(), termios.FIONREAD if is_pipe else termios.TIOCOUTQ, counted)
        return waiting + int.from_bytes(counted, sys.byteorder)

    async def messages(self) -> AsyncIterator[tuple[int, bytes]]:
        """(kind, body) as they come; ends when the party has ended. Raises PipeBroken for nonsense."""
        while True:
            while self._read:
                yield self._read.pop(0)
            data = await self._process.stdout.read(CHUNK) if self._process.stdout is not None else b""
            if not data:
                return
            self._read.extend(self._frames.feed(data))

    async def end(self) -> None:
        """Dead and reaped, whatever it was doing."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()


class PartyPool:
    """`seats` warm parties; one that is taken is replaced when it is given back."""

    def __init__(self, seats: int) -> None:
        self._seats = seats
        self._warm: list[asyncio.Task[Party]] = []
        self._out: set[Party] = set()

    def start(self) -> None:
        while len(self._warm) + len(self._out) < self._seats:
            self._warm.append(asyncio.create_task(_spawn()))

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


async def _spawn() -> Party:
    # The package's own folder, so that a party runs the code whose digest its agent offers.
    environment = {"PYTHONPATH": str(Path(connectors.__file__).parent.parent), "PATH": os.defpath, "LANG": "C.UTF-8"}
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd="/",
        env=environment,
        start_new_session=True,
    )
    party = Party(process)
    try:
        async with asyncio.timeout(WARM_WITHIN):
            async for kind, _ in party.messages():
                if kind == FromParty.READY_FOR_JOB:
                    return party
    except (TimeoutError, PipeBroken):
        pass
    except asyncio.CancelledError:
        await party.end()
        raise
    await party.end()
    raise IsthmusError(
        Reason.NO_FREE_SEAT, "a party process did not start", advice="The operator finds the reason in the agent's log"
    )
