"""A rotation while things go wrong: its own gateway is started again in the middle, and a peer sleeps through it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.client import AsyncClient, Profile
from gateway.domain.computation import State
from gateway.domain.errors import IsthmusError
from gateway.edges import ringfiles
from gateway.sandbox import federation
from gateway.sandbox.federation import Sandbox
from tests.e2e import rotation_kit as kit

AHEAD, OVERLAP = 8, 6
ROTATED = ("federation", "token", "contract", "revocation", "tls-ca")


async def test_a_restart_in_mid_rotation_and_a_peer_that_slept_through_it_cost_no_trust(tmp_path: Path) -> None:
    with (tmp_path / "log").open("ab") as log:
        folder = tmp_path / "federation"
        await kit.lay_out_small(folder)
        gateways = {spec.name: await start(folder, spec.name, log.fileno()) for spec in kit.SMALL}
        gateways["anchor"] = await federation._start("trust", folder / "anchor" / "anchor.toml", log.fileno())
        sandbox = Sandbox(folder, 0, kit.SMALL, {})
        home = folder / "spaces" / "care"
        try:
            await seen(sandbox, "care", "police", "neutral")
            assert (await kit.ask(sandbox, "care", "analyst")).computation.state is State.RELEASED
            await federation._stop(gateways["police"])
            for key in ROTATED:
                kit.rotate(home, key, AHEAD, OVERLAP)
            kit.tell_clients_of_ca(folder / "users", home, "care")
            latest = {key: ringfiles.read(ring(home, key)).latest for key in ROTATED}
            await until(min(entry.publish for entry in latest.values()) + 2)
            await federation._stop(gateways["care"])  # published, not yet in use
            gateways["care"] = await start(folder, "care", log.fileno())
            await seen(sandbox, "care", "neutral")
            kit.give_clients_certificates(folder / "users", home, "care")
            await until(max(entry.use for entry in latest.values()) + OVERLAP + 2)
            await seen(sandbox, "care", "neutral")
            # The old keys are gone, and police has heard of nothing.
            gateways["police"] = await start(folder, "police", log.fileno())
            for space in ("care", "police", "neutral"):
                await seen(sandbox, space, "care", "police", "neutral")
            for space in ("care", "police"):
                asked = await kit.ask(sandbox, space, "analyst")
                assert asked.computation.state is State.RELEASED, asked.computation.ending
        finally:
            await asyncio.gather(*(federation._stop(process) for process in gateways.values()))


def ring(home: Path, key: str) -> Path:
    folder = {"contract": "agent", "tls-ca": "tls"}.get(key, "keys")
    return home / folder / f"{key.removeprefix('tls-')}.ring.json"


async def start(folder: Path, space: str, log: int) -> asyncio.subprocess.Process:
    return await federation._start("gateway", folder / "spaces" / space / "gateway.toml", log)


async def seen(sandbox: Sandbox, asked: str, *others: str) -> None:
    """Wait until the gateway of `asked` reaches every one of `others` (itself among them)."""
    wanted = {f"https://{name}.example" for name in (asked, *others)}
    profile = Profile.load(sandbox.profile(asked, "analyst")).model_copy(update={"token": None})
    async with asyncio.timeout(120):
        while True:
            try:
                async with AsyncClient(profile) as client:
                    if wanted <= {space.operator.entity for space in await client.spaces() if space.reachable}:
                        return
            except IsthmusError:
                pass  # it is still coming up
            await asyncio.sleep(0.2)


async def until(instant: float) -> None:
    """The clock is what moves a rotation on."""
    import time

    while time.time() < instant:
        await asyncio.sleep(0.1)
