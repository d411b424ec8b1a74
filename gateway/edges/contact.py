"""Calls of one examination to one peer: on a fresh connection, each with its outcome and its time.

Invariants: nothing is retried and nothing raises, since how a call fails is what is asked; what the peer sends is
bounded before it is kept.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import grpc
from google.protobuf.message import Message

from gateway.api.peer.v1 import examination_pb2 as pb
from gateway.api.peer.v1 import peer_pb2 as peer_pb
from gateway.domain.diagnosis import Answer
from gateway.domain.identity import Entity, host_of
from gateway.edges.certificates import Credentials
from gateway.edges.channels import Target
from gateway.edges.grpc.serve import CLOCK_METADATA
from gateway.edges.keys import SigningKey
from gateway.edges.peers import SERVICE, signed_request
from gateway.ports import Clock, Ids

EXAMINATION = "/isthmus.peer.v1.ExaminationService/"
CALL_WITHIN = 5.0
EXAMINE_WITHIN = 80.0
MOST_FINDINGS = 32

_ANSWERS = {
    grpc.StatusCode.UNAUTHENTICATED: Answer.UNAUTHENTICATED,
    grpc.StatusCode.UNIMPLEMENTED: Answer.UNKNOWN_CALL,
    grpc.StatusCode.UNAVAILABLE: Answer.UNREACHABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: Answer.LATE,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Answer.TOO_LARGE,
}


@dataclass(frozen=True, slots=True)
class Called:
    """`message` if it was answered; `told` is the clock (seconds) that came with a refusal of credentials."""

    answer: Answer
    seconds: float
    message: Any = None
    told: int | None = None


class Contact:
    """`async with Contact(...) as contact`"""

    def __init__(
        self, own: str, peer: Entity, address: str, credentials: Credentials, key: SigningKey, clock: Clock, ids: Ids
    ) -> None:
        """A connection of its own: the one in use may be older than what is wrong."""
        self._own, self._peer, self._key, self._clock, self._ids = own, peer.entity_id, key, clock, ids
        self._channel = Target(address, host_of(peer.entity_id), peer.tls_ca.encode(), credentials).dial()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close(grace=None)

    async def probe(self, padding: int = 0, answer_bytes: int = 0, within: float = CALL_WITHIN) -> Called:
        request = pb.ProbeRequest(padding=bytes(padding), answer_bytes=answer_bytes)
        return await self._call(EXAMINATION + "Probe", request, pb.ProbeResponse, within)

    async def describe(self, chain: Sequence[str]) -> Called:
        request = peer_pb.DescribeRequest(chain=chain)
        return await self._call(SERVICE + "Describe", request, peer_pb.DescribeResponse, CALL_WITHIN)

    async def open_datasets(self) -> Called:
        request = pb.ListOpenDatasetsRequest()
        return await self._call(EXAMINATION + "ListOpenDatasets", request, pb.ListOpenDatasetsResponse, CALL_WITHIN)

    async def examine(self) -> AsyncGenerator[Called, None]:
        """A `Called` with an ExamineResponse for each of the peer's findings; the last one tells how it ended."""
        rpc, sent = EXAMINATION + "Examine", pb.ExamineRequest().SerializeToString()
        began = time.perf_counter()
        call = self._channel.unary_stream(
            rpc, request_serializer=None, response_deserializer=pb.ExamineResponse.FromString
        )
        stream = call(sent, metadata=self._metadata(rpc, sent), timeout=EXAMINE_WITHIN)
        came = 0
        try:
            async for message in stream:
                came += 1
                if came > MOST_FINDINGS:
                    break
                yield Called(Answer.GIVEN, time.perf_counter() - began, message)
        except grpc.RpcError as error:
            yield _failed(error, time.perf_counter() - began)
        finally:
            stream.cancel()

    async def _call(self, rpc: str, request: Message, kind: type[Any], within: float) -> Called:
        sent = request.SerializeToString()
        metadata = self._metadata(rpc, sent)
        call = self._channel.unary_unary(rpc, request_serializer=None, response_deserializer=kind.FromString)
        began = time.perf_counter()
        try:
            message = await call(sent, metadata=metadata, timeout=within)
        except grpc.RpcError as error:
            return _failed(error, time.perf_counter() - began)
        return Called(Answer.GIVEN, time.perf_counter() - began, message)

    def _metadata(self, rpc: str, sent: bytes) -> tuple[tuple[str, str], ...]:
        now, jti = self._clock.now(), self._ids.fresh()
        return signed_request(self._own, self._peer, rpc, sent, self._key, now, jti)


def _failed(error: grpc.RpcError, seconds: float) -> Called:
    told = None
    trailing: Any = error.trailing_metadata() or ()
    for key, value in trailing:
        if key == CLOCK_METADATA and isinstance(value, str) and value.isdecimal() and len(value) < 12:
            told = int(value)
    return Called(_ANSWERS.get(error.code(), Answer.REFUSED), seconds, told=told)
