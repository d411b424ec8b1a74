"""A party process, forked by the fork server (forkserver.py). One job, then exit.

Invariants: it talks to its agent over two pipes alone (pipe.py); it gives up every right to open a file or a socket
before it says that it is ready (confinement.py); it holds no key but its session's; it dies when its agent closes the
pipe; whatever goes wrong is told as FAILED with reason and culprit, and output shares leave only after the agent's GO.
"""

import asyncio
import base64
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

from connectors.engine import confinement, pipe, stock
from connectors.engine.errors import Abort, Culprit, SessionAborted
from connectors.engine.field import Array
from connectors.engine.forking import PartySettings
from connectors.engine.inputs import Inbox
from connectors.engine.job import Job, read
from connectors.engine.pipe import FromParty, ToParty
from connectors.engine.runtime import Engine
from connectors.engine.wire import longest_payload
from connectors.engine.writer import Writer
from connectors.rules.session_keys import BadSessionKey, pair_keys
from gateway.rules.sealing import seal_kept, seal_output

EARLY_BYTES = 64 << 20  # frames that come before the job
VIEW_ELEMENTS = 64
_STEP_OF_PROGRESS = 0.02


class Session(asyncio.Protocol):
    """Frames of the agent in, the run of one job out."""

    def __init__(self, writer: Writer) -> None:
        self._writer, self._frames = writer, pipe.Frames()
        loop = asyncio.get_running_loop()
        self.job: asyncio.Future[Job] = loop.create_future()
        self._inputs: asyncio.Future[None] = loop.create_future()
        self._go: asyncio.Future[None] = loop.create_future()
        self._early: list[tuple[int, memoryview]] = []
        self._early_bytes = 0
        self._engine: Engine | None = None
        self._inboxes: list[Inbox] = []
        self._view: dict[tuple[str, int], dict[str, Any]] = {}
        self._told = ("", -1.0)

    def data_received(self, data: bytes) -> None:
        try:
            for kind, body in self._frames.feed(data):
                self._take(kind, body)
        except pipe.PipeBroken as exc:
            self._fail(SessionAborted(Abort.BAD_JOB, f"the agent's pipe: {exc}"))
        except SessionAborted as exc:
            self._fail(exc)

    def connection_lost(self, exc: Exception | None) -> NoReturn:
        os._exit(2)  # the agent is gone, and with it every reason to go on

    def _take(self, kind: int, body: memoryview) -> None:
        if kind == ToParty.JOB:
            if self.job.done():
                raise SessionAborted(Abort.BAD_JOB, "a second job came; a party serves one", phase="job")
            self.job.set_result(read(bytes(body)))
        elif kind == ToParty.GO:
            if not self._go.done():
                self._go.set_result(None)
        elif kind in (ToParty.PEER, ToParty.INPUT) and body:
            if self._engine is not None:
                self._deliver(kind, body)
                return
            self._early_bytes += len(body)
            if self._early_bytes > EARLY_BYTES:
                raise SessionAborted(Abort.FRAME_TOO_LARGE, "too much arrived before the job", phase="job")
            self._early.append((kind, body))
        else:
            raise SessionAborted(Abort.BAD_JOB, f"the agent sent a frame of unknown kind {kind}")

    def _deliver(self, kind: int, body: memoryview) -> None:
        origin = body[0]
        if kind == ToParty.PEER:
            channel = self._engine.channels.get(origin) if self._engine else None
            if channel is None:
                raise SessionAborted(
                    Abort.BAD_FRAME, f"a frame came from {origin}, which is no peer", Culprit("pid", origin)
                )
            channel.feed(body[1:])
            if self._engine is not None and self._engine.failure is not None:
                raise self._engine.failure
            return
        if origin >= len(self._inboxes):
            raise SessionAborted(Abort.BAD_INPUT, f"input came from provider {origin}, which the job does not name")
        self._inboxes[origin].feed(bytes(body[1:]))
        if all(inbox.complete for inbox in self._inboxes) and not self._inputs.done():
            self._inputs.set_result(None)

    async def run(self) -> None:
        job = await self.job
        confinement.limit_processor(job.deadline_seconds)
        try:
            async with asyncio.timeout(job.deadline_seconds):
                await self._run(job)
        except TimeoutError as exc:
            detail = f"not done within {job.deadline_seconds:g} s"
            raise SessionAborted(Abort.DEADLINE, detail, self._awaited(), self.phase) from exc

    async def _run(self, job: Job) -> None:
        started = time.monotonic()
        try:
            pairs = pair_keys(job.private_key, job.pid, job.transcript, job.seats)
        except BadSessionKey as exc:
            raise SessionAborted(Abort.BAD_JOB, str(exc), Culprit("pid", exc.pid), "job") from exc
        cap = longest_payload(job.cost.largest, job.shape.m)
        engine = Engine(
            job.pid,
            job.shape,
            pairs,
            cap,
            self._post,
            self._look if job.demo_view else _look_away,
            self._progress,
            job.program.OPENS,
        )
        self._inboxes = [
            Inbox(
                i,
                entity=provider.entity,
                public_key=provider.session_key,
                transcript=job.transcript,
                pid=job.pid,
                private_key=job.private_key,
                shape=job.shape,
                words=words,
                bound=n,
                noise=job.noise,
            )
            for i, (provider, (words, n)) in enumerate(zip(job.providers, job.sizes, strict=True))
        ]
        self._engine = engine
        stock.install(engine)
        early, self._early = self._early, []
        for kind, body in early:
            self._deliver(kind, body)
        await engine.start()
        await self._inputs
        rows, uniform = zip(*(inbox.shares() for inbox in self._inboxes), strict=True)
        result = await job.program.run(engine, job.parameters, rows, uniform if job.noise else ())
        engine.finish()
        self._writer.write(FromParty.OUTPUT_READY)
        await self._go
        shares = [int(share) for share in result]
        if len(shares) != job.outputs:  # before anything is sealed to anybody
            raise SessionAborted(Abort.INTERNAL, f"the program put out {len(shares)} numbers, not {job.outputs}")
        sealed = {
            name: base64.b64encode(seal_output(key, job.private_key, job.transcript, job.pid, name, shares)).decode()
            for name, key in job.recipients.items()
        }
        self._writer.write_json(FromParty.OUTPUT, sealed)
        channels = engine.channels.values()
        self._writer.write_json(
            FromParty.DONE,
            {
                "bytes_sent": sum(channel.bytes_sent for channel in channels),
                "messages": sum(channel.messages_sent for channel in channels),
                "rounds": engine.rounds,
                "seconds": round(time.monotonic() - started, 6),
                "view": list(self._view.values()) if job.demo_view else None,
                "kept": _kept(job, shares),
            },
        )

    def _post(self, peer: int, sealed: bytes) -> None:
        self._writer.post(bytes([peer]), sealed)

    def _progress(self, step: str, rounds: int) -> None:
        phase, fraction = step.partition(":")[0], min(1.0, rounds / (1 + self.job.result().cost.rounds))
        if phase != self._told[0] or fraction - self._told[1] >= _STEP_OF_PROGRESS:
            self._told = (phase, fraction)
            self._writer.write_json(FromParty.PROGRESS, {"phase": phase, "fraction": round(fraction, 4)})

    def _look(self, step: str, peer: int, elements: Array) -> None:
        """Keep the beginning of what a peer sent first in each step, as it lay in the receive buffer."""
        if (step, peer) not in self._view:
            shown = [str(element) for element in elements[:VIEW_ELEMENTS]]
            self._view[step, peer] = {
                "step": step,
                "from": peer,
                "count": int(elements.size),
                "elements": shown,
            }

    @property
    def phase(self) -> str:
        if self._engine is not None and (self._engine.laggards() or self._inputs.done()):
            return self._engine.phase
        return "input"

    def _awaited(self) -> Culprit | None:
        """Who is being waited for, if it is one."""
        peers = self._engine.laggards() if self._engine else []
        providers = [] if peers else [i for i, inbox in enumerate(self._inboxes) if not inbox.complete]
        awaited = [Culprit("pid", peer) for peer in peers] + [Culprit("provider", i) for i in providers]
        return awaited[0] if len(awaited) == 1 else None

    def _fail(self, failure: SessionAborted) -> None:
        """Something the agent passed on ends the session, whatever is being waited for."""
        if self._engine is not None:
            self._engine.fail(failure)
        for future in (self.job, self._inputs, self._go):
            if not future.done():
                future.set_exception(failure)


def _kept(job: Job, shares: list[int]) -> str | None:
    """The output shares once more, for the own agent to keep."""
    if (to := job.keeper) is None:
        return None
    sealed = seal_kept(to.key, job.private_key, job.transcript, job.pid, to.contract, to.question, shares)
    return base64.b64encode(sealed).decode()


def _look_away(step: str, peer: int, elements: Array) -> None:
    pass


def _refuse_pickles(event: str, args: tuple[object, ...]) -> None:
    if event == "pickle.find_class":
        raise SessionAborted(Abort.UNDECLARED_PAYLOAD, "something in this process tried to load a pickle")


async def _connected(writer: Writer, reading: int) -> Session:
    session = Session(writer)
    await asyncio.get_running_loop().connect_read_pipe(lambda: session, os.fdopen(reading, "rb", buffering=0))
    return session


async def serve(session: Session, writer: Writer) -> int:
    try:
        await session.run()
        code = 0
    except SessionAborted as exc:
        exc.phase = exc.phase or session.phase
        _tell(writer, exc)
        code = 1
    except MemoryError:
        _tell(
            writer,
            SessionAborted(Abort.OUT_OF_MEMORY, "the session needs more memory than it may have", None, session.phase),
        )
        code = 1
    except Exception as exc:  # an engine's defect must not look like a dead peer
        # Its text goes to every space, and may quote what it choked on; where it was raised does not.
        at = traceback.extract_tb(exc.__traceback__)[-1]
        detail = f"{type(exc).__name__} at {Path(at.filename).name}:{at.lineno}"
        _tell(writer, SessionAborted(Abort.INTERNAL, detail, phase=session.phase))
        code = 1
    writer.drain()
    return code


def _tell(writer: Writer, failure: SessionAborted) -> None:
    culprit = {failure.culprit.role: failure.culprit.index} if failure.culprit else None
    writer.write_json(
        FromParty.FAILED,
        {"culprit": culprit, "reason": failure.reason, "phase": failure.phase, "detail": failure.detail},
    )


def whole_life(reading: int, writing: int, settings: PartySettings, means: list[str]) -> int:
    """In a process that was just forked: be confined, take one job; its exit code. `means` are in effect already."""
    writer = Writer(writing)
    # The loop makes its descriptors now: later there are none to be had. The agent sends nothing before it is told.
    with asyncio.Runner() as runner:
        session = runner.run(_connected(writer, reading))
        means = means + confinement.confine(settings.memory)
        missing = [name for name in confinement.REQUIRED if name not in means]
        sys.addaudithook(_refuse_pickles)
        if missing and settings.confinement == "required":
            detail = f"this machine's kernel offers no {' and no '.join(missing)} to confine a party with"
            _tell(writer, SessionAborted(Abort.NOT_CONFINED, detail, phase="start"))
            return 1
        writer.write_json(FromParty.READY_FOR_JOB, {"confinement": means, "missing": missing})
        return runner.run(serve(session, writer))
