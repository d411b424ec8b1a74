"""What parties send each other: labelled vectors of field elements, sealed.

Invariants: a frame is a program counter (8 bytes, little-endian) and a payload, sealed with the pair's
directional key, so the channel decides the sender before a byte is read; a frame is as long as the receiver's
own protocol step says, at most `cap`, comes once per counter, and holds nothing but fixed-width little-endian
elements below p, or words of bits. Anything else ends the session and names the sender. What a peer sends ahead is
bounded: no honest peer is more than two rounds ahead, since each needs what others sent in the round before.
"""

import asyncio
import struct
from collections.abc import Callable
from hashlib import sha256

import numpy as np

from connectors.engine.errors import Abort, Culprit, SessionAborted
from connectors.engine.field import Array, in_field
from connectors.engine.randomness import KEY_BYTES
from connectors.rules.session_keys import BadFrame, Opener, Sealer

COUNTER_BYTES = 8
TAG_BYTES = 16
ELEMENT_BYTES = 8
DIGEST_WORDS = 4
LANE = 1 << 40  # a counter is a lane (runtime.py) times this and a step within it
LANES_AT_ONCE = 8
EARLY_FRAMES = 1 << 12
_EARLY_ROUNDS = 3  # of messages at the cap, in all lanes


def longest_payload(elements: int, m: int) -> int:
    """Bytes of the longest vector of a session whose cost says `elements`, or of all group keys (runtime.py)."""
    return max(ELEMENT_BYTES * elements, KEY_BYTES << m)


def encode(elements: Array) -> bytes:
    return elements.astype("<u8", copy=False).tobytes()


def words(payload: bytes | memoryview) -> Array:
    """A payload as words of bits, of which every value is one."""
    return np.frombuffer(payload, dtype="<u8").astype(np.uint64, copy=False)


def digest(*parts: Array) -> Array:
    """SHA-256 over the words of these, as DIGEST_WORDS words."""
    state = sha256()
    for part in parts:
        state.update(np.ascontiguousarray(part).astype("<u8", copy=False).data)
    return words(state.digest())


def decode(payload: bytes | memoryview, sender: int) -> Array:
    """The elements of a payload whose length was checked. Raises SessionAborted for an element >= p."""
    elements = words(payload)
    if not in_field(elements):
        raise SessionAborted(
            Abort.ELEMENT_OUT_OF_RANGE,
            f"party {sender} sent an element outside the field",
            Culprit("pid", sender),
        )
    return elements


class Channel:
    """This party's side of the connection with one peer, in the place of MPyC's MessageExchanger.

    `post` takes sealed frames away; `fail` is told of the first violation. Frames that arrive before the step
    that wants them are kept, within bounds.
    """

    def __init__(
        self,
        peer: int,
        sealer: Sealer,
        opener: Opener,
        cap: int,
        post: Callable[[int, bytes], None],
        fail: Callable[[SessionAborted], None],
    ) -> None:
        self.peer, self.cap = peer, cap
        self.bytes_sent = self.messages_sent = 0
        self._sealer, self._opener, self._post, self._fail = sealer, opener, post, fail
        self._early: dict[int, memoryview] = {}
        self._early_bytes = 0
        self._waiting: dict[int, tuple[int, asyncio.Future[memoryview]]] = {}
        self._last: dict[int, int] = {}  # step by lane
        self._failure: SessionAborted | None = None

    @property
    def owes(self) -> bool:
        """Whether a step waits for this peer."""
        return bool(self._waiting)

    @property
    def has_leftovers(self) -> bool:
        return bool(self._early)

    def send(self, counter: int, payload: bytes | memoryview) -> None:
        sealed = self._sealer.seal(b"".join((struct.pack("<q", counter), payload)))
        self.bytes_sent += len(sealed)
        self.messages_sent += 1
        self._post(self.peer, sealed)

    def receive(self, counter: int, length: int) -> asyncio.Future[memoryview]:
        """The payload of `length` bytes that the peer sends under `counter`."""
        future: asyncio.Future[memoryview] = asyncio.get_running_loop().create_future()
        lane, step = divmod(counter, LANE)
        self._last[lane] = step
        if self._failure is not None:
            future.set_exception(self._failure)
        elif counter in self._early:
            payload = self._early.pop(counter)
            self._early_bytes -= len(payload)
            self._deliver(payload, length, future)
        else:
            self._waiting[counter] = (length, future)
        return future

    def feed(self, sealed: bytes | memoryview) -> None:
        """A frame came for this channel."""
        if self._failure is not None:
            return
        try:
            try:
                frame = self._opener.open(sealed)
            except BadFrame as exc:
                raise self._violation(Abort.BAD_FRAME, "sent a frame that is not its next one") from exc
            # Only now: of one that does not open nobody knows who made it so long. The pipe bounds both.
            if len(frame) > self.cap + COUNTER_BYTES:
                raise self._violation(Abort.FRAME_TOO_LARGE, f"sent a frame of {len(frame)} bytes")
            if len(frame) < COUNTER_BYTES:
                raise self._violation(Abort.WRONG_LENGTH, "sent a frame without a counter")
            (counter,) = struct.unpack_from("<q", frame)
            payload = memoryview(frame)[COUNTER_BYTES:]
            if counter in self._waiting:
                self._deliver(payload, *self._waiting.pop(counter))
            elif self._is_past(counter) or counter in self._early or self._is_full(len(payload)):
                raise self._violation(Abort.UNDECLARED_PAYLOAD, "sent a frame that no step asks for")
            else:
                self._early[counter] = payload
                self._early_bytes += len(payload)
        except SessionAborted as exc:
            self.abort(exc)
            self._fail(exc)

    def abort(self, failure: SessionAborted) -> None:
        """End every wait on this peer, now and later, with `failure`."""
        self._failure = self._failure or failure
        for _, future in self._waiting.values():
            if not future.done():
                future.set_exception(failure)
                future.exception()  # whoever waits is told; nobody has to
        self._waiting.clear()

    def _is_past(self, counter: int) -> bool:
        lane, step = divmod(counter, LANE)
        return step <= self._last.get(lane, -1)

    def _is_full(self, more: int) -> bool:
        return len(self._early) >= EARLY_FRAMES or self._early_bytes + more > _EARLY_ROUNDS * LANES_AT_ONCE * self.cap

    def _deliver(self, payload: memoryview, length: int, future: "asyncio.Future[memoryview]") -> None:
        if len(payload) == length:
            if not future.done():
                future.set_result(payload)
            return
        failure = self._violation(Abort.WRONG_LENGTH, f"sent {len(payload)} bytes where {length} are due")
        if not future.done():
            future.set_exception(failure)
        self._fail(failure)

    def _violation(self, reason: Abort, what: str) -> SessionAborted:
        return SessionAborted(reason, f"party {self.peer} {what}", Culprit("pid", self.peer))
