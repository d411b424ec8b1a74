"""One party of one session: MPyC's runtime, with channels instead of sockets.

Invariants: the runtime is built from explicit arguments; bytes leave and enter only through `exchange`, which
declares beforehand what is due from whom, so MPyC's own protocols (pickled or not) cannot put an undeclared
payload on the wire or take one from it; each exchange has its own program counter, and random streams are
tied to it; the first failure ends every wait.

A protocol is a coroutine over native arrays. It advances the program counter, draws its streams, and
exchanges; all of that up to the first wait happens in one go, in the same order at every party.
"""

import asyncio
import copy
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from connectors.engine.cost import Shape
from connectors.engine.errors import Abort, Culprit, SessionAborted
from connectors.engine.field import Array
from connectors.engine.randomness import KEY_BYTES, Streams, fresh
from connectors.engine.stock import Party, Runtime
from connectors.engine.wire import ELEMENT_BYTES, LANE, Channel, decode, encode, words
from connectors.rules.session_keys import PairKeys

Group = tuple[int, ...]
Tape = Callable[[str, int, Array], None]


def _ignore(step: str, peer: int, elements: Array) -> None:
    pass


@dataclass(slots=True)
class _Shared:
    """What all lanes of one session have in common."""

    failure: SessionAborted | None = None
    step: str = ""


class Engine(Runtime):  # type: ignore[misc]  # mpyc is untyped
    """MPyC's Runtime for party `pid` of m, threshold t.

    `post(peer, sealed)` carries frames away and `channels[peer].feed(sealed)` brings them in; `tape(step,
    peer, elements)` sees what is received, `on_step(step, rounds)` how far it is.
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
    ) -> None:
        loop = asyncio.get_running_loop()
        handler = loop.get_exception_handler()
        options = Namespace(threshold=shape.t, no_log=True, no_prss=True, no_async=False, no_barrier=True, sec_param=40)
        options.mix32_64bit = False
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
        self.rounds = 0
        self.lane = 0
        self._shared = _Shared()
        self._tape, self._on_step = tape, on_step
        self._due: dict[int, int] | None = None

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
        self, sends: Mapping[int, Array], due: Mapping[int, int], step: str, *, bits: bool = False
    ) -> dict[int, Array]:
        """Send vectors to peers and receive vectors of `due` elements, in one round, under the current
        counter. With `bits` they are words of bits, not field elements.
        """
        payloads = {peer: encode(elements) for peer, elements in sends.items() if elements.size}
        lengths = {peer: ELEMENT_BYTES * n for peer, n in due.items() if n}
        received = await self._exchange(payloads, lengths, step)
        out: dict[int, Array] = {peer: np.zeros(0, dtype=np.uint64) for peer, n in due.items() if not n}
        for peer, payload in received.items():
            try:
                out[peer] = words(payload) if bits else decode(payload, peer)
            except SessionAborted as exc:
                self.fail(exc)
                raise
            self._tape(step, peer, out[peer])
        return out

    async def _exchange(self, sends: Mapping[int, bytes], due: Mapping[int, int], step: str) -> dict[int, memoryview]:
        self._check()
        self.rounds += 1
        self._shared.step = step
        if self._on_step is not None:
            self._on_step(step, self.rounds)
        self._due = dict(due)
        try:
            for peer, payload in sends.items():
                self._send_message(peer, payload)
            futures = {peer: self._receive_message(peer) for peer in due}
        finally:
            self._due = None
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

    @property
    def phase(self) -> str:
        return self._shared.step.partition(":")[0]

    def finish(self) -> None:
        """Check that no peer sent more than the protocol asks for."""
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

    # MPyC's own protocols end up in the two below, and have declared nothing.

    def _send_message(self, peer_pid: int, data: bytes) -> None:
        if self._due is None:
            raise self._undeclared()
        self.channels[peer_pid].send(self.counter, data)

    def _receive_message(self, peer_pid: int) -> "asyncio.Future[memoryview]":
        if self._due is None or peer_pid not in self._due:
            raise self._undeclared()
        return self.channels[peer_pid].receive(self.counter, self._due[peer_pid])

    async def shutdown(self) -> None:
        """MPyC's shutdown exchanges pickles with all parties; here a party just finishes."""
        raise self._undeclared()

    def transfer(self, *args: Any, **kwargs: Any) -> Any:
        """MPyC's transfer exchanges pickles."""
        raise self._undeclared()

    def _undeclared(self) -> SessionAborted:
        failure = SessionAborted(Abort.UNDECLARED_PAYLOAD, "a protocol of stock MPyC reached for the wire")
        self.fail(failure)
        return failure
