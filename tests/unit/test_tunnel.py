"""Frames go where the contract seats them, or the space that sent them is named."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import pytest

from connectors.engine import pipe
from gateway.domain.contract import Contract
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.session import PROVIDER_BASE, Failure, Frame
from gateway.edges import mailbox as mailboxes
from gateway.edges import tunnel as tunnels
from gateway.edges.mailbox import Allowance, Mailbox
from gateway.edges.tunnel import Tunnel
from tests import examples
from tests.examples import CARE, HOME, NEUTRAL, POLICE, SESSION

CONTRACT = examples.contract()  # seats: 0 home, 1 police, 2 neutral; providers: 0 care, 1 home, 2 police


@dataclass
class Dialled:
    """Stands for the other gateways: what was dialled, what was sent there, and what comes back."""

    lines: dict[str, asyncio.Queue[Frame | None]] = field(default_factory=dict)
    sent: dict[str, list[Frame]] = field(default_factory=dict)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    failures: asyncio.Queue[Failure] = field(default_factory=asyncio.Queue)

    def line(self, entity: str) -> asyncio.Queue[Frame | None]:
        return self.lines.setdefault(entity, asyncio.Queue())

    async def dial(
        self, entity: str, session: str, within: float, outgoing: AsyncIterator[Sequence[Frame]]
    ) -> AsyncIterator[Frame]:
        async def send() -> None:
            async for frames in outgoing:
                self.sent.setdefault(entity, []).extend(frames)
                self.arrived.set()

        task = asyncio.create_task(send())
        try:
            while (frame := await self.line(entity).get()) is not None:
                yield frame
        finally:
            task.cancel()

    async def failed(self, session: str, failure: Failure) -> None:
        self.failures.put_nowait(failure)


def tunnel_of(entity: str, contract: Contract = CONTRACT) -> tuple[Tunnel, Dialled]:
    dialled = Dialled()
    made = Tunnel(entity, dialled.dial, dialled.failed)
    made.open(contract)
    return made, dialled


async def coming(frames: Iterable[Frame] = ()) -> AsyncGenerator[Frame, None]:
    """What a stream brings, and then its silence."""
    for frame in frames:
        yield frame
    await asyncio.Event().wait()


async def _first(count: int, batches: AsyncIterator[Sequence[Frame]]) -> AsyncIterator[Frame]:
    """So many frames, in however many messages they come."""
    while count:
        for frame in await anext(batches):
            count -= 1
            yield frame


async def test_frames_reach_the_seat_that_they_are_for_both_ways() -> None:
    tunnel, dialled = tunnel_of(HOME)
    tunnel.start(SESSION)
    out, back = Frame(0, 1, b"to police"), Frame(1, 0, b"from police")
    dialled.line(POLICE).put_nowait(back)
    async with aclosing(tunnel.attach(SESSION, coming([out]))) as agent:  # type: ignore[type-var]
        assert await anext(agent) == [back]
        await dialled.arrived.wait()
    assert dialled.sent == {POLICE: [out]}
    await tunnel.close(SESSION)


async def test_frames_that_come_early_wait_for_the_agent() -> None:
    tunnel, _ = tunnel_of(POLICE)
    early = [Frame(0, 1, bytes([n])) for n in range(5)]
    peer = asyncio.create_task(anext(tunnel.accept(SESSION, HOME, coming(early))))
    async with aclosing(tunnel.attach(SESSION, coming())) as agent:  # type: ignore[type-var]
        assert [frame async for frame in _first(len(early), agent)] == early
    peer.cancel()
    await tunnel.close(SESSION)


@pytest.mark.parametrize(
    "frame",
    [
        Frame(2, 1, b"another space's seat as source"),
        Frame(1, 1, b"our own seat as source"),
        Frame(PROVIDER_BASE, 1, b"another provider as source"),
        Frame(PROVIDER_BASE + 9, 1, b"no provider at all"),
        Frame(0, 2, b"for a third space: no gateway is a relay"),
        Frame(0, 0, b"back to its sender"),
        Frame(0, 7, b"for nobody"),
        Frame(0, PROVIDER_BASE, b"for a provider"),
        Frame(0, 1, bytes(tunnels.MAX_FRAME + 1)),
    ],
    ids=lambda frame: frame.sealed[:30].decode("latin-1"),
)
async def test_a_frame_that_the_contract_does_not_provide_for_names_its_sender(frame: Frame) -> None:
    tunnel, dialled = tunnel_of(POLICE)
    peer = asyncio.create_task(anext(tunnel.accept(SESSION, HOME, coming([frame, Frame(0, 1, b"after it")]))))
    failure = await dialled.failures.get()
    assert (failure.culprit, failure.reason) == (HOME, "PROTOCOL_VIOLATION")
    peer.cancel()
    assert not tunnel._routes[SESSION].agent._frames  # neither it nor what came after it
    await tunnel.close(SESSION)


@pytest.mark.parametrize("frame", [Frame(0, 1, b"x"), Frame(2, 2, b"x"), Frame(1, 1, b"x")])
async def test_the_own_agent_is_held_to_the_contract_too(frame: Frame) -> None:
    tunnel, dialled = tunnel_of(POLICE)
    agent = asyncio.create_task(anext(tunnel.attach(SESSION, coming([frame]))))
    assert (await dialled.failures.get()).culprit == POLICE
    agent.cancel()
    await tunnel.close(SESSION)


async def test_a_provider_without_a_seat_sends_and_receives_nothing() -> None:
    tunnel, dialled = tunnel_of(POLICE)
    tunnel.start(SESSION)
    share = Frame(PROVIDER_BASE, 1, b"care's input")
    dialled.line(CARE).put_nowait(share)
    async with aclosing(tunnel.attach(SESSION, coming([Frame(1, 2, b"to neutral")]))) as agent:  # type: ignore[type-var]
        assert await anext(agent) == [share]
    await tunnel.close(SESSION)


async def test_a_space_that_takes_no_part_gets_no_tunnel() -> None:
    tunnel, _ = tunnel_of(POLICE)
    with pytest.raises(IsthmusError) as caught:
        await anext(tunnel.accept(SESSION, "https://stranger.example", coming()))
    assert caught.value.reason is Reason.PERMISSION_DENIED
    with pytest.raises(IsthmusError) as caught:
        await anext(tunnel.accept("f" * 32, HOME, coming()))
    assert caught.value.reason is Reason.NOT_FOUND
    await tunnel.close(SESSION)


async def test_of_two_spaces_the_first_dials_and_only_once() -> None:
    tunnel, _ = tunnel_of(POLICE)
    with pytest.raises(IsthmusError) as caught:
        await anext(tunnel.accept(SESSION, NEUTRAL, coming()))
    assert caught.value.reason is Reason.PROTOCOL_VIOLATION
    first = asyncio.create_task(anext(tunnel.accept(SESSION, HOME, coming([Frame(0, 1, b"x")]))))
    async with aclosing(tunnel.attach(SESSION, coming())) as agent:  # type: ignore[type-var]
        await anext(agent)
        with pytest.raises(IsthmusError) as caught:
            await anext(tunnel.accept(SESSION, HOME, coming()))
        assert caught.value.reason is Reason.PROTOCOL_VIOLATION
    first.cancel()
    await tunnel.close(SESSION)


async def test_closing_ends_every_stream_and_forgets_the_session() -> None:
    tunnel, _ = tunnel_of(POLICE)
    tunnel.start(SESSION)
    streams = [tunnel.attach(SESSION, coming()), tunnel.accept(SESSION, HOME, coming())]
    readers = [asyncio.create_task(anext(stream, None)) for stream in streams]  # type: ignore[arg-type]
    while not all(box._read for box in (tunnel._routes[SESSION].agent, tunnel._routes[SESSION].peers[HOME])):
        await asyncio.sleep(0)  # let the readers begin
    await tunnel.close(SESSION)
    assert await asyncio.gather(*readers) == [None, None]
    with pytest.raises(IsthmusError):
        tunnel.start(SESSION)
    await tunnel.close(SESSION)


async def test_a_tunnel_that_ends_in_mid_session_names_the_space_at_its_other_end() -> None:
    tunnel, dialled = tunnel_of(HOME)
    tunnel.start(SESSION)
    dialled.line(NEUTRAL).put_nowait(None)
    failure = await dialled.failures.get()
    assert (failure.culprit, failure.reason) == (NEUTRAL, "PEER_UNREACHABLE")
    await tunnel.close(SESSION)
    assert dialled.failures.empty()


async def test_a_full_mailbox_holds_its_sender_back_until_somebody_reads() -> None:
    mailbox, half = Mailbox(), Frame(0, 1, bytes(mailboxes.MAX_WAITING // 2 - mailboxes.FRAME_COSTS))
    await mailbox.put(half)
    await mailbox.put(half)
    third = asyncio.create_task(mailbox.put(half))
    await asyncio.sleep(0)
    assert not third.done()
    reader = mailbox.batches()
    await anext(reader)
    await third
    mailbox.close()
    assert [frames async for frames in reader] == []


async def test_what_waits_goes_out_in_one_message_and_what_is_long_in_one_of_its_own() -> None:
    mailbox = Mailbox()
    small = [Frame(0, 1, bytes([n])) for n in range(5)]
    long = [Frame(0, 1, bytes(mailboxes.PIECE)), Frame(0, 1, bytes(tunnels.MAX_FRAME))]
    for frame in (*small, *long, *small):
        await mailbox.put(frame)
    reader = mailbox.batches()
    assert [await anext(reader) for _ in range(4)] == [small, [long[0]], [long[1]], small]


async def test_frames_that_hold_nothing_are_bounded_too() -> None:
    mailbox, empty = Mailbox(), Frame(0, 1, b"")
    for _ in range(mailboxes.MAX_WAITING // mailboxes.FRAME_COSTS):
        await mailbox.put(empty)
    one_more = asyncio.create_task(mailbox.put(empty))
    await asyncio.sleep(0)
    assert not one_more.done()
    assert len(await anext(mailbox.batches())) == mailboxes.MAX_FRAMES
    await one_more


async def test_closing_a_full_mailbox_lets_its_senders_go_and_keeps_nothing() -> None:
    mailbox, big = Mailbox(), Frame(0, 1, bytes(mailboxes.MAX_WAITING))
    await mailbox.put(big)
    senders = [asyncio.create_task(mailbox.put(big)) for _ in range(3)]
    await asyncio.sleep(0)
    mailbox.close()
    await asyncio.gather(*senders)
    assert [frames async for frames in mailbox.batches()] == []


async def test_before_a_session_has_begun_here_little_waits_for_it() -> None:
    tunnel, _ = tunnel_of(POLICE)
    early = [Frame(0, 1, bytes(tunnels.MAX_EARLY // 4)) for _ in range(20)]
    peer = asyncio.create_task(anext(tunnel.accept(SESSION, HOME, coming(early))))
    waiting = tunnel._routes[SESSION].agent
    for _ in range(50):
        await asyncio.sleep(0)
    assert 0 < waiting._bytes <= tunnels.MAX_EARLY
    # Nothing was lost: what was held back comes.
    tunnel.start(SESSION)
    async with aclosing(tunnel.attach(SESSION, coming())) as agent:  # type: ignore[type-var]
        assert [frame async for frame in _first(len(early), agent)] == early
    peer.cancel()
    await tunnel.close(SESSION)


async def test_one_space_has_so_much_waiting_in_all_its_sessions_and_the_others_have_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tunnels, "MAX_WAITING_OF_ONE", 1000)
    tunnel, dialled = tunnel_of(POLICE)
    others = [examples.contract(session=f"{number:032x}") for number in range(20)]
    peers = []
    for contract in others:
        tunnel.open(contract)
        flood = coming([Frame(0, 1, bytes(300 - mailboxes.FRAME_COSTS))] * 5)
        peers.append(asyncio.create_task(anext(tunnel.accept(contract.session, HOME, flood))))
    for _ in range(100):
        await asyncio.sleep(0)
    held = [tunnel._routes[contract.session].agent for contract in others]
    allowance = tunnel._allowance(HOME)
    assert sum(mailbox._bytes for mailbox in held) == allowance._taken == 900
    # Another space's frames are let in.
    tunnel.start(others[-1].session)
    dialled.line(NEUTRAL).put_nowait(Frame(2, 1, b"neutral's"))
    dialled.line(CARE).put_nowait(Frame(PROVIDER_BASE, 1, b"care's"))
    for _ in range(100):
        await asyncio.sleep(0)
    assert {frame.sealed for frame, _ in held[-1]._frames} >= {b"neutral's", b"care's"}
    # What a session that ends held is room for the next ones.
    for contract in others:
        await tunnel.close(contract.session)
    assert allowance._taken == 0
    for peer in peers:
        peer.cancel()
    await asyncio.gather(*peers, return_exceptions=True)
    await tunnel.close(SESSION)


async def test_who_gives_up_waiting_takes_no_room() -> None:
    allowance, mailbox = Allowance(1000), Mailbox(500)
    frame = Frame(0, 1, bytes(400 - mailboxes.FRAME_COSTS))
    await mailbox.put(frame, allowance)
    waiting = [asyncio.create_task(mailbox.put(frame, allowance)) for _ in range(3)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert allowance._taken == 800
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert allowance._taken == 400
    assert await anext(mailbox.batches()) == [frame]
    assert allowance._taken == 0


def test_no_initiator_shuts_out_the_others() -> None:
    async def never(session: str, failure: Failure) -> None:
        raise AssertionError

    tunnel = Tunnel(POLICE, Dialled().dial, never)
    for number in range(tunnels.MAX_SESSIONS_OF_ONE):
        tunnel.open(examples.contract(session=f"{number:032x}"))
    with pytest.raises(IsthmusError) as caught:
        tunnel.open(examples.contract(session="f" * 32))
    assert caught.value.reason is Reason.RESOURCE_EXHAUSTED
    tunnel.open(examples.contract(session="f" * 32, initiator=CARE))
    tunnel.open(examples.contract(session="0" * 32))  # known already: nothing new


def test_what_the_tunnel_carries_as_one_is_as_much_as_a_partys_pipe_takes() -> None:
    pipe.head(pipe.ToParty.PEER, 1 + tunnels.MAX_SEALED)
    with pytest.raises(pipe.PipeBroken):
        pipe.head(pipe.ToParty.PEER, 2 + tunnels.MAX_SEALED)
