"""Certificates: whom they name, who may say so, and gRPC's own handshake over them."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.domain.errors import IsthmusError
from gateway.domain.identity import parse_entity_id
from gateway.edges.certificates import (
    Authority,
    Credentials,
    Purpose,
    Role,
    claimed_uri,
    client_certificate,
    create_authority,
    entity_in,
    holder_of,
    issued_by,
    load_authority,
    server_certificate,
    thumbprint,
    write_authority,
)
from gateway.edges.keys import new_signing_key, pem_of, write_secret
from gateway.rules.jose import TokenProblem
from tests.unit.trust_kit import CARE, NOW, POLICE

TODAY = int(datetime.now(UTC).timestamp())  # the handshake itself asks the machine's clock


def _stands(kid: str) -> bool:
    return False


CARE_CA = create_authority(CARE, TODAY)
POLICE_CA = create_authority(POLICE, TODAY)
DAY = 86400


@pytest.mark.parametrize(
    ("role", "client_id", "uri"),
    [
        (Role.GATEWAY, "", "https://care.example"),
        (Role.AGENT, "", "https://care.example/agent"),
        (Role.CLIENT, "analyst", "https://care.example/clients/analyst"),
    ],
)
def test_a_client_certificate_names_its_holder(role: Role, client_id: str, uri: str) -> None:
    pem = client_certificate(CARE_CA, CARE, role, TODAY, client_id=client_id).certificate_pem
    holder = holder_of(pem, CARE, CARE_CA.certificate_pem, TODAY, _stands)
    assert claimed_uri(pem) == uri
    assert entity_in(uri) == CARE
    assert (holder.entity_id, holder.role, holder.client_id) == (CARE, role, client_id)
    assert holder.thumbprint == thumbprint(x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER))


def test_another_spaces_ca_certifies_no_name_of_ours() -> None:
    forged = client_certificate(POLICE_CA, CARE, Role.AGENT, TODAY).certificate_pem
    with pytest.raises(TokenProblem):
        holder_of(forged, CARE, CARE_CA.certificate_pem, TODAY, _stands)  # police is not our CA
    with pytest.raises(TokenProblem):
        holder_of(forged, POLICE, POLICE_CA.certificate_pem, TODAY, _stands)  # and we are not police


def test_a_name_that_merely_begins_like_ours_is_not_ours() -> None:
    for name in ("https://care.example.evil", "https://care.examples", "https://care.example/other"):
        pem = client_certificate(CARE_CA, parse_entity_id(name), Role.AGENT, TODAY).certificate_pem
        with pytest.raises(TokenProblem):
            holder_of(pem, CARE, CARE_CA.certificate_pem, TODAY, _stands)


def test_during_a_rotation_either_ca_counts() -> None:
    old, new = CARE_CA, create_authority(CARE, TODAY)
    bundle = old.certificate_pem + new.certificate_pem
    for authority in (old, new):
        pem = client_certificate(authority, CARE, Role.GATEWAY, TODAY).certificate_pem
        assert issued_by(pem, bundle, TODAY, Purpose.CLIENT)


def test_a_certificate_is_for_one_purpose() -> None:
    server = server_certificate(CARE_CA, CARE, TODAY).certificate_pem
    client = client_certificate(CARE_CA, CARE, Role.GATEWAY, TODAY).certificate_pem
    assert issued_by(server, CARE_CA.certificate_pem, TODAY, Purpose.SERVER)
    assert not issued_by(server, CARE_CA.certificate_pem, TODAY, Purpose.CLIENT)
    assert not issued_by(client, CARE_CA.certificate_pem, TODAY, Purpose.SERVER)


def test_a_certificate_counts_only_while_it_is_valid() -> None:
    pem = client_certificate(CARE_CA, CARE, Role.GATEWAY, TODAY).certificate_pem
    authority = CARE_CA.certificate_pem
    assert issued_by(pem, authority, TODAY - 299, Purpose.CLIENT)
    assert not issued_by(pem, authority, TODAY - 301, Purpose.CLIENT)
    assert issued_by(pem, authority, TODAY + 90 * DAY, Purpose.CLIENT)
    assert not issued_by(pem, authority, TODAY + 90 * DAY + 1, Purpose.CLIENT)


def test_a_leaf_cannot_act_as_a_ca() -> None:
    leaf = client_certificate(CARE_CA, CARE, Role.AGENT, TODAY)
    secret = ec.generate_private_key(ec.SECP256R1())
    below = Authority(secret, _certificate(secret, CARE_CA, ca=False))
    forged = client_certificate(below, CARE, Role.GATEWAY, TODAY).certificate_pem
    assert issued_by(leaf.certificate_pem, CARE_CA.certificate_pem, TODAY, Purpose.CLIENT)
    assert not issued_by(forged, CARE_CA.certificate_pem, TODAY, Purpose.CLIENT)
    assert not issued_by(forged, below.certificate_pem, TODAY, Purpose.CLIENT)


def test_a_ca_below_ours_issues_nothing_for_us() -> None:
    secret = ec.generate_private_key(ec.SECP256R1())
    below = Authority(secret, _certificate(secret, CARE_CA, ca=True))
    forged = client_certificate(below, CARE, Role.GATEWAY, TODAY).certificate_pem
    assert not issued_by(forged, CARE_CA.certificate_pem, TODAY, Purpose.CLIENT)
    assert not issued_by(below.certificate_pem, CARE_CA.certificate_pem, TODAY, Purpose.CLIENT)


@pytest.mark.parametrize(
    "uris",
    [
        [],
        ["https://care.example", "https://care.example/agent"],
        ["https://care.example/clients/"],
        ["https://care.example/clients/a/b"],
        ["https://care.example/clients/.."],
        ["https://care.example/clients/" + "a" * 65],
        ["https://care.example/agents"],
        ["https://care.example/"],
        ["https://police.example/clients/analyst"],
        ["spiffe://care.example/agent"],
    ],
)
def test_a_certificate_that_names_no_one_part_of_its_entity_is_refused(uris: list[str]) -> None:
    certificate = _certificate(ec.generate_private_key(ec.SECP256R1()), CARE_CA, ca=False, uris=uris)
    pem = certificate.public_bytes(Encoding.PEM)
    assert issued_by(pem, CARE_CA.certificate_pem, TODAY, Purpose.CLIENT)
    with pytest.raises(TokenProblem):
        holder_of(pem, CARE, CARE_CA.certificate_pem, TODAY, _stands)


def _certificate(
    secret: ec.EllipticCurvePrivateKey, issuer: Authority, ca: bool, uris: Sequence[str] = ()
) -> x509.Certificate:
    at = datetime.fromtimestamp(TODAY, UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "below")]))
        .issuer_name(issuer.certificate.subject)
        .public_key(secret.public_key())
        .serial_number(1)
        .not_valid_before(at - timedelta(days=1))
        .not_valid_after(at + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=0 if ca else None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(secret.public_key()), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("below"), *map(x509.UniformResourceIdentifier, uris)]),
            critical=False,
        )
        .sign(issuer.secret, hashes.SHA256())
    )


def test_a_server_certificate_names_the_host_and_loopback_only_when_asked() -> None:
    def names(credentials: Credentials) -> tuple[list[str], list[ipaddress.IPv4Address]]:
        certificate = x509.load_pem_x509_certificate(credentials.certificate_pem)
        value = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return value.get_values_for_type(x509.DNSName), value.get_values_for_type(x509.IPAddress)

    assert names(server_certificate(CARE_CA, CARE, NOW)) == (["care.example"], [])
    loopback = ipaddress.IPv4Address("127.0.0.1")
    assert names(server_certificate(CARE_CA, CARE, NOW, loopback=True)) == (
        ["care.example", "localhost"],
        [loopback],
    )


@pytest.mark.parametrize("client_id", ["a/b", "..", "", "a b", "a\n", "x" * 65, "é"])
def test_a_client_id_that_would_not_stay_in_its_place_is_refused(client_id: str) -> None:
    with pytest.raises(ValueError, match="client ID"):
        client_certificate(CARE_CA, CARE, Role.CLIENT, TODAY, client_id=client_id)


@pytest.mark.parametrize("role", [Role.AGENT, Role.GATEWAY])
def test_only_a_client_has_a_client_id(role: Role) -> None:
    with pytest.raises(ValueError, match="client ID"):
        client_certificate(CARE_CA, CARE, role, TODAY, client_id="analyst")


def test_a_ca_comes_back_from_its_files_and_only_with_its_own_key(tmp_path: Path) -> None:
    write_authority(CARE_CA, tmp_path / "ca.pem", tmp_path / "ca.key")
    assert load_authority(tmp_path / "ca.pem", tmp_path / "ca.key").certificate == CARE_CA.certificate
    write_authority(POLICE_CA, tmp_path / "other.pem", tmp_path / "other.key")
    with pytest.raises(IsthmusError, match="does not belong"):
        load_authority(tmp_path / "ca.pem", tmp_path / "other.key")
    write_secret(tmp_path / "ed25519.key", pem_of(new_signing_key().secret))
    with pytest.raises(IsthmusError, match="does not belong"):
        load_authority(tmp_path / "ca.pem", tmp_path / "ed25519.key")
    assert b"PRIVATE KEY" in pem_of(CARE_CA.secret)
    assert "PRIVATE" not in repr(CARE_CA)


# The handshake ------------------------------------------------------------------------------------


class WhoAmI(grpc.GenericRpcHandler):
    """Answers with the certificate that the caller presented."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        async def answer(_: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            return next(iter(context.auth_context()["x509_pem_cert"]))

        return grpc.unary_unary_rpc_method_handler(answer)


@asynccontextmanager
async def serving(client_authorities: bytes) -> AsyncIterator[int]:
    credentials = server_certificate(CARE_CA, CARE, TODAY, loopback=True)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((WhoAmI(),))
    port = server.add_secure_port(
        "127.0.0.1:0",
        grpc.ssl_server_credentials([(credentials.key_pem, credentials.certificate_pem)], client_authorities, True),
    )
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


async def call(port: int, roots: bytes, credentials: Credentials | None, host: str = "care.example") -> bytes:
    channel_credentials = grpc.ssl_channel_credentials(
        roots,
        credentials.key_pem if credentials else None,
        credentials.certificate_pem if credentials else None,
    )
    options = [("grpc.ssl_target_name_override", host)]
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", channel_credentials, options) as channel:
        who: bytes = await channel.unary_unary("/test/WhoAmI")(b"", timeout=5)
        return who


async def test_grpc_shakes_hands_over_these_certificates_both_ways() -> None:
    client = client_certificate(POLICE_CA, POLICE, Role.GATEWAY, TODAY)
    async with serving(CARE_CA.certificate_pem + POLICE_CA.certificate_pem) as port:
        presented = await call(port, CARE_CA.certificate_pem, client)
    assert thumbprint(presented) == thumbprint(client.certificate_pem)
    assert holder_of(presented, POLICE, POLICE_CA.certificate_pem, TODAY, _stands).role is Role.GATEWAY


async def test_no_connection_without_a_certificate_or_with_a_foreign_ca() -> None:
    stranger = client_certificate(create_authority(POLICE, TODAY), POLICE, Role.GATEWAY, TODAY)
    a_server = server_certificate(POLICE_CA, POLICE, TODAY)
    async with serving(POLICE_CA.certificate_pem) as port:
        for credentials in (None, stranger, a_server):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(port, CARE_CA.certificate_pem, credentials)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_client_refuses_a_server_of_another_ca_or_name() -> None:
    client = client_certificate(POLICE_CA, POLICE, Role.GATEWAY, TODAY)
    async with serving(POLICE_CA.certificate_pem) as port:
        for roots, host in (
            (POLICE_CA.certificate_pem, "care.example"),
            (CARE_CA.certificate_pem, "police.example"),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(port, roots, client, host)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_no_plaintext_connection() -> None:
    async with serving(POLICE_CA.certificate_pem) as port:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.unary_unary("/test/WhoAmI")(b"", timeout=5)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
