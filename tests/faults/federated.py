"""A session that is caught in its middle, and what all four spaces make of its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from gateway.client import AsyncClient, load_query
from gateway.domain.computation import Computation, State
from gateway.domain.query import Query
from gateway.rules.lifecycle import LIVE
from gateway.sandbox.layout import SPACES
from tests.afresh import shown
from tests.e2e.shell import QUERIES, Shell

FOUR = tuple(spec.name for spec in SPACES)
QUERY = shown(load_query(QUERIES / "form_year.yaml").query)


@dataclass(frozen=True, slots=True)
class Account:
    """How a computation ended as one space tells it, and when that was known (seconds of the running clock)."""

    space: str
    computation: Computation
    at: float

    @property
    def told(self) -> tuple[State, str, str]:
        ending = self.computation.ending
        return (self.computation.state, "" if ending is None else ending.reason, "" if ending is None else ending.space)


@asynccontextmanager
async def in_mid_session(
    shell: Shell, watched: tuple[str, ...] = FOUR, query: Query = QUERY
) -> AsyncIterator[tuple[AsyncClient, Computation, Callable[[], asyncio.Future[list[Account]]]]]:
    """The asking client, a computation whose parties compute, and a function that awaits all accounts of its end."""
    async with AsyncExitStack() as stack:
        clients = {
            name: await stack.enter_async_context(AsyncClient(shell.profile(name, "operator"))) for name in watched
        }
        asker = await stack.enter_async_context(AsyncClient(shell.profile()))
        created = await asker.create(query, recipient="gateway")
        followed: list[asyncio.Task[Account]] = []
        async with asyncio.timeout(20):
            await until_computing(asker, created.name)
        for name, client in clients.items():
            followed.append(asyncio.create_task(_followed(name, client, created.name)))
        try:
            yield asker, created, lambda: asyncio.gather(*followed)
        finally:
            for task in followed:
                task.cancel()
            await asyncio.gather(*followed, return_exceptions=True)


async def until_computing(client: AsyncClient, name: str) -> None:
    """Until all three parties say that they are past their inputs."""
    async for computation in client.watch(name):
        assert computation.state in LIVE, computation
        if sum(status.phase not in ("", "start", "input", "done") for status in computation.spaces) == 3:
            return


async def _followed(space: str, client: AsyncClient, name: str) -> Account:
    async for computation in client.watch(name):
        last = computation
    return Account(space, last, time.monotonic())
