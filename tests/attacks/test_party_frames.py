"""Rows 20, 21, 25 and 26 at a real agent and a real party: a party and a provider of the contract that attack with
frames that they seal correctly.

The agent reports whom it received it from. One such report proves nothing to others, and names nobody; two seats that
report the same are more than t, and do (`gateway.rules.blame`).
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from connectors.engine.inputs import CHUNK_BYTES
from connectors.engine.wire import EARLY_FRAMES
from connectors.rules.session_keys import seal_input
from gateway.domain.session import PROVIDER_BASE, UNDETERMINED, Failure, Frame
from gateway.rules import blame
from gateway.rules.blame import Report
from gateway.rules.sealing import fresh_key
from tests.attacks.insider import Insider, from_party, insider, labelled
from tests.attacks.rogue import CARE, NEUTRAL, POLICE, REGISTRY, World
from tests.attacks.test_run_past_its_gateway import events
from tests.engine.test_wire import Canary

pytestmark = pytest.mark.asyncio(loop_scope="module")
STEPS = 300  # program counters: some step of the program comes by each of the first


@dataclass(frozen=True)
class Attack:
    """What police's tunnel brings, beside honest inputs, and the reason that care's agent reports."""

    frames: Callable[[Insider, bytes], list[Frame]]
    reason: str = "PROTOCOL_VIOLATION"


def sealed(change: Callable[[bytes], list[bytes]]) -> Callable[[Insider, bytes], list[Frame]]:
    """Frames of police's party, sealed in order, with what `change` makes of the canary as their content."""

    def frames(who: Insider, canary: bytes) -> list[Frame]:
        sealer = who.of(1).sealer
        return [*who.inputs_of(POLICE), *from_party(1, (sealer.seal(content) for content in change(canary)))]

    return frames


def unsealed(made: Callable[[Insider, bytes], bytes]) -> Callable[[Insider, bytes], list[Frame]]:
    return lambda who, canary: from_party(1, [made(who, canary)])


def _input(
    who: Insider, canary: bytes, *, key: bytes | None = None, final: bool = True, number: int = 0
) -> list[Frame]:
    """An input chunk of police that holds the canary, sealed to care's seat."""
    private = key or who.providers[POLICE][0]
    body = seal_input(who.public[0], private, who.session, POLICE, 0, number, final, canary)
    return [Frame(PROVIDER_BASE + who.index_of(POLICE), 0, bytes([final]) + number.to_bytes(4, "little") + body)]


ATTACKS = {
    "25 a canary at every step": Attack(sealed(lambda c: [labelled(step, c) for step in range(1, STEPS)])),
    "25 a canary without a step": Attack(sealed(lambda c: [c[:7]])),
    "25 a canary as an input": Attack(_input),
    "25 a canary as an input that goes on": Attack(
        lambda who, c: _input(who, c, final=False) + _input(who, c * 2000, number=1)
    ),
    "25 a canary that is not sealed": Attack(unsealed(lambda who, c: c), "FRAME_UNREADABLE"),
    "25 a canary as an input that another key sealed": Attack(
        lambda who, c: _input(who, c, key=fresh_key()[0]), "FRAME_UNREADABLE"
    ),
    "25 an array of elements outside the field": Attack(
        sealed(lambda c: [labelled(step, b"\xff" * 8 * length) for step, length in _near_lengths()])
    ),
    "25 the shutdown of stock MPyC": Attack(
        sealed(lambda c: [labelled(step, pickle.dumps(None)) for step in range(40)])
    ),
    "26 a frame larger than the bounds": Attack(sealed(lambda c: [labelled(1, bytes(24 << 20))])),
    "26 frames for ever, for steps that never come": Attack(
        sealed(lambda c: [labelled(10**6 + step, b"") for step in range(2 * EARLY_FRAMES)])
    ),
    "26 an input larger than the bounds": Attack(
        lambda who, c: (
            [Frame(PROVIDER_BASE + who.index_of(POLICE), 0, bytes(CHUNK_BYTES // 2 + 1), more=True)] * 2
            + [Frame(PROVIDER_BASE + who.index_of(POLICE), 0, b"x")]
        ),
        "FRAME_UNREADABLE",
    ),
    "26 the same step twice": Attack(sealed(lambda c: [labelled(10**6, b"")] * 2)),
    "26 a step before the first, twice": Attack(sealed(lambda c: [labelled(-1, b"")] * 2)),
    "21 a frame of another session": Attack(
        unsealed(lambda who, c: who.of(1, b"another session" + bytes(17)).sealer.seal(labelled(1, bytes(8)))),
        "FRAME_UNREADABLE",
    ),
    "20 the frame of another seat": Attack(
        unsealed(lambda who, c: who.of(2).sealer.seal(labelled(1, bytes(8)))), "FRAME_UNREADABLE"
    ),
    "26 frames out of order": Attack(
        lambda who, c: from_party(1, reversed([who.of(1).sealer.seal(b"first")] * 1 + _second(who))),
        "FRAME_UNREADABLE",
    ),
}


def _near_lengths() -> list[tuple[int, int]]:
    return [(step, 1) for step in range(1, STEPS)]


def _second(who: Insider) -> list[bytes]:
    sealer = who.of(1).sealer
    sealer.seal(b"the first, which is kept back")
    return [sealer.seal(labelled(1, bytes(8)))]


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[bytes]:
    """A pickle that leaves a mark where it is loaded; nowhere it was."""
    mark = tmp_path / "canary"
    os.chmod(tmp_path, 0o777)  # the party may run as somebody else
    yield pickle.dumps(Canary(mark))
    assert not mark.exists()


@pytest.mark.parametrize("name", ATTACKS)
async def test_20_21_25_26_a_party_that_breaks_the_protocol(world: World, canary: bytes, name: str) -> None:
    attack, who = ATTACKS[name], await insider(world)
    world.says = {
        POLICE: attack.frames(who, canary),
        REGISTRY: who.inputs_of(REGISTRY),
    }
    start, parties = len(world.facts()), world.parties()
    world.tunnel.open(who.contract)
    world.tunnel.start(who.contract.session)
    try:
        ended = (await events(world, who.agreed, lambda event: False))[-1]
    finally:
        world.says = {}
    assert isinstance(ended, Failure)
    assert (ended.reason, ended.culprit) == (attack.reason, POLICE), ended
    # What all spaces are told, when this is the only report: one of the two it was.
    told = blame.verdict(who.contract, [Report(CARE, ended)])
    assert told.culprit == UNDETERMINED
    assert CARE in told.text
    assert POLICE in told.text
    # And when the third party was attacked as well.
    assert blame.verdict(who.contract, [Report(CARE, ended), Report(NEUTRAL, ended)]).culprit == POLICE
    # It ended before any output share left, and its party with it.
    assert [fact.kind for fact in world.facts(start)] == ["ledger.answered", "session.started", "session.failed"]
    assert world.parties().isdisjoint(parties)
    assert NEUTRAL not in ended.text
