"""Row 12 at a gateway's port: revoked keys, tokens, entities; lists that are forged, rolled back, withheld, beyond
their issuer's authority."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import grpc
import pytest

from gateway.api.agent.v1 import agent_pb2
from gateway.domain.errors import Reason
from gateway.edges import keys
from gateway.edges.certificates import kid_of
from gateway.edges.keys import new_signing_key
from gateway.rules.jose import parse_compact
from tests.attacks.lone import HEARD_WITHIN, Lone, lone_gateway, until
from tests.attacks.port import AGENT, CLIENT, LIST, OK, bearer

UA, FP = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.FAILED_PRECONDITION
CARE, POLICE, ANCHOR = "https://care.example", "https://police.example", "https://anchor.example"
GENERIC = "These credentials were not accepted"


@pytest.fixture(scope="module")
def lone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lone]:
    with lone_gateway(tmp_path_factory.mktemp("revocation") / "federation") as lone:
        yield lone


def key_id(lone: Lone, space: str, name: str) -> str:
    return lone.port.key(space, name).kid


def anchor_revokes(lone: Lone, **revoked: list[str]) -> None:
    """The anchor's list arrives, passed on by a member."""
    known = lone.held().get(ANCHOR, {"seq": 0, "revoked": {}})
    said = {name: sorted({*known["revoked"].get(name, []), *revoked.get(name, [])}) for name in ("kids", "entities")}
    said["entities"] = revoked.get("entities", [])
    assert lone.describe("neutral", lone.list_of("anchor", claims={"seq": known["seq"] + 1}, **said)).code is OK


def test_12_lists_by_other_keys_or_beyond_their_authority_have_no_effect(lone: Lone) -> None:
    start = len(lone.facts("revocation.refused"))
    police_token, registry = key_id(lone, "police", "token"), lone.port.key("registry", "revocation")
    forged = [
        lone.list_of("police", new_signing_key(), kids=[police_token]),
        lone.list_of("police", registry, kids=[police_token]),
        lone.list_of("police", lone.port.key("police", "federation"), kids=[police_token]),
        lone.list_of("anchor", registry, entities=[POLICE]),
    ]
    for token in forged:
        # Nothing is wrong with the registry that brings it: it may have been told so itself.
        assert lone.describe("registry", token).code is OK
    assert len(lone.facts("revocation.refused")) == start + len(forged)
    beyond = lone.list_of("registry", kids=[police_token], entities=[POLICE, CARE], jtis=["x"])
    assert lone.describe("registry", beyond).code is OK
    assert lone.describe("police").code is OK
    assert lone.port.call(LIST, b"", lone.port.client(), bearer(lone.token())).code is OK
    assert POLICE not in lone.held()


def test_12_a_list_that_is_not_the_callers_own_and_does_not_hold_is_refused_if_it_says_it_is(lone: Lone) -> None:
    answer = lone.describe("police", lone.list_of("police", new_signing_key()))
    assert (answer.code, answer.text) == (UA, GENERIC)


def test_12_a_rolled_back_list_is_refused_and_noted_after_a_restart_too(lone: Lone) -> None:
    assert lone.describe("police", lone.list_of("police", jtis=["stolen"])).code is OK
    seq = 2
    for restarted in (False, True):
        if restarted:
            lone.stop()
            lone.start()
        start = len(lone.facts("revocation.refused"))
        answer = lone.describe("police", lone.list_of("police", claims={"seq": seq}))
        seq -= 1
        assert answer.code is FP, answer
        assert answer.problem is not None
        assert answer.problem.reason is Reason.REVOCATION_STALE
        assert POLICE in answer.text
        assert [fact.subject for fact in lone.facts("revocation.refused")][start:] == [POLICE]
        # A newer number that takes something back is no better.
        taken_back = lone.describe("police", lone.list_of("police", claims={"seq": _now() + 100}))
        assert taken_back.code is FP, taken_back
    assert lone.describe("police", lone.list_of("police", jtis=["stolen"], claims={"seq": _now() + 101})).code is OK


def test_12_a_list_that_has_expired_is_refused(lone: Lone) -> None:
    assert lone.describe("registry", lone.list_of("registry", at=_now() - 600)).code is UA


def test_12_a_token_that_was_taken_back_opens_nothing(lone: Lone) -> None:
    stolen, other = lone.token(), lone.token()
    assert lone.port.call(LIST, b"", lone.port.client(), bearer(stolen)).code is OK
    jti = parse_compact(stolen, len(stolen)).claims["jti"]
    assert lone.revoke("--token", jti, "--reason", "left in a train")["new"]

    def refused() -> bool:
        return lone.port.call(LIST, b"", lone.port.client(), bearer(stolen)).code is UA

    assert until(refused, HEARD_WITHIN)
    answer = lone.port.call(LIST, b"", lone.port.client(), bearer(stolen))
    assert (answer.code, answer.text) == (UA, GENERIC)
    assert "REVOKED" in lone.facts("call.refused")[-1].detail
    assert lone.port.call(LIST, b"", lone.port.client(), bearer(other)).code is OK
    assert "left in a train" not in str(lone.held())


def test_12_a_client_whose_tls_key_was_revoked_is_out_and_its_stream_is_cut(lone: Lone) -> None:
    certificate = lone.port.client("care", "operator")
    token = lone.token("operator")
    assert lone.port.call(LIST, b"", certificate, bearer(token)).code is OK
    file = lone.port.folder / "users" / "care-operator.pem"
    assert lone.revoke("--key", file)["id"] == kid_of(file.read_bytes())
    assert until(lambda: lone.port.call(LIST, b"", certificate, bearer(token)).code is UA, HEARD_WITHIN)
    assert lone.port.call(CLIENT + "TokenService/IssueToken", b"", certificate).code is UA
    assert lone.port.call(LIST, b"", lone.port.client(), bearer(lone.token())).code is OK


def test_12_a_peer_whose_tls_key_or_ca_was_revoked_is_out(lone: Lone) -> None:
    leaf = kid_of(lone.port.gateway("registry")[0])
    assert lone.describe("registry").code is OK
    before = [key_id(lone, "police", "token")]  # what it said before, to no effect
    said = lone.list_of("registry", kids=[leaf, *before], jtis=["x"], claims={"seq": _now() + 50})
    assert lone.describe("registry", said).code is OK
    assert lone.describe("registry").code is UA
    ca = kid_of((lone.port.folder / "spaces" / "police" / "tls" / "ca.pem").read_bytes())
    assert lone.describe("police").code is OK
    anchor_revokes(lone, kids=[ca])
    assert lone.describe("police").code is UA


def test_12_an_entity_that_its_anchor_revokes_is_out(lone: Lone) -> None:
    # The last peer that is left brings the list that cuts itself off.
    anchor_revokes(lone, entities=["https://neutral.example"])
    answer = lone.describe("neutral")
    assert (answer.code, answer.text) == (UA, GENERIC)
    assert "revoked by https://anchor.example" in lone.facts("call.refused")[-1].detail


def test_12_the_stream_of_an_agent_whose_key_was_revoked_is_cut(lone: Lone) -> None:
    opened, ended = threading.Event(), []
    hello = agent_pb2.ConnectRequest(hello=agent_pb2.Hello(offer=_offer(lone))).SerializeToString()

    def asks() -> Iterator[bytes]:
        yield hello
        opened.wait(HEARD_WITHIN)

    with lone.port.channel(lone.port.agent("care")) as channel:
        stream = channel.stream_stream(AGENT + "Connect")(asks(), timeout=60)
        next(iter(stream))  # what it is told first
        lone.revoke("--key", lone.home / "agent" / "agent.pem")
        try:
            for _ in stream:
                pass
        except grpc.RpcError as error:
            ended.append(error.code())
    opened.set()
    assert ended == [UA]


def test_12_a_gateway_does_not_sign_with_a_token_key_that_was_revoked(lone: Lone) -> None:
    done = lone.revoke("--key", key_id(lone, "care", "token"))
    assert done["name"] == "token"
    issue = CLIENT + "TokenService/IssueToken"

    def refused() -> bool:
        return lone.port.call(issue, b"", lone.port.client()).code is UA

    assert until(refused, HEARD_WITHIN)
    answer = lone.port.call(issue, b"", lone.port.client())
    assert answer.problem is not None
    assert answer.problem.reason is Reason.REVOKED
    assert "token key" in answer.text


def _now() -> int:
    return int(time.time())


def _offer(lone: Lone) -> str:
    """What care's agent would offer: no dataset, no seat."""
    from gateway.domain.offer import Offer
    from gateway.edges.clock import SystemClock, SystemIds
    from gateway.edges.documents import Writer

    contract = keys.load_signing_key(lone.home / "agent" / "contract.pem")
    return Writer(CARE, lambda: contract, SystemClock(), SystemIds()).offer(Offer((), (), 0, "mpyc 0.11", 1))
