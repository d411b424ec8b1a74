"""Asks one joint statistic with plain gRPC: python docs/examples/ask.py PROFILE.toml"""

import sys
import tomllib
import uuid
from pathlib import Path

import grpc

from gateway.api.client.v1 import computations_pb2 as pb
from gateway.api.client.v1 import computations_pb2_grpc, query_pb2

home = Path(sys.argv[1]).parent
profile = tomllib.loads(Path(sys.argv[1]).read_text())
tls = grpc.ssl_channel_credentials(*((home / profile[name]).read_bytes() for name in ("ca", "key", "certificate")))
options = [("grpc.ssl_target_name_override", profile["server_name"])]
token = [("authorization", "Bearer " + (home / profile["token"]).read_text().strip())]

lists = ("care.example/la", "care.example/ng", "police.example/pfnca", "registry.example/go", "registry.example/gp")
query = query_pb2.JointQuery(
    title="Victims by form of exploitation and year",
    purpose="trend-monitoring",
    legal_basis="gdpr-6-1-e",
    sources=[{"dataset": "spaces/" + name.replace("/", "/datasets/")} for name in lists],
    link_on=["prs_FirstName", "prs_SecondName", "prs_Birthdate"],
    count_by=query_pb2.CountBy(columns=["vic_TypeOfExploitation", "year"]),
)
with grpc.secure_channel(profile["gateway"], tls, options) as channel:
    computations = computations_pb2_grpc.ComputationServiceStub(channel)
    # No recipient key: the home gateway receives the result for this client, and the contract says so.
    request = pb.CreateComputationRequest(request_id=str(uuid.uuid4()), query=query)
    name = computations.CreateComputation(request, metadata=token, timeout=30).computation.name
    for change in computations.WatchComputation(pb.WatchComputationRequest(name=name), metadata=token, timeout=300):
        last = change.computation
    if last.state != pb.Computation.STATE_RELEASED:
        sys.exit(f"{pb.Computation.State.Name(last.state)}: {last.ending.text}. {last.ending.action}")
    for row in last.table.rows:
        print(*row.codes, "suppressed" if row.suppressed else row.count)
