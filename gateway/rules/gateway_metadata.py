"""What a space says of itself under the entity type `isthmus_gateway`, to and from JSON. Pure.

Invariants: every text is bounded and printable, so that none can forge a log line or a table; federation,
token, contract and revocation keys are different keys, or a broken-in gateway could sign approvals; unknown members are
ignored, since spaces upgrade on different days.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from cryptography import x509

from gateway.domain.identity import Jwk
from gateway.domain.rulebook import NO_WORD, OwnWord
from gateway.rules.jose import Problem, TokenProblem
from gateway.rules.jwks import jwk_set, parse_verification_keys
from gateway.rules.rulebook import metadata_of, word_in

ENTITY_TYPE = "isthmus_gateway"
MAX_TEXT = 200
MAX_AFFILIATES = 64
MAX_SEATS = 64
MAX_AUTHORITIES = 4
MAX_PEM = 16 * 1024

_ENDPOINT = re.compile(r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9a-fA-F:.]{2,45}\]):(?P<port>[1-9][0-9]{0,4})")
_COUNTRY = re.compile(r"[A-Z]{2}")


@dataclass(frozen=True)
class GatewayMetadata:
    """`endpoint` is host:port, `jurisdiction` two letters of ISO 3166-1 (or EU), `tls_ca` PEM of all CAs."""

    endpoint: str
    operator: str
    operator_group: str
    affiliates: tuple[str, ...]
    jurisdiction: str
    token_keys: tuple[Jwk, ...]
    contract_keys: tuple[Jwk, ...]
    revocation_keys: tuple[Jwk, ...]
    tls_ca: str
    seats: int
    word: OwnWord = NO_WORD

    def to_json(self) -> dict[str, Any]:
        return {
            "endpoint": self.endpoint,
            "organization_name": self.operator,
            "operator_group": self.operator_group,
            "affiliates": list(self.affiliates),
            "jurisdiction": self.jurisdiction,
            "token_jwks": jwk_set(self.token_keys),
            "contract_jwks": jwk_set(self.contract_keys),
            "revocation_jwks": jwk_set(self.revocation_keys),
            "tls_ca": self.tls_ca,
            "seats": self.seats,
            **metadata_of(self.word),
        }


def parse_gateway_metadata(value: Mapping[str, Any], federation_keys: tuple[Jwk, ...]) -> GatewayMetadata:
    """The metadata in `value`. Raises TokenProblem that names the member."""
    metadata = GatewayMetadata(
        endpoint=_endpoint(value.get("endpoint")),
        operator=_text(value.get("organization_name"), "organization_name"),
        operator_group=_text(value.get("operator_group"), "operator_group"),
        affiliates=_affiliates(value.get("affiliates")),
        jurisdiction=_jurisdiction(value.get("jurisdiction")),
        token_keys=parse_verification_keys(value.get("token_jwks")),
        contract_keys=parse_verification_keys(value.get("contract_jwks")),
        revocation_keys=parse_verification_keys(value.get("revocation_jwks")),
        tls_ca=_authorities(value.get("tls_ca")),
        seats=_seats(value.get("seats")),
        word=word_in(value),
    )
    uses = (federation_keys, metadata.token_keys, metadata.contract_keys, metadata.revocation_keys)
    kids = [key.kid for keys in uses for key in keys]
    if len(set(kids)) != len(kids):
        _refuse("one key serves two of federation, tokens, contracts and revocations")
    return metadata


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_TEXT or not value.isprintable():
        _refuse(f"{name} is no printable text of 1 to {MAX_TEXT} characters")
    if value != value.strip():
        _refuse(f"{name} begins or ends with a space")
    return value


def _endpoint(value: object) -> str:
    match = _ENDPOINT.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match["port"]) > 65535:
        _refuse(f"endpoint {value!r:.100} is not host:port")
    return match.string


def _affiliates(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_AFFILIATES:
        _refuse(f"affiliates is no list of at most {MAX_AFFILIATES}")
    return tuple(_text(item, "affiliates") for item in value)


def _jurisdiction(value: object) -> str:
    if not isinstance(value, str) or _COUNTRY.fullmatch(value) is None:
        _refuse(f"jurisdiction {value!r:.50} is no two-letter code")
    return value


def _seats(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_SEATS:
        _refuse(f"seats {value!r:.50} is no number from 0 to {MAX_SEATS}")
    return value


def _authorities(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_PEM or not value.isascii():
        _refuse("tls_ca is no PEM text")
    try:
        certificates = x509.load_pem_x509_certificates(value.encode("ascii"))
        constraints = [
            certificate.extensions.get_extension_for_class(x509.BasicConstraints).value for certificate in certificates
        ]
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.InvalidVersion):
        _refuse("tls_ca holds something that is no CA certificate")
    except x509.UnsupportedGeneralNameType:
        _refuse("tls_ca holds a name of an unknown kind")
    if not 1 <= len(certificates) <= MAX_AUTHORITIES or not all(constraint.ca for constraint in constraints):
        _refuse(f"tls_ca does not hold 1 to {MAX_AUTHORITIES} CA certificates")
    return value


def _refuse(detail: str) -> NoReturn:
    raise TokenProblem(Problem.CHAIN, detail)
