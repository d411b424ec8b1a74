"""Attacks on a running gateway's port: channel, tokens, access table, messages (THREATS rows 1 to 19 and 29).

Each gets its status and a text that says nothing it may not know; the audit log says why; the gateway serves on.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey

from gateway.api.client.v1 import catalogue_pb2 as cat
from gateway.api.client.v1 import computations_pb2 as comp
from gateway.api.peer.v1 import peer_pb2 as peer
from gateway.domain.errors import Reason
from gateway.domain.identity import EntityId
from gateway.edges.certificates import Role, client_certificate, create_authority, thumbprint
from gateway.rules import access
from tests.attacks.port import CLIENT, LIST, OK, PEER, Port, bearer
from tests.e2e.shell import Shell
from tests.unit.trust_kit import forge, header_of

GENERIC = "These credentials were not accepted"
UNAUTHENTICATED, DENIED = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED
INVALID, UNAVAILABLE = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNAVAILABLE
CARE = "https://care.example"


@pytest.fixture
def port(shell: Shell) -> Iterator[Port]:
    """The port; it has to serve after whatever a test did to it."""
    port = Port(shell)
    yield port
    assert port.still_serves()


def refused(port: Port, start: int, rpc: str, why: str = "") -> None:
    """The audit log has one record of the refusal since `start`, with its reason."""
    (fact,) = [fact for fact in port.shell.facts(start=start) if fact.kind == "call.refused" and fact.about == rpc]
    assert why in fact.detail, fact.detail


# Channel.


def test_13_without_a_certificate_of_the_federation_there_is_no_connection(port: Port) -> None:
    now = int(time.time())
    foreign = create_authority(EntityId(CARE), now)
    forged = client_certificate(foreign, EntityId(CARE), Role.CLIENT, now, client_id="analyst")
    token = bearer(port.access_token())
    for credentials in (None, (forged.certificate_pem, forged.key_pem)):
        assert port.call(LIST, b"", credentials, token, timeout=3).code in (
            UNAVAILABLE,
            grpc.StatusCode.DEADLINE_EXCEEDED,
        )
    with grpc.insecure_channel(port.shell.sandbox.addresses["care"]) as channel:
        with pytest.raises(grpc.RpcError) as plain:
            channel.unary_unary(LIST)(b"", metadata=token, timeout=3)
    assert plain.value.code() in (UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def test_13_tls_below_1_2_gets_no_connection(port: Port) -> None:
    assert _handshake(port, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        _handshake(port, ssl.TLSVersion.TLSv1_1)


def _handshake(port: Port, version: ssl.TLSVersion) -> str | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = version
    context.set_alpn_protocols(["h2"])
    users = port.folder / "users"
    context.load_cert_chain(users / "care-analyst.pem", users / "care-analyst.key.pem")
    host, _, number = port.shell.sandbox.addresses["care"].partition(":")
    with socket.create_connection((host, int(number)), timeout=5) as raw, context.wrap_socket(raw) as wrapped:
        return wrapped.version()


def test_14_the_certificate_of_another_entity_is_not_the_tokens(port: Port) -> None:
    token = bearer(port.access_token())
    for credentials in (port.client("police"), port.gateway("police"), port.agent("police")):
        start = len(port.shell.facts())
        answer = port.call(LIST, b"", credentials, token)
        assert (answer.code, answer.text) == (UNAUTHENTICATED, GENERIC)
        refused(port, start, LIST)


def test_14_two_authorization_headers_are_none(port: Port) -> None:
    start = len(port.shell.facts())
    token = port.access_token()
    answer = port.call(LIST, b"", port.client(), [*bearer(token), *bearer(token)])
    assert (answer.code, answer.text) == (UNAUTHENTICATED, GENERIC)
    refused(port, start, LIST, "2 authorization headers")


# Access tokens.


def claims(port: Port, **changes: Any) -> dict[str, Any]:
    """What a good access token of the analyst says."""
    now = int(time.time())
    made = {
        "iss": CARE,
        "sub": "analyst",
        "aud": CARE,
        "client_id": "analyst",
        "iat": now,
        "exp": now + 300,
        "jti": f"attack-{time.time_ns()}",
        "scope": "catalogue compute",
        "cnf": {"x5t#S256": thumbprint(port.client()[0])},
        "authorization_details": [{"type": "isthmus", "datasets": ["*"], "statistics": ["*"], "purposes": ["*"]}],
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


def signed(port: Port, **changes: Any) -> str:
    """Signed by the space's own token key: what a hole in the issuer would let out."""
    key = port.key("care")
    return forge(header_of("at+jwt", key), claims(port, **changes), key.secret)


def headed(port: Port, secret: Any = None, **header: Any) -> str:
    key = port.key("care")
    return forge(header_of("at+jwt", key, **header), claims(port), key.secret if secret is None else secret)


NOW = int(time.time())
TOKENS: dict[str, Callable[[Port], str]] = {
    "01 alg none": lambda p: headed(p, b"", alg="none"),
    "01 HS256 over the public key": lambda p: headed(p, b"x" * 32, alg="HS256"),
    "01 Ed448 under EdDSA": lambda p: headed(p, Ed448PrivateKey.generate(), alg="EdDSA"),
    "01 ES256 over an Ed25519 key": lambda p: headed(p, alg="ES256"),
    "02 an embedded key": lambda p: headed(p, jwk={"kty": "OKP", "crv": "Ed25519", "x": p.key("police").jwk.x}),
    "02 a key to be fetched": lambda p: headed(p, jku="https://evil.example/jwks.json"),
    "03 an unknown critical header": lambda p: headed(p, crit=["exp"]),
    "03 a claim twice": lambda p: forge(
        header_of("at+jwt", p.key("care")), '{"iss":"https://care.example","iss":"x"}', p.key("care").secret
    ),
    "04 a kid that is a path": lambda p: headed(p, kid="../../keys/token.pem"),
    "04 a kid that is SQL": lambda p: headed(p, kid="' OR 1=1 --"),
    "05 no typ": lambda p: headed(p, typ="JWT"),
    "05 an entity statement": lambda p: (p.folder / "spaces/care/keys/anchor.statement.jwt").read_text(),
    "05 a request token": lambda p: p.request_token("police", LIST, b""),
    "06 a list of audiences": lambda p: signed(p, aud=[CARE, "https://police.example"]),
    "06 another space": lambda p: signed(p, aud="https://police.example"),
    "06 an endpoint": lambda p: signed(p, aud=f"https://{p.shell.sandbox.addresses['care']}"),
    "06 a known key, another issuer": lambda p: signed(p, iss="https://police.example"),
    "06 another space's own token": lambda p: p.access_token("police"),
    "07 expired": lambda p: signed(p, iat=NOW - 900, exp=NOW - 600),
    "07 of the future": lambda p: signed(p, iat=NOW + 3600, exp=NOW + 3800),
    "07 a time as text": lambda p: signed(p, exp=str(NOW + 300)),
    "07 a time as a truth": lambda p: signed(p, iat=True),
    "07 for a day": lambda p: signed(p, exp=int(time.time()) + 86400),
    "07 without an end": lambda p: signed(p, exp=None),
    "09 another client's": lambda p: p.access_token("care", "operator"),
    "09 bound to no certificate": lambda p: signed(p, cnf=None),
    "09 the client's, in another's name": lambda p: signed(p, client_id="operator"),
}


@pytest.mark.parametrize("name", TOKENS)
def test_01_to_09_a_token_that_is_not_good_is_refused(port: Port, name: str) -> None:
    start = len(port.shell.facts())
    answer = port.call(LIST, b"", port.client(), bearer(TOKENS[name](port)))
    assert (answer.code, answer.text) == (UNAUTHENTICATED, GENERIC), answer
    refused(port, start, LIST, "UNAUTHENTICATED")


def test_a_token_that_is_good_passes_so_that_the_others_prove_something(port: Port) -> None:
    assert port.call(LIST, b"", port.client(), bearer(signed(port))).code is OK
    assert port.call(LIST, b"", port.client(), ()).code is UNAUTHENTICATED


def test_10_rights_that_a_token_does_not_grant_are_denied(port: Port) -> None:
    start = len(port.shell.facts())
    assert port.call(LIST, b"", port.client(), bearer(signed(port, scope="compute"))).code is DENIED
    refused(port, start, LIST, "PERMISSION_DENIED")


# Request tokens between gateways.


def test_08_a_request_token_serves_once(port: Port) -> None:
    sent = peer.DescribeRequest(chain=port.chain("police")).SerializeToString()
    token = bearer(port.request_token("police", PEER + "Describe", sent))
    assert port.call(PEER + "Describe", sent, port.gateway("police"), token).code is OK
    start = len(port.shell.facts())
    again = port.call(PEER + "Describe", sent, port.gateway("police"), token)
    assert (again.code, again.text) == (UNAUTHENTICATED, GENERIC)
    refused(port, start, PEER + "Describe", "used before")
    head, _, signature = token[0][1].rpartition(".")
    padded = (("authorization", f"{head}.{signature}=="),)
    assert port.call(PEER + "Describe", sent, port.gateway("police"), padded).code is UNAUTHENTICATED


def test_09_a_request_token_is_for_these_bytes_this_method_and_this_certificate(port: Port) -> None:
    sent = peer.DescribeRequest(chain=port.chain("police")).SerializeToString()
    rpc = PEER + "Describe"
    good = port.request_token("police", rpc, sent)
    attempts = (
        (port.gateway("police"), port.request_token("police", rpc, sent + b"\0")),
        (port.gateway("police"), port.request_token("police", PEER + "CheckDraft", sent)),
        (port.gateway("police"), port.request_token("police", rpc, sent, aud="https://neutral.example")),
        (port.gateway("police"), port.request_token("police", rpc, sent, iss="https://registry.example")),
        (port.gateway("registry"), good),
        (port.client("police"), good),
    )
    for credentials, token in attempts:
        start = len(port.shell.facts())
        answer = port.call(rpc, sent, credentials, bearer(token))
        assert (answer.code, answer.text) == (UNAUTHENTICATED, GENERIC)
        refused(port, start, rpc)
    assert port.call(rpc, sent, port.gateway("police"), bearer(good)).code is OK


def test_14_a_chain_of_another_entity_is_not_believed(port: Port) -> None:
    for chain in (port.chain("registry"), [port.chain("police")[0]] * 2):
        assert port.as_peer("police", "Describe", peer.DescribeRequest(chain=chain)).code is UNAUTHENTICATED


# Access table.


def test_every_call_answers_one_kind_of_caller(port: Port) -> None:
    kinds = {
        "client": lambda rpc: port.call(rpc, b"", port.client(), bearer(port.access_token())),
        "peer": lambda rpc: port.call(rpc, b"", port.gateway("police"), bearer(port.request_token("police", rpc, b""))),
        "agent": lambda rpc: port.call(rpc, b"", port.agent("care")),
    }
    for rpc, entry in access.TABLE.items():
        for kind, call in kinds.items():
            if entry.kind.value == kind or entry.kind.value == "holder":
                continue
            start = len(port.shell.facts())
            answer = call(rpc)
            assert answer.code is DENIED, (rpc, kind, answer)
            refused(port, start, rpc, f"{kind} ")
    assert port.call(CLIENT + "TokenService/IssueToken", b"", port.agent("care")).code is DENIED


def test_an_unknown_call_is_unknown(port: Port) -> None:
    assert port.as_client(CLIENT + "ComputationService/Steal").code is grpc.StatusCode.UNIMPLEMENTED


# Messages.


def test_15_metadata_and_messages_have_a_limit(port: Port) -> None:
    token = bearer(port.access_token())
    exhausted = grpc.StatusCode.RESOURCE_EXHAUSTED
    assert port.call(LIST, b"", port.client(), [*token, ("x", "y" * 200_000)]).code in (exhausted, UNAVAILABLE)
    assert port.call(LIST, b"\n" + bytes(6 * 1024 * 1024), port.client(), token).code is exhausted


def test_16_a_message_that_is_none_is_refused_with_its_field(port: Port) -> None:
    get = CLIENT + "CatalogueService/GetDataset"
    create = CLIENT + "ComputationService/CreateComputation"
    nested = b"\x12\x7f" * 40
    for rpc, sent, field in (
        (get, b"\x0a\x02\xff\xfe", ""),
        (get, b"\xff" * 40, ""),
        (create, nested, ""),
        (get, b"", "name"),
        (CLIENT + "CatalogueService/ListDatasets", cat.ListDatasetsRequest(page_size=100_000), "page_size"),
        (CLIENT + "CatalogueService/ListDatasets", cat.ListDatasetsRequest(page_size=-1), "page_size"),
        (create, comp.CreateComputationRequest(request_id="12345678"), "query"),
        (create, comp.CreateComputationRequest(request_id="short", query={"title": "x"}), "request_id"),
    ):
        start = len(port.shell.facts())
        answer = port.as_client(rpc, sent)
        assert answer.code is INVALID, (rpc, sent, answer)
        assert answer.problem is not None
        assert answer.problem.reason in (Reason.INVALID_ARGUMENT, Reason.MALFORMED_QUERY)
        assert field in answer.problem.field
        refused(port, start, rpc, "INVALID_ARGUMENT")


def test_17_a_call_without_a_deadline_is_refused_and_an_absurd_one_is_cut(port: Port) -> None:
    answer = port.as_client(LIST, timeout=None)
    assert answer.code is INVALID
    assert answer.problem is not None
    assert answer.problem.reason is Reason.NO_DEADLINE
    assert port.as_client(LIST, timeout=1e7).code is OK


def test_19_errors_say_nothing_of_the_inside(port: Port) -> None:
    get, show = CLIENT + "CatalogueService/GetDataset", CLIENT + "ComputationService/GetComputation"
    for name in ("x' OR 1=1 --", "../../etc/passwd", "computations/" + "%00" * 8, "a" * 60):
        for answer in (
            port.as_client(get, cat.GetDatasetRequest(name=name)),
            port.as_client(show, comp.GetComputationRequest(name=name)),
        ):
            assert answer.code is grpc.StatusCode.NOT_FOUND
            for inside in ("sqlite", "SELECT", "Traceback", ".py", str(port.folder)):
                assert inside not in answer.text


# Results.


def test_29_another_client_cannot_tell_a_computation_from_none(port: Port) -> None:
    name = _computation(port)
    show = CLIENT + "ComputationService/"
    # A client of the same space without the operator's scope, and one of another space.
    other = port.client("care", "operator")
    token = bearer(
        signed(port, sub="operator", client_id="operator", cnf={"x5t#S256": thumbprint(other[0])}, scope="compute")
    )
    for rpc, ask in (
        ("GetComputation", comp.GetComputationRequest),
        ("WatchComputation", comp.WatchComputationRequest),
        ("CancelComputation", comp.CancelComputationRequest),
        ("AcknowledgeResult", comp.AcknowledgeResultRequest),
    ):
        there = port.call(show + rpc, ask(name=name), other, token)
        nowhere = port.call(show + rpc, ask(name="computations/" + "0" * 32), other, token)
        assert there.code is nowhere.code is grpc.StatusCode.NOT_FOUND
        assert there.text.replace(name, "") == nowhere.text.replace("computations/" + "0" * 32, "")
    listed = port.call(show + "ListComputations", comp.ListComputationsRequest(), other, token)
    assert comp.ListComputationsResponse.FromString(listed.body).computations == []
    # The operator sees that it was, and not what came out.
    seen = port.as_client(show + "GetComputation", comp.GetComputationRequest(name=name), "operator")
    found = comp.GetComputationResponse.FromString(seen.body).computation
    assert found.name == name
    assert not found.HasField("table")


def _computation(port: Port) -> str:
    done = port.shell("run", "docs/queries/form_year.yaml", "--json", "--recipient", "gateway")
    assert done.code == 0, done.err
    return str(done.json["computation"])
