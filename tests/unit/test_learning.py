"""What a gateway makes of what its anchor tells it: peers come and go, and an anchor cannot go beyond its word."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import Anchor, EntityId
from gateway.edges.documents import Reader
from gateway.edges.federation import Federation, subordinate_statement
from gateway.edges.keys import SigningKey, new_signing_key
from gateway.edges.revocations import Revocations
from gateway.edges.spaces import Spaces
from gateway.edges.tokens import Verifier
from gateway.rules.jose import TokenProblem
from gateway.rules.tokens import DAY
from tests.anchor_kit import Clock
from tests.fakes import MemoryAuditLog, MemoryBeliefs
from tests.unit.trust_kit import ANCHOR, CARE, NOW, POLICE, Space, chain_of, configuration_of, new_space

OTHER = EntityId("https://other.example")
KEY, OTHER_KEY = new_signing_key(), new_signing_key()
POLICE_SPACE = new_space(POLICE)


@dataclass
class Bench:
    spaces: Spaces
    trust: Federation
    kept: MemoryBeliefs
    clock: Clock

    @property
    def peers(self) -> set[str]:
        return set(self.spaces._chains)


def no_line(peer: EntityId) -> Any:
    raise AssertionError(f"{peer} is dialled")


@pytest.fixture(params=[None])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    clock, kept = Clock(), MemoryBeliefs()
    pins = [Anchor(ANCHOR, (KEY.jwk,), (CARE, POLICE)), Anchor(OTHER, (OTHER_KEY.jwk,), (CARE, POLICE))]
    trust = Federation(pins, clock.now, kept, listed=request.param)
    reader = Reader(Verifier(trust, clock.now))
    revocations = Revocations(CARE, trust, kept, MemoryAuditLog(), clock)
    yield Bench(Spaces(CARE, trust, reader, clock, tuple, no_line, revocations), trust, kept, clock)


def through(space: Space, anchor: EntityId, key: SigningKey, now: int = NOW) -> tuple[str, ...]:
    statement = subordinate_statement(anchor, space.entity_id, [space.federation.jwk], key, now)
    return configuration_of(space, now, anchor), statement


async def after_a_restart(bench: Bench) -> set[str]:
    """The peers of a gateway that starts with what was kept, before anybody has told it anything."""
    trust = Federation(bench.trust.anchors, bench.clock.now, bench.kept)
    reader = Reader(Verifier(trust, bench.clock.now))
    revocations = Revocations(CARE, trust, bench.kept, MemoryAuditLog(), bench.clock)
    again = Bench(Spaces(CARE, trust, reader, bench.clock, tuple, no_line, revocations), trust, bench.kept, bench.clock)
    await again.spaces.restore()
    return again.peers


async def test_whom_the_anchor_vouches_for_is_a_peer_at_once_and_after_a_restart(bench: Bench) -> None:
    chain = tuple(chain_of(POLICE_SPACE, KEY))
    await bench.spaces.learn(ANCHOR, [chain], ())
    assert bench.peers == {POLICE} and POLICE_SPACE.authority.certificate_pem in bench.trust.roots()
    assert await after_a_restart(bench) == {POLICE}


@pytest.mark.parametrize("bench", [frozenset({"https://somebody.example"})], indirect=True)
async def test_where_peers_are_listed_nobody_else_is_one(bench: Bench) -> None:
    await bench.spaces.learn(ANCHOR, [tuple(chain_of(POLICE_SPACE, KEY))], ())
    assert bench.peers == set()
    # Nor may it call: its certificates and tokens are nobody's.
    assert bench.trust.entity(POLICE) is None and POLICE_SPACE.authority.certificate_pem not in bench.trust.roots()


async def test_whom_the_anchor_may_not_vouch_for_is_nobody(bench: Bench) -> None:
    stranger = new_space(EntityId("https://stranger.example"))
    forged = tuple(chain_of(POLICE_SPACE, new_signing_key()))
    await bench.spaces.learn(ANCHOR, [tuple(chain_of(stranger, KEY)), forged, ("x", "y")], ())
    assert bench.peers == set() and await after_a_restart(bench) == set()


async def test_a_suspended_member_is_gone_and_no_chain_through_that_anchor_brings_it_back(bench: Bench) -> None:
    chain = tuple(chain_of(POLICE_SPACE, KEY))
    await bench.spaces.learn(ANCHOR, [chain], ())
    await bench.spaces.learn(ANCHOR, [], (POLICE,))
    assert bench.peers == set() and bench.trust.entity(POLICE) is None
    with pytest.raises(TokenProblem, match="not accepted") as caught:
        bench.trust.admit(chain)
    assert "suspended" in caught.value.private
    await bench.spaces.learn(ANCHOR, [chain], ())  # the anchor lifts it
    assert bench.peers == {POLICE}


async def test_who_is_no_peer_any_more_has_no_chain_to_push_and_that_is_said(bench: Bench) -> None:
    chain = tuple(chain_of(POLICE_SPACE, KEY))
    await bench.spaces.learn(ANCHOR, [chain], ())
    assert bench.spaces.chains([CARE, POLICE]) == [(), chain]
    bench.clock.time += DAY + 1
    await bench.spaces.refresh()
    with pytest.raises(IsthmusError) as caught:
        bench.spaces.chains([CARE, POLICE])
    assert (caught.value.reason, caught.value.space) == (Reason.PEER_UNREACHABLE, POLICE)


async def test_an_anchor_takes_nobody_away_for_whom_it_does_not_vouch(bench: Bench) -> None:
    await bench.spaces.learn(ANCHOR, [tuple(chain_of(POLICE_SPACE, KEY))], ())
    await bench.spaces.learn(OTHER, [], (POLICE,))
    assert bench.peers == {POLICE}


async def test_an_anchor_does_not_lift_what_another_has_suspended(bench: Bench) -> None:
    chain = tuple(chain_of(POLICE_SPACE, KEY))
    await bench.spaces.learn(ANCHOR, [chain], (POLICE,))
    await bench.spaces.learn(OTHER, [chain], ())
    assert bench.trust.entity(POLICE) is None
    await bench.spaces.learn(OTHER, [through(POLICE_SPACE, OTHER, OTHER_KEY)], ())
    assert bench.peers == {POLICE}


async def test_a_peer_whose_statement_has_expired_goes_and_comes_back_with_a_new_one(bench: Bench) -> None:
    await bench.spaces.learn(ANCHOR, [tuple(chain_of(POLICE_SPACE, KEY))], ())
    bench.clock.time = NOW + DAY + 10
    await bench.spaces.learn(ANCHOR, [], ())
    assert bench.peers == set()
    await bench.spaces.learn(ANCHOR, [tuple(chain_of(POLICE_SPACE, KEY, bench.clock.time))], ())
    assert bench.peers == {POLICE}
