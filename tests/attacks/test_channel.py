"""Rows 13 to 15: who gets a connection, whose it is, and how much may come over it."""

from __future__ import annotations

import gzip
import socket
import ssl
import time
import warnings
from collections.abc import Sequence

import grpc
import pytest

from gateway.api.client.v1 import catalogue_pb2 as cat
from gateway.domain.identity import EntityId
from gateway.edges.certificates import Authority, Role, client_certificate, create_authority, load_authority
from gateway.edges.certificates import server_certificate as for_servers
from tests.attacks.forgery import CARE, POLICE, of_peer
from tests.attacks.port import GENERIC, LIST, OK, PEER, UNAUTHENTICATED, UNAVAILABLE, Answer, Port, bearer

NO_CONNECTION = (UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
GET_DATASET = "/isthmus.client.v1.CatalogueService/GetDataset"
HEALTH = "/grpc.health.v1.Health/Check"


def _authority(port: Port, space: str) -> Authority:
    tls = port.folder / "spaces" / space / "tls"
    return load_authority(tls / "ca.pem", tls / "ca.key.pem")


# 13: no connection.


def test_13_without_a_certificate_of_the_federation_there_is_no_connection(port: Port) -> None:
    now = int(time.time())
    foreign = create_authority(EntityId(CARE), now)
    forged = client_certificate(foreign, EntityId(CARE), Role.CLIENT, now, client_id="analyst")
    expired = client_certificate(_authority(port, "care"), EntityId(CARE), Role.CLIENT, now - 91 * 86400, client_id="a")
    # The certificate of the analyst with a key that is not its own.
    stolen = (port.client()[0], forged.key_pem)
    start = len(port.shell.facts())
    for credentials in (None, (forged.certificate_pem, forged.key_pem), (expired.certificate_pem, expired.key_pem)):
        for rpc in (LIST, PEER + "Describe", HEALTH):
            answer = port.call(rpc, b"", credentials, bearer(port.access_token()), timeout=2)
            assert answer.code in NO_CONNECTION, (rpc, answer)
    with pytest.raises(ssl.SSLError):
        _handshake(port, ssl.TLSVersion.TLSv1_3, *stolen)
    # Whoever never got through has said nothing that could be written down.
    assert len(port.shell.facts()) == start


def test_13_in_the_clear_there_is_no_connection(port: Port) -> None:
    token = bearer(port.access_token())
    with grpc.insecure_channel(port.address) as channel, pytest.raises(grpc.RpcError) as plain:
        channel.unary_unary(LIST)(b"", metadata=token, timeout=2)
    assert plain.value.code() in NO_CONNECTION
    host, _, number = port.address.partition(":")
    for said in (
        b"GET / HTTP/1.1\r\nHost: care.example\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
        b"\x16\x03\x01\xff\xff" + bytes(100),
    ):
        with socket.create_connection((host, int(number)), timeout=5) as raw:
            raw.sendall(said)
            raw.shutdown(socket.SHUT_WR)
            answer = raw.recv(4096)
            assert answer[:1] in (b"", b"\x15"), answer  # nothing, or a TLS alert
            assert b"HTTP" not in answer


def test_13_tls_below_1_2_gets_no_connection(port: Port) -> None:
    assert _handshake(port, ssl.TLSVersion.TLSv1_2, *port.client()) == "TLSv1.2"
    assert _handshake(port, ssl.TLSVersion.TLSv1_3, *port.client()) == "TLSv1.3"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that it is deprecated is the point
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                _handshake(port, version, *port.client())


def _handshake(port: Port, version: ssl.TLSVersion, certificate: bytes, key: bytes) -> str | None:
    """The version that was agreed on, once the server has spoken HTTP/2 under it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2"])
    pem, secret = port.shell.home / "handshake.pem", port.shell.home / "handshake.key.pem"
    pem.write_bytes(certificate)
    secret.write_bytes(key)
    context.load_cert_chain(pem, secret)
    host, _, number = port.address.partition(":")
    with socket.create_connection((host, int(number)), timeout=5) as raw, context.wrap_socket(raw) as wrapped:
        wrapped.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
        assert wrapped.recv(9)[3:4] == b"\4", "no settings frame came"
        return wrapped.version()


# 14: somebody else's connection.


def test_14_the_certificate_of_another_entity_is_not_the_tokens(port: Port) -> None:
    token = bearer(port.access_token())
    for credentials in (port.client("police"), port.gateway("police"), port.agent("police"), port.gateway("care")):
        _is_refused(port, LIST, b"", credentials, token)
    forger = of_peer(port)
    for credentials in (port.gateway("neutral"), port.agent("police"), port.client("police"), port.gateway("care")):
        _is_refused(port, forger.rpc, forger.sent, credentials, bearer(forger.saying()))


def test_14_a_name_is_certified_by_its_own_entity_alone(port: Port) -> None:
    """police's CA is believed for police; what it says of others gets through TLS and no further."""
    now, police = int(time.time()), _authority(port, "police")
    forger = of_peer(port)
    made = {
        "care's analyst": client_certificate(police, EntityId(CARE), Role.CLIENT, now, client_id="analyst"),
        "care's agent": client_certificate(police, EntityId(CARE), Role.AGENT, now),
        "care's gateway": client_certificate(police, EntityId(CARE), Role.GATEWAY, now),
        "neutral's gateway": client_certificate(police, EntityId("https://neutral.example"), Role.GATEWAY, now),
        "nobody's gateway": client_certificate(police, EntityId("https://evil.example"), Role.GATEWAY, now),
        "below police": client_certificate(police, EntityId(POLICE + "/north"), Role.GATEWAY, now),
    }
    for name, item in made.items():
        credentials = (item.certificate_pem, item.key_pem)
        for rpc, sent, token in (
            (LIST, b"", port.access_token()),
            (forger.rpc, forger.sent, forger.saying()),
            ("/isthmus.agent.v1.AgentService/Connect", b"", port.access_token()),
        ):
            _is_refused(port, rpc, sent, credentials, bearer(token), why="UNAUTHENTICATED", name=name)


def test_14_a_servers_certificate_is_no_clients(port: Port) -> None:
    server = for_servers(_authority(port, "care"), EntityId(CARE), int(time.time()))
    answer = port.call(LIST, b"", (server.certificate_pem, server.key_pem), bearer(port.access_token()), timeout=3)
    assert answer.code in (*NO_CONNECTION, UNAUTHENTICATED)


def test_14_two_authorization_headers_are_none(port: Port) -> None:
    token, forger = port.access_token(), of_peer(port)
    for headers in (
        [*bearer(token), *bearer(token)],
        [*bearer(token), *bearer("x")],
        [("authorization", f"Bearer {token}, Bearer {token}")],
        [("authorization", token)],
        [("authorization", f"bearer {token}")],
        [("authorization", f"Bearer  {token}")],
        [("authorization", f"Basic {token}")],
        [("authorization", f"DPoP {token}")],
        [("authorization", "")],
        [("authorization-bin", token.encode())],
        [("x-forwarded-authorization", f"Bearer {token}")],
    ):
        _is_refused(port, LIST, b"", port.client(), headers, why="MALFORMED")
    good = forger.saying()
    _is_refused(port, forger.rpc, forger.sent, forger.credentials, [*bearer(good), *bearer(forger.saying())])
    assert forger.call(good).code is OK


def test_14_what_a_header_says_of_the_caller_counts_for_nothing(port: Port) -> None:
    pem = port.gateway("police")[0].decode().replace("\n", "%0A")
    claimed = [("x-forwarded-client-cert", f"Cert={pem};URI={POLICE}"), ("x-client-cert", pem), ("x-user", "operator")]
    assert port.call(LIST, b"", port.client(), [*bearer(port.access_token()), *claimed]).code is OK
    forger = of_peer(port)
    _is_refused(port, forger.rpc, forger.sent, port.client(), [*bearer(forger.saying()), *claimed])


def _is_refused(
    port: Port,
    rpc: str,
    sent: bytes,
    credentials: tuple[bytes, bytes],
    metadata: Sequence[tuple[str, str | bytes]],
    *,
    why: str = "",
    name: str = "",
) -> None:
    with port.audits(rpc, why):
        answer: Answer = port.call(rpc, sent, credentials, metadata)
    assert (answer.code, answer.text) == (UNAUTHENTICATED, GENERIC), (name, answer)


# 15: too much.


def test_15_metadata_and_messages_have_a_limit(port: Port) -> None:
    token, forger = bearer(port.access_token()), of_peer(port)
    for more in ([("x", "y" * 200_000)], [(f"x{n}", "y" * 900) for n in range(300)]):
        assert port.call(LIST, b"", port.client(), [*token, *more]).code in (EXHAUSTED, UNAVAILABLE)
    large = b"\x0a" + bytes(6 * 1024 * 1024)
    assert port.call(LIST, large, port.client(), token).code is EXHAUSTED
    assert port.call(forger.rpc, large, forger.credentials, bearer(forger.saying())).code is EXHAUSTED
    for rpc in (PEER + "Run", PEER + "Tunnel"):
        assert port.call(rpc, large, forger.credentials, bearer(forger.saying())).code is EXHAUSTED
    assert port.call("/isthmus.agent.v1.AgentService/Carry", large, port.agent("care")).code is EXHAUSTED


@pytest.mark.parametrize("algorithm", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_15_a_message_counts_as_long_as_it_is_unpacked(port: Port, algorithm: grpc.Compression) -> None:
    bomb = cat.GetDatasetRequest(name="a" * (64 * 1024 * 1024)).SerializeToString()
    assert len(gzip.compress(bomb, 1)) < 1024 * 1024
    with port.channel(port.client()) as channel, pytest.raises(grpc.RpcError) as refused:
        call = channel.unary_unary(GET_DATASET)
        call(bomb, metadata=bearer(port.access_token()), timeout=15, compression=algorithm)
    assert refused.value.code() is EXHAUSTED
    assert str(port.folder) not in (refused.value.details() or "")
