"""The interface against its own descriptors: access, comments, errors, and generated code."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor

from gateway.api.agent.v1 import agent_pb2
from gateway.api.client.v1 import (
    approvals_pb2,
    catalogue_pb2,
    computations_pb2,
    diagnostics_pb2,
    policies_pb2,
    query_pb2,
    tokens_pb2,
)
from gateway.api.peer.v1 import examination_pb2, peer_pb2
from gateway.api.trust.v1 import anchor_pb2
from gateway.domain.caller import Caller, CallerKind, Rights
from gateway.domain.errors import IsthmusError, Reason
from gateway.edges.grpc import errors
from gateway.rules import access
from tests import examples
from tests.generate_api import ROOT, generate

FILES = (
    agent_pb2,
    anchor_pb2,
    approvals_pb2,
    catalogue_pb2,
    computations_pb2,
    diagnostics_pb2,
    policies_pb2,
    query_pb2,
    tokens_pb2,
    examination_pb2,
    peer_pb2,
)
METHODS: dict[str, MethodDescriptor] = {
    f"/{service.full_name}/{method.name}": method
    for file in FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
PROTOS = sorted((ROOT / "proto" / "gateway").rglob("*.proto"))


def test_every_proto_file_is_looked_at_here() -> None:
    assert sorted(file.DESCRIPTOR.name for file in FILES) == [str(path.relative_to(ROOT / "proto")) for path in PROTOS]


def test_the_access_table_holds_every_rpc_and_no_other() -> None:
    assert set(access.TABLE) == set(METHODS)


def test_every_scope_opens_a_call() -> None:
    assert {entry.scope for entry in access.TABLE.values() if entry.scope} == access.SCOPES


@pytest.mark.parametrize("rpc", METHODS)
def test_a_service_answers_one_kind_of_caller(rpc: str) -> None:
    kinds = {
        "client": {CallerKind.CLIENT, CallerKind.HOLDER},
        "peer": {CallerKind.PEER},
        "agent": {CallerKind.AGENT},
        "trust": {CallerKind.INVITED, CallerKind.MEMBER},
    }
    entry = access.TABLE[rpc]
    assert entry.kind in kinds[rpc.split(".")[1]]
    assert bool(entry.scope) is (entry.kind is CallerKind.CLIENT)
    assert entry.scope in {"", *access.SCOPES}


@pytest.mark.parametrize("rpc", METHODS)
def test_each_rpcs_comment_says_who_may_call_it_and_what_it_discloses(rpc: str) -> None:
    method = METHODS[rpc]
    text = (ROOT / "proto" / method.containing_service.file.name).read_text()
    comment = re.search(rf"((?:  //[^\n]*\n)+)  rpc {method.name}\(", text)
    assert comment is not None
    said = re.sub(r"\s*//\s*", " ", comment[1])
    callers = re.search(r"Callers: ([^.]+)\. Discloses: [^.]+", said)
    assert callers is not None
    scope = access.TABLE[rpc].scope
    assert "`" not in callers[1] or f"`{scope}`" in callers[1]


@pytest.mark.parametrize("rpc", METHODS)
@pytest.mark.parametrize("kind", CallerKind)
def test_only_the_table_lets_anybody_in(rpc: str, kind: CallerKind) -> None:
    entry = access.TABLE[rpc]
    for scopes in (frozenset[str](), access.SCOPES - {entry.scope}, access.SCOPES):
        caller = Caller(kind, "somebody", scopes)
        if entry.kind is kind and (not entry.scope or entry.scope in scopes):
            access.allow(rpc, caller)
        else:
            with pytest.raises(IsthmusError) as caught:
                access.allow(rpc, caller)
            assert caught.value.reason is Reason.PERMISSION_DENIED


def test_an_rpc_that_is_not_in_the_table_answers_nobody() -> None:
    for kind in CallerKind:
        with pytest.raises(IsthmusError):
            access.allow("/grpc.reflection.v1.ServerReflection/Info", Caller(kind, "x", access.SCOPES))


@pytest.mark.parametrize(
    ("rights", "field"),
    [
        (Rights((), ("*",), ("*",)), "sources"),
        (Rights(("spaces/home.example/datasets/list",), ("*",), ("*",)), "sources"),
        (Rights(("*",), ("overlap",), ("*",)), "statistic"),
        (Rights(("*",), ("*",), ("prosecution",)), "purpose"),
        (Rights(("*",), ("count_by",), ("monitoring",)), ""),
    ],
)
def test_a_token_covers_datasets_statistic_and_purpose(rights: Rights, field: str) -> None:
    caller = Caller(CallerKind.CLIENT, "analyst", rights=rights)
    if not field:
        access.allow_query(caller, examples.question())
        return
    with pytest.raises(IsthmusError) as caught:
        access.allow_query(caller, examples.question())
    assert (caught.value.reason, caught.value.field) == (Reason.PERMISSION_DENIED, field)


def test_every_reason_has_one_status_and_none_is_ok() -> None:
    assert set(errors.STATUS) == set(Reason)
    assert grpc.StatusCode.OK not in errors.STATUS.values()


@asynccontextmanager
async def answering(abort: Callable[[grpc.aio.ServicerContext], object]) -> AsyncIterator[grpc.aio.Channel]:  # type: ignore[type-arg]
    async def handle(request: bytes, context: grpc.aio.ServicerContext) -> bytes:  # type: ignore[type-arg]
        await abort(context)  # type: ignore[misc]
        return b""

    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(handle)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", {"Ask": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(None)


async def came_back(abort: Callable[[grpc.aio.ServicerContext], object]) -> IsthmusError:  # type: ignore[type-arg]
    async with answering(abort) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/test/Ask")(b"", timeout=10)
        return errors.from_rpc_error(caught.value, space="https://peer.example", whom="the peer")


async def test_every_error_comes_back_whole_but_for_its_private_text() -> None:
    remaining = list(Reason)

    async def abort(context: grpc.aio.ServicerContext) -> None:  # type: ignore[type-arg]
        problem = IsthmusError(
            remaining[-1], "ünïcode happened", private="SELECT secret", field="sources[1]", space="https://a.example",
            advice="Do that",
        )  # fmt: skip
        await context.abort_with_status(errors.to_status(problem))  # type: ignore[attr-defined]

    async with answering(abort) as channel:
        while remaining:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.unary_unary("/test/Ask")(b"", timeout=10)
            assert caught.value.code() is errors.STATUS[remaining[-1]]
            assert "SELECT" not in str(caught.value.trailing_metadata()) + str(caught.value.details())
            back = errors.from_rpc_error(caught.value)
            assert (back.reason, back.public, back.private) == (remaining.pop(), "ünïcode happened", "")
            assert (back.field, back.space, back.advice) == ("sources[1]", "https://a.example", "Do that")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, Reason.PEER_UNREACHABLE),
        (grpc.StatusCode.UNKNOWN, Reason.PEER_UNREACHABLE),
        (grpc.StatusCode.DEADLINE_EXCEEDED, Reason.DEADLINE_EXCEEDED),
        (grpc.StatusCode.UNIMPLEMENTED, Reason.PROGRAM_UNKNOWN),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Reason.RESOURCE_EXHAUSTED),
    ],
)
async def test_what_is_no_refusal_of_ours_is_told_in_our_words(code: grpc.StatusCode, reason: Reason) -> None:
    problem = await came_back(lambda context: context.abort(code, "Traceback /home/x.py"))
    assert (problem.reason, problem.space) == (reason, "https://peer.example")
    assert "Traceback" not in str(problem)


async def test_details_that_are_no_status_are_passed_over() -> None:
    garbage = (("grpc-status-details-bin", b"\xff\xff\xff"),)
    problem = await came_back(lambda context: context.abort(grpc.StatusCode.UNAVAILABLE, "x", garbage))
    assert problem.reason is Reason.PEER_UNREACHABLE


def test_generated_code_is_what_the_protos_say(tmp_path: Path) -> None:
    made = tmp_path / "gateway" / "api"
    generate(made)
    kept = ROOT / "gateway" / "api"

    def files(root: Path) -> dict[str, str]:
        return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*.py*") if path.suffix != ".pyc"}

    assert files(made) == files(kept)
