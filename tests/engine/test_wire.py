"""Whatever a peer sends that the protocol does not ask for ends the session, names the peer, and runs
nothing.
"""

import asyncio
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from connectors.engine import stock
from connectors.engine.arithmetic import multiply
from connectors.engine.cost import Shape
from connectors.engine.errors import Abort, Culprit, SessionAborted
from connectors.engine.field import Array
from connectors.engine.lanes import blocks
from connectors.engine.programs import overlap
from connectors.engine.rows import InputRows
from connectors.engine.runtime import Engine
from connectors.engine.wire import Channel, encode
from connectors.rules.session_keys import Sealer, pair_keys
from gateway.rules.sealing import fresh_key
from gateway.rules.sharing import P
from tests.engine.harness import SESSION, SHAPES, Party, engines, revealed, run, shared
from tests.engine.packed import shared_words

CAP = 1000


class Canary:
    """Unpickling it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.path), "w")


def channel() -> tuple[Channel, Sealer, list[SessionAborted]]:
    """Party 1's channel with peer 0, and what peer 0 seals with."""
    private, public = zip(*(fresh_key() for _ in range(3)), strict=True)
    seats = dict(enumerate(public))
    failures: list[SessionAborted] = []
    mine = pair_keys(private[1], 1, SESSION, seats)[0]
    ours = Channel(0, mine.sealer, mine.opener, CAP, lambda peer, sealed: None, failures.append)
    return ours, pair_keys(private[0], 0, SESSION, seats)[1].sealer, failures


def labelled(counter: int, payload: bytes) -> bytes:
    return struct.pack("<q", counter) + payload


async def test_a_frame_is_delivered_to_the_step_that_waits_or_will_wait() -> None:
    ours, peer, failures = channel()
    ours.feed(peer.seal(labelled(2, b"b" * 8)))
    ours.feed(peer.seal(labelled(1, b"a" * 8)))
    assert await ours.receive(1, 8) == b"a" * 8
    assert await ours.receive(2, 8) == b"b" * 8
    waiting = ours.receive(3, 16)
    ours.feed(peer.seal(labelled(3, b"c" * 16)))
    assert await waiting == b"c" * 16
    assert failures == []


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"x" * 9, Abort.WRONG_LENGTH),
        (b"", Abort.WRONG_LENGTH),
        (b"x" * (CAP + 1), Abort.FRAME_TOO_LARGE),
    ],
)
@pytest.mark.parametrize("early", [True, False])
async def test_a_frame_of_another_length_ends_the_session(payload: bytes, reason: Abort, early: bool) -> None:
    ours, peer, failures = channel()
    if early:
        ours.feed(peer.seal(labelled(1, payload)))
    waiting = ours.receive(1, 8)
    if not early:
        ours.feed(peer.seal(labelled(1, payload)))
    ours.abort(failures[0])
    with pytest.raises(SessionAborted):
        await waiting
    assert (failures[0].reason, failures[0].culprit) == (reason, Culprit("pid", 0))


@pytest.mark.parametrize("attack", ["replayed", "dropped", "altered", "of another party", "without counter"])
async def test_a_frame_that_is_not_the_next_one_ends_the_session(attack: str) -> None:
    ours, peer, failures = channel()
    first = peer.seal(labelled(1, b"a" * 8))
    if attack == "replayed":
        ours.feed(first)
        ours.feed(first)
    elif attack == "dropped":
        ours.feed(peer.seal(labelled(2, b"b" * 8)))
    elif attack == "altered":
        ours.feed(first[:-1] + bytes([first[-1] ^ 1]))
    elif attack == "of another party":
        ours.feed(channel()[1].seal(labelled(1, b"a" * 8)))
    else:
        ours.feed(first)
        ours.feed(peer.seal(b"short"))
    assert [failure.culprit for failure in failures] == [Culprit("pid", 0)]
    assert failures[0].reason is (Abort.WRONG_LENGTH if attack == "without counter" else Abort.BAD_FRAME)


@pytest.mark.parametrize("counters", [(1, 1), (2, 1)])
async def test_a_second_frame_for_a_step_ends_the_session(counters: tuple[int, int]) -> None:
    ours, peer, failures = channel()
    waiting = ours.receive(counters[0], 8)
    for counter in counters:
        ours.feed(peer.seal(labelled(counter, b"a" * 8)))
    assert await waiting == b"a" * 8
    assert [failure.reason for failure in failures] == [Abort.UNDECLARED_PAYLOAD]


@pytest.mark.parametrize(("frames", "payload"), [(5000, b""), (241, bytes(100))])
async def test_a_peer_cannot_fill_the_memory_with_frames_for_later(frames: int, payload: bytes) -> None:
    ours, peer, failures = channel()
    for counter in range(1, frames + 1):
        ours.feed(peer.seal(labelled(counter, payload)))
    assert [failure.reason for failure in failures] == [Abort.UNDECLARED_PAYLOAD]


async def session_with(evil: "list[tuple[int, bytes | None]]") -> tuple[list[Party], list[object]]:
    """An overlap at m = 3 in which party 1 sends other payloads as its n-th messages (None: P's)."""
    shape, parties = SHAPES[0], engines(SHAPES[0])
    parameters = {"lists": ["a", "b"], "minimum_cell": 2}
    rows = InputRows([1, 2], [1, 2], [])
    inputs = [shared_words(shape, overlap.encode(parameters, rows, 3, lambda n: bytes(n))) for _ in range(2)]
    sent = [0]
    for c in parties[1].engine.channels.values():

        def send(counter: int, payload: bytes, original: object = c.send) -> None:
            for place, other in evil:
                if place == sent[0]:
                    payload = other if other is not None else encode(np.full(len(payload) // 8, P, dtype=np.uint64))
            sent[0] += 1
            original(counter, payload)  # type: ignore[operator]

        c.send = send  # type: ignore[method-assign]

    async def one(party: Party) -> object:
        await party.engine.start()
        return await overlap.run(party.engine, parameters, [x[party.engine.pid] for x in inputs])

    tasks = [asyncio.ensure_future(one(party)) for party in parties]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    failures = [task.exception() for task in done if task.exception()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return parties, [*failures, sent[0]]


async def test_a_canary_pickle_in_any_message_aborts_and_runs_nothing(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    payload = pickle.dumps(Canary(canary))
    payload += bytes(-len(payload) % 8 + 1)  # no whole words, so no message of the session is as long
    # The control: loaded, the canary does leave its mark, so that its absence below proves something.
    pickle.loads(pickle.dumps(Canary(tmp_path / "works")) + bytes(3)).close()
    assert (tmp_path / "works").exists()
    _, (messages,) = await session_with([])
    assert isinstance(messages, int)
    assert messages > 30
    for place in range(messages):
        _, (failure, *_) = await session_with([(place, payload)])
        assert isinstance(failure, SessionAborted), place
        assert failure.reason in (Abort.WRONG_LENGTH, Abort.FRAME_TOO_LARGE)
        assert failure.culprit == Culprit("pid", 1)
    assert not canary.exists()


async def test_an_element_outside_the_field_names_the_sender() -> None:
    _, (messages,) = await session_with([])
    assert isinstance(messages, int)
    _, (failure, *_) = await session_with([(messages - 1, None)])  # of the fresh shares at the end
    assert isinstance(failure, SessionAborted)
    assert (failure.reason, failure.culprit) == (Abort.ELEMENT_OUT_OF_RANGE, Culprit("pid", 1))


@pytest.mark.parametrize("path", ["transfer", "shutdown", "output", "array"])
def test_stock_mpyc_cannot_reach_the_wire(path: str, tmp_path: Path) -> None:
    """MPyC's own receive paths, with a canary waiting at each program counter (test_cold_attacks.py has what replaces
    them).
    """
    canary = tmp_path / "canary"
    payload = pickle.dumps(Canary(canary))
    loop = asyncio.new_event_loop()
    built: list[Engine] = []

    async def use() -> None:
        parties = engines(SHAPES[0])
        rt = parties[1].engine
        built.append(rt)
        for counter in range(1, 40):
            parties[0].engine.channels[1].send(counter, payload)
        stock.install(rt)
        number = rt.SecFld(P)
        if path == "transfer":
            await rt.transfer("anything", senders=0)
        elif path == "shutdown":
            await rt.shutdown()
        elif path == "output":
            await rt.output(number(1))
        else:
            await rt.output(number.array([1, 2]))

    try:
        with pytest.raises((SessionAborted, RuntimeError, AttributeError, TypeError)):
            loop.run_until_complete(use())
        assert path == "array" or (built[0].failure and built[0].failure.reason is Abort.UNDECLARED_PAYLOAD)
        assert all(c.messages_sent == 0 for c in built[0].channels.values())
        assert not canary.exists()
    finally:
        stock.install(None)
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


def test_mpyc_has_no_pickle() -> None:
    with pytest.raises(SessionAborted):
        # Not the library's: what stands in its place inside MPyC, which aborts whatever it is given.
        stock.mpyc.runtime.pickle.loads(b"")


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"m{shape.m}")
def test_blocks_in_lanes_give_what_one_go_gives_in_the_rounds_of_one(shape: Shape) -> None:
    values = np.arange(1000, dtype=np.uint64)
    x = shared(shape, values)

    async def squares(rt: Engine) -> object:
        async def block(lane: Engine, start: int, stop: int) -> Array:
            part = x[rt.pid][start:stop]
            return await multiply(lane, await multiply(lane, part, part, "test"), part, "test")

        cubes = np.concatenate(await blocks(rt, values.size, 64, block))
        return await multiply(rt, cubes, x[rt.pid], "test")

    parties = run(shape, squares)
    assert revealed(parties, shape.t) == [v**4 % P for v in range(1000)]
    assert [party.engine.rounds for party in parties] == [1 + 3] * shape.m


async def test_a_failure_in_one_lane_ends_all_of_them() -> None:
    parties = engines(SHAPES[0])

    async def one(party: Party) -> None:
        rt = party.engine
        await rt.start()

        async def block(lane: Engine, start: int, stop: int) -> Array:
            if start and rt.pid == 0:
                rt.channels[2].send(lane.counter + 1, bytes(8))  # a length that the step does not have
            ones = np.ones(stop - start, dtype=np.uint64)
            return await multiply(lane, ones, ones, "test")

        try:
            await blocks(rt, 20, 10, block)
        finally:
            for other in parties:  # what agents do when a party of the session has failed
                other.engine.fail(SessionAborted(Abort.INTERNAL, "another party failed"))

    ended = await asyncio.wait_for(asyncio.gather(*map(one, parties), return_exceptions=True), 10)
    assert isinstance(ended[2], SessionAborted)
    assert (ended[2].reason, ended[2].culprit) == (Abort.WRONG_LENGTH, Culprit("pid", 0))
