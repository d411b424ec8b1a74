"""Row 10, and row 29 where it meets the port: rights that somebody does not have; results that are not theirs."""

from __future__ import annotations

import grpc

from gateway.api.client.v1 import computations_pb2 as comp
from gateway.client import load_query
from gateway.edges.certificates import thumbprint
from gateway.edges.grpc.convert import query_to
from tests.attacks.forgery import of_client
from tests.attacks.port import CLIENT, DENIED, Answer, Port, bearer
from tests.e2e.shell import QUERIES

COMPUTATION = CLIENT + "ComputationService/"


def test_an_unknown_call_is_unknown(port: Port) -> None:
    assert port.as_client(CLIENT + "ComputationService/Steal").code is grpc.StatusCode.UNIMPLEMENTED


def test_10_what_a_tokens_rights_do_not_cover_is_denied(port: Port) -> None:
    forger, rpc = of_client(port), COMPUTATION + "CreateComputation"
    before = port.as_client(COMPUTATION + "ListComputations").body
    query = query_to(load_query(QUERIES / "form_year.yaml").query)
    everything = {"type": "isthmus", "datasets": ["*"], "statistics": ["*"], "purposes": ["*"]}
    for details in (
        [{**everything, "datasets": ["spaces/care.example/datasets/la"]}],
        [{**everything, "statistics": ["overlap"]}],
        [{**everything, "purposes": ["research"]}],
        [{**everything, "datasets": []}],
        [{**everything, "datasets": "*"}],
        [{**everything, "datasets": [1]}],
        [{**everything, "type": "other"}],
        # Two entries are not the sum of both.
        [everything, everything],
        [],
        None,
    ):
        request = comp.CreateComputationRequest(request_id="a" * 32, query=query)
        with port.audits(rpc, "PERMISSION_DENIED"):
            answer = port.call(rpc, request, port.client(), bearer(forger.saying(authorization_details=details)))
        assert answer.code is DENIED, (details, answer)
    assert port.as_client(COMPUTATION + "ListComputations").body == before


def test_29_another_client_cannot_tell_a_computation_from_none(port: Port) -> None:
    name = _computation(port)
    # A client of the same space without the operator's scope.
    other = port.client("care", "operator")
    token = bearer(
        of_client(port).saying(
            sub="operator", client_id="operator", cnf={"x5t#S256": thumbprint(other[0])}, scope="compute"
        )
    )

    def asks(rpc: str, request: comp.GetComputationRequest) -> Answer:
        with port.audits(COMPUTATION + rpc, "NOT_FOUND"):
            return port.call(COMPUTATION + rpc, request, other, token)

    nobodys = "computations/" + "0" * 32
    for rpc, ask in (
        ("GetComputation", comp.GetComputationRequest),
        ("WatchComputation", comp.WatchComputationRequest),
        ("CancelComputation", comp.CancelComputationRequest),
        ("AcknowledgeResult", comp.AcknowledgeResultRequest),
    ):
        there, nowhere = asks(rpc, ask(name=name)), asks(rpc, ask(name=nobodys))
        assert there.code is nowhere.code is grpc.StatusCode.NOT_FOUND
        assert there.text.replace(name, "") == nowhere.text.replace(nobodys, "")
    listed = port.call(COMPUTATION + "ListComputations", comp.ListComputationsRequest(), other, token)
    # Other tests may have asked as this client: it sees its own, and no one else's.
    own = comp.ListComputationsResponse.FromString(listed.body).computations
    assert {found.requester for found in own} <= {"operator"} and name not in {found.name for found in own}
    # The operator sees that it was, and not what came out.
    seen = port.as_client(COMPUTATION + "GetComputation", comp.GetComputationRequest(name=name), "operator")
    found = comp.GetComputationResponse.FromString(seen.body).computation
    assert found.name == name
    assert not found.HasField("table")


def _computation(port: Port) -> str:
    done = port.shell("run", "docs/queries/form_year.yaml", "--json", "--recipient", "gateway")
    assert done.code == 0, done.err
    return str(done.json["computation"])
