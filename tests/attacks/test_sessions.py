"""Attacks of a peer that belongs to the federation: contracts, sessions and tunnels that are not its own."""

from __future__ import annotations

import time
from dataclasses import replace

import grpc

from gateway.api.peer.v1 import peer_pb2 as peer
from gateway.client import Client, Profile, load_query
from gateway.domain.contract import Contract
from gateway.domain.query import Filter, Source
from gateway.edges.documents import CONTRACT
from gateway.edges.tokens import sign
from gateway.rules.contract import audience
from gateway.rules.jose import parse_compact
from gateway.rules.records import to_plain
from gateway.rules.tokens import payload_digest
from gateway.sandbox.data import YEAR
from tests.attacks.port import DENIED, OK, UNAUTHENTICATED, Port
from tests.e2e.shell import QUERIES


def contract_of(port: Port, space: str) -> Contract:
    """What `space` would ask."""
    with Client(Profile.load(port.shell.sandbox.profile(space))) as client:
        return client.plan(load_query(QUERIES / "form_year.yaml").query).draft


def signed(port: Port, contract: Contract, space: str) -> str:
    now = int(time.time())
    envelope = {
        "iss": contract.initiator,
        "sub": contract.initiator,
        "aud": audience(contract.session),
        "iat": now,
        "exp": now + 600,
        "jti": f"attack-{time.time_ns()}",
    }
    return sign(CONTRACT, {**envelope, "contract": to_plain(contract)}, port.key(space))


def approved(port: Port, contract: Contract, token: str) -> bool:
    """Whether care's agent approves what police proposes."""
    names = [entity.removeprefix("https://").removesuffix(".example") for entity in contract.entities()]
    chains = [peer.Chain(statements=port.chain(name)) for name in names]
    answer = port.as_peer("police", "Propose", peer.ProposeRequest(contract=token, chains=chains))
    assert answer.code is OK, answer
    return peer.ProposeResponse.FromString(answer.body).WhichOneof("answer") == "approval"


def facts(port: Port, start: int, kind: str) -> list[str]:
    return [fact.detail for fact in port.shell.facts(start=start) if fact.kind == kind]


def test_22_only_its_initiator_proposes_or_runs_a_contract(port: Port) -> None:
    contract = contract_of(port, "police")
    token = signed(port, contract, "police")
    for method, request in (
        ("Propose", peer.ProposeRequest(contract=token)),
        ("Run", peer.RunRequest(contract=token, approvals=["x"])),
    ):
        start = len(port.shell.facts())
        answer = port.as_peer("registry", method, request)
        assert answer.code is DENIED, answer
        assert "police" not in answer.text
        (detail,) = facts(port, start, "call.refused")
        assert "registry" in detail
    # The same bytes from whom they are of are approved.
    assert approved(port, contract, token), port.shell.facts(database="agent.db")[-3:]


def test_22_a_contract_in_anothers_name_is_not_read(port: Port) -> None:
    contract = contract_of(port, "police")
    for forged in (signed(port, contract, "registry"), signed(port, contract, "neutral")):
        answer = port.as_peer("police", "Propose", peer.ProposeRequest(contract=forged))
        assert answer.code is UNAUTHENTICATED


def test_20_a_space_that_takes_no_part_has_no_tunnel_and_no_say(port: Port) -> None:
    query = load_query(QUERIES / "form_year.yaml").query
    # Other rows than those of all sources, to which the ledgers would object.
    late = (Filter(YEAR, one_of=("2009", "2010", "2011", "2012")),)
    fewer = tuple(Source(query.sources[place].dataset, late) for place in (0, 2))
    with Client(Profile.load(port.shell.sandbox.profile("police"))) as client:
        contract = client.plan(replace(query, sources=fewer)).draft
    assert "https://registry.example" not in contract.entities()
    token = signed(port, contract, "police")
    assert approved(port, contract, token), port.shell.facts(database="agent.db")[-3:]

    start = len(port.shell.facts())
    opened = port.as_peer("registry", "Tunnel", peer.TunnelRequest(open={"session": contract.session}))
    assert opened.code is DENIED, opened
    assert len(facts(port, start, "call.refused")) == 1

    digest = payload_digest(parse_compact(token, 512 * 1024).payload)
    failure = peer.Failure(reason="CANCELLED", culprit="https://police.example")
    end = peer.ConcludeRequest(
        session=contract.session, contract_digest=digest, state="CANCELLED", failure=failure
    )  # fmt: skip
    for space in ("registry", "neutral"):
        start = len(port.shell.facts())
        unknown = port.as_peer(space, "Conclude", end)
        assert unknown.code is grpc.StatusCode.NOT_FOUND
        assert len(facts(port, start, "call.refused")) == 1
    nowhere = peer.ConcludeRequest(session="0" * 32, contract_digest=digest, state="CANCELLED", failure=failure)
    assert port.as_peer("registry", "Conclude", nowhere).text == unknown.text
    # Its initiator ends it.
    assert port.as_peer("police", "Conclude", end).code is OK


def test_21_a_session_that_is_not_there_has_no_tunnel(port: Port) -> None:
    answer = port.as_peer("police", "Tunnel", peer.TunnelRequest(open={"session": "0" * 32}))
    assert answer.code is grpc.StatusCode.NOT_FOUND
    answer = port.as_peer("police", "Tunnel", peer.TunnelRequest(frames=[{"source": 1, "sealed": b"x"}]))
    assert answer.code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.ABORTED, grpc.StatusCode.INVALID_ARGUMENT)


def test_a_draft_that_is_none_is_refused(port: Port) -> None:
    for draft in (b"[]", b"{}", b"\xff\xfe", b'{"session":' * 2000):
        answer = port.as_peer("police", "CheckDraft", peer.CheckDraftRequest(draft=draft))
        assert (
            answer.code
            in (
                grpc.StatusCode.FAILED_PRECONDITION,
                grpc.StatusCode.INVALID_ARGUMENT,
            )
            or not peer.CheckDraftResponse.FromString(answer.body).allowed
        )
