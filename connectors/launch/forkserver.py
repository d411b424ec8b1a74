"""The agent's hold on its fork server: one process, started once, from which every party is forked.

Invariants: the server inherits nothing of the agent but its standard error and one socket; a party is ended through a
descriptor of its process, so never another one that has its number since; the death of the server is the death of its
parties, and is known at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import connectors
from connectors.engine.forking import MAX_DATAGRAM, PartySettings, Said, datagram, read
from connectors.engine.kernelcache import VARIABLE

COMMAND = (sys.executable, "-P", "-m", "connectors.engine.forkserver")
ENDED_WITHIN = 5.0


class ServerGone(Exception):
    """The fork server has ended, or never served; `refused` is why, where it said so."""

    def __init__(self, refused: str = "") -> None:
        super().__init__(refused or "the fork server ended")
        self.refused = refused


@dataclass(slots=True)
class Process:
    """A forked process. `ended` gets its wait status once it is reaped, None where the server ended first."""

    number: int
    handle: int
    ended: asyncio.Future[int | None] = field(repr=False)

    async def end(self) -> None:
        """Dead, whatever it was doing, and reaped."""
        if self.handle >= 0:
            handle, self.handle = self.handle, -1
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            os.close(handle)
        await asyncio.wait({self.ended}, timeout=ENDED_WITHIN)


class ForkServer:
    """One fork server process, from `started` to `close`."""

    def __init__(self, process: asyncio.subprocess.Process, control: socket.socket) -> None:
        self._process, self._control = process, control
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self._asked: dict[int, asyncio.Future[Process]] = {}
        self._running: dict[int, Process] = {}
        self._count = 0
        self.gone = asyncio.Event()
        self._loop.add_reader(control.fileno(), self._hear)

    @classmethod
    async def started(cls, settings: PartySettings, command: tuple[str, ...] = ()) -> ForkServer:
        """Started, not yet warm; by another `command` where the tests' programs are to be known there. Raises
        ServerGone."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        # The package's own folder, so that a party runs the code whose digest its agent offers. One thread: libraries
        # that would start a pool of them are told not to.
        environment = {
            "PYTHONPATH": str(Path(connectors.__file__).parent.parent),
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "OPENBLAS_NUM_THREADS": "1",
            VARIABLE: settings.kernels,
        }
        try:
            process = await asyncio.create_subprocess_exec(
                *(command or COMMAND),
                settings.as_text(),
                stdin=theirs.fileno(),
                stdout=asyncio.subprocess.DEVNULL,
                cwd="/",
                env=environment,
                start_new_session=True,
            )
        except BaseException as problem:
            ours.close()
            if isinstance(problem, OSError):
                raise ServerGone(f"the fork server cannot be started: {problem}") from None
            raise
        finally:
            theirs.close()
        return cls(process, ours)

    @property
    def process_id(self) -> int:
        return self._process.pid

    async def warm(self) -> dict[str, Any]:
        """What its start took, once it can fork. Raises ServerGone."""
        return await asyncio.shield(self._ready)

    async def fork(self, reading: int, writing: int) -> Process:
        """A party with these ends of its pipes. Raises ServerGone; OSError where the machine has no room for it."""
        self._count += 1
        number, answer = self._count, self._loop.create_future()
        if self.gone.is_set():
            raise ServerGone
        self._asked[number] = answer
        try:
            socket.send_fds(self._control, [datagram(Said.FORK, number)], [reading, writing])
        except OSError:
            del self._asked[number]
            raise ServerGone from None
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            # Nobody waits for it any more: it ends when it comes.
            answer.add_done_callback(_end_unwanted)
            raise

    async def close(self) -> None:
        """The server ends, even if it is warming up, and the kernel ends what it forked."""
        self._lost("")
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while not self.gone.is_set():
                try:
                    data, handles, _, _ = socket.recv_fds(self._control, MAX_DATAGRAM, 1)
                except ConnectionError:
                    data, handles = b"", []
                if not data:
                    self._lost("")
                else:
                    self._take(data, handles)

    def _take(self, data: bytes, handles: list[int]) -> None:
        if data[0] == Said.READY:
            self._ready.set_result(json.loads(data[1:]))
        elif data[0] == Said.REFUSED:
            self._lost(str(json.loads(data[1:])))
        else:
            kind, number, value = read(data)
            if kind is Said.ENDED:
                _resolve(self._running.pop(number).ended, value)
            elif kind is Said.FAILED:
                self._asked.pop(number).set_exception(OSError(value, os.strerror(value)))
            else:
                process = Process(value, handles[0], self._loop.create_future())
                self._running[number] = process
                self._asked.pop(number).set_result(process)

    def _lost(self, refused: str) -> None:
        if self.gone.is_set():
            return
        self.gone.set()
        self._loop.remove_reader(self._control.fileno())
        self._control.close()
        waits: list[asyncio.Future[Any]] = [self._ready, *self._asked.values()]
        for waiting in waits:
            if not waiting.done():
                waiting.set_exception(ServerGone(refused))
                waiting.exception()  # whoever still asks gets it; nobody need
        for process in self._running.values():
            _resolve(process.ended, None)


def _resolve(future: asyncio.Future[int | None], value: int | None) -> None:
    if not future.done():
        future.set_result(value)


def _end_unwanted(answer: asyncio.Future[Process]) -> None:
    if answer.cancelled() or answer.exception() is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(answer.result().handle, signal.SIGKILL)
    os.close(answer.result().handle)
