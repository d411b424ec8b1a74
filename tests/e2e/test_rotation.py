"""Every key of a space is rotated under a stream of computations, and none of them fails.

A computation crosses a rotation if any of it lies between the instant at which the next key is published and that at
which the old one is removed. All nine keys are rotated together, so one stream crosses all nine rotations; at each of
the three instants some computation is under way.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from gateway.api.peer.v1 import peer_pb2 as peer
from gateway.config import GatewayConfig, load
from gateway.domain.computation import State
from gateway.domain.identity import Entity, EntityId, KeyUse
from gateway.edges import keys, ringfiles
from gateway.edges.clock import SystemClock, SystemIds
from gateway.edges.federation import Federation
from gateway.edges.own_statement import own_statement
from gateway.edges.space_keys import SpaceKeys
from gateway.edges.tokens import sign
from gateway.rules.jose import parse_compact
from gateway.rules.keyring import KeyName, Ring
from gateway.rules.tokens import request_hash
from gateway.sandbox.federation import Sandbox
from tests.e2e import rotation_kit as kit
from tests.e2e.rotation_kit import Asked, Stream
from tests.long import LONG

CARE, POLICE = "https://care.example", "https://police.example"
CROSSING = 200 if LONG else 25
DESCRIBE = "/isthmus.peer.v1.PeerService/Describe"
# Of a drill: everybody polls twice a second, and a computation takes some seconds where the machine is busy.
AHEAD, OVERLAP = 15, 20
TOGETHER = ("federation", "token", "revocation", "recipient", "contract", "tls-ca")


@dataclass(frozen=True, slots=True)
class Space:
    """`care`, whose keys are rotated, as its operator and its peers see it."""

    sandbox: Sandbox

    @property
    def home(self) -> Path:
        return self.sandbox.folder / "spaces" / "care"

    def path(self, key: KeyName) -> Path:
        folder, name = {
            KeyName.CONTRACT: ("agent", "contract"),
            KeyName.TLS_CA: ("tls", "ca"),
            KeyName.TLS_SERVER: ("tls", "gateway"),
            KeyName.TLS_CLIENT: ("tls", "to-peers"),
            KeyName.TLS_AGENT: ("agent", "agent"),
        }.get(key, ("keys", key.value))
        return self.home / folder / f"{name}.ring.json"

    def rings(self) -> dict[KeyName, Ring]:
        return {key: ringfiles.read(self.path(key)) for key in KeyName}

    def described(self) -> Entity:
        """What care's port tells its peer police of care, verified with the pinned anchor."""
        police = self.sandbox.folder / "spaces" / "police"
        settings = load(GatewayConfig, police / "gateway.toml")
        trust = Federation([anchor.load() for anchor in settings.anchors], SystemClock().now)
        rings = SpaceKeys(settings.keys, settings.tls, settings.entity, trust, SystemClock())
        own = own_statement(settings, rings, [anchor.entity for anchor in settings.anchors], int(time.time()))
        sent = peer.DescribeRequest(chain=[own, *settings.statement.read_text().split()]).SerializeToString()
        now = int(time.time())
        claims = {
            "iss": POLICE, "sub": POLICE, "aud": CARE, "iat": now, "exp": now + 60, "jti": SystemIds().fresh(),
            "rpc": DESCRIBE, "rqh": request_hash(sent),
        }  # fmt: skip
        token = sign("isthmus-request+jwt", claims, keys.load_signing_key(police / "keys" / "token.pem"))
        tls = grpc.ssl_channel_credentials(
            (self.sandbox.folder / "users" / "care.ca.pem").read_bytes(),
            (police / "tls" / "to-peers.key.pem").read_bytes(),
            (police / "tls" / "to-peers.pem").read_bytes(),
        )
        options = (("grpc.ssl_target_name_override", "care.example"), ("grpc.use_local_subchannel_pool", 1))
        with grpc.secure_channel(self.sandbox.addresses["care"], tls, options) as channel:
            call = channel.unary_unary(DESCRIBE, None, peer.DescribeResponse.FromString)
            answer = call(sent, metadata=(("authorization", f"Bearer {token}"),), timeout=20)
        return trust.admit(tuple(answer.chain))

    def certificate_of_port(self) -> str:
        """The kid of the certificate that the port shows in a handshake now."""
        from gateway.edges.certificates import kid_of

        host, _, port = self.sandbox.addresses["care"].partition(":")
        return kid_of(ssl.get_server_certificate((host, int(port)), timeout=20).encode())


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    with (tmp_path / "log").open("ab") as log:
        async with kit.federation(tmp_path / "federation", log.fileno()) as running:
            yield running
    print((tmp_path / "log").read_text()[-4000:])


@pytest.mark.timeout(900)
async def test_every_key_of_a_space_is_rotated_while_computations_run_and_none_fails(sandbox: Sandbox) -> None:
    space, stream = Space(sandbox), Stream(sandbox)
    async with stream.flowing():
        await stream.until(lambda: len(stream.done) >= 9)
        for key in TOGETHER:
            kit.rotate(space.home, key, AHEAD, OVERLAP)
        kit.tell_clients_of_ca(sandbox.folder / "users", space.home, "care")
        rings = space.rings()
        publish, use = max(r.latest.publish for r in rings.values()), max(r.latest.use for r in rings.values())
        assert all(ring.latest.use > publish for ring in rings.values() if ring is not rings[KeyName.RECIPIENT])
        await _published(space, rings)
        assert time.time() < use

        await stream.until(lambda: time.time() > use + 3)
        kit.give_clients_certificates(sandbox.folder / "users", space.home, "care")
        # What is counted is computations, not seconds: the old keys stay for as long as it takes here.
        while _crossing(stream.done, space) < CROSSING:
            kit.lengthen([space.path(key) for key in KeyName], int(time.time()) + OVERLAP)
            await stream.more(6)
        retire = _retire(space)
        await stream.until(lambda: time.time() > retire + 3)
        await stream.more(6)
        await _removed(space, rings)
    done = stream.done
    print(_told(done, space))

    assert [asked for asked in done if asked.computation.state is not State.RELEASED] == []
    assert {asked.space for asked in done} == {"care", "police", "neutral"}
    assert _crossing(done, space) >= CROSSING
    for key, ring in space.rings().items():
        before = ring.entries[-2]
        crossed = [a for a in done if a.ended >= ring.latest.publish and a.began <= (before.retire or retire)]
        assert len(crossed) >= CROSSING, key
        for instant in (ring.latest.publish, ring.latest.use, before.retire or retire):
            assert any(a.began < instant < a.ended for a in done), (key, instant)
    _new_keys_sign(done, rings, use)


def _retire(space: Space) -> int:
    return max(e.retire for ring in space.rings().values() for e in ring.entries if e.retire is not None)


def _crossing(done: list[Asked], space: Space) -> int:
    """How many crossed the narrowest rotation, up to now."""
    rings = space.rings().values()
    publish = max(ring.latest.publish for ring in rings)
    end = min(e.retire for ring in rings for e in ring.entries if e.retire is not None)
    return sum(asked.ended >= publish and asked.began <= end for asked in done)


async def _published(space: Space, rings: dict[KeyName, Ring]) -> None:
    """Care's statement names both keys of each pair, vouched for by the anchor; the port shows the old certificate."""
    assert await asyncio.to_thread(space.certificate_of_port) == rings[KeyName.TLS_SERVER].entries[0].kid
    entity = await _eventually(space, lambda entity: all(len(entity.keys(use)) == 2 for use in KeyUse))
    assert entity.tls_ca.count("BEGIN CERTIFICATE") == 2


async def _removed(space: Space, rings: dict[KeyName, Ring]) -> None:
    """Care's statement names the new keys alone, the port shows the new certificate; old public keys are kept."""
    entity = await _eventually(space, lambda entity: all(len(entity.keys(use)) == 1 for use in KeyUse))
    named = {
        KeyName.FEDERATION: KeyUse.FEDERATION,
        KeyName.TOKEN: KeyUse.TOKENS,
        KeyName.CONTRACT: KeyUse.CONTRACTS,
        KeyName.REVOCATION: KeyUse.REVOCATIONS,
    }
    assert {key: entity.keys(use)[0].kid for key, use in named.items()} == {key: rings[key].latest.kid for key in named}
    assert entity.tls_ca.count("BEGIN CERTIFICATE") == 1
    assert await asyncio.to_thread(space.certificate_of_port) == rings[KeyName.TLS_SERVER].latest.kid
    assert all(len(ring.entries) == 2 for ring in space.rings().values())


async def _eventually(space: Space, reached: Callable[[Entity], bool]) -> Entity:
    """What care says of itself, once it says so."""
    async with asyncio.timeout(20):
        while True:
            entity = await asyncio.to_thread(space.described)
            if reached(entity):
                return entity
            await asyncio.sleep(0.2)


def _new_keys_sign(done: list[Asked], rings: dict[KeyName, Ring], use: int) -> None:
    """Before the switch the old keys have signed, well after it the new ones, and nothing else ever."""
    for key, tokens in (
        (KeyName.CONTRACT, lambda a: [t for t in a.computation.approvals if _issuer(t) == CARE]),
        (KeyName.TOKEN, lambda a: [a.computation.contract] if a.space == "care" else []),
    ):
        ring = rings[key]
        signed = [(a, parse_compact(token, 512 * 1024).kid) for a in done for token in tokens(a)]  # type: ignore[no-untyped-call]
        assert {kid for _, kid in signed} == {entry.kid for entry in ring.entries}, key
        assert {kid for a, kid in signed if a.ended < use} == {ring.entries[0].kid}
        assert {kid for a, kid in signed if a.began > use + 5} == {ring.latest.kid}


def _issuer(token: str) -> EntityId:
    return EntityId(parse_compact(token, 512 * 1024).claims["iss"])


def _told(done: list[Asked], space: Space) -> str:
    took = sorted(a.ended - a.began for a in done)
    return (
        f"{len(done)} computations, {_crossing(done, space)} across each rotation, "
        f"{dict(Counter(a.space for a in done))}; "
        f"median {took[len(took) // 2]:.2f} s, longest {took[-1]:.2f} s; "
        f"{len(done) / (done[-1].ended - done[0].began):.2f} per second"
    )
