"""Default deny at the running port: each rpc, called by each kind of caller that the access table does not name for it.

And `act` and widened rights (THREATS row 10), with tokens that the space's own key signed: what a hole in the issuer
would let out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from gateway.domain.caller import CallerKind
from gateway.edges.certificates import thumbprint
from gateway.rules import access
from tests.attacks.port import CLIENT, DENIED, LIST, OK, ROWS, UNAUTHENTICATED, Answer, Port, bearer
from tests.unit.trust_kit import forge, header_of

CARE = "https://care.example"
ALL = {"type": "isthmus", "datasets": ["*"], "statistics": ["*"], "purposes": ["*"]}
SCOPES = " ".join(sorted(access.SCOPES))


def token(port: Port, client: str = "operator", **changes: Any) -> str:
    """A token as this space signs it for `client`, but for `changes`; None leaves a claim out."""
    now = int(time.time())
    made = {
        "iss": CARE,
        "sub": client,
        "aud": CARE,
        "client_id": client,
        "iat": now,
        "exp": now + 300,
        "jti": f"deny-{time.time_ns()}",
        "scope": SCOPES,
        "cnf": {"x5t#S256": thumbprint(port.client("care", client)[0])},
        "authorization_details": [ALL],
        **changes,
    }
    key = port.key("care")
    return forge(header_of("at+jwt", key), {k: v for k, v in made.items() if v is not None}, key.secret)


def asked(port: Port, rpc: str, **changes: Any) -> Answer:
    """As the client `operator`, who is configured with every scope."""
    return port.call(rpc, b"", port.client("care", "operator"), bearer(token(port, **changes)))


# Every kind of caller, as it would come with nothing wrong about it; and what it is to the table.
CALLERS: dict[str, tuple[CallerKind | None, Callable[[Port, str], Answer]]] = {
    "a client with every scope": (CallerKind.CLIENT, asked),
    "a holder of a certificate": (CallerKind.HOLDER, lambda port, rpc: port.call(rpc, b"", port.client())),
    "a peer": (
        CallerKind.PEER,
        lambda port, rpc: port.call(rpc, b"", port.gateway("police"), bearer(port.request_token("police", rpc, b""))),
    ),
    "the agent": (CallerKind.AGENT, lambda port, rpc: port.call(rpc, b"", port.agent("care"))),
    "a peer's agent": (None, lambda port, rpc: port.call(rpc, b"", port.agent("police"))),
    "a peer's client": (None, lambda port, rpc: port.call(rpc, b"", port.client("police"))),
    "a peer without a token": (None, lambda port, rpc: port.call(rpc, b"", port.gateway("police"))),
    "this gateway itself": (None, lambda port, rpc: port.call(rpc, b"", port.gateway("care"))),
}


@pytest.mark.parametrize("who", CALLERS)
def test_every_rpc_denies_whomever_its_row_does_not_name(port: Port, who: str) -> None:
    kind, call = CALLERS[who]
    for rpc, entry in ROWS.items():
        if entry.kind is kind or (kind is CallerKind.CLIENT and entry.kind is CallerKind.HOLDER):
            continue  # a client may always ask for a token: then its certificate counts
        start = len(port.shell.facts())
        answer = call(port, rpc)
        assert answer.code in ((DENIED,) if kind not in (None, CallerKind.HOLDER) else (UNAUTHENTICATED, DENIED)), rpc
        assert answer.body == b""
        facts = [fact for fact in port.shell.facts(start=start) if fact.kind == "call.refused" and fact.about == rpc]
        assert len(facts) == 1, rpc


@pytest.mark.parametrize("rpc", [rpc for rpc, entry in ROWS.items() if entry.scope])
def test_every_rpc_with_a_scope_denies_a_client_without_it(port: Port, rpc: str) -> None:
    entry = ROWS[rpc]
    others = " ".join(sorted(access.SCOPES - {entry.scope}))
    for scope in (None, "", others, entry.scope.upper(), f"{entry.scope},{others}"):
        assert asked(port, rpc, scope=scope).code is DENIED
    assert asked(port, rpc, scope=entry.scope).code is not DENIED


FORGED: dict[str, dict[str, Any]] = {
    "a person without act": {"sub": "anna@people"},
    "act of another client": {"sub": "anna@people", "act": {"sub": "analyst"}},
    "nested act": {"sub": "anna@people", "act": {"sub": "operator", "act": {"sub": "analyst"}}},
    "act with more in it": {"sub": "anna@people", "act": {"sub": "operator", "client_id": "analyst"}},
    "act without need": {"act": {"sub": "operator"}},
    "another client as the person": {"sub": "analyst", "act": {"sub": "operator"}},
    "an entity as the person": {"sub": "https://police.example", "act": {"sub": "operator"}},
    "a person whom nobody knows here": {"sub": "anna@people", "act": {"sub": "operator"}},
    "a person of a provider that is not configured": {"sub": "anna@ministry", "act": {"sub": "operator"}},
}


@pytest.mark.parametrize("name", FORGED)
def test_10_forged_or_nested_act_is_denied(port: Port, name: str) -> None:
    start = len(port.shell.facts())
    answer = asked(port, LIST, **FORGED[name])
    assert answer.code is DENIED, answer
    assert "anna" not in answer.text and "analyst" not in answer.text
    (fact,) = [fact for fact in port.shell.facts(start=start) if fact.kind == "call.refused" and fact.about == LIST]
    assert "PERMISSION_DENIED" in fact.detail and fact.subject == f"{CARE}/clients/operator"


def test_10_rights_widened_on_the_way_are_denied(port: Port) -> None:
    """The analyst is configured with two scopes; a token with the third is refused whatever it is used for."""
    analyst = port.client("care", "analyst")
    start = len(port.shell.facts())
    answer = port.call(LIST, b"", analyst, bearer(token(port, "analyst")))
    assert answer.code is DENIED
    (fact,) = [fact for fact in port.shell.facts(start=start) if fact.kind == "call.refused" and fact.about == LIST]
    assert "operate" in fact.detail
    assert port.call(LIST, b"", analyst, bearer(token(port, "analyst", scope="catalogue compute"))).code is OK


@pytest.mark.parametrize(("roles", "code"), [(["analyst"], OK), (["analyst", "judge"], DENIED), (["*"], DENIED)])
def test_10_a_role_beyond_configuration_is_denied(port: Port, roles: list[str], code: grpc.StatusCode) -> None:
    details = [{**ALL, "roles": roles}]
    widened = token(port, "analyst", scope="catalogue compute", authorization_details=details)
    assert port.call(LIST, b"", port.client("care", "analyst"), bearer(widened)).code is code


def test_a_code_or_token_that_is_none_is_refused_and_malformed_ones_are_named(port: Port) -> None:
    from gateway.api.client.v1 import tokens_pb2 as tok

    rpc = CLIENT + "TokenService/ExchangeToken"
    code = tok.AuthorizationCode(code="A" * 43, code_verifier="v" * 43)
    subject = tok.SubjectToken(token="a.b.c", token_type=tok.SUBJECT_TOKEN_TYPE_ID_TOKEN)
    for request in (tok.ExchangeTokenRequest(authorization_code=code), tok.ExchangeTokenRequest(subject_token=subject)):
        assert port.call(rpc, request, port.client()).code is UNAUTHENTICATED
    short = tok.AuthorizationCode(code="A", code_verifier="v" * 43)
    long = tok.SubjectToken(token="a" * 20_000, token_type=tok.SUBJECT_TOKEN_TYPE_ID_TOKEN)
    untyped = tok.SubjectToken(token="a.b.c")
    for request in (
        tok.ExchangeTokenRequest(),
        tok.ExchangeTokenRequest(authorization_code=short),
        tok.ExchangeTokenRequest(subject_token=long),
        tok.ExchangeTokenRequest(subject_token=untyped),
    ):
        assert port.call(rpc, request, port.client()).code is grpc.StatusCode.INVALID_ARGUMENT
