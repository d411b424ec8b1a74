"""m engines in one event loop, each with MPyC's own types. MPyC knows one runtime per process; here it is looked up in
the context of the party that asks, which tasks and callbacks inherit.
"""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from connectors.engine import stock
from connectors.engine.cost import Shape
from connectors.engine.errors import Abort, SessionAborted
from connectors.engine.runtime import Engine
from tests.engine.harness import Party, engines

_engine: ContextVar[Engine] = ContextVar("engine")
Program = Callable[[Engine], Awaitable[object]]
Result = TypeVar("Result")


class _Runtime:
    """The engine of the party in whose context this is used."""

    def __getattr__(self, name: str) -> object:
        return getattr(_engine.get(), name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(_engine.get(), name, value)


@contextmanager
def _installed() -> Iterator[None]:
    stock.install(_Runtime())
    try:
        yield
    finally:
        stock.install(None)


def compute(shape: Shape, program: Program, cap: int = 1 << 26) -> list[Party]:
    """What `program` returns at each party; whatever the event loop has to complain of is raised."""

    async def one(party: Party) -> None:
        _engine.set(party.engine)
        await party.engine.start()
        party.result = await program(party.engine)
        party.engine.finish()

    async def all_of_them() -> list[Party]:
        parties = engines(shape, cap)
        await asyncio.wait_for(asyncio.gather(*(one(party) for party in parties)), 60)
        return parties

    with _installed():
        return _run(all_of_them())


def end(shape: Shape, program: Program, *, seconds: float = 20) -> list[BaseException | object]:
    """How `program` ends at each party when the first failure ends all, as agents see to; nothing may be left over.
    Whoever is waiting after `seconds` gets cancelled."""

    async def one(party: Party, parties: list[Party]) -> object:
        _engine.set(party.engine)
        try:
            await party.engine.start()
            async with asyncio.timeout(seconds):
                return await program(party.engine)
        finally:
            for other in parties:
                other.engine.fail(SessionAborted(Abort.INTERNAL, "another party failed"))

    async def all_of_them() -> list[BaseException | object]:
        parties = engines(shape)
        ended = await asyncio.gather(*(one(party, parties) for party in parties), return_exceptions=True)
        for _ in range(10):  # turns in which what was cancelled ends
            await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if left:
            raise RuntimeError(f"tasks are left: {left}")
        return ended

    with _installed():
        return _run(all_of_them())


def _run(work: Awaitable[Result]) -> Result:
    complaints: list[str] = []

    async def listened() -> Result:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(str(context)))
        return await work

    result = asyncio.run(listened())
    gc.collect()  # futures and coroutines complain when they are collected
    if complaints:
        raise RuntimeError(complaints)
    return result
