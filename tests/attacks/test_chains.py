"""Rows 4 and 11: chains of statements that a peer pushes in Describe, and that must not be believed.

Whoever pushes holds the federation key of police; where the anchor had to sign, it has signed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from gateway.api.client.v1 import catalogue_pb2 as cat
from gateway.api.peer.v1 import peer_pb2 as peer
from gateway.edges.keys import new_agreement_key, new_signing_key
from gateway.edges.tokens import sign
from gateway.rules.gateway_metadata import ENTITY_TYPE
from gateway.rules.jose import parse_compact
from gateway.rules.jwks import jwk_object
from tests.attacks.forgery import POLICE, Listener, listening, of_peer
from tests.attacks.port import GENERIC, INVALID, LIST, OK, PEER, UNAUTHENTICATED, Port, bearer

DESCRIBE = PEER + "Describe"
Chain = Sequence[str]
Attack = tuple[str, Callable[[Port], Chain]]  # what the audit record says, and the chain
DAY = 86400


def own(**changes: Any) -> Callable[[Port], Chain]:
    """police says something else of itself."""
    return lambda port: [port.restated("police", **changes), port.chain("police")[1]]


def described(change: Callable[[Port, dict[str, Any]], None]) -> Callable[[Port], Chain]:
    """police describes itself otherwise."""

    def make(port: Port) -> Chain:
        metadata = parse_compact(port.chain("police")[0], 64 * 1024).claims["metadata"]
        change(port, metadata[ENTITY_TYPE])
        return own(metadata=metadata)(port)

    return make


def tokens_by(**changes: Any) -> Callable[[Port], Chain]:
    """police's token key, as another kind of key."""

    def change(port: Port, says: dict[str, Any]) -> None:
        key = {**jwk_object(port.key("police").jwk), **changes}
        says["token_jwks"] = {"keys": [{name: value for name, value in key.items() if value is not None}]}

    return described(change)


def tokens_of(*keys: Callable[[Port], dict[str, Any]]) -> Callable[[Port], Chain]:
    """police's token keys, all of them."""
    return described(lambda port, says: says.update(token_jwks={"keys": [key(port) for key in keys]}))


def about(**changes: Any) -> Callable[[Port], Chain]:
    """The anchor says something else of police."""
    return lambda port: [port.chain("police")[0], port.statement("police", **changes)]


def judged(policy: dict[str, Any], **changes: Any) -> Callable[[Port], Chain]:
    """The anchor has a policy for police's metadata."""
    return about(metadata_policy={ENTITY_TYPE: policy}, **changes)


def _token_key(port: Port) -> dict[str, Any]:
    return jwk_object(port.key("police").jwk)


def _other_key(port: Port) -> dict[str, Any]:
    return jwk_object(new_signing_key().jwk)


def _elsewhere(port: Port) -> Chain:
    """An anchor of the attacker's own, to whom police says it belongs."""
    evil, key = "https://evil.example", new_signing_key()
    says = {**parse_compact(port.chain("police")[1], 64 * 1024).claims, "iss": evil}
    return [port.restated("police", authority_hints=[evil]), sign("entity-statement+jwt", says, key)]


def _between(port: Port) -> Chain:
    """An intermediate that the anchor never spoke of."""
    evil, key = "https://police.example/evil", new_signing_key()
    says = {**parse_compact(port.chain("police")[1], 64 * 1024).claims, "iss": evil}
    middle = sign("entity-statement+jwt", says, key)
    return [port.restated("police", authority_hints=[evil]), middle, port.statement("police")]


def _by_its_token_key(port: Port) -> Chain:
    return [port.restated("police", port.key("police")), port.chain("police")[1]]


def _new_federation_key(port: Port) -> Chain:
    """A leaf by a key that it lists itself, and that nobody above vouches for."""
    key = new_signing_key()
    jwks = {"keys": [jwk_object(port.key("police", "federation").jwk), jwk_object(key.jwk)]}
    return [port.restated("police", key, jwks=jwks), port.chain("police")[1]]


def _forged(port: Port) -> Chain:
    leaf, superior = port.chain("police")
    head, _, signature = superior.rpartition(".")
    return [leaf, f"{head}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"]


def _longer(port: Port) -> Chain:
    leaf, superior = port.chain("police")
    return [leaf, *[superior] * 7]


ATTACKS: dict[str, Attack] = {
    # 4: keys.
    "04 two keys of one kid": ("KEY", tokens_of(_token_key, _token_key)),
    "04 a kid that is another key's": ("KEY", tokens_by(kid=new_signing_key().kid)),
    "04 a kid that is a path": ("KEY", tokens_by(kid="../../token.pem")),
    "04 nine keys": ("KEY", tokens_of(*[_other_key] * 9)),
    "04 no keys": ("KEY", tokens_of()),
    "04 a key for encryption": ("KEY", tokens_by(use="enc")),
    "04 a key for nothing": ("KEY", tokens_by(use=None, key_ops=None)),
    "04 a key that signs": ("KEY", tokens_by(key_ops=["sign"])),
    "04 a key that does everything": ("KEY", tokens_by(key_ops=["verify", "encrypt"])),
    "04 a key that does the same twice": ("KEY", tokens_by(key_ops=["verify", "verify"])),
    "04 a key without an algorithm": ("KEY", tokens_by(alg=None)),
    "04 a key of another algorithm": ("KEY", tokens_by(alg="ES256")),
    "04 a key with a private half": ("KEY", tokens_by(d="A" * 43)),
    "04 a shared secret": ("KEY", tokens_of(lambda p: {"kty": "oct", "k": "A" * 43, "alg": "HS256", "use": "sig"})),
    "04 an RSA key": ("KEY", tokens_of(lambda p: {"kty": "RSA", "n": "A" * 342, "e": "AQAB", "alg": "RS256"})),
    "04 an agreement key": ("KEY", tokens_of(lambda p: jwk_object(new_agreement_key().jwk))),
    "04 a key at an address": ("KEY", tokens_by(x5u="https://evil.example/key.pem")),
    # 11: who vouches.
    "11 an anchor that is not pinned": ("CHAIN", _elsewhere),
    "11 the anchor's name, another key": (
        "CHAIN",
        lambda p: [p.chain("police")[0], p.statement("police", new_signing_key())],
    ),
    "11 the anchor's name, a space's key": (
        "CHAIN",
        lambda p: [p.chain("police")[0], p.statement("police", p.key("police", "federation"))],
    ),
    "11 the anchor's signature changed": ("SIGNATURE", _forged),
    "11 an intermediate of its own": ("CHAIN", _between),
    "11 vouching for itself": ("CHAIN", lambda p: [p.chain("police")[0]] * 2),
    "11 a chain too long": ("CHAIN", _longer),
    "11 upside down": ("", lambda p: p.chain("police")[::-1]),
    "11 a statement too large": ("MALFORMED", own(note="x" * 70_000)),
    # Swapped subjects.
    "11 another's chain": ("another entity's", lambda p: p.chain("registry")),
    "11 the anchor's word for another": ("CHAIN", lambda p: [p.chain("police")[0], p.chain("registry")[1]]),
    "11 another's word for itself": ("another entity's", lambda p: [p.chain("registry")[0], p.chain("police")[1]]),
    "11 a subject that is not the issuer": ("another entity's", own(sub="https://registry.example")),
    "11 in another's name": ("CHAIN", own(iss="https://registry.example")),
    "11 a name beyond the anchor's": ("another entity's", own(iss="https://evil.example", sub="https://evil.example")),
    # Whose key.
    "11 signed with its token key": ("CHAIN", _by_its_token_key),
    "11 a federation key that nobody vouches for": ("CHAIN", _new_federation_key),
    # Times.
    "11 expired": ("TIMES", lambda p: own(iat=int(time.time()) - 7200, exp=int(time.time()) - 3600)(p)),
    "11 of the future": ("TIMES", lambda p: own(iat=int(time.time()) + 600, exp=int(time.time()) + 3600)(p)),
    "11 for a week": ("LIFETIME", lambda p: own(exp=int(time.time()) + 7 * DAY)(p)),
    "11 a statement above for a year": ("LIFETIME", lambda p: about(exp=int(time.time()) + 365 * DAY)(p)),
    "11 an expired statement above": (
        "TIMES",
        lambda p: about(iat=int(time.time()) - 9 * DAY, exp=int(time.time()) - DAY)(p),
    ),
    # Constraints.
    "11 no path is short enough": ("CHAIN", about(constraints={"max_path_length": -1})),
    "11 a path length as text": ("CHAIN", about(constraints={"max_path_length": "0"})),
    "11 a name that is excluded": ("CHAIN", about(constraints={"naming_constraints": {"excluded": [".example"]}})),
    "11 a name that is not permitted": (
        "CHAIN",
        about(constraints={"naming_constraints": {"permitted": ["care.example"]}}),
    ),
    "11 a constraint on names that is unknown": ("CHAIN", about(constraints={"naming_constraints": {"regex": "x"}})),
    "11 another kind of entity": ("CHAIN", about(constraints={"allowed_entity_types": ["openid_provider"]})),
    "11 an unknown constraint": ("CHAIN", about(constraints={"trust_marks": []})),
    "11 constraints that are none": ("CHAIN", about(constraints=[])),
    # Policies.
    "11 an unknown critical operator": (
        "POLICY",
        judged({"jurisdiction": {"regexp": "GB"}}, metadata_policy_crit=["regexp"]),
    ),
    "11 a critical operator that is not applied": (
        "POLICY",
        judged({"jurisdiction": {"superset_of": ["GB"]}}, metadata_policy_crit=["superset_of"]),
    ),
    "11 an operator of the standard that is not applied": (
        "POLICY",
        judged({"affiliates": {"add": ["https://x.example"]}}),
    ),
    "11 critical operators that are no list": ("POLICY", judged({}, metadata_policy_crit="value")),
    "11 a policy that is broken": ("POLICY", judged({"jurisdiction": {"one_of": ["NL", "BE"]}})),
    "11 a policy that removes": ("POLICY", judged({"jurisdiction": {"value": None}})),
    "11 a policy that is none": ("POLICY", about(metadata_policy=[])),
    "11 an unknown critical claim": ("CHAIN", own(crit=["trust_marks"])),
    "11 an unknown critical claim above": ("CHAIN", about(crit=["trust_marks"])),
    "11 metadata from above": ("CHAIN", about(metadata={ENTITY_TYPE: {"operator": "Somebody Else"}})),
    # Hints.
    "11 hundreds of hints": ("CHAIN", own(authority_hints=[f"https://a{n}.example" for n in range(500)])),
    "11 one hint too many": (
        "CHAIN",
        own(authority_hints=["https://anchor.example", *[f"https://a{n}.example" for n in range(8)]]),
    ),
    "11 hints at others only": ("CHAIN", own(authority_hints=["https://a.example"])),
    "11 no hints": ("CHAIN", own(authority_hints=None)),
    "11 hints that are none": ("CHAIN", own(authority_hints={"https://anchor.example": 1})),
}


@pytest.fixture(scope="module")
def nowhere() -> Iterator[Listener]:
    with listening() as listener:
        yield listener


@pytest.mark.parametrize("name", ATTACKS)
def test_04_11_a_chain_that_does_not_hold_is_not_believed(port: Port, name: str) -> None:
    why, make = ATTACKS[name]
    before = _operator(port)
    with port.audits(DESCRIBE, why):
        answer = port.as_peer("police", "Describe", peer.DescribeRequest(chain=make(port)))
    assert answer.code is UNAUTHENTICATED, answer
    assert answer.text in (GENERIC, "the chain is another entity's")
    assert answer.body == b""
    assert _operator(port) == before


def _operator(port: Port) -> cat.Space:
    """police as care shows it to its clients, but for the moment at which it was seen."""
    seen = cat.ListSpacesResponse.FromString(port.as_client(LIST).body)
    (space,) = [space for space in seen.spaces if space.entity == POLICE]
    found = cat.Space()
    found.CopyFrom(space)
    found.ClearField("seen_time")
    return found


def test_11_a_chain_that_holds_is_believed_so_that_the_others_prove_something(port: Port) -> None:
    for chain in (port.chain("police"), own()(port), about()(port), judged({"jurisdiction": {"one_of": ["GB"]}})(port)):
        assert port.as_peer("police", "Describe", peer.DescribeRequest(chain=chain)).code is OK


@pytest.mark.parametrize("length", [0, 1, 9, 200])
def test_11_a_chain_of_another_length_is_no_request(port: Port, length: int) -> None:
    chain = (port.chain("police") * length)[:length]
    with port.audits(DESCRIBE, "chain"):
        answer = port.as_peer("police", "Describe", peer.DescribeRequest(chain=chain))
    assert answer.code is INVALID
    assert answer.problem is not None
    assert answer.problem.field == "chain"


def test_11_nothing_that_a_statement_names_is_fetched(port: Port, nowhere: Listener) -> None:
    """Hints, anchors and every address that OpenID Federation knows point at a listener on this machine."""
    there = nowhere.address
    ends = {
        f"federation_{what}_endpoint": f"http://{there}/{what}"
        for what in ("fetch", "list", "resolve", "trust_mark_status", "historical_keys")
    }
    anchor = "https://anchor.example"
    for claims in (
        {"authority_hints": [anchor, f"https://{there}"]},
        {"authority_hints": [anchor, f"http://{there}/federation"]},
        {"authority_hints": [f"https://{there}"] * 8},
        {"metadata": {ENTITY_TYPE: {}, "federation_entity": ends}},
        {"source_endpoint": f"http://{there}/fetch", "jwks_uri": f"http://{there}/jwks"},
        {"iss": f"https://{there}"},
        {"trust_mark_issuers": {"x": [f"https://{there}"]}},
    ):
        request = peer.DescribeRequest(chain=own(**claims)(port))
        answer = port.as_peer("police", "Describe", request)
        assert answer.code is (OK if claims.keys() & {"source_endpoint", "trust_mark_issuers"} else UNAUTHENTICATED)
    above = {"metadata_policy": {ENTITY_TYPE: {"tls_ca": {"value_uri": f"http://{there}"}}}, **ends}
    assert port.as_peer("police", "Describe", peer.DescribeRequest(chain=about(**above)(port))).code is OK
    assert nowhere.visitors() == 0


def test_11_a_chain_in_a_header_makes_nobody_known(port: Port, nowhere: Listener) -> None:
    forger = of_peer(port)
    evil = new_signing_key()
    hints = [f"https://{nowhere.address}", *[f"https://a{n}.example" for n in range(300)]]
    for chain in (_elsewhere(port), [port.restated("police", authority_hints=hints), port.chain("police")[1]]):
        claims = forger.claims(iss="https://evil.example", sub="https://evil.example")
        token = sign(forger.typ, claims, evil, trust_chain=chain)
        with port.audits(DESCRIBE, "UNAUTHENTICATED"):
            answer = port.call(DESCRIBE, forger.sent, forger.credentials, bearer(token))
        assert (answer.code, answer.text) == (UNAUTHENTICATED, GENERIC)
        # Nor does it bring a known one new keys.
        token = sign(forger.typ, forger.claims(), evil, trust_chain=chain)
        with port.audits(DESCRIBE, "UNAUTHENTICATED"):
            assert forger.call(token).code is UNAUTHENTICATED
    assert nowhere.visitors() == 0


def test_11_an_older_statement_takes_nothing_back(port: Port) -> None:
    """A copy of what police said an hour ago, token keys and all, is passed over: what it says now counts."""
    evil = new_signing_key()

    def older(port: Port, says: dict[str, Any]) -> None:
        says["token_jwks"] = {"keys": [jwk_object(evil.jwk)]}

    leaf = parse_compact(described(older)(port)[0], 64 * 1024).claims
    old = [port.restated("police", **{**leaf, "iat": int(time.time()) - 3000}), port.chain("police")[1]]
    assert port.as_peer("police", "Describe", peer.DescribeRequest(chain=old)).code is OK
    forger = of_peer(port)
    with port.audits(DESCRIBE, "KEY"):
        assert forger.call(sign(forger.typ, forger.claims(), evil)).code is UNAUTHENTICATED
    assert forger.call(forger.saying()).code is OK
