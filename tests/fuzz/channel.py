"""The party channel under fire: what peers, providers and the agent's pipe bring, in every order and shape.

An input is one frame, chunk or piece of the pipe. Each goes to a reader as a party has it: `Channel.feed`,
`Inbox.feed`, the party's own protocol on its pipe. What must hold after each: it was refused with a stable reason or
did no harm; only what was sealed for a step, in its place and length, is delivered to it; nothing was unpickled;
nothing waits beyond the bounds; and memory is where it was.
"""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import struct
import sys
import time
from pathlib import Path
from random import Random
from typing import Any, cast

from connectors.engine import party as party_process
from connectors.engine.cost import Shape
from connectors.engine.errors import Abort, SessionAborted
from connectors.engine.field import Array
from connectors.engine.inputs import CHUNK_BYTES, Inbox
from connectors.engine.inputs import length as input_length
from connectors.engine.pipe import ToParty, frame
from connectors.engine.programs import overlap
from connectors.engine.rows import InputRows
from connectors.engine.wire import EARLY_FRAMES, ELEMENT_BYTES, Channel, decode
from connectors.engine.writer import Writer
from connectors.rules.session_keys import Opener, Sealer, seal_input
from gateway.rules.sealing import fresh_key
from tests.engine.relay import Federation
from tests.fuzz.run import MAX_SECONDS, Finding, Tally

CAP = 256
MAX_GROWTH = 48  # MiB over one run, whatever its length
REFUSALS = frozenset(Abort)
PICKLES = [pickle.dumps(None), pickle.dumps([1, 2]), b"cos\nsystem\n(S'true'\ntR.", b"\x80\x04\x95" + bytes(20)]
_loaded: list[str] = []
_armed = False


_HARM = ("pickle.find_class", "os.system", "os.exec", "os.fork", "os.posix_spawn", "subprocess.Popen", "socket.connect")


def _watch(event: str, _: object) -> None:
    if _armed and event in _HARM:
        _loaded.append(event)


sys.addaudithook(_watch)


def run(seed: int, inputs: int) -> Tally:
    """Raises Finding."""
    return asyncio.run(_run(Random(seed), seed, inputs))


async def _run(random: Random, seed: int, inputs: int) -> Tally:
    global _armed
    tally, scenes = Tally(), (_ChannelScene, _ChannelScene, _ChannelScene, _InboxScene, _PipeScene)
    # What is made once and kept, and what the first of each kind looks up.
    for kind in dict.fromkeys(scenes):
        kind(Random(0)).play(Tally(), 40)
    before, began = _resident(), time.monotonic()
    while tally.inputs < inputs:
        scene = random.choice(scenes)(random)
        where = f"seed {seed}, after {tally.inputs} inputs, {type(scene).__name__}"
        _armed = True
        started = time.thread_time()
        try:
            scene.play(tally, min(random.choice([1, 5, 30, 30]), inputs - tally.inputs))
        except Finding as finding:
            raise Finding(f"{where}: {finding}") from finding
        except Exception as problem:
            raise Finding(f"{where}: {problem!r}") from problem
        finally:
            _armed = False
        took = time.thread_time() - started
        tally.slowest = max(tally.slowest, took)
        if took > MAX_SECONDS:
            raise Finding(f"{where}: it took {took:.1f} s")
        if _loaded:
            raise Finding(f"{where}: something was run: {_loaded}")
        await asyncio.sleep(0)  # futures that were answered let go
    tally.seconds, tally.grown = time.monotonic() - began, _resident() - before
    if tally.grown > MAX_GROWTH:
        raise Finding(f"seed {seed}: {tally.grown:.0f} MiB more than before after {inputs} inputs")
    return tally


def _must(holds: bool, what: object) -> None:
    if not holds:
        raise Finding(str(what))


def _mangled(random: Random, sealed: bytes) -> bytes:
    """Bytes changed, lost, added, doubled or cut off."""
    at = random.randrange(len(sealed) + 1)
    upto = min(len(sealed), at + random.choice([1, 1, 8, 64]))
    match random.randrange(7):
        case 0 if at < len(sealed):
            return sealed[:at] + bytes([sealed[at] ^ 1 << random.randrange(8)]) + sealed[at + 1 :]
        case 1:
            return sealed[:at]
        case 2:
            return sealed[:at] + random.randbytes(random.choice([1, 16, 4096])) + sealed[at:]
        case 3:
            return sealed[:at] + sealed[upto:]
        case 4:
            return sealed[upto:] + sealed[:upto]
        case 5:
            return random.randbytes(random.choice([0, 1, 15, 16, 17, 24, 100, 5000]))
        case _:
            return sealed + sealed


def _content(random: Random) -> bytes:
    """What a party may seal that follows no protocol."""
    match random.randrange(4):
        case 0:
            return random.choice(PICKLES)
        case 1:
            return random.randbytes(random.choice([0, 1, 7, 8, 9, 16, CAP, CAP + 1, 4 * CAP]))
        case 2:
            return b"\xff" * random.choice([8, 16, CAP])
        case _:
            return random.randbytes(8 * random.randrange(5))


class _ChannelScene:
    """A channel of a party with one peer that does what it likes, and a protocol that waits for its steps."""

    def __init__(self, random: Random) -> None:
        self.random, self.failures = random, list[SessionAborted]()
        key = random.randbytes(32)
        self.peer, self.other = Sealer(key, b"a"), Sealer(key, b"another session")
        self.back = Sealer(random.randbytes(32), b"b")
        self.channel = Channel(0, self.back, Opener(0, key, b"a"), CAP, lambda to, sealed: None, self._fail)
        self.said: dict[int, bytes] = {}
        self.kept: list[bytes] = []
        self.waits: list[tuple[int, int, asyncio.Future[Any]]] = []
        self.step = 0

    def _fail(self, failure: SessionAborted) -> None:
        """As the engine does."""
        self.failures.append(failure)
        self.channel.abort(failure)

    def play(self, tally: Tally, inputs: int) -> None:
        for _ in range(inputs):
            if self.random.random() < 0.5:
                self._wait()
            failed = len(self.failures)
            self.channel.feed(self._next())
            tally.inputs += 1
            if len(self.failures) > failed:
                reason = self.failures[-1].reason
                _must(reason in REFUSALS and self.failures[-1].culprit is not None, self.failures[-1])
                tally.refused[f"channel {reason}"] += 1
            else:
                tally.accepted["channel"] += 1
            self._check()
            if self.failures and self.random.random() < 0.5:
                return  # what comes now and then after the end is not read

    def _wait(self) -> None:
        """The protocol comes to its next step."""
        self.step += self.random.choice([1, 1, 1, 3])
        length = self.random.choice([0, 8, 8, 16, CAP])
        self.waits.append((self.step, length, cast(Any, self.channel.receive(self.step, length))))

    def _next(self) -> bytes:
        random, how = self.random, self.random.random()
        if how < 0.45:
            due = [wait for wait in self.waits if not wait[2].done()]
            step, length = (due[0][0], due[0][1]) if due else (self.step + random.randrange(1, 4), 8)
            sealed = self._sealed(step, random.randbytes(length))
        elif how < 0.65:
            sealed = self._sealed(
                random.choice([-1, 0, self.step, self.step + 1, 2**40, 2**62, -(2**63)]), _content(random)
            )
        elif how < 0.7:
            sealed = self.peer.seal(random.randbytes(random.randrange(8)))
        elif how < 0.75:
            sealed = self.other.seal(struct.pack("<q", self.step) + bytes(8))
        elif how < 0.8 and self.kept:
            return random.choice(self.kept)
        elif how < 0.85:
            return self.back.seal(struct.pack("<q", self.step) + bytes(8))  # our own, sent back
        elif how < 0.9:
            self.kept.append(self._sealed(self.step, bytes(8)))  # kept back: the next one is out of order
            sealed = self._sealed(self.step + 1, bytes(8))
        else:
            return _mangled(random, self._sealed(self.step, bytes(8)))
        self.kept.append(sealed)
        return sealed

    def _sealed(self, step: int, content: bytes) -> bytes:
        self.said.setdefault(step, content)
        return self.peer.seal(struct.pack("<q", step) + content)

    def _check(self) -> None:
        _must(len(self.channel._early) <= EARLY_FRAMES, "too many frames wait")
        _must(sum(map(len, self.channel._early.values())) <= 4 * CAP, "too many bytes wait")
        for step, length, future in self.waits:
            if not future.done():
                _must(not self.failures, "a step still waits after the channel has failed")
            elif (problem := future.exception()) is not None:
                _must(isinstance(problem, SessionAborted) and bool(self.failures), problem)
            else:
                got = bytes(future.result())
                _must(len(got) == length and got == self.said.get(step), f"step {step} got what nobody sealed for it")
                self._elements(got)
        self.waits = [wait for wait in self.waits if not wait[2].done()]

    def _elements(self, payload: bytes) -> None:
        if len(payload) % ELEMENT_BYTES == 0:
            try:
                elements: Array = decode(payload, 0)
            except SessionAborted as refused:
                _must(refused.reason is Abort.ELEMENT_OUT_OF_RANGE, refused)
            else:
                _must(bool((elements < 2**61 - 1).all()), "an element outside the field")


_SEAT, _PROVIDER, _STRANGER, _SESSION = fresh_key(), fresh_key(), fresh_key(), bytes(range(32))
_ENTITY, _WORDS, _BOUND = "https://provider.example", 2, 4
_SHAPE = Shape(3, 1)
_LENGTH = input_length(0, _SHAPE, _WORDS, _BOUND)  # bytes of one provider's shares at seat 0


class _InboxScene:
    """One provider's inputs at one seat."""

    def __init__(self, random: Random) -> None:
        self.random, self.failed = random, False
        self.inbox = Inbox(
            0,
            entity=_ENTITY,
            public_key=_PROVIDER[1],
            transcript=_SESSION,
            pid=0,
            private_key=_SEAT[0],
            shape=_SHAPE,
            words=_WORDS,
            bound=_BOUND,
        )
        self.number = 0

    def play(self, tally: Tally, inputs: int) -> None:
        for _ in range(inputs):
            tally.inputs += 1
            try:
                self.inbox.feed(self._next())
            except SessionAborted as refused:
                _must(refused.reason in REFUSALS and refused.culprit is not None, refused)
                tally.refused[f"input {refused.reason}"] += 1
                return  # a party feeds nothing more
            tally.accepted["input"] += 1
            _must(sum(map(len, self.inbox._pieces)) <= _LENGTH, "too many bytes are kept")
            if self.inbox.complete:
                _must(self.inbox.shares()[0].shape == (2, _WORDS, _BOUND), "shares of another shape")

    def _next(self) -> bytes:
        random = self.random
        final, number = random.random() < 0.2, self.number
        if random.random() < 0.15:
            number = random.choice([0, 1, 2**32 - 1, number + 1])
        if random.random() < 0.1:
            return random.randbytes(random.choice([0, 4, 5, 6, 100, CHUNK_BYTES, CHUNK_BYTES + 1]))
        size = _LENGTH
        content = random.choice([bytes(size), bytes(8), bytes(16), bytes(size // 2), _content(random), b"\xff" * size])
        private = (_STRANGER if random.random() < 0.1 else _PROVIDER)[0]
        session = random.choice([_SESSION] * 9 + [bytes(32)])
        sealed = seal_input(_SEAT[1], private, session, _ENTITY, random.choice([0] * 9 + [1]), number, final, content)
        self.number += 1
        head = struct.pack("<?I", random.choice([final] * 9 + [not final]), number)
        return _mangled(random, head + sealed) if random.random() < 0.2 else head + sealed


class _Quiet:
    """In the place of a party's writer."""

    def write(self, *_: object) -> None:
        return


class _PipeScene:
    """The pipe of a party: what its agent, or who has taken its place, writes there before and after the job."""

    federation = Federation(
        overlap, {"lists": ["a", "b"], "minimum_cell": 2}, [InputRows([1], [1], []), InputRows([2], [2], [])], [4, 4]
    )

    def __init__(self, random: Random) -> None:
        self.random = random
        self.session = party_process.Session(cast(Writer, _Quiet()))
        self.job = json.dumps(self.federation.job(0)).encode()

    def play(self, tally: Tally, inputs: int) -> None:
        for _ in range(inputs):
            tally.inputs += 1
            data = self._next()
            for start in range(0, len(data), step := self.random.choice([1 << 16, 1 << 16, 7])):
                self.session.data_received(data[start : start + step])
            futures = (self.session.job, self.session._inputs, self.session._go)
            problem = next((f.exception() for f in futures if f.done() and f.exception() is not None), None)
            for future in futures:
                if future.done():
                    future.exception()
            _must(self.session._early_bytes <= 1 << 26, "too many bytes wait for the job")
            _must(len(self.session._frames._begun) <= 1 << 20, "the pipe keeps what is over")
            if problem is not None:
                _must(isinstance(problem, SessionAborted) and problem.reason in REFUSALS, repr(problem))
                tally.refused[f"pipe {cast(SessionAborted, problem).reason}"] += 1
                return
            tally.accepted["pipe"] += 1

    def _next(self) -> bytes:
        random = self.random
        match random.randrange(8):
            case 0:
                return frame(ToParty.JOB, self.job)
            case 1:
                return frame(ToParty.JOB, self._changed())
            case 2:
                return frame(ToParty.JOB, _mangled(random, self.job))
            case 3:
                return frame(random.choice(list(ToParty)), random.choice(PICKLES))
            case 4:
                return struct.pack("<IB", random.choice([0, 1, 2, 40, 2**26 + 1, 2**32 - 1]), random.randrange(256))
            case 5:
                return _mangled(random, frame(ToParty.PEER, bytes([random.randrange(256)]) + random.randbytes(40)))
            case 6:
                return frame(random.choice([ToParty.PEER, ToParty.INPUT]), random.randbytes(random.choice([0, 1, 30])))
            case _:
                return frame(ToParty.GO)

    def _changed(self) -> bytes:
        """The job with one field of another kind or value."""
        job = json.loads(self.job)
        name = self.random.choice(list(job))
        near = job[name]
        values: list[Any] = [None, -1, 10**30, "x" * 40, [], {}, True, [near], {name: near}, 0.5, float("nan")]
        job[name] = self.random.choice(values)
        if self.random.random() < 0.2:
            del job[self.random.choice(list(job))]
        return json.dumps(job).encode()


def _resident() -> float:
    """What this process holds now, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
