"""What a peer sends to MPyC's secure types that they do not ask for ends the session, names it, and runs nothing; so do
deadlines and defects, and nothing is left of the computation.
"""

import asyncio
import inspect
import pickle
from pathlib import Path
from typing import Any

import pytest

from connectors.engine.cold import open_, to_cold
from connectors.engine.errors import Abort, Culprit, SessionAborted
from connectors.engine.masked import OPENINGS_BITS
from connectors.engine.runtime import Engine
from connectors.engine.wire import LANE
from gateway.rules.sharing import P
from tests.engine.harness import SHAPES, shared
from tests.engine.stocked import compute, end
from tests.engine.test_wire import Canary
from tests.long import LONG

SIZES = SHAPES if LONG else SHAPES[:2]  # seven parties take half a minute more a test
shapes = pytest.mark.parametrize("shape", SIZES, ids=lambda shape: f"m{shape.m}")
X = shared(SHAPES[0], [3])


async def program(rt: Engine) -> object:
    """All that sends: inputs, re-sharing, openings under masks, conversions, an opening of the program's."""
    number = rt.SecInt(8)
    (cold,) = await to_cold(rt, X[rt.pid], 10, number)
    return await open_(rt, [cold * 2 < number(5)], "test")


def tampered(place: int, payload: bytes | None, sent: list[int]) -> Any:
    """The program, in which party 1 sends `payload` (None: elements of ones alone) as its n-th message for secure
    types."""

    async def run(rt: Engine) -> object:
        if rt.pid == 1:
            for channel in rt.channels.values():

                def send(counter: int, honest: bytes, original: Any = channel.send) -> None:
                    if counter < 0:
                        if sent[0] == place:
                            honest = b"\xff" * len(honest) if payload is None else payload
                        sent[0] += 1
                    original(counter, honest)

                channel.send = send  # type: ignore[method-assign, assignment]
        return await program(rt)

    return run


def first(ended: list[BaseException | object]) -> SessionAborted:
    """What an honest party found, and not only heard from others."""
    found = [e for e in (ended[0], ended[2]) if isinstance(e, SessionAborted) and e.detail != "another party failed"]
    assert found
    return found[0]


def messages() -> int:
    sent = [0]
    end(SHAPES[0], tampered(-1, b"", sent))
    return sent[0]


def test_a_canary_pickle_in_any_message_aborts_and_runs_nothing(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    payload = pickle.dumps(Canary(canary))
    payload += bytes(-len(payload) % 8 + 1)  # no whole words, so no message of the session is as long
    # The control: loaded, the canary does leave its mark, so that its absence below proves something.
    pickle.loads(pickle.dumps(Canary(tmp_path / "works"))).close()
    assert (tmp_path / "works").exists()
    count = messages()
    assert count > 20
    for place in range(count):
        failure = first(end(SHAPES[0], tampered(place, payload, [0])))
        assert (failure.reason, failure.culprit) == (Abort.WRONG_LENGTH, Culprit("pid", 1)), place
    assert not canary.exists()


def test_elements_outside_their_field_name_the_sender() -> None:
    reasons = set()
    for place in range(0, messages(), 2):  # each round's message to party 0
        ended = end(SHAPES[0], tampered(place, None, [0]))
        if not any(isinstance(e, SessionAborted) for e in ended):
            continue  # a round in which party 1 has nothing to say: its frame is empty
        failure = first(ended)
        reasons.add((failure.reason, failure.culprit))
    assert reasons == {(Abort.ELEMENT_OUT_OF_RANGE, Culprit("pid", 1))}


@shapes
def test_a_wrong_share_is_noticed_where_a_value_is_opened(shape: Any) -> None:
    async def wrong(rt: Engine) -> object:
        number = rt.SecInt(8)
        (share,) = await rt.gather([rt.random_bit(number)])
        return await open_(rt, [number(share + int(rt.pid == shape.m - 1))], "test")

    ended = end(shape, wrong)
    found = [e for e in ended if isinstance(e, SessionAborted) and e.detail != "another party failed"]
    assert found
    assert {(e.reason, e.culprit) for e in found} == {(Abort.INCONSISTENT_SHARES, None)}


def test_a_frame_for_a_round_that_is_over_names_the_sender() -> None:
    async def again(rt: Engine) -> object:
        opened = await program(rt)
        if rt.pid == 1:
            rt.channels[0].send(1 - LANE, b"")
        return opened, await program(rt)

    failure = first(end(SHAPES[0], again))
    assert (failure.reason, failure.culprit) == (Abort.UNDECLARED_PAYLOAD, Culprit("pid", 1))


@pytest.mark.parametrize("path", ["transfer", "shutdown", "output", "is_zero_public", "peek", "message"])
def test_what_a_program_does_not_declare_is_not_sent(path: str) -> None:
    async def undeclared(rt: Engine) -> object:
        x = rt.SecInt(8)(3)
        sent = [channel.messages_sent for channel in rt.channels.values()]
        with pytest.raises(SessionAborted) as refused:
            if path == "transfer":
                await rt.transfer("anything", senders=0)
            elif path == "shutdown":
                await rt.shutdown()
            elif path == "output":
                await rt.output(x)
            elif path == "is_zero_public":
                await rt.gather(rt.is_zero_public(x))
            elif path == "peek":
                await rt.gather(rt.peek(x))
                await rt.gather(x * x)
            else:
                rt._send_message(0, b"anything")
        assert path == "is_zero_public" or sent == [channel.messages_sent for channel in rt.channels.values()]
        return refused.value.reason

    for reason in end(SHAPES[0], undeclared):
        assert reason is Abort.UNDECLARED_PAYLOAD or isinstance(reason, SessionAborted)


def test_arrays_extension_fields_and_floats_are_refused() -> None:
    async def refused(rt: Engine) -> object:
        with pytest.raises((TypeError, AttributeError)):
            await rt.output(rt.SecFld(P).array([1, 2]))
        for kind in (rt.SecFld(2**8), rt.SecFlt(16)):
            with pytest.raises(TypeError, match="cannot be sent"):
                await rt.gather(rt.input(kind(1), senders=0))
        return [channel.messages_sent for channel in rt.channels.values()]

    before = compute(SHAPES[0], lambda rt: asyncio.sleep(0, [c.messages_sent for c in rt.channels.values()]))
    after = compute(SHAPES[0], refused)
    assert [party.result for party in after] == [party.result for party in before]


def test_a_session_ends_before_it_opens_more_than_its_masks_are_good_for() -> None:
    async def much(rt: Engine) -> object:
        rt._opened = (1 << OPENINGS_BITS) - 2
        return await open_(rt, [rt.SecInt(8)(1) < 2], "test")

    for failure in end(SHAPES[0], much):
        assert isinstance(failure, SessionAborted)
        assert failure.reason is Abort.INTERNAL


@shapes
def test_a_peer_that_stays_silent_ends_with_the_deadline_and_leaves_nothing(shape: Any) -> None:
    awaited: list[list[int]] = []

    async def silent(rt: Engine) -> object:
        if rt.pid == 1:
            await asyncio.Event().wait()
        try:
            return await open_(rt, [rt.SecInt(8)(v) < 3 for v in range(10)], "test")
        except asyncio.CancelledError:
            awaited.append(rt.laggards())
            raise

    ended = end(shape, silent, seconds=0.3)
    assert awaited[0] == [1]
    assert any(isinstance(e, TimeoutError) for e in ended)
    assert all(isinstance(e, TimeoutError | SessionAborted) for e in ended)


@pytest.mark.parametrize("waits", ["for secure types", "in a native step", "for nothing"])
def test_a_defect_inside_a_secure_computation_is_the_program_s(waits: str) -> None:
    """It comes out where the program is, and not as a computation that waits for ever."""

    async def defective(rt: Engine) -> object:
        x = rt.SecInt(8)(3)
        y = x % 0
        if waits == "for secure types":
            await open_(rt, [y + 1], "test")
        elif waits == "in a native step":
            await rt.start()
        else:
            await asyncio.sleep(0.01)
        return rt.finish()

    ended = end(SHAPES[0], defective)
    assert any(isinstance(e, ValueError) for e in ended)
    assert all(isinstance(e, ValueError | SessionAborted) for e in ended)


def test_secure_types_beside_a_native_step_under_way_are_a_defect() -> None:
    async def beside(rt: Engine) -> object:
        if rt.pid == 0:
            await asyncio.Event().wait()
        started = asyncio.ensure_future(rt.start())
        await asyncio.sleep(0)
        try:
            return await open_(rt, [rt.SecInt(8)(1)], "test")
        finally:
            started.cancel()
            await asyncio.gather(started, return_exceptions=True)

    ended = end(SHAPES[0], beside, seconds=3)
    assert any(isinstance(e, SessionAborted) and "beside" in e.detail for e in ended)


@pytest.mark.parametrize("begun", [False, True])
def test_a_coroutine_of_a_session_that_ends_is_closed_even_before_it_begins(begun: bool) -> None:
    states: list[tuple[str, str]] = []

    async def ended(rt: Engine) -> object:
        coro = asyncio.Event().wait()
        rt.spawn(coro)
        if begun:
            await asyncio.sleep(0)
        before = inspect.getcoroutinestate(coro)
        rt._lockstep.end(SessionAborted(Abort.INTERNAL, "test"))
        for _ in range(3):
            await asyncio.sleep(0)
        states.append((before, inspect.getcoroutinestate(coro)))
        return None

    end(SHAPES[0], ended)
    assert set(states) == {(inspect.CORO_SUSPENDED if begun else inspect.CORO_CREATED, inspect.CORO_CLOSED)}
