"""Row 12 at a running agent whose gateway does nothing but pass lists on."""

from __future__ import annotations

import asyncio
import time

import pytest

from gateway.domain.errors import Reason
from gateway.domain.session import Failure, RunEvent
from tests.attacks.rogue import ANSWER_WITHIN, POLICE, World
from tests.attacks.test_run_past_its_gateway import agree

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_12_a_running_session_ends_at_the_agent_by_itself(world: World) -> None:
    agreed = await agree(world)
    world.tunnel.open(agreed.contract)
    revoked = world.list_of(POLICE, contracts=[agreed.digest])
    seen: list[RunEvent] = []
    began = 0.0
    async with asyncio.timeout(ANSWER_WITHIN):
        async for event in world.line.run(agreed.token, tuple(agreed.approvals.values()), agreed.chains):
            seen.append(event)
            if not began:
                began = time.monotonic()
                world.line.tell([], [revoked])
    last = seen[-1]
    assert isinstance(last, Failure)
    assert (last.reason, last.culprit) == (Reason.REVOKED, POLICE)
    assert last.text == f"the contract was revoked by {POLICE}"
    assert time.monotonic() - began < 2.0
    failed = [fact for fact in world.facts() if fact.kind == "session.failed"]
    assert failed[-1].detail.startswith("REVOKED")
    await world.tunnel.close(agreed.contract.session)
