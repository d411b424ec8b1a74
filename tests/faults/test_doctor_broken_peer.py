"""Broken peers and paths, each really built, and what the doctor says of it: trust, versions, policy, load."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from gateway.domain.diagnosis import KIB, MIB, Actor, Cause, Outcome, Step, Way
from gateway.domain.identity import EntityId
from gateway.domain.offer import ProgramOffer
from gateway.edges import transfers
from gateway.edges.certificates import create_authority, server_certificate
from gateway.edges.federation import Federation
from gateway.edges.grpc import serve
from gateway.edges.keys import new_signing_key
from tests.faults.clinic import (
    ANCHOR,
    HOME,
    PEER,
    THIRD,
    Site,
    diagnosed,
    federation,
    holds,
)
from tests.faults.wires import between


@pytest.mark.parametrize(("release", "actor"), [("0.0.9", Actor.PEER), ("9.0.0", Actor.OWN), ("", Actor.BOTH)])
async def test_09_versions_that_do_not_meet(home: Site, peer: Site, release: str, actor: Actor) -> None:
    peer.release = release
    peer.agent.offered = replace(peer.agent.offered, engine="mpyc 0.12", codec=2)
    async with federation(home, peer):
        found = await diagnosed(home)
    holds(found, Step.VERSIONS, Cause.VERSIONS_APART, actor)
    assert "mpyc 0.12" in found.at(Step.VERSIONS).measured
    # The line itself can still be measured.
    assert found.at(Step.SIZES).outcome is Outcome.OK


async def test_09_no_program_in_common(home: Site, peer: Site) -> None:
    peer.agent.offered = replace(peer.agent.offered, programs=(ProgramOffer("overlap", 1, "0" * 64, "sizes"),))
    async with federation(home, peer):
        found = await diagnosed(home)
    holds(found, Step.VERSIONS, Cause.VERSIONS_APART, Actor.BOTH)


async def test_09_a_release_that_examines_nobody(home: Site, peer: Site) -> None:
    async with federation(home, peer, examines=False):
        found = await diagnosed(home)
    way, root = found.root
    assert (way, root.step, root.cause, root.actor) == (Way.THERE, Step.CLOCK, Cause.PROBE_UNKNOWN, Actor.PEER)
    assert {item.outcome for _, item in found.found} <= {Outcome.OK, Outcome.WARNING, Outcome.NOT_TRIED}
    (back,) = found.way(Way.BACK)
    assert back.cause is Cause.EXAMINATION_UNKNOWN


async def test_10_a_policy_that_opens_nothing_to_us(home: Site, peer: Site) -> None:
    peer.agent.allowed = (THIRD,)
    async with federation(home, peer):
        found = await diagnosed(home)
    holds(found, Step.POLICY, Cause.NOTHING_OPEN, Actor.PEER)
    assert found.at(Step.POLICY, Way.BACK).outcome is Outcome.OK


async def test_10_our_policy_opens_nothing_to_the_peer(home: Site, peer: Site) -> None:
    home.agent.allowed = ()
    async with federation(home, peer):
        found = await diagnosed(home)
    holds(found, Step.POLICY, Cause.NOTHING_OPEN, Actor.OWN, Way.BACK)


async def test_11_a_proxy_that_ends_long_transfers(home: Site, peer: Site) -> None:
    async with federation(home, peer):
        async with between(peer.port, cut_after=300 * KIB) as address:
            home.addresses[PEER] = address
            found = await diagnosed(home)
    holds(found, Step.SIZES, Cause.LARGE_MESSAGES_CUT, Actor.NETWORK)
    assert "largest 64 KiB" in found.at(Step.SIZES).measured
    assert "1 MiB from home.example to police.example" in found.at(Step.SIZES).text


async def test_11_a_path_that_swallows_long_transfers(home: Site, peer: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "PATIENCE", 1.0)
    async with federation(home, peer):
        async with between(peer.port, cut_after=300 * KIB, swallows=True) as address:
            home.addresses[PEER] = address
            found = await diagnosed(home)
    holds(found, Step.SIZES, Cause.LARGE_MESSAGES_CUT, Actor.NETWORK)
    assert "late" in found.at(Step.SIZES).measured


async def test_11_a_gateway_whose_limit_is_smaller(home: Site, peer: Site) -> None:
    limited = [(name, MIB if name == "grpc.max_receive_message_length" else value) for name, value in serve.OPTIONS]
    async with federation(home, peer, options=limited):
        found = await diagnosed(home)
    holds(found, Step.SIZES, Cause.LARGE_MESSAGES_REFUSED, Actor.PEER)
    assert "largest 64 KiB" in found.at(Step.SIZES).measured


async def test_12_a_peer_that_does_not_know_our_ca(home: Site, peer: Site) -> None:
    async with federation(home, peer, roots=peer.authority.certificate_pem):
        found = await diagnosed(home)
    holds(found, Step.TLS, Cause.CERTIFICATE_REFUSED, Actor.PEER)


async def test_12_a_client_certificate_of_ours_that_our_statement_does_not_cover(home: Site, peer: Site) -> None:
    home.to_peers = Site(HOME, home.anchor).to_peers
    async with federation(home, peer):
        found = await diagnosed(home)
    holds(found, Step.TLS, Cause.OWN_CERTIFICATE, Actor.OWN)


async def test_12_a_peer_that_knows_our_ca_and_does_not_believe_us(home: Site, peer: Site) -> None:
    async with federation(home, peer):
        peer.trust = Federation(peer.trust.anchors, peer.clock.now)
        async with peer_again(peer, home) as again:
            home.addresses[PEER] = again
            found = await diagnosed(home)
    holds(found, Step.CHAIN, Cause.NOT_BELIEVED, Actor.PEER)


@asynccontextmanager
async def peer_again(peer: Site, home: Site) -> AsyncIterator[str]:
    """The same peer on another port, with what it believes now."""
    peer.trust.admit(peer.chain())
    peer.endpoint = ""
    async with peer.serving(home):
        yield peer.endpoint


async def test_13_our_own_endpoint_cannot_be_reached(home: Site, peer: Site) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        home.endpoint = f"127.0.0.1:{taken.getsockname()[1]}"
        async with federation(home, peer):
            found = await diagnosed(home)
    assert {finding.outcome for finding in found.way(Way.THERE)} == {Outcome.OK}
    holds(found, Step.PORT, Cause.PORT_CLOSED, Actor.OWN, Way.BACK)
    assert home.endpoint in found.at(Step.PORT, Way.BACK).text


async def test_13_a_peer_learns_nothing_of_others_by_having_itself_examined(home: Site, peer: Site) -> None:
    now = int(time.time())
    async with federation(home, peer):
        inside = Site(THIRD, home.anchor)
        inside.server = server_certificate(create_authority(THIRD, now), THIRD, now)
        async with inside.serving():
            # Home states somebody else's address as its own.
            home.endpoint = inside.endpoint
            peer.trust.admit(home.chain())
            found = await diagnosed(home)
    holds(found, Step.TLS, Cause.WRONG_ENTITY, Actor.OWN, Way.BACK)
    said = " ".join(f"{finding.text} {finding.measured}" for finding in found.way(Way.BACK))
    assert "care" not in said and "another name" in said


async def test_14_an_agent_that_is_not_connected(home: Site, peer: Site) -> None:
    peer.agent.connected = False
    async with federation(home, peer):
        found = await diagnosed(home)
    holds(found, Step.AGENT, Cause.AGENT_AWAY, Actor.PEER)
    assert found.at(Step.POLICY).outcome is Outcome.NOT_TRIED
    assert found.at(Step.BANDWIDTH).outcome is Outcome.OK


async def test_14_our_own_agent_is_not_connected(home: Site, peer: Site) -> None:
    home.agent.connected = False
    async with federation(home, peer):
        found = await diagnosed(home)
    assert found.at(Step.VERSIONS).cause is Cause.OWN_AGENT_AWAY
    holds(found, Step.AGENT, Cause.AGENT_AWAY, Actor.OWN, Way.BACK)


async def test_15_a_slow_line(home: Site, peer: Site) -> None:
    async with federation(home, peer):
        async with between(peer.port, rate=128 * KIB) as address:
            home.addresses[PEER] = address
            found = await diagnosed(home)
    holds(found, Step.SIZES, Cause.LINE_SLOW, Actor.NETWORK)
    finding = found.at(Step.BANDWIDTH)
    assert (finding.outcome, finding.cause, finding.actor) == (Outcome.WARNING, Cause.LINE_SLOW, Actor.NETWORK)
    assert "largest 64 KiB" in found.at(Step.SIZES).measured
    megabits = float(finding.measured.partition(" Mbit/s")[0])
    assert 0.3 < megabits < 2.0


async def test_16_an_anchor_that_is_not_pinned_here(home: Site, peer: Site) -> None:
    async with federation(home, peer):
        peer.anchor_id, peer.anchor = EntityId("https://other-anchor.example"), new_signing_key()
        found = await diagnosed(home)
    holds(found, Step.CHAIN, Cause.ANCHOR_UNKNOWN, Actor.OWN)
    assert peer.anchor_id in found.at(Step.CHAIN).text


async def test_17_an_anchors_statement_that_has_expired(home: Site, peer: Site) -> None:
    async with federation(home, peer):
        peer.vouched = 31 * 86400
        found = await diagnosed(home)
    holds(found, Step.CHAIN, Cause.STATEMENT_EXPIRED, Actor.PEER)
    assert ANCHOR in found.at(Step.CHAIN).text


async def test_an_examination_is_given_to_nobody_often(home: Site, peer: Site) -> None:
    async with federation(home, peer):
        service = [await examined_by(peer, home) for _ in range(7)]
    assert service == [True] * 6 + [False]


async def examined_by(peer: Site, home: Site) -> bool:
    """Whether the peer examines us once more; a short one, because our port is closed by then."""
    found = await diagnosed(home)
    return all(finding.cause is not Cause.EXAMINATION_REFUSED for finding in found.way(Way.BACK))
