"""Broken lines, each really built, and what the doctor says of it: name, port, TLS, clock."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import grpc
import pytest

from gateway.domain.diagnosis import KIB, LINE, Actor, Cause, Outcome, Step, Way
from gateway.edges import reach
from gateway.edges.certificates import LEAF_LIFETIME, create_authority, server_certificate
from gateway.edges.keys import new_signing_key
from tests.faults.clinic import (
    HOME,
    PEER,
    THIRD,
    Diagnosis,
    OffClock,
    Site,
    diagnosed,
    federation,
    holds,
)
from tests.faults.wires import listener


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


async def test_01_an_address_without_a_port(home: Site, peer: Site) -> None:
    async with federation(home, peer):
        home.addresses[PEER] = "localhost"
        found = await diagnosed(home)
    holds(found, Step.NAME, Cause.NAME_UNKNOWN, Actor.OWN)


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
    assert measured == pytest.approx(off, abs=2.0)


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
