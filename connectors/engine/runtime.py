"""One party of one session: MPyC's runtime, with channels instead of sockets.

Invariants: the runtime is built from explicit arguments; bytes leave and enter only through `_exchange`, which
declares beforehand what is due from whom; MPyC's own protocols reach it in rounds (lockstep.py), by the methods that
contained.py replaces, and by no other; each exchange has its own program counter, and random streams are tied to it;
the first failure ends every wait.

A protocol is a coroutine over native arrays. It advances the program counter, draws its streams, and
exchanges; all of that up to the first wait happens in one go, in the same order at every party.
"""

import asyncio
import copy
from argparse import Namespace
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NoReturn

import numpy as np

from connectors.engine.contained import Contained
from connectors.engine.cost import Shape
from connectors.engine.errors import Abort, Culprit, SessionAborted
from connectors.engine.field import Array
from connectors.engine.lockstep import Lockstep
from connectors.engine.masked import MASKING_BITS
from connectors.engine.randomness import KEY_BYTES, Streams, fresh
from connectors.engine.stock import Party
from connectors.engine.wire import ELEMENT_BYTES, LANE, Channel, decode, encode, words
from connectors.rules.session_keys import PairKeys

Group = tuple[int, ...]
Tape = Callable[[str, int, Array], None]
_SECURE_TYPES = -1  # the lane of MPyC's own coroutines; blocks count from 1


def _ignore(step: str, peer: int, elements: Array) -> None:
    pass


@dataclass(slots=True)
class _Shared:
    """What all lanes of one session have in common."""

    failure: SessionAborted | None = None
    step: str = ""
    exchanges: int = 0  # of native steps, under way


class Engine(Contained):
    """MPyC's Runtime for party `pid` of m, threshold t.

    `post(peer, sealed)` carries frames away and `channels[peer].feed(sealed)` brings them in; `tape(step,
    peer, elements)` sees what is received, `on_step(step, rounds)` how far it is. `opens` has the steps in which the
    program says that it opens values; in any other step nothing is opened (None: every step may).
    """

    def __init__(
        self,
        pid: int,
        shape: Shape,
        pairs: Mapping[int, PairKeys],
        cap: int,
        post: Callable[[int, bytes], None],
        tape: Tape = _ignore,
        on_step: Callable[[str, int], None] | None = None,
        opens: Container[str] | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        handler = loop.get_exception_handler()
        options = Namespace(threshold=shape.t, no_log=True, no_prss=True, no_async=False, no_barrier=True)
        options.mix32_64bit, options.bit_length, options.sec_param = False, 32, MASKING_BITS
        super().__init__(pid, [Party(peer) for peer in range(shape.m)], options)
        loop.set_exception_handler(handler)  # MPyC put its own
        self.m, self.t, self.shape = shape.m, shape.t, shape
        self.peers = tuple(peer for peer in range(shape.m) if peer != pid)
        self.channels = {
            peer: Channel(peer, pairs[peer].sealer, pairs[peer].opener, cap, post, self.fail) for peer in self.peers
        }
        for peer, channel in self.channels.items():
            self.parties[peer].protocol = channel
        self.to = {peer: Streams(pairs[peer].randomness_to) for peer in self.peers}
        self.by = {peer: Streams(pairs[peer].randomness_from) for peer in self.peers}
        self.own = fresh()
        # All groups of m - t parties, and those of them that this party is in.
        self.all_groups: tuple[Group, ...] = tuple(combinations(range(self.m), self.m - self.t))
        self.held = tuple(group for group in self.all_groups if pid in group)
        self.groups: dict[Group, Streams] = {}
        self.rounds = self._secure_rounds = 0
        self.lane = 0
        self._shared = _Shared()
        self._tape, self._on_step, self._opens = tape, on_step, opens
        self._lockstep = Lockstep(self.peers, cap, self._secure_types)

    @property
    def counter(self) -> int:
        return self.lane * LANE + int(self._program_counter[0])

    @property
    def failure(self) -> SessionAborted | None:
        return self._shared.failure

    def common(self, peer: int) -> Streams:
        """The streams that this party and one peer both draw, the same at both."""
        return self.to[peer] if self.pid < peer else self.by[peer]

    def advance(self) -> int:
        """A new program counter, for the next exchange and its streams."""
        self._program_counter[0] += 1
        return self.counter

    def opening(self, step: str) -> None:
        """Called before values are opened; ends the session where the program did not declare it."""
        if self._opens is not None and step not in self._opens:
            self.abort(Abort.INTERNAL, f"the program does not declare that it opens values in {step!r}")

    def fork(self, lane: int) -> "Engine":
        """This engine with program counters of its own (lanes.py)."""
        forked = copy.copy(self)
        forked.lane, forked._program_counter = lane, list(self._program_counter)
        return forked

    def join(self, lanes: "Sequence[Engine]") -> None:
        """Go on after the longest of the lanes."""
        self._program_counter[0] = max(lane._program_counter[0] for lane in lanes)
        self.rounds = max(lane.rounds for lane in lanes)

    async def start(self) -> None:
        """Give every group of m - t parties a common key, made by its lowest pid (the key sets of MPyC's
        PRSS).

        1 round. Nothing is opened.
        """
        self.advance()
        groups = self.all_groups
        keys = {group: self.own.words(KEY_BYTES // 8).tobytes() for group in groups if group[0] == self.pid}
        sends = {
            peer: b"".join(key for group, key in keys.items() if peer in group)
            for peer in self.peers
            if peer > self.pid  # every group that I lead with a later peer in it
        }
        theirs = {peer: [g for g in groups if g[0] == peer and self.pid in g] for peer in self.peers}
        lengths = {peer: KEY_BYTES * len(led) for peer, led in theirs.items() if led}
        received = await self._exchange({p: d for p, d in sends.items() if d}, lengths, "start: group keys")
        for peer, payload in received.items():
            for i, group in enumerate(theirs[peer]):
                keys[group] = bytes(payload[KEY_BYTES * i : KEY_BYTES * (i + 1)])
        self.groups = {group: Streams(key) for group, key in keys.items()}

    async def exchange(
        self, sends: Mapping[int, Array], due: Mapping[int, int], step: str, *, bits: Collection[int] = ()
    ) -> dict[int, Array]:
        """Send vectors to peers and receive vectors of `due` elements, in one round, under the current
        counter. What the peers in `bits` send are words of bits, not field elements.
        """
        payloads = {peer: encode(elements) for peer, elements in sends.items() if elements.size}
        lengths = {peer: ELEMENT_BYTES * n for peer, n in due.items() if n}
        received = await self._exchange(payloads, lengths, step)
        out: dict[int, Array] = {peer: np.zeros(0, dtype=np.uint64) for peer, n in due.items() if not n}
        for peer, payload in received.items():
            try:
                out[peer] = words(payload) if peer in bits else decode(payload, peer)
            except SessionAborted as exc:
                self.fail(exc)
                raise
            self._tape(step, peer, out[peer])
        return out

    async def _exchange(self, sends: Mapping[int, bytes], due: Mapping[int, int], step: str) -> dict[int, memoryview]:
        counter = self.counter
        await self._lockstep.rest()
        self._shared.exchanges += 1
        try:
            return await self._at(counter, sends, due, step)
        finally:
            self._shared.exchanges -= 1

    async def _secure_types(self, sends: Mapping[int, bytes], due: Mapping[int, int]) -> dict[int, memoryview]:
        """A round of MPyC's own coroutines, while no native step is under way."""
        if self._shared.exchanges:
            raise SessionAborted(Abort.INTERNAL, "secure types were used beside a native step that was under way")
        self._secure_rounds += 1
        return await self._at(_SECURE_TYPES * LANE + self._secure_rounds, sends, due, "secure types")

    async def _at(
        self, counter: int, sends: Mapping[int, bytes], due: Mapping[int, int], step: str
    ) -> dict[int, memoryview]:
        self._check()
        self.rounds += 1
        self._shared.step = step
        if self._on_step is not None:
            self._on_step(step, self.rounds)
        for peer, payload in sends.items():
            self.channels[peer].send(counter, payload)
        futures = {peer: self.channels[peer].receive(counter, length) for peer, length in due.items()}
        if all(future.done() for future in futures.values()):
            await asyncio.sleep(0)  # let frames in that arrived meanwhile
        try:
            received = {peer: await future for peer, future in futures.items()}
        except SessionAborted:
            for future in futures.values():
                if future.done() and not future.cancelled():
                    future.exception()  # the session's failure is what is raised
            self._check()
            raise
        self._check()
        return received

    def fail(self, failure: SessionAborted) -> None:
        """End the session with its first failure."""
        if self.failure is None:
            failure.phase = failure.phase or self.phase
            self._shared.failure = failure
            for channel in self.channels.values():
                channel.abort(failure)
            self._lockstep.end(failure)

    def abort(self, reason: Abort, detail: str, culprit: Culprit | None = None, phase: str = "") -> NoReturn:
        """End the session, here and now."""
        failure = SessionAborted(reason, detail, culprit, phase)
        self.fail(failure)
        raise failure

    @property
    def phase(self) -> str:
        return self._shared.step.partition(":")[0]

    def finish(self) -> None:
        """Check that no peer sent more than the protocol asks for; what secure types still compute is left."""
        self._lockstep.check()
        self._lockstep.end(SessionAborted(Abort.INTERNAL, "the session has finished"))
        for peer, channel in self.channels.items():
            if channel.has_leftovers:
                self.fail(
                    SessionAborted(
                        Abort.UNDECLARED_PAYLOAD,
                        f"party {peer} sent a frame that no step asks for",
                        Culprit("pid", peer),
                    )
                )
        self._check()

    def _check(self) -> None:
        if self.failure is not None:
            raise self.failure

    def laggards(self) -> list[int]:
        """The peers that the current step waits for."""
        return [peer for peer, channel in self.channels.items() if channel.owes]
