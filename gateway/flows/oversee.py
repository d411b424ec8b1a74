"""A session that runs at the own agent, overseen by its gateway: for what the gateway finds, for silence, for the time.

Invariant: whatever the agent does, its events end: with its own last one, or with the failure that is found here, of
which the agent is told as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from gateway.domain.contract import Contract
from gateway.domain.errors import Reason
from gateway.domain.session import UNDETERMINED, Failure, RunEvent
from gateway.ports import Agent


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


def _too_long(contract: Contract) -> Failure:
    text = f"the session was not over within {contract.deadlines.total} s"
    return Failure(Reason.DEADLINE_EXCEEDED.value, UNDETERMINED, "session", text, "Ask again")


def _silent(entity: str, contract: Contract) -> Failure:
    text = f"the space's agent gave no sign of life for {contract.deadlines.stall} s"
    action = f"The operator of {entity} has to look into it"
    return Failure(Reason.AGENT_UNREACHABLE.value, entity, "session", text, action)
