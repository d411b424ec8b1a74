"""Rows 16, 17 and 19: messages that are none, deadlines, and errors that would say too much; on every rpc."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

from gateway.api.agent.v1 import agent_pb2 as agent
from gateway.api.client.v1 import approvals_pb2 as approvals
from gateway.api.client.v1 import catalogue_pb2 as cat
from gateway.api.client.v1 import computations_pb2 as comp
from gateway.api.client.v1 import diagnostics_pb2 as diagnostics
from gateway.api.client.v1 import policies_pb2 as policies
from gateway.api.client.v1 import tokens_pb2 as tok
from gateway.api.peer.v1 import examination_pb2 as examination
from gateway.api.peer.v1 import peer_pb2 as peer
from gateway.domain.caller import CallerKind
from gateway.domain.errors import Reason
from gateway.rules import access
from tests.attacks.forgery import of_client
from tests.attacks.port import CLIENT, INVALID, LIST, METHODS, OK, PEER, ROWS, STREAMS, Answer, Port, bearer

EXAMINATION = "/isthmus.peer.v1.ExaminationService/"
DIAGNOSE = CLIENT + "DiagnosticsService/DiagnosePeer"
CATALOGUE, COMPUTATION = CLIENT + "CatalogueService/", CLIENT + "ComputationService/"
APPROVAL, POLICY = CLIENT + "ApprovalService/", CLIENT + "PolicyService/"
AGENT, EXCHANGE = "/isthmus.agent.v1.AgentService/", CLIENT + "TokenService/ExchangeToken"
# What would tell a stranger about the inside.
INSIDE = ("sqlite", "SELECT", "INSERT", "Traceback", "Error(", ".py", "/tmp", "0x", "grpc.", "database is locked")


def ask(port: Port, rpc: str, sent: bytes | Message, timeout: float | None = 15.0) -> Answer:
    """A call by somebody who may make it."""
    message = sent if isinstance(sent, bytes) else sent.SerializeToString()
    match access.TABLE[rpc].kind:
        case CallerKind.PEER:
            token = bearer(port.request_token("police", rpc, message))
            return port.call(rpc, message, port.gateway("police"), token, timeout)
        case CallerKind.AGENT:
            return port.call(rpc, message, port.agent("care"), (), timeout)
        case _:
            client = "analyst" if access.TABLE[rpc].scope in ("", "catalogue", "compute") else "operator"
            return port.as_client(rpc, message, client, timeout)


def refused_for(answer: Answer, field: str) -> None:
    assert answer.code is INVALID, answer
    assert answer.problem is not None
    assert answer.problem.reason in (Reason.INVALID_ARGUMENT, Reason.MALFORMED_QUERY)
    assert answer.problem.field == field, answer.problem
    assert not [inside for inside in INSIDE if inside in answer.text]


def tagged(number: int, content: bytes) -> bytes:
    """A field of a message as it lies on the wire, length first."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(number: int) -> bytes:
    """Seven bits to a byte, lowest first; all but the last say that more follow."""
    low = b""
    while number > 127:
        low, number = low + bytes([number & 127 | 128]), number >> 7
    return low + bytes([number])


def strings(method: MethodDescriptor) -> Iterator[bytes]:
    """Each text of the request in turn, also of the messages in it, as bytes that are no UTF-8."""
    for field in method.input_type.fields:
        if field.type == FieldDescriptor.TYPE_STRING:
            yield tagged(field.number, b"\xff\xfe")
            yield tagged(field.number, b"\xed\xa0\x80")  # half a character
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            for inner in field.message_type.fields:
                if inner.type == FieldDescriptor.TYPE_STRING:
                    yield tagged(field.number, tagged(inner.number, b"\xc0\xaf"))


# 16: messages.


@pytest.mark.parametrize("rpc", METHODS)
def test_16_bytes_that_are_no_message_are_refused_by_every_rpc(port: Port, rpc: str) -> None:
    nested = bytes([0x7B]) * 5_000  # groups in groups, of a field that nothing knows
    closed = nested + bytes([0x7C]) * 5_000
    broken = (b"\xff" * 40, b"\x0a\x7f", b"\x08", nested, closed, *strings(METHODS[rpc]))
    for sent in broken:
        with port.audits(rpc, "INVALID_ARGUMENT: the request is no valid message"):
            answer = ask(port, rpc, sent)
        refused_for(answer, "")


LONG = "x" * 2_000_000
QUERY = {"title": "x", "purpose": "y", "legal_basis": "z", "sources": [{"dataset": "d"}], "link_on": ["c"]}
COUNTED = {**QUERY, "count_by": {"columns": ["c"]}}
DIGEST = "0" * 64


def _create(**changes: object) -> comp.CreateComputationRequest:
    return comp.CreateComputationRequest(request_id="a" * 32, query={**COUNTED, **changes})


def _filtered(**operator: object) -> comp.CreateComputationRequest:
    return _create(sources=[{"dataset": "d", "filters": [{"column": "c", **operator}]}])


OUT_OF_RANGE: list[tuple[str, Message, str]] = [
    (CATALOGUE + "ListDatasets", cat.ListDatasetsRequest(page_size=201), "page_size"),
    (CATALOGUE + "ListDatasets", cat.ListDatasetsRequest(page_size=-(2**31)), "page_size"),
    (CATALOGUE + "ListDatasets", cat.ListDatasetsRequest(page_token="x" * 513), "page_token"),
    (CATALOGUE + "GetDataset", cat.GetDatasetRequest(), "name"),
    (CATALOGUE + "GetDataset", cat.GetDatasetRequest(name="x" * 401), "name"),
    (COMPUTATION + "CreateComputation", comp.CreateComputationRequest(request_id="a" * 32), "query"),
    (COMPUTATION + "CreateComputation", comp.CreateComputationRequest(request_id="a", query=COUNTED), "request_id"),
    (COMPUTATION + "CreateComputation", _create(title=""), "query.title"),
    (COMPUTATION + "CreateComputation", _create(sources=[]), "query.sources"),
    (COMPUTATION + "CreateComputation", _create(sources=[{"dataset": "d"}] * 33), "query.sources"),
    (COMPUTATION + "CreateComputation", _create(sources=[{"dataset": ""}]), "query.sources.dataset"),
    (COMPUTATION + "CreateComputation", _create(link_on=["c"] * 9), "query.link_on"),
    (COMPUTATION + "CreateComputation", _create(count_by={"columns": []}), "query.count_by.columns"),
    (COMPUTATION + "CreateComputation", _create(limits={"minimum_cell": -1}), "query.limits.minimum_cell"),
    (COMPUTATION + "CreateComputation", _create(limits={"minimum_cell": 2**31 - 1}), "query.limits.minimum_cell"),
    (COMPUTATION + "CreateComputation", _create(seats={"count": -3}), "query.seats.count"),
    (COMPUTATION + "CreateComputation", _create(seats={"count": 65}), "query.seats.count"),
    (COMPUTATION + "CreateComputation", _create(seats={"at": ["x"] * 17}), "query.seats.at"),
    (COMPUTATION + "CreateComputation", _filtered(), "query.sources.filters.operator"),
    (COMPUTATION + "CreateComputation", _filtered(equals={}), "query.sources.filters.equals.kind"),
    (COMPUTATION + "CreateComputation", _filtered(one_of={}), "query.sources.filters.one_of.values"),
    (COMPUTATION + "CreateComputation", _filtered(between={}), "query.sources.filters.between.low"),
    (COMPUTATION + "ValidateComputation", comp.ValidateComputationRequest(query=QUERY), "query.statistic"),
    (COMPUTATION + "ListComputations", comp.ListComputationsRequest(page_size=-1), "page_size"),
    (COMPUTATION + "GetComputation", comp.GetComputationRequest(name="x" * 81), "name"),
    (COMPUTATION + "WatchComputation", comp.WatchComputationRequest(), "name"),
    (COMPUTATION + "CancelComputation", comp.CancelComputationRequest(name="x" * 81), "name"),
    (COMPUTATION + "AcknowledgeResult", comp.AcknowledgeResultRequest(), "name"),
    (EXCHANGE, tok.ExchangeTokenRequest(), "grant"),
    (EXCHANGE, tok.ExchangeTokenRequest(subject_token={"token": "x"}), "subject_token.token_type"),
    # An enum's number that nobody has defined.
    (EXCHANGE, tok.ExchangeTokenRequest.FromString(b"\x0a\x05\x0a\x01x\x10\x63"), "subject_token.token_type"),
    (EXCHANGE, tok.ExchangeTokenRequest(subject_token={"token": "x" * 16385, "token_type": 1}), "subject_token.token"),
    (PEER + "Describe", peer.DescribeRequest(chain=["x"]), "chain"),
    (PEER + "CheckDraft", peer.CheckDraftRequest(), "draft"),
    (PEER + "CheckDraft", peer.CheckDraftRequest(draft=b"x" * 2_000_000), "draft"),
    (PEER + "Propose", peer.ProposeRequest(), "contract"),
    (PEER + "Propose", peer.ProposeRequest(contract=LONG), "contract"),
    (PEER + "Propose", peer.ProposeRequest(contract="x", chains=[{"statements": ["x"] * 9}]), "chains.statements"),
    (PEER + "Propose", peer.ProposeRequest(contract="x", chains=[{"statements": ["x"] * 2}] * 33), "chains"),
    (PEER + "Consult", peer.ConsultRequest(), "plan"),
    (PEER + "Consult", peer.ConsultRequest(plan=LONG), "plan"),
    (PEER + "Consult", peer.ConsultRequest(plan="x", chains=[{"statements": ["x"] * 2}] * 33), "chains"),
    (PEER + "Run", peer.RunRequest(contract="x", approvals=["x"] * 33), "approvals"),
    (PEER + "Run", peer.RunRequest(contract="x", chains=[{}]), "chains.statements"),
    (PEER + "Conclude", peer.ConcludeRequest(contract_digest=DIGEST, state="FAILED"), "session"),
    (PEER + "Conclude", peer.ConcludeRequest(session="x", contract_digest="0", state="FAILED"), "contract_digest"),
    # States are no numbers here: a name that is none is the unknown enum, and so is one that is no end.
    (PEER + "Conclude", peer.ConcludeRequest(session="x", contract_digest=DIGEST, state="WON"), "state"),
    (PEER + "Conclude", peer.ConcludeRequest(session="x", contract_digest=DIGEST, state="released"), "state"),
    (PEER + "Conclude", peer.ConcludeRequest(session="x", contract_digest=DIGEST, state="RUNNING"), "state"),
    (PEER + "Tunnel", peer.TunnelRequest(open={"session": ""}), "open.session"),
    (PEER + "Tunnel", peer.TunnelRequest(open={"session": "x" * 65}), "open.session"),
    (EXAMINATION + "Probe", examination.ProbeRequest(answer_bytes=-1), "answer_bytes"),
    (EXAMINATION + "Probe", examination.ProbeRequest(answer_bytes=2**31 - 1), "answer_bytes"),
    (DIAGNOSE, diagnostics.DiagnosePeerRequest(peer="x" * 256), "peer"),
    (APPROVAL + "ListPlans", approvals.ListPlansRequest(page_size=201), "page_size"),
    (APPROVAL + "ListPlans", approvals.ListPlansRequest(page_token="../x"), "page_token"),
    (APPROVAL + "GetPlan", approvals.GetPlanRequest(plan="x' OR 1=1"), "plan"),
    (APPROVAL + "DecidePlan", approvals.DecidePlanRequest(plan="0" * 63, decision="x"), "plan"),
    (APPROVAL + "DecidePlan", approvals.DecidePlanRequest(plan=DIGEST, decision="x" * 65537), "decision"),
    (POLICY + "GetPolicy", policies.GetPolicyRequest(dataset="x" * 401), "dataset"),
    (POLICY + "ProposePolicy", policies.ProposePolicyRequest(dataset="x"), "proposal"),
    (POLICY + "ProposePolicy", policies.ProposePolicyRequest(dataset="x", proposal="x" * 262145), "proposal"),
    (AGENT + "Connect", agent.ConnectRequest(hello={"offer": ""}), "hello.offer"),
    (AGENT + "Carry", agent.CarryRequest(open={"session": ""}), "open.session"),
]


@pytest.mark.parametrize("number", range(len(OUT_OF_RANGE)))
def test_16_a_field_out_of_its_range_is_named(port: Port, number: int) -> None:
    rpc, sent, field = OUT_OF_RANGE[number]
    with port.audits(rpc, "INVALID_ARGUMENT"):
        answer = ask(port, rpc, sent)
    refused_for(answer, field)


def test_16_every_family_of_rpcs_has_fields_that_are_out_of_range() -> None:
    """IssueToken, ListSpaces and their like have no field; everybody else is in the table above."""
    without = {rpc for rpc, method in METHODS.items() if not method.input_type.fields}
    assert {rpc for rpc, _, _ in OUT_OF_RANGE} | without == METHODS.keys() == ROWS.keys()


# 17: deadlines.


@pytest.mark.parametrize("rpc", sorted(METHODS.keys() - STREAMS))
def test_17_a_call_without_a_deadline_is_refused(port: Port, rpc: str) -> None:
    with port.audits(rpc, "NO_DEADLINE"):
        answer = ask(port, rpc, b"", timeout=None)
    assert answer.code is INVALID
    assert answer.problem is not None
    assert answer.problem.reason is Reason.NO_DEADLINE
    assert f"{access.TABLE[rpc].longest:.0f} seconds" in answer.problem.advice


def test_17_an_absurd_deadline_is_cut_and_the_call_served(port: Port) -> None:
    for timeout in (1e7, 3e8):
        assert ask(port, LIST, b"", timeout=timeout).code is OK
        assert ask(port, COMPUTATION + "ListComputations", b"", timeout=timeout).code is OK
    describe = peer.DescribeRequest(chain=port.chain("police"))
    assert ask(port, PEER + "Describe", describe, timeout=1e7).code is OK


@pytest.mark.parametrize("timeout", [None, 1e7])
def test_17_a_stream_without_a_deadline_is_served_and_has_one(port: Port, timeout: float | None) -> None:
    """What is refused at once shows that the call was served; `seconds_allowed` cuts what would go on."""
    for rpc in sorted(STREAMS):
        assert 0 < access.TABLE[rpc].longest <= 3600 or rpc == AGENT + "Connect"
        with port.audits(rpc, "INVALID_ARGUMENT"):
            answer = ask(port, rpc, b"\xff", timeout=timeout)
        refused_for(answer, "")


# 19: errors.


def test_19_errors_say_nothing_of_the_inside_to_clients(port: Port) -> None:
    names = ("x' OR 1=1 --", "../../etc/passwd", "computations/%00%00", "a" * 60, "spaces/x/datasets/\x07\x1b[2J", "{}")
    for name in names:
        for rpc, request in (
            ("CatalogueService/GetDataset", cat.GetDatasetRequest(name=name)),
            ("ComputationService/GetComputation", comp.GetComputationRequest(name=name)),
            ("ComputationService/CancelComputation", comp.CancelComputationRequest(name=name)),
            ("ComputationService/WatchComputation", comp.WatchComputationRequest(name=name)),
            ("ComputationService/AcknowledgeResult", comp.AcknowledgeResultRequest(name=name)),
        ):
            with port.audits(CLIENT + rpc, "there is no" if "Comp" in rpc else ""):
                answer = port.as_client(CLIENT + rpc, request)
            assert answer.code is grpc.StatusCode.NOT_FOUND, answer
            assert not [inside for inside in (*INSIDE, str(port.folder)) if inside in answer.text], answer.text
    # A page that nobody gave out.
    for rpc, request in (
        (CATALOGUE + "ListDatasets", cat.ListDatasetsRequest(page_token="' OR 1=1 --")),
        (COMPUTATION + "ListComputations", comp.ListComputationsRequest(page_token="' UNION SELECT 1 --")),
    ):
        answer = port.as_client(rpc, request)
        assert answer.code in (OK, INVALID), answer
        assert not [inside for inside in INSIDE if inside in answer.text + answer.body.decode(errors="replace")]


def test_19_a_dataset_that_a_token_does_not_cover_is_refused_like_one_that_is_not_there(port: Port) -> None:
    """Datasets are public metadata; what a token may not ask it may not probe either."""
    forger = of_client(port)
    rights = [
        {"type": "isthmus", "datasets": ["spaces/care.example/datasets/la"], "statistics": ["*"], "purposes": ["*"]}
    ]
    texts = set()
    for name in ("spaces/police.example/datasets/pfnca", "spaces/police.example/datasets/nothing"):
        request = comp.ValidateComputationRequest(query={**COUNTED, "sources": [{"dataset": name}]})
        token = forger.saying(authorization_details=rights)
        rpc = COMPUTATION + "ValidateComputation"
        answer = port.call(rpc, request, port.client(), bearer(token))
        assert answer.code is grpc.StatusCode.PERMISSION_DENIED, answer
        texts.add(answer.text.replace(name, ""))
    assert len(texts) == 1


def test_19_errors_say_nothing_of_the_inside_to_peers(port: Port) -> None:
    nothing = peer.ConcludeRequest(session="' OR 1=1 --", contract_digest=DIGEST, state="FAILED")
    for rpc, request in (
        ("Propose", peer.ProposeRequest(contract="x")),
        ("Propose", peer.ProposeRequest(contract=port.chain("care")[0])),
        ("Run", peer.RunRequest(contract="../../keys/token.pem")),
        ("CheckDraft", peer.CheckDraftRequest(draft=b'{"session":' * 2000)),
        ("CheckDraft", peer.CheckDraftRequest(draft=b'{"session":NaN}')),
        ("CheckDraft", peer.CheckDraftRequest(draft=b"\xff\xfe")),
        ("CheckDraft", peer.CheckDraftRequest(draft=b"[1e999]")),
        ("Conclude", nothing),
        ("Tunnel", peer.TunnelRequest(open={"session": "' OR 1=1 --"})),
        ("Tunnel", peer.TunnelRequest(frames=[{"source": 2**32 - 1, "destination": 2**32 - 1, "sealed": b"x"}])),
    ):
        with port.audits(PEER + rpc):
            answer = port.as_peer("police", rpc, request)
        assert answer.code not in (OK, grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL), (rpc, answer)
        assert not [inside for inside in (*INSIDE, str(port.folder)) if inside in answer.text], answer.text


@contextmanager
def _held(port: Port) -> Iterator[None]:
    """care's database, in which somebody else is writing for a while."""
    release, holding = threading.Event(), threading.Event()

    def hold() -> None:
        with sqlite3.connect(port.folder / "spaces" / "care" / "gateway.db", isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            holding.set()
            release.wait()
            other.execute("ROLLBACK")
        other.close()

    thread = threading.Thread(target=hold)
    thread.start()
    holding.wait()
    try:
        yield
    finally:
        release.set()
        thread.join()


def test_19_a_refusal_that_cannot_be_written_down_leaves_as_a_generic_text(port: Port) -> None:
    with _held(port):
        answer = port.as_client(CATALOGUE + "GetDataset", cat.GetDatasetRequest(name="spaces/x/datasets/y"))
    assert answer.code is grpc.StatusCode.INTERNAL, answer
    assert answer.problem is not None
    assert answer.problem.reason is Reason.INTERNAL
    assert not [inside for inside in (*INSIDE, str(port.folder)) if inside in answer.text], answer.text
