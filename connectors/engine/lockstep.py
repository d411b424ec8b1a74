"""The rounds of MPyC's own coroutines: all that can be sent at one time goes in one frame per peer.

Invariants: a round begins when nothing in this process can go on without the peers, so what it holds follows from the
program alone and is the same at all parties; within a round, messages are in the order of MPyC's program counters;
every party sends every other one a frame (an empty one, if need be), whose length both know beforehand, so nobody is
more than one round ahead; the first failure ends all coroutines.

MPyC sends each message by itself, labelled with a hash of its program counter: thousands of small frames, in an order
that depends on the network. Rounds make few frames of them, whose labels are counted like those of native steps.
Coroutines belong to the program's one thread of control: native steps wait until they are at rest (`rest`), and lanes
do not start any.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.engine.errors import Abort, SessionAborted

Exchange = Callable[[Mapping[int, bytes], Mapping[int, int]], Awaitable[Mapping[int, memoryview]]]


@dataclass(frozen=True, slots=True)
class _Message:
    sends: Mapping[int, bytes]
    due: Mapping[int, int]
    size: int
    received: "asyncio.Future[dict[int, memoryview]]"


class _Apart:
    """Awaits a coroutine such that cancelling it does not cancel the future for which that waits: others wait for the
    same one, and MPyC will want to set it."""

    def __init__(self, coro: Coroutine[Any, Any, object], loop: asyncio.AbstractEventLoop) -> None:
        self._coro, self._loop = coro, loop

    def __await__(self) -> Generator[Any, None, object]:
        while True:
            try:
                inner = self._coro.send(None)
            except StopIteration as done:
                return done.value
            if inner is None:  # asyncio.sleep(0)
                yield None
                continue
            inner._asyncio_future_blocking = False  # it is this that waits
            outer: asyncio.Future[None] = self._loop.create_future()
            inner.add_done_callback(lambda _, outer=outer: outer.done() or outer.set_result(None))
            yield from outer


async def _apart(coro: Coroutine[Any, Any, object], loop: asyncio.AbstractEventLoop) -> object:
    return await _Apart(coro, loop)


class Lockstep:
    """`exchange` sends and receives one frame per peer, of at most `cap` bytes."""

    def __init__(self, peers: Sequence[int], cap: int, exchange: Exchange) -> None:
        self._peers, self._cap, self._exchange = peers, cap, exchange
        self._loop = asyncio.get_running_loop()
        if not hasattr(self._loop, "_ready"):  # asyncio does not tell in public whether anything can go on
            raise RuntimeError("an engine needs asyncio's own event loop")
        self._tasks: set[asyncio.Task[object]] = set()
        self._messages: dict[int, _Message] = {}
        self._round: asyncio.Task[None] | None = None
        self._looking = False
        self._waiting: set[asyncio.Future[Any]] = set()  # of the program; told of a failure
        self._resting: list[asyncio.Future[None]] = []
        self._failure: BaseException | None = None

    def spawn(self, coro: Coroutine[Any, Any, object]) -> "asyncio.Task[object]":
        """Start a coroutine of MPyC."""
        if self._failure is not None:
            coro.close()
            raise self._failure
        task: asyncio.Task[object] = asyncio.Task(_apart(coro, self._loop), loop=self._loop)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: coro.close())  # one that was cancelled too, even before it began
        self._look()
        return task

    def message(
        self, counter: int, sends: Mapping[int, bytes], due: Mapping[int, int], size: int
    ) -> "asyncio.Future[dict[int, memoryview]]":
        """Send `sends` and receive `due` bytes in one of the next rounds. `size` is the most that any party sends
        another one for it, and `counter` MPyC's; both are the same at all parties.
        """
        if counter in self._messages or size > self._cap:
            what = "two steps have one counter" if counter in self._messages else f"a message of {size} bytes"
            raise SessionAborted(Abort.INTERNAL, f"{what}, which the program's cost does not foresee")
        received: asyncio.Future[dict[int, memoryview]] = self._loop.create_future()
        self._messages[counter] = _Message(sends, due, size, received)
        self._look()
        return received

    def awaited(self, inner: Any) -> Any:
        """What the program awaits for `inner`, which MPyC's coroutines set: raises when they fail, and ends them when
        the program is cancelled."""
        if not isinstance(inner, asyncio.Future) or inner.done() or asyncio.current_task() in self._tasks:
            return inner
        outer: asyncio.Future[Any] = self._loop.create_future()
        if self._failure is not None:
            outer.set_exception(self._failure)
            return outer
        self._waiting.add(outer)

        def copy(_: object) -> None:
            if not outer.done():
                outer.set_result(inner.result())

        def forget(_: object) -> None:
            self._waiting.discard(outer)
            if outer.cancelled():
                self.end(SessionAborted(Abort.INTERNAL, "what the secure types computed was given up"))

        inner.add_done_callback(copy)
        outer.add_done_callback(forget)
        return outer

    async def rest(self) -> None:
        """Until no coroutine can go on."""
        self.check()
        if self._tasks or self._messages:
            resting: asyncio.Future[None] = self._loop.create_future()
            self._resting.append(resting)
            self._look()
            await self.awaited(resting)

    def check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def end(self, failure: BaseException) -> None:
        """End every coroutine, and whatever the program awaits of them with `failure`; so does all that follows."""
        if self._failure is not None:
            return
        self._failure = failure
        current = asyncio.current_task()
        for task in [*self._tasks, self._round]:
            if task is not None and task is not current:
                task.cancel()
        self._messages.clear()
        for outer in [*self._waiting]:
            if not outer.done():
                outer.set_exception(failure)
                outer.exception()  # whoever waits is told; nobody has to

    def _look(self) -> None:
        if not self._looking:
            self._looking = True
            self._loop.call_later(0, self._settle)

    def _settle(self) -> None:
        """Begin a round, unless something can still go on without one."""
        if self._loop._ready:  # type: ignore[attr-defined]  # see __init__
            self._loop.call_later(0, self._settle)
            return
        self._looking = False
        if self._failure is not None or self._round is not None:
            return
        if self._messages:
            self._round = self._loop.create_task(self._go())
            return
        resting, self._resting = self._resting, []
        for one in resting:
            one.set_result(None)

    async def _go(self) -> None:
        chosen, size = [], 0
        for counter in sorted(self._messages):
            size += self._messages[counter].size
            if size > self._cap:
                break
            chosen.append(self._messages[counter])
            del self._messages[counter]
        sends = {peer: b"".join(one.sends.get(peer, b"") for one in chosen) for peer in self._peers}
        due = {peer: sum(one.due.get(peer, 0) for one in chosen) for peer in self._peers}
        try:
            received = await self._exchange(sends, due)
        except Exception as exc:
            self.end(exc)
            return
        finally:
            self._round = None
        places = dict.fromkeys(self._peers, 0)
        for one in chosen:
            parts = {}
            for peer, length in one.due.items():
                parts[peer] = received[peer][places[peer] : places[peer] + length]
                places[peer] += length
            if not one.received.done():
                one.received.set_result(parts)
        self._look()
