"""A session that runs at the own agent, overseen by its gateway: for what the gateway finds, for silence, for the time.

Invariants: whatever the agent does, its events end: with its own last one, or with the failure that is found here, of
which the agent is told as well; whatever becomes of a line, the session does not wait for it longer than its contract's
stall deadline, and nobody is blamed for a silent one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager

from gateway.domain.contract import Contract
from gateway.domain.errors import Reason
from gateway.domain.session import UNDETERMINED, Failure, RunEvent
from gateway.ports import Agent

ASKED_EVERY = 1.0


async def overseen(
    entity: str,
    agent: Agent,
    contract: Contract,
    events: AsyncGenerator[RunEvent, None],
    found: asyncio.Future[Failure],
) -> AsyncGenerator[RunEvent, None]:
    """`events` of this space's agent, until the last of them, `found`, or a deadline of the contract."""
    loop, stall = asyncio.get_running_loop(), float(contract.deadlines.stall)
    until = loop.time() + contract.deadlines.total
    async with aclosing(events):
        while True:
            event = asyncio.ensure_future(anext(events, None))
            try:
                within = min(stall, max(0.0, until - loop.time()))
                await asyncio.wait((event, found), timeout=within, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not event.done():
                    event.cancel()
                    await asyncio.gather(event, return_exceptions=True)
            if not event.cancelled():
                came = event.result()
                if came is None:
                    return
                yield came
                continue
            if found.done():
                failure = found.result()
            else:
                failure = _too_long(contract) if loop.time() >= until else _silent(entity, contract)
            await agent.stop(contract.session, failure)
            yield failure
            return


@asynccontextmanager
async def lines_watched(
    entity: str,
    contract: Contract,
    alive: Callable[[str, float], Awaitable[bool]],
    found: asyncio.Future[Failure],
) -> AsyncIterator[None]:
    """Meanwhile every gateway that this one has a line to is asked each second for a sign of life.

    A connection that is closed is noticed by whoever uses it, at once; one that is silent by nobody else.
    """
    seated = {seat.entity for seat in contract.seats}
    near = {other for other in contract.entities() if other in seated or entity in seated}
    tasks = [
        asyncio.create_task(_watch(other, contract, alive, found))
        for other in sorted((near | {contract.initiator}) - {entity})
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _watch(
    other: str, contract: Contract, alive: Callable[[str, float], Awaitable[bool]], found: asyncio.Future[Failure]
) -> None:
    loop, stall = asyncio.get_running_loop(), contract.deadlines.stall
    heard = loop.time()
    while True:
        asked = loop.time()
        if await alive(other, ASKED_EVERY):
            heard = asked
        if loop.time() - heard > stall and not found.done():
            text = f"the gateway of {other}, or the line to it, gave no sign of life for {stall} s"
            found.set_result(Failure(Reason.PEER_UNREACHABLE.value, UNDETERMINED, "session", text, "Ask again"))
        await asyncio.sleep(max(0.0, asked + ASKED_EVERY - loop.time()))


def _too_long(contract: Contract) -> Failure:
    text = f"the session was not over within {contract.deadlines.total} s"
    return Failure(Reason.DEADLINE_EXCEEDED.value, UNDETERMINED, "session", text, "Ask again")


def _silent(entity: str, contract: Contract) -> Failure:
    text = f"the space's agent gave no sign of life for {contract.deadlines.stall} s"
    action = f"The operator of {entity} has to look into it"
    return Failure(Reason.AGENT_UNREACHABLE.value, entity, "session", text, action)
