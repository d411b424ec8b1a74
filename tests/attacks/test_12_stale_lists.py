"""Row 12 by the clock: four gateways in this process whose clock the test moves, at the home gateway's port."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway import app
from gateway.client import AsyncClient, Profile, load_query
from gateway.domain.errors import IsthmusError, Reason
from gateway.edges import keys
from gateway.edges.clock import SystemClock
from gateway.sandbox.anchor import ANCHOR
from gateway.sandbox.federation import _free_ports
from gateway.sandbox.layout import SPACES
from tests.attacks.lone import laid_out
from tests.e2e.shell import QUERIES
from tests.unit.trust_kit import revocation_list

READY_WITHIN = 150.0
QUERY = load_query(QUERIES / "form_year.yaml").query


class MovedClock(SystemClock):
    ahead = 0

    def now(self) -> int:
        return super().now() + self.ahead

    def milliseconds(self) -> int:
        return super().milliseconds() + 1000 * self.ahead


@dataclass
class Federation:
    folder: Path
    clock: MovedClock
    gateways: list[app.Running]

    async def introduced(self) -> None:
        """What the anchor would tell its members of each other."""
        entities = [spec.entity for spec in SPACES]
        chains = [tuple(of.spaces.chains([entity])[0]) for entity, of in zip(entities, self.gateways, strict=True)]
        for gateway in self.gateways:
            await gateway.spaces.learn(str(ANCHOR), chains, ())

    async def anchor_signs(self) -> None:
        """The anchor's list reaches every gateway."""
        key = keys.load_signing_key(self.folder / "anchor" / "revocation.pem")
        token = revocation_list(ANCHOR, key, self.clock.now())
        for gateway in self.gateways:
            assert await gateway.revocations.hear([token], str(ANCHOR)) is None

    async def refreshed(self) -> None:
        """Everybody has asked everybody, as they do by themselves every twenty seconds."""
        await asyncio.gather(*(gateway.spaces.refresh() for gateway in self.gateways))

    async def asked(self) -> IsthmusError | None:
        """What `care` says to a plan, over its port."""
        profile = Profile.load(self.folder / "users" / "care-analyst.toml")
        async with AsyncClient(profile) as client:
            try:
                await client.plan(QUERY)
            except IsthmusError as problem:
                return problem
        return None

    async def comes_to(self, reason: Reason | None, space: str = "") -> str:
        """What is said once it is refused for `reason` because of `space`, or once it is not refused."""
        async with asyncio.timeout(READY_WITHIN):
            while True:
                problem = await self.asked()
                if problem is None and reason is None:
                    return ""
                if problem is not None and (problem.reason, problem.space) == (reason, space):
                    return problem.public
                await self.refreshed()
                await asyncio.sleep(0.2)


@pytest.fixture
async def federation(tmp_path: Path) -> AsyncIterator[Federation]:
    await laid_out(tmp_path, _free_ports(SPACES))
    made = Federation(tmp_path, MovedClock(), [])
    agents: list[asyncio.subprocess.Process] = []
    async with AsyncExitStack() as stack:
        for spec in SPACES:
            home = tmp_path / "spaces" / spec.name
            made.gateways.append(await stack.enter_async_context(app.running(home / "gateway.toml", made.clock)))
            command = (sys.executable, "-m", "gateway", "agent", "serve", "--embedded")
            config = ("--config", str(home / "agent.toml"))
            agents.append(await asyncio.create_subprocess_exec(*command, *config, stdin=asyncio.subprocess.PIPE))
        await made.introduced()
        await made.anchor_signs()
        try:
            yield made
        finally:
            for agent in agents:
                assert agent.stdin is not None
                agent.stdin.close()
                await agent.wait()


async def test_12_a_stale_list_refuses_what_is_asked_and_a_fresh_one_lets_it_pass(federation: Federation) -> None:
    await federation.comes_to(None)
    # All gateways sign on with their clock; the anchor says nothing for five minutes.
    federation.clock.ahead = 301 + 5
    text = await federation.comes_to(Reason.REVOCATION_STALE, "https://anchor.example")
    assert text.startswith("no revocation list of https://anchor.example newer than ")
    await federation.anchor_signs()
    await federation.comes_to(None)
