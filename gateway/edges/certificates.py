"""TLS certificates: each space runs its own small CA, and every name it certifies is its own.

Invariants:
- a CA signs leaves only (path length 0), and a leaf is for one purpose: server or client;
- a client certificate's URI says whose it is and in which role; it counts only if the CA that the entity's
  own verified statement names has issued it directly, so no other space's CA can certify the name;
- time is an argument; certificates begin a few minutes early, for clocks that run behind.

ECDSA P-256 with SHA-256: gRPC's BoringSSL offers no Ed25519 for certificates. RFC 5280 section 4.2.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import EntityId, b64url, host_of
from gateway.edges.keys import pem_of, read_secret, write_secret
from gateway.rules.jose import Problem, TokenProblem

EARLY = timedelta(minutes=5)
AUTHORITY_LIFETIME = timedelta(days=3650)
LEAF_LIFETIME = timedelta(days=90)
MAX_CLIENT_ID = 64  # also X.520's bound on a common name
_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
IsRevoked = Callable[[str], bool]  # of a key, by its thumbprint
_CLIENT_ID = re.compile(rf"[A-Za-z0-9_~-][A-Za-z0-9._~-]{{0,{MAX_CLIENT_ID - 1}}}")


_BAD_EXTENSIONS = (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)


class Role(StrEnum):
    """What a client certificate's holder is to its entity."""

    GATEWAY = "gateway"
    AGENT = "agent"
    CLIENT = "client"


class Purpose(StrEnum):
    SERVER = "server"
    CLIENT = "client"


_EXTENDED_USAGE = {
    Purpose.SERVER: ExtendedKeyUsageOID.SERVER_AUTH,
    Purpose.CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH,
}


@dataclass(frozen=True, eq=False)
class Authority:
    """A space's CA."""

    secret: ec.EllipticCurvePrivateKey = field(repr=False)
    certificate: x509.Certificate

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def credentials(self) -> Credentials:
        """To be written to files."""
        return Credentials(self.certificate_pem, pem_of(self.secret))


@dataclass(frozen=True, eq=False)
class Credentials:
    """A leaf certificate with its private key, both PEM as gRPC takes them."""

    certificate_pem: bytes
    key_pem: bytes = field(repr=False)


@dataclass(frozen=True)
class CertificateHolder:
    """Whom a client certificate names. `client_id` is empty unless the role is CLIENT.

    `thumbprint` is the certificate's, `kid` that of its public key.
    """

    entity_id: EntityId
    role: Role
    client_id: str
    thumbprint: str
    kid: str


def create_authority(entity_id: EntityId, now: int) -> Authority:
    """A fresh, self-signed CA for one space."""
    secret = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"{host_of(entity_id)} CA"[:MAX_CLIENT_ID])
    builder = (
        _begin(name, name, secret.public_key(), now, AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(certifies=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(secret.public_key()), critical=False)
    )
    return Authority(secret, builder.sign(secret, hashes.SHA256()))


def write_authority(authority: Authority, certificate_path: Path, key_path: Path) -> None:
    write_secret(key_path, pem_of(authority.secret))
    certificate_path.write_bytes(authority.certificate_pem)


def load_authority(certificate_path: Path, key_path: Path) -> Authority:
    """The CA that `write_authority` wrote. Raises IsthmusError."""
    try:
        secret = load_pem_private_key(read_secret(key_path), password=None)
        certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
    except (OSError, ValueError, TypeError) as problem:
        raise _configuration(certificate_path, f"cannot be loaded: {problem}") from None
    if not isinstance(secret, ec.EllipticCurvePrivateKey) or secret.public_key() != certificate.public_key():
        raise _configuration(certificate_path, f"does not belong to the key in {key_path}")
    return Authority(secret, certificate)


def server_certificate(authority: Authority, entity_id: EntityId, now: int, *, loopback: bool = False) -> Credentials:
    """For the entity's one port: its host name, and with `loopback` localhost and 127.0.0.1 too."""
    names: list[x509.GeneralName] = [x509.DNSName(host_of(entity_id))]
    if loopback:
        names += [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    return _issue(authority, host_of(entity_id), names, Purpose.SERVER, now)


def client_certificate(
    authority: Authority, entity_id: EntityId, role: Role, now: int, *, client_id: str = ""
) -> Credentials:
    """For a client (`client_id` says which), the agent, or the gateway itself as a client of its peers."""
    uri = _uri_of(entity_id, role, client_id)
    common_name = client_id or f"{host_of(entity_id)} {role}"[-MAX_CLIENT_ID:]
    return _issue(authority, common_name, [x509.UniformResourceIdentifier(uri)], Purpose.CLIENT, now)


def thumbprint(certificate: bytes) -> str:
    """`x5t#S256` of a certificate in PEM or DER: SHA-256 over its DER, base64url (RFC 7515 4.1.8)."""
    return b64url(hashlib.sha256(_load(certificate).public_bytes(Encoding.DER)).digest())


def kid_of(certificate: bytes) -> str:
    """The RFC 7638 thumbprint of the key in a certificate, by which it is revoked and found in its ring.

    Raises TokenProblem for a kind of key that no JWK describes.
    """
    return _kid_of(_load(certificate).public_key())


def expiry(certificate: bytes) -> int:
    """When a certificate ends, in epoch seconds."""
    return int(_load(certificate).not_valid_after_utc.timestamp())


def issued_by(certificate: bytes, authorities_pem: bytes, now: int, purpose: Purpose) -> bool:
    """Whether a CA in `authorities_pem` issued `certificate` directly, for `purpose`, valid at `now`."""
    try:
        leaf = _load(certificate)
        authorities = x509.load_pem_x509_certificates(authorities_pem)
        return _is_leaf_for(leaf, purpose, now) and any(_issued(leaf, ca, now) for ca in authorities)
    except (ValueError, TypeError, TokenProblem):
        return False


def holder_of(
    certificate: bytes, entity_id: EntityId, authorities_pem: bytes, now: int, revoked: IsRevoked
) -> CertificateHolder:
    """Whom of `entity_id` a client certificate names. Raises TokenProblem unless that entity's CA says so.

    A certificate whose own key, or whose CA's key, was revoked names nobody.
    """
    kid = kid_of(certificate)
    if revoked(kid):
        raise TokenProblem(Problem.REVOKED, f"the key {kid} of a certificate of {entity_id}")
    standing = without_revoked(authorities_pem, revoked)
    if not issued_by(certificate, standing, now, Purpose.CLIENT):
        raise TokenProblem(Problem.BINDING, f"certificate not issued by {entity_id}'s CA, revoked, or not valid now")
    role, client_id = _role_of(claimed_uri(certificate), entity_id)
    return CertificateHolder(entity_id, role, client_id, thumbprint(certificate), kid)


def keys_of(authorities_pem: bytes) -> list[str]:
    """The thumbprints of the CAs' keys in a PEM text; none if it cannot be read."""
    try:
        return [_kid_of(authority.public_key()) for authority in x509.load_pem_x509_certificates(authorities_pem)]
    except (ValueError, x509.InvalidVersion, TokenProblem):
        return []


def without_revoked(authorities_pem: bytes, revoked: IsRevoked) -> bytes:
    """The CAs of a PEM text whose keys stand; the text as it is if all do, nothing if it cannot be read."""
    try:
        authorities = x509.load_pem_x509_certificates(authorities_pem)
        gone = [authority for authority in authorities if revoked(_kid_of(authority.public_key()))]
    except (ValueError, x509.InvalidVersion, TokenProblem):
        return b""
    if not gone:
        return authorities_pem
    return b"".join(kept.public_bytes(Encoding.PEM) for kept in authorities if kept not in gone)


def _kid_of(key: object) -> str:
    """RFC 7638 section 3.2 with the members of RFC 7518 section 6 and RFC 8037 section 2."""
    members: dict[str, str] = {}
    match key:
        case ec.EllipticCurvePublicKey() if key.curve.name in _CURVES:
            point, size = key.public_numbers(), (key.curve.key_size + 7) // 8
            x, y = (b64url(coordinate.to_bytes(size, "big")) for coordinate in (point.x, point.y))
            members = {"crv": _CURVES[key.curve.name], "kty": "EC", "x": x, "y": y}
        case Ed25519PublicKey():
            x = b64url(key.public_bytes(Encoding.Raw, PublicFormat.Raw))
            members = {"crv": "Ed25519", "kty": "OKP", "x": x}
        case rsa.RSAPublicKey():
            numbers = key.public_numbers()
            e, n = (b64url(number.to_bytes((number.bit_length() + 7) // 8, "big")) for number in (numbers.e, numbers.n))
            members = {"e": e, "kty": "RSA", "n": n}
        case _:
            raise TokenProblem(Problem.BINDING, "a certificate with a key of an unknown kind")
    canonical = json.dumps(members, sort_keys=True, separators=(",", ":"))
    return b64url(hashlib.sha256(canonical.encode("ascii")).digest())


def claimed_uri(certificate: bytes) -> str:
    """The one URI in a client certificate: a claim until `holder_of` has confirmed it."""
    try:
        names = _load(certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (ValueError, *_BAD_EXTENSIONS) as problem:
        raise TokenProblem(Problem.BINDING, f"certificate without readable names: {problem}") from None
    if len(uris) != 1:
        raise TokenProblem(Problem.BINDING, f"certificate with {len(uris)} URIs, not one")
    return uris[0]


def entity_in(uri: str) -> str:
    """The entity that a certificate's URI claims: what precedes the role (reserved in entity IDs)."""
    head, separator, _ = uri.partition("/clients/")
    return head if separator else uri.removesuffix("/agent")


def _uri_of(entity_id: EntityId, role: Role, client_id: str) -> str:
    if (role is Role.CLIENT) != bool(client_id):
        raise ValueError("a client ID names a client, and nothing else")
    match role:
        case Role.GATEWAY:
            return entity_id
        case Role.AGENT:
            return f"{entity_id}/agent"
        case Role.CLIENT:
            if not _is_plain(client_id):
                raise ValueError(f"{client_id!r} is no client ID: up to {MAX_CLIENT_ID} letters, digits and . _ ~ -")
            return f"{entity_id}/clients/{client_id}"


def _role_of(uri: str, entity_id: EntityId) -> tuple[Role, str]:
    if uri == entity_id:
        return Role.GATEWAY, ""
    if uri == f"{entity_id}/agent":
        return Role.AGENT, ""
    client_id = uri.removeprefix(f"{entity_id}/clients/")
    if client_id == uri or not _is_plain(client_id):
        raise TokenProblem(Problem.BINDING, f"certificate names {uri!r:.200}, which is no part of {entity_id}")
    return Role.CLIENT, client_id


def _is_plain(client_id: str) -> bool:
    return _CLIENT_ID.fullmatch(client_id) is not None


def _issue(
    authority: Authority, common_name: str, names: list[x509.GeneralName], purpose: Purpose, now: int
) -> Credentials:
    secret = ec.generate_private_key(ec.SECP256R1())
    issuer_key_id = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    certificate = (
        _begin(_name(common_name), authority.certificate.subject, secret.public_key(), now, LEAF_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(certifies=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([_EXTENDED_USAGE[purpose]]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_key_id), critical=False)
        .sign(authority.secret, hashes.SHA256())
    )
    return Credentials(certificate.public_bytes(Encoding.PEM), pem_of(secret))


def _begin(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: int, lifetime: timedelta
) -> x509.CertificateBuilder:
    at = datetime.fromtimestamp(now, UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - EARLY)
        .not_valid_after(at + lifetime)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(*, certifies: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certifies,
        key_cert_sign=certifies,
        crl_sign=certifies,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _load(certificate: bytes) -> x509.Certificate:
    try:
        if certificate.lstrip().startswith(b"-----BEGIN"):
            return x509.load_pem_x509_certificate(certificate)
        return x509.load_der_x509_certificate(certificate)
    except (ValueError, x509.InvalidVersion) as problem:
        raise TokenProblem(Problem.BINDING, f"no certificate: {problem}") from None


def _valid_at(certificate: x509.Certificate, now: int) -> bool:
    at = datetime.fromtimestamp(now, UTC)
    return certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc


def _is_leaf_for(leaf: x509.Certificate, purpose: Purpose, now: int) -> bool:
    try:
        constraints = leaf.extensions.get_extension_for_class(x509.BasicConstraints).value
        usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (ValueError, *_BAD_EXTENSIONS):
        return False
    return not constraints.ca and list(usages) == [_EXTENDED_USAGE[purpose]] and _valid_at(leaf, now)


def _issued(leaf: x509.Certificate, authority: x509.Certificate, now: int) -> bool:
    try:
        constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = authority.extensions.get_extension_for_class(x509.KeyUsage).value
        leaf.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, *_BAD_EXTENSIONS):
        return False
    return constraints.ca and usage.key_cert_sign and _valid_at(authority, now)


def _configuration(path: Path, what: str) -> IsthmusError:
    return IsthmusError(
        Reason.CONFIGURATION, f"The certificate {path} {what}", advice="Check the gateway's TLS settings."
    )
