"""What a space says of itself is exact, bounded and printable, or its chain is refused."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.domain.identity import Entity
from gateway.edges.certificates import server_certificate
from gateway.edges.keys import new_signing_key
from gateway.edges.tokens import signature_holds
from gateway.rules.gateway_metadata import ENTITY_TYPE
from gateway.rules.jose import Problem, TokenProblem, parse_compact
from gateway.rules.jwks import jwk_set
from gateway.rules.trust import verify_chain
from tests.unit.trust_kit import CARE, NOW, Absent, Space, anchor_of, chain_of, forge, header_of, new_space

CARE_SPACE: Space = new_space(CARE)
ANCHOR_KEY = new_signing_key()
GOOD = chain_of(CARE_SPACE, ANCHOR_KEY)
CA = CARE_SPACE.authority.certificate_pem.decode()
LEAF = server_certificate(CARE_SPACE.authority, CARE, NOW).certificate_pem.decode()


def stating(metadata: object) -> list[str]:
    claims = {**parse_compact(GOOD[0], 65536).claims, "metadata": metadata}
    key = CARE_SPACE.federation
    return [forge(header_of("entity-statement+jwt", key), claims, key.secret), GOOD[1]]


def judge(**changes: Any) -> Entity:
    """The verdict on the good chain with some members of the description changed."""
    described = {**CARE_SPACE.metadata().to_json(), **changes}
    described = {name: value for name, value in described.items() if value is not Absent}
    return verify_chain(stating({ENTITY_TYPE: described}), [anchor_of(ANCHOR_KEY)], NOW, signature_holds)


def refused(**changes: Any) -> TokenProblem:
    with pytest.raises(TokenProblem) as caught:
        judge(**changes)
    return caught.value


NOT_EXACT: dict[str, list[Any]] = {
    "endpoint": [
        Absent,
        "",
        "care.example",
        "care.example:0",
        "care.example:65536",
        "https://care.example:1",
        "unix:/tmp/x",
        "a b:1",
        "care.example:1\n",
        7,
    ],
    "organization_name": [Absent, "", " x", "a\nb", "a\x1b[2J", "\u202ex", "x" * 201, 1],
    "operator_group": [Absent, "", None],
    "affiliates": [Absent, "x", [""], [1], ["x"] * 65],
    "jurisdiction": [Absent, "nl", "NLD", "", ["NL"]],
    "seats": [Absent, -1, 65, True, 1.0, "1"],
    "token_jwks": [Absent, {"keys": []}, jwk_set((CARE_SPACE.federation.jwk,))],
    "revocation_jwks": [Absent, [], jwk_set((CARE_SPACE.contracts.jwk,))],
    "contract_jwks": [Absent, [], jwk_set((CARE_SPACE.tokens.jwk,)), jwk_set((CARE_SPACE.federation.jwk,))],
    "tls_ca": [Absent, "", "x", CA + "é", CA * 5, CA * 40, LEAF, CA + LEAF, CA.replace("M", "N")],
}


@pytest.mark.parametrize(
    ("member", "value"), [(member, value) for member, values in NOT_EXACT.items() for value in values]
)
def test_a_description_that_is_not_exact_is_refused(member: str, value: object) -> None:
    assert refused(**{member: value}).problem in (Problem.CHAIN, Problem.KEY)


def test_a_description_may_say_more_than_we_know() -> None:
    assert judge(logo_uri="https://care.example/logo.png").entity_id == CARE


def test_two_cas_are_believed_while_one_is_rotated() -> None:
    assert judge(tls_ca=CA * 2).tls_ca == CA * 2


@pytest.mark.parametrize("endpoint", ["care.example:7443", "127.0.0.1:1", "[::1]:65535"])
def test_an_endpoint_is_a_host_and_a_port(endpoint: str) -> None:
    assert judge(endpoint=endpoint).endpoint == endpoint


@pytest.mark.parametrize("metadata", [{}, [], {"openid_provider": {}}, {ENTITY_TYPE: []}, None])
def test_an_entity_of_another_type_is_none_of_ours(metadata: object) -> None:
    with pytest.raises(TokenProblem):
        verify_chain(stating(metadata), [anchor_of(ANCHOR_KEY)], NOW, signature_holds)
