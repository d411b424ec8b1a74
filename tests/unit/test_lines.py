"""Lines that are dialled anew while they are in use: channels to peers, and the agent's own line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from connectors.dialling import LineLost, dial_for_ever
from gateway.edges.channels import Channels


@dataclass(eq=False)
class FakeChannel:
    closed: bool = False

    async def close(self, grace: float | None) -> None:
        self.closed = True


@dataclass(frozen=True)
class FakeTarget:
    """What would be dialled, and a list of what was."""

    roots: str
    dialled: list[FakeChannel] = field(compare=False)

    def dial(self) -> Any:
        self.dialled.append(FakeChannel())
        return self.dialled[-1]


class Peer:
    def __init__(self) -> None:
        self.target = FakeTarget("old", [])
        self.channels = Channels(lambda: self.target)  # type: ignore[arg-type,return-value]

    @property
    def closed(self) -> list[bool]:
        return [channel.closed for channel in self.target.dialled]

    def changes(self) -> None:
        self.target = replace(self.target, roots="new")


async def test_calls_share_a_channel_until_certificates_change() -> None:
    peer = Peer()
    assert peer.channels.is_outdated
    async with peer.channels.lease() as first, peer.channels.lease() as second:
        assert first is second and not peer.channels.is_outdated
    async with peer.channels.lease() as third:
        assert third is first
    assert peer.closed == [False]


async def test_a_call_under_way_ends_on_the_old_channel_which_then_is_closed() -> None:
    peer = Peer()
    async with peer.channels.lease() as old:
        peer.changes()
        assert peer.channels.is_outdated
        async with peer.channels.lease() as new:
            assert new is not old
            assert peer.closed == [False, False]
    assert peer.closed == [True, False]
    await peer.channels.close()
    assert peer.closed == [True, True]


async def test_an_old_channel_that_nobody_uses_is_closed_by_the_next_call() -> None:
    peer = Peer()
    async with peer.channels.lease():
        pass
    peer.changes()
    async with peer.channels.lease():
        assert peer.closed == [True, False]


# The agent's line --------------------------------------------------------------------------------


class FakeLine:
    """A line whose end the test decides."""

    def __init__(self) -> None:
        self.held, self.superseded = asyncio.Event(), False
        self.end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def hold(self) -> None:
        self.held.set()
        await self.end

    def supersede(self) -> None:
        self.superseded = True


class Dialling:
    def __init__(self) -> None:
        self.lines: list[FakeLine] = []
        self.outdated = False
        self._task = asyncio.create_task(dial_for_ever(self._dialled, self._is_outdated))

    def _dialled(self) -> FakeLine:
        self.outdated = False
        self.lines.append(FakeLine())
        return self.lines[-1]

    def _is_outdated(self) -> bool:
        return self.outdated

    async def has(self, count: int) -> FakeLine:
        await eventually(lambda: len(self.lines) == count)
        await self.lines[-1].held.wait()
        return self.lines[-1]

    async def stop(self) -> None:
        self._task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self._task


async def eventually(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not reached():
            await asyncio.sleep(0.01)


async def test_a_line_that_is_lost_is_dialled_again() -> None:
    dialling = Dialling()
    (await dialling.has(1)).end.set_exception(LineLost("gone"))
    (await dialling.has(2)).end.set_result(None)  # closed by the gateway, and nothing replaced it
    line = await dialling.has(3)
    assert not any(line.superseded for line in dialling.lines)
    await dialling.stop()
    assert line.end.cancelled()


async def test_changed_certificates_bring_a_second_line_and_the_first_ends_when_it_is_done() -> None:
    dialling = Dialling()
    first = await dialling.has(1)
    dialling.outdated = True
    second = await dialling.has(2)
    assert first.superseded and not first.end.done() and not second.superseded
    second.end.set_exception(LineLost("refused"))  # what comes is tried again, what was stays
    third = await dialling.has(3)
    assert not first.end.done()
    first.end.set_result(None)
    await asyncio.sleep(0)
    assert len(dialling.lines) == 3
    await dialling.stop()
    assert third.end.cancelled()
