"""Broken set-ups, each really built, and what the doctor says of it: the cause, and whose turn it is."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace

import grpc
import pytest

from gateway.domain.diagnosis import KIB, LINE, MIB, Actor, Cause, Outcome, Step, Way
from gateway.domain.identity import EntityId
from gateway.domain.offer import ProgramOffer
from gateway.edges import doctor, reach
from gateway.edges.certificates import LEAF_LIFETIME, create_authority, server_certificate
from gateway.edges.federation import Federation
from gateway.edges.keys import new_signing_key
from tests.faults.clinic import (
    ANCHOR,
    HOME,
    PEER,
    THIRD,
    Diagnosis,
    OffClock,
    Site,
    between,
    diagnosed,
    federation,
    listener,
)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of a second of bulk tells a fast line from a slow one."""
    monkeypatch.setattr(doctor, "FLOW_LASTS", 0.1)


@pytest.fixture
def home() -> Site:
    return Site(HOME, new_signing_key())


@pytest.fixture
def peer(home: Site) -> Site:
    return Site(PEER, home.anchor)


def holds(found: Diagnosis, step: Step, cause: Cause, actor: Actor, way: Way = Way.THERE) -> None:
    """The root cause is this one; all before it went well, and nothing was tried for which it is needed."""
    at, root = found.root
    assert (at, root.step, root.cause, root.actor) == (way, step, cause, actor), root
    assert root.text and root.advice
    findings = found.way(way)
    assert {finding.step for finding in findings} == set(LINE)
    before = findings[: [finding.step for finding in findings].index(step)]
    assert {finding.outcome for finding in before} <= {Outcome.OK}, before
    if step in doctor.ESSENTIAL and root.outcome is Outcome.FAILED:
        after = findings[len(before) + 1 :]
        assert {finding.outcome for finding in after} == {Outcome.NOT_TRIED}
        if way is Way.THERE:
            (back,) = found.way(Way.BACK)
            assert back.outcome is Outcome.NOT_TRIED


async def elsewhere(home: Site, peer: Site, address: str, **how: bool) -> Diagnosis:
    """The peer listens, and what its statement and our configuration name is `address`."""
    peer.endpoint = address
    async with federation(home, peer):
        home.addresses[PEER] = address
        return await diagnosed(home)


async def test_nothing_is_wrong(home: Site, peer: Site) -> None:
    async with federation(home, peer):
        found = await diagnosed(home)
    for way in Way:
        assert [finding.step for finding in found.way(way)] == list(LINE)
        assert {finding.outcome for finding in found.way(way)} == {Outcome.OK}
    (fact,) = peer.audit.facts
    assert (fact.kind, fact.subject) == ("line.examined", HOME)


async def test_01_a_name_that_nobody_knows(home: Site, peer: Site) -> None:
    # A label of more than 63 octets is no name for any resolver (RFC 1035 section 2.3.4).
    found = await elsewhere(home, peer, f"{'gateway' * 10}.example:8443")
    holds(found, Step.NAME, Cause.NAME_UNKNOWN, Actor.PEER)


async def test_01_a_name_that_was_mistyped_at_home(home: Site, peer: Site) -> None:
    async with federation(home, peer):
        home.addresses[PEER] = f"{'gateway' * 10}.example:8443"
        found = await diagnosed(home)
    holds(found, Step.NAME, Cause.NAME_UNKNOWN, Actor.OWN)
    assert peer.endpoint in found.at(Step.NAME).advice


async def test_02_a_port_on_which_nobody_listens(home: Site, peer: Site) -> None:
    async with federation(home, peer):
        pass  # it listened here a moment ago
    found = await diagnosed(home)
    holds(found, Step.PORT, Cause.PORT_CLOSED, Actor.PEER)
    assert peer.endpoint in found.at(Step.PORT).text


@pytest.fixture
def swallowing() -> Iterator[str]:
    """A port whose queue is full: the system drops what else comes."""
    with ExitStack() as sockets:
        waiting = sockets.enter_context(socket.socket())
        waiting.bind(("127.0.0.1", 0))
        waiting.listen(0)
        for _ in range(2):
            filling = sockets.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(waiting.getsockname())
        yield f"127.0.0.1:{waiting.getsockname()[1]}"


async def test_03_a_port_that_drops_packets(
    home: Site, peer: Site, swallowing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "CONNECT_WITHIN", 1.0)
    found = await elsewhere(home, peer, swallowing)
    holds(found, Step.PORT, Cause.PORT_FILTERED, Actor.NETWORK)


async def test_03_a_port_that_accepts_and_never_answers(
    home: Site, peer: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "HANDSHAKE_WITHIN", 1.0)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with listener(silent) as address:
        found = await elsewhere(home, peer, address)
    holds(found, Step.TLS, Cause.TLS_SILENT, Actor.PEER)


async def test_04_a_grpc_server_without_tls(home: Site, peer: Site) -> None:
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        found = await elsewhere(home, peer, f"127.0.0.1:{port}")
    finally:
        await server.stop(None)
    holds(found, Step.TLS, Cause.TLS_ABSENT, Actor.PEER)


async def test_04_a_web_server_without_tls(home: Site, peer: Site) -> None:
    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with listener(web) as address:
        found = await elsewhere(home, peer, address)
    holds(found, Step.TLS, Cause.TLS_ABSENT, Actor.PEER)


async def test_04_something_that_hangs_up(home: Site, peer: Site) -> None:
    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(64 * KIB)

    async with listener(rude) as address:
        found = await elsewhere(home, peer, address)
    holds(found, Step.TLS, Cause.TLS_CLOSED, Actor.PEER)


async def test_05_a_certificate_of_another_ca_than_the_statement_names(home: Site, peer: Site) -> None:
    now = int(time.time())
    peer.server = server_certificate(create_authority(PEER, now), PEER, now, loopback=True)
    async with federation(home, peer):
        found = await diagnosed(home)
    holds(found, Step.TLS, Cause.WRONG_AUTHORITY, Actor.PEER)


async def test_06_the_certificate_of_another_entity(home: Site, peer: Site) -> None:
    third = Site(THIRD, home.anchor)
    async with federation(home, peer, third):
        home.addresses[PEER] = third.endpoint
        found = await diagnosed(home)
        # We dial where the peer does not say that it is.
        holds(found, Step.TLS, Cause.WRONG_ENTITY, Actor.OWN)
        assert "care.example" in found.at(Step.TLS).text


async def test_06_the_certificate_of_another_entity_at_the_stated_address(home: Site, peer: Site) -> None:
    now = int(time.time())
    peer.server = server_certificate(peer.authority, THIRD, now, loopback=True)
    async with federation(home, peer):
        found = await diagnosed(home)
    holds(found, Step.TLS, Cause.WRONG_ENTITY, Actor.PEER)


async def test_07_a_certificate_that_has_expired(home: Site, peer: Site) -> None:
    long_ago = int(time.time() - LEAF_LIFETIME.total_seconds()) - 3600
    peer.server = server_certificate(peer.authority, PEER, long_ago, loopback=True)
    async with federation(home, peer):
        found = await diagnosed(home)
    holds(found, Step.TLS, Cause.CERTIFICATE_EXPIRED, Actor.PEER)


async def test_07_a_certificate_that_soon_expires_works_and_is_told(home: Site, peer: Site) -> None:
    peer.server = server_certificate(
        peer.authority, PEER, int(time.time() - LEAF_LIFETIME.total_seconds()) + 5 * 86400, loopback=True
    )
    async with federation(home, peer):
        found = await diagnosed(home)
    holds(found, Step.TLS, Cause.CERTIFICATE_SOON, Actor.PEER)
    assert found.at(Step.POLICY).outcome is Outcome.OK


@pytest.mark.parametrize("off", [30, -30])
async def test_08_a_clock_that_is_off_and_nobody_else_to_ask(home: Site, off: float) -> None:
    peer = Site(PEER, home.anchor, OffClock(off))
    async with federation(home, peer):
        found = await diagnosed(home)
    holds(found, Step.CLOCK, Cause.CLOCKS_DIFFER, Actor.BOTH)
    measured = float(found.at(Step.CLOCK).measured.partition(" s")[0])
    assert measured == pytest.approx(off, abs=1.0)


@pytest.mark.parametrize("off", [30, -30])
async def test_08_a_third_gateway_tells_whose_clock_is_off(home: Site, off: float) -> None:
    peer, third = Site(PEER, home.anchor, OffClock(off)), Site(THIRD, home.anchor)
    async with federation(home, peer, third):
        found = await diagnosed(home)
    holds(found, Step.CLOCK, Cause.CLOCKS_DIFFER, Actor.PEER)


async def test_08_our_own_clock_is_off() -> None:
    anchor = new_signing_key()
    home = Site(HOME, anchor, OffClock(30))
    async with federation(home, Site(PEER, anchor), Site(THIRD, anchor)):
        found = await diagnosed(home)
    holds(found, Step.CLOCK, Cause.CLOCKS_DIFFER, Actor.OWN)


async def test_08_two_seconds_are_a_warning_that_is_measured(home: Site) -> None:
    peer = Site(PEER, home.anchor, OffClock(2.5))
    async with federation(home, peer):
        found = await diagnosed(home)
    finding = found.at(Step.CLOCK)
    assert (finding.outcome, finding.cause) == (Outcome.WARNING, Cause.CLOCKS_DIFFER)
    assert float(finding.measured.partition(" s")[0]) == pytest.approx(2.5, abs=0.2)
    assert found.at(Step.ROUND_TRIP).outcome is Outcome.OK


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
    monkeypatch.setattr(doctor, "PATIENCE", 1.0)
    async with federation(home, peer):
        async with between(peer.port, cut_after=300 * KIB, swallows=True) as address:
            home.addresses[PEER] = address
            found = await diagnosed(home)
    holds(found, Step.SIZES, Cause.LARGE_MESSAGES_CUT, Actor.NETWORK)
    assert "late" in found.at(Step.SIZES).measured


async def test_11_a_gateway_whose_limit_is_smaller(home: Site, peer: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway.edges.grpc import serve

    limited = [(name, MIB if name == "grpc.max_receive_message_length" else value) for name, value in serve.OPTIONS]
    monkeypatch.setattr(serve, "OPTIONS", tuple(limited))
    async with federation(home, peer):
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
