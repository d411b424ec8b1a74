"""The other gateways: who they are, what they offer, and the line to each.

Invariants: every call carries a fresh `isthmus-request+jwt` over the very bytes that are sent; a peer's TLS
certificate must come from the CA that its verified statement names; a peer that does not answer keeps its
last good offer with its age; retries are for idempotent calls alone, with jitter and a cap.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Any

import grpc
from google.protobuf.message import Message
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from gateway.api.peer.v1 import peer_pb2 as pb
from gateway.domain.computation import State
from gateway.domain.decision import Consulted
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import EntityId
from gateway.domain.plan import Verdict
from gateway.domain.session import Approval, Failure, Frame, Refusal, RunEvent
from gateway.edges.channels import Channels, Target
from gateway.edges.grpc import peer_convert as convert
from gateway.edges.grpc.errors import from_rpc_error
from gateway.edges.keyrings import Signer
from gateway.edges.keys import SigningKey
from gateway.edges.tokens import sign
from gateway.ports import Chains, Clock, Ids
from gateway.rules.tokens import request_hash

SERVICE = "/isthmus.peer.v1.PeerService/"
HEALTH = "/grpc.health.v1.Health/Check"
CALL_WITHIN = 10.0
# How gRPC calls a connection that nobody closed: the peer may be gone, or only the way to it.
_SILENCE = ("timeout", "timed out", "unreachable", "no route")


def signed_request(
    own: str, peer: str, rpc: str, sent: bytes, key: SigningKey, now: int, jti: str
) -> tuple[tuple[str, str], ...]:
    """The metadata of one call: a fresh `isthmus-request+jwt` over the very bytes that are sent."""
    claims = {
        "iss": own,
        "sub": own,
        "aud": peer,
        "iat": now,
        "exp": now + 60,
        "jti": jti,
        "rpc": rpc,
        "rqh": request_hash(sent),
    }
    return (("authorization", f"Bearer {sign('isthmus-request+jwt', claims, key)}"),)


class PeerLine:
    """Port `SpaceLine` to one other gateway."""

    def __init__(
        self, own: str, peer: EntityId, target: Callable[[], Target], signer: Signer, clock: Clock, ids: Ids
    ) -> None:
        """`target` is how the peer is dialled now: by its verified statement and with the own certificate of now."""
        self._own, self._peer, self._signer, self._clock, self._ids = own, peer, signer, clock, ids
        self._channels = Channels(target)

    async def close(self) -> None:
        await self._channels.close()

    async def describe(self, chain: Sequence[str], lists: Sequence[str], offer: str) -> pb.DescribeResponse:
        request = pb.DescribeRequest(chain=chain, revocations=lists, offer=offer)
        answer: pb.DescribeResponse = await self._call("Describe", request, pb.DescribeResponse, attempts=1)
        return answer

    async def check(self, draft: bytes) -> Verdict:
        answer = await self._call("CheckDraft", pb.CheckDraftRequest(draft=draft), pb.CheckDraftResponse)
        return convert.checked_from(answer, self._peer)

    async def consult(self, plan: str, chains: Chains, withdrawn: bool) -> Consulted | Refusal:
        request = pb.ConsultRequest(plan=plan, chains=convert.chains_to(chains), withdrawn=withdrawn)
        return convert.consulted_from(await self._call("Consult", request, pb.ConsultResponse), self._peer)

    async def propose(self, contract: str, chains: Chains) -> Approval | Refusal:
        request = pb.ProposeRequest(contract=contract, chains=convert.chains_to(chains))
        return convert.proposed_from(await self._call("Propose", request, pb.ProposeResponse), self._peer)

    async def run(self, contract: str, approvals: Sequence[str], chains: Chains) -> AsyncGenerator[RunEvent, None]:
        request = pb.RunRequest(contract=contract, approvals=approvals, chains=convert.chains_to(chains))
        sent = request.SerializeToString()
        async with self._channels.lease() as channel:
            call = channel.unary_stream(
                SERVICE + "Run", request_serializer=None, response_deserializer=pb.RunResponse.FromString
            )
            # Never retried: a party is never silently run again.
            stream = call(sent, metadata=self._token("Run", sent))
            try:
                async for message in stream:
                    yield convert.event_from(message)
            except grpc.RpcError as error:
                raise self._broken(error) from None
            finally:
                stream.cancel()

    async def conclude(
        self, session: str, digest: str, state: State, failure: Failure | None, receipts: Sequence[str]
    ) -> None:
        request = pb.ConcludeRequest(
            session=session,
            contract_digest=digest,
            state=state.value,
            failure=None if failure is None else convert.failure_to(failure),
            receipts=receipts,
        )
        await self._call("Conclude", request, pb.ConcludeResponse)

    async def tunnel(
        self, session: str, within: float, outgoing: AsyncIterator[Sequence[Frame]]
    ) -> AsyncIterator[Frame]:
        """Session traffic with this peer: sends what `outgoing` yields, yields what comes.

        Raises IsthmusError(PEER_UNREACHABLE) when there is no connection `within` so many seconds.
        """
        first = pb.TunnelRequest(open=pb.TunnelOpen(session=session)).SerializeToString()

        async def messages() -> AsyncIterator[bytes]:
            yield first
            async for frames in outgoing:
                message = pb.TunnelRequest()
                convert.put_frames(message, frames)
                yield message.SerializeToString()

        async with self._channels.lease() as channel:
            try:
                async with asyncio.timeout(within):
                    await channel.channel_ready()
            except TimeoutError:
                raise IsthmusError(
                    Reason.PEER_UNREACHABLE,
                    f"the gateway of {self._peer} cannot be reached",
                    advice="Check that it runs and that the address and certificates fit",
                ) from None
            call = channel.stream_stream(
                SERVICE + "Tunnel", request_serializer=None, response_deserializer=pb.TunnelResponse.FromString
            )
            stream = call(messages(), metadata=self._token("Tunnel", first))
            try:
                async for message in stream:
                    for frame in convert.frames_from(message):
                        yield frame
            except grpc.RpcError as error:
                raise self._broken(error) from None
            finally:
                stream.cancel()

    async def alive(self, within: float) -> bool:
        """Whether its gateway says anything at all `within` so many seconds, on the connection that sessions use."""
        try:
            async with self._channels.lease() as channel:
                call = channel.unary_unary(HEALTH, request_serializer=None, response_deserializer=None)
                await call(b"", timeout=within)
        except grpc.RpcError as error:
            return error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
        return True

    async def _call(self, method: str, request: Message, kind: type[Any], attempts: int = 3) -> Any:
        sent = request.SerializeToString()
        try:
            async for attempt in AsyncRetrying(
                stop=stop_after_attempt(attempts),
                wait=wait_exponential_jitter(multiplier=0.1, max=1.0),
                retry=retry_if_exception(_is_unavailable),
                reraise=True,
            ):
                with attempt:
                    async with self._channels.lease() as channel:
                        call = channel.unary_unary(
                            SERVICE + method, request_serializer=None, response_deserializer=kind.FromString
                        )
                        return await call(sent, metadata=self._token(method, sent), timeout=CALL_WITHIN)
        except grpc.RpcError as error:
            raise self._problem(error) from None

    def _token(self, method: str, sent: bytes) -> tuple[tuple[str, str], ...]:
        rpc, now = SERVICE + method, self._clock.now()
        return signed_request(self._own, self._peer, rpc, sent, self._signer(), now, self._ids.fresh())

    def _broken(self, error: grpc.RpcError) -> IsthmusError:
        """A stream that broke in its middle; of no space, where nothing but silence says so."""
        problem = self._problem(error)
        if problem.reason is Reason.PEER_UNREACHABLE and any(word in problem.private.lower() for word in _SILENCE):
            problem.space = ""
        return problem

    def _problem(self, error: grpc.RpcError) -> IsthmusError:
        return from_rpc_error(error, space=self._peer, whom=f"the gateway of {self._peer}")


def _is_unavailable(error: BaseException) -> bool:
    return isinstance(error, grpc.RpcError) and error.code() is grpc.StatusCode.UNAVAILABLE
