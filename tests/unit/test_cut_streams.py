"""A stream that is cut says why, whatever it was doing; one that is not read is cut all the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from gateway.api.agent.v1 import agent_pb2 as pb
from gateway.domain.caller import Caller, CallerKind
from gateway.domain.errors import IsthmusError, Reason
from gateway.edges.grpc import serve
from gateway.edges.grpc.gate import Stream
from tests.examples import HOME

REVOKED = IsthmusError(Reason.REVOKED, "the key was revoked")
CONNECT = "/isthmus.agent.v1.AgentService/Connect"


class OpenGate:
    def __init__(self) -> None:
        self.streams: set[Stream] = set()

    async def admit(self, rpc: str, received: bytes, context: object) -> Caller:
        return Caller(CallerKind.AGENT, HOME)

    async def refused(self, rpc: str, subject: str, problem: IsthmusError) -> None:
        return


class Talker:
    """Sends without a pause."""

    def __init__(self, size: int) -> None:
        self.message = pb.ConnectResponse(open_to=pb.OpenTo(space="x" * size))
        self.sent = 0

    async def connect(self, first: Any, rest: Any, caller: Caller) -> AsyncIterator[pb.ConnectResponse]:
        while True:
            self.sent += 1
            yield self.message

    async def carry(self, first: Any, rest: Any, caller: Caller) -> AsyncIterator[pb.CarryResponse]:
        raise AssertionError("nobody asks for it")
        yield


@asynccontextmanager
async def talking(talker: Talker) -> AsyncIterator[tuple[OpenGate, Any]]:
    gate, server = OpenGate(), grpc.aio.server()
    (service,) = pb.DESCRIPTOR.services_by_name.values()
    server.add_generic_rpc_handlers((serve.handlers(service, talker, gate),))  # type: ignore[arg-type]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield gate, channel.stream_stream(CONNECT)
    await server.stop(None)


async def until_open(gate: OpenGate) -> Stream:
    while not gate.streams:
        await asyncio.sleep(0)
    return next(iter(gate.streams))


@pytest.mark.parametrize("after", range(20))
async def test_a_stream_that_is_cut_while_it_sends_ends_with_the_reason(after: int) -> None:
    async with talking(Talker(10)) as (gate, connect):
        call = connect()
        await call.write(pb.ConnectRequest().SerializeToString())
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            seen = 0
            async for _ in call:
                seen += 1
                if seen == 1 + after:
                    (await until_open(gate)).cut(REVOKED)
        assert ended.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_stream_that_nobody_reads_is_cut_too() -> None:
    async with talking(talker := Talker(1 << 20)) as (gate, connect):
        call = connect()
        await call.write(pb.ConnectRequest().SerializeToString())
        stream = await until_open(gate)
        while (sent := talker.sent) < 3:
            await asyncio.sleep(0)
        stream.cut(REVOKED)
        async with asyncio.timeout(serve.SENT_WITHIN + 5):
            while gate.streams:
                await asyncio.sleep(0.01)
        assert talker.sent <= sent + 10
        call.cancel()
