"""The client of a home gateway, on asyncio.

Invariants: every call has a deadline and carries an access token bound to the client's certificate; only calls
that change nothing when repeated are retried, and only when the gateway could not be reached; whatever goes
wrong is an IsthmusError that says what happened, to whom, and what to do next.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

import grpc
from google.protobuf.message import Message
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from gateway.api.client.v1 import catalogue_pb2 as cat
from gateway.api.client.v1 import computations_pb2 as comp
from gateway.api.client.v1 import diagnostics_pb2 as diag
from gateway.api.client.v1 import tokens_pb2 as tok
from gateway.client import evidence, messages, sign_in
from gateway.client.access import AccessToken
from gateway.client.profile import Profile
from gateway.client.sign_in import SignedIn, SubjectToken
from gateway.client.stewards import Approvals, Policies
from gateway.domain.computation import Computation, State
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.offer import Space
from gateway.domain.plan import Plan
from gateway.domain.query import Query
from gateway.domain.result import Table
from gateway.edges.clock import SystemClock
from gateway.edges.grpc import convert
from gateway.edges.grpc.errors import from_rpc_error
from gateway.edges.keys import read_secret
from gateway.ports import Clock
from gateway.rules import sealing
from gateway.rules.lifecycle import LIVE
from gateway.rules.retention import check_result

CALL_WITHIN = 30.0
CANCEL_WITHIN = 60.0
DIAGNOSE_WITHIN = 180.0
WATCH_WITHIN = 600.0  # one stream; it is opened again while the computation lives
ATTEMPTS = 4
PAGE = 200
OPTIONS = (
    ("grpc.max_receive_message_length", 5 * 1024 * 1024),
    ("grpc.max_send_message_length", 5 * 1024 * 1024),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.enable_http_proxy", 0),
)
_CATALOGUE = "/isthmus.client.v1.CatalogueService/"
_COMPUTATION = "/isthmus.client.v1.ComputationService/"
_DIAGNOSTICS = "/isthmus.client.v1.DiagnosticsService/"
_TOKENS = "/isthmus.client.v1.TokenService/"

Recipient = Literal["self", "gateway"]


class _Silent(Exception):
    """The gateway closed a watch although the computation lives."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What this client asked, and the private key to which the answer is sealed."""

    query: Query
    private: bytes = field(repr=False)


class AsyncClient:
    """`async with AsyncClient(Profile.load(path)) as client: ...`

    A result for recipient "self" is opened here, with a key that only this object holds: contract and approvals
    are checked as `gateway.client.evidence` says. Whose signatures stand under the approvals of other spaces is
    believed through the home gateway, since a client pins no anchors.
    """

    def __init__(self, profile: Profile, *, clock: Clock | None = None) -> None:
        self._profile = profile
        self._token = AccessToken(profile.token, clock or SystemClock(), self._issue, self._renew)
        self._clock = clock or SystemClock()
        self._asked: dict[str, _Asked] = {}
        self._channel: grpc.aio.Channel | None = None

    async def __aenter__(self) -> Self:
        profile = self._profile
        try:
            ca, certificate = profile.ca.read_bytes(), profile.certificate.read_bytes()
        except OSError as problem:
            raise IsthmusError(
                Reason.CONFIGURATION,
                f"{problem.filename} cannot be read: {problem.strerror}",
                field="certificate",
                advice="Correct the profile, or start the sandbox that wrote it",
            ) from None
        tls = grpc.ssl_channel_credentials(ca, read_secret(profile.key), certificate)
        named = ("grpc.ssl_target_name_override", profile.server_name)
        self._channel = grpc.aio.secure_channel(profile.gateway, tls, options=(*OPTIONS, named))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._channel is not None:
            await self._channel.close(grace=None)
            self._channel = None

    async def datasets(self) -> messages.Catalogue:
        """The joint catalogue, all pages."""
        listed: list[messages.Listed] = []
        unreachable: set[str] = set()
        token = ""
        while True:
            request = cat.ListDatasetsRequest(page_size=PAGE, page_token=token)
            page = await self._call(_CATALOGUE + "ListDatasets", request, cat.ListDatasetsResponse)
            listed += [messages.dataset_from(item) for item in page.datasets]
            unreachable |= set(page.unreachable)
            token = page.next_page_token
            if not token:
                return messages.Catalogue(tuple(listed), tuple(sorted(unreachable)))

    async def dataset(self, name: str) -> messages.Listed:
        request = cat.GetDatasetRequest(name=name)
        answer = await self._call(_CATALOGUE + "GetDataset", request, cat.GetDatasetResponse)
        return messages.dataset_from(answer.dataset)

    async def spaces(self) -> tuple[Space, ...]:
        answer = await self._call(_CATALOGUE + "ListSpaces", cat.ListSpacesRequest(), cat.ListSpacesResponse)
        return tuple(messages.space_from(item) for item in answer.spaces)

    async def programs(self) -> tuple[messages.ListedProgram, ...]:
        """What the spaces of this federation run, and who runs it."""
        rpc = _CATALOGUE + "ListPrograms"
        return messages.programs_from(await self._call(rpc, cat.ListProgramsRequest(), cat.ListProgramsResponse))

    async def plan(self, asked: Query, recipient: Recipient = "self") -> Plan:
        """The plan with every space's verdict from public metadata. Changes nothing."""
        public = sealing.fresh_key()[1] if recipient == "self" else b""
        request = comp.ValidateComputationRequest(query=convert.query_to(asked), recipient_key=public)
        rpc = _COMPUTATION + "ValidateComputation"
        return messages.plan_from((await self._call(rpc, request, comp.ValidateComputationResponse)).plan)

    async def create(
        self, asked: Query, request_id: str | None = None, recipient: Recipient = "self"
    ) -> Computation:  # fmt: skip
        """Create a computation and start it.

        `recipient` "self" has the result sealed to a fresh key of this client, "gateway" to the home gateway,
        which then sees it. A given `request_id` belongs to one query and one recipient key: with "self" it is
        good for one call, because each call makes its own key.
        """
        private, public = sealing.fresh_key() if recipient == "self" else (b"", b"")
        request = comp.CreateComputationRequest(
            request_id=request_id or secrets.token_hex(16), query=convert.query_to(asked), recipient_key=public
        )
        answer = await self._call(_COMPUTATION + "CreateComputation", request, comp.CreateComputationResponse)
        created = messages.computation_from(answer.computation)
        if private:
            self._asked[created.name] = _Asked(asked, private)
        return created

    async def get(self, name: str) -> Computation:
        return messages.computation_from((await self._get(name)).computation)

    async def list(self) -> tuple[Computation, ...]:
        """The caller's computations, newest first, all pages: states, never results."""
        found: list[Computation] = []
        token = ""
        while True:
            request = comp.ListComputationsRequest(page_size=PAGE, page_token=token)
            page = await self._call(_COMPUTATION + "ListComputations", request, comp.ListComputationsResponse)
            found += [messages.computation_from(item) for item in page.computations]
            token = page.next_page_token
            if not token:
                return tuple(found)

    async def cancel(self, name: str) -> Computation:
        request = comp.CancelComputationRequest(name=_full(name))
        answer = await self._call(
            _COMPUTATION + "CancelComputation", request, comp.CancelComputationResponse, CANCEL_WITHIN, attempts=1
        )
        return messages.computation_from(answer.computation)

    async def watch(self, name: str) -> AsyncIterator[Computation]:
        """The computation at once and after every change, until it has ended; opened again when the line breaks.

        Raises IsthmusError(PEER_UNREACHABLE) when the gateway stays away.
        """
        failures = 0
        retrying = AsyncRetrying(
            retry=retry_if_exception(_is_passing),
            stop=lambda _: failures >= ATTEMPTS,
            wait=wait_random_exponential(multiplier=0.2, max=2.0),
            reraise=True,
        )
        try:
            async for attempt in retrying:
                with attempt:
                    failures += 1
                    async for item in self._watch_once(name):
                        failures = 0
                        yield item
                        if item.state not in LIVE:
                            return
                    raise _Silent
        except _Silent:
            raise self._silent(name) from None
        except grpc.RpcError as problem:
            raise self._refused(problem) from None

    async def result(self, computation: Computation) -> Table:
        """The released table. Raises IsthmusError when the computation ended otherwise, or INCONSISTENT_SHARES,
        CONTRACT_INVALID or APPROVALS_INVALID when what came is not the answer to what was asked, RESULT_DELETED."""
        computation = await self.get(computation.name) if computation.state in LIVE else computation
        if computation.state is not State.RELEASED:
            raise ended(computation)
        check_result(computation)
        asked = self._asked.get(computation.name)
        if asked is None:
            message = await self._get(computation.name)
            if message.computation.HasField("table"):
                return convert.table_from(message.computation.table)
            raise IsthmusError(
                Reason.NOT_FOUND,
                f"the result of {computation.name} is sealed to a key that this client does not hold",
                advice="Only the process that asked can open it: ask again, or with the gateway as recipient",
            )
        try:
            table = evidence.open_own(computation, asked.query, asked.private)
        except IsthmusError as problem:
            if problem.reason is Reason.INCONSISTENT_SHARES:
                await self._acknowledge(computation.name, consistent=False)
            raise
        await self._acknowledge(computation.name, consistent=True)
        return table

    async def _acknowledge(self, name: str, *, consistent: bool) -> None:
        """Tell the gateway. If it cannot be told, what was found stands: a table, or that there is none."""
        request = comp.AcknowledgeResultRequest(name=name, consistent=consistent)
        rpc = _COMPUTATION + "AcknowledgeResult"
        with contextlib.suppress(IsthmusError):
            await self._call(rpc, request, comp.AcknowledgeResultResponse, attempts=ATTEMPTS if consistent else 1)

    async def diagnose(self, peer: str) -> AsyncIterator[messages.Found]:
        """What the home gateway finds on the line to `peer` (entity ID or host name), as it finds it.

        Needs the scope `operate`. Raises IsthmusError(NOT_FOUND) when no peer is called so.
        """
        call = self._open().unary_stream(
            _DIAGNOSTICS + "DiagnosePeer",
            request_serializer=diag.DiagnosePeerRequest.SerializeToString,
            response_deserializer=diag.DiagnosePeerResponse.FromString,
        )
        request = diag.DiagnosePeerRequest(peer=peer)
        try:
            stream = call(request, timeout=DIAGNOSE_WITHIN, metadata=await self._metadata())
            try:
                async for message in stream:
                    if (found := messages.found_from(message)) is not None:
                        yield found
            finally:
                stream.cancel()
        except grpc.RpcError as problem:
            raise self._refused(problem) from None

    @property
    def approvals(self) -> Approvals:
        """The inbox of this space's stewards."""
        return Approvals(self._call, self._clock, f"https://{self._profile.server_name}")

    @property
    def policies(self) -> Policies:
        """The policies of this space's own datasets."""
        return Policies(self._call, self._clock)

    async def issue_token(self) -> str:
        """A fresh access token for this certificate, for clients that hold theirs in a file."""
        return str((await self._issue()).access_token)

    async def sign_in(self, show: Callable[[str], None]) -> SignedIn:
        """Have a person sign in on the login page that the profile names; `show` is given the address to open.

        From then on this client asks in their name.
        """
        if self._profile.login is None:
            raise IsthmusError(
                Reason.CONFIGURATION,
                "the profile names no login page",
                field="login",
                advice="Ask the operator of your space for its address, or exchange a token of your provider",
            )
        attempt = sign_in.Attempt()
        client = sign_in.client_in(self._profile.certificate.read_bytes())
        code = await sign_in.code_from_browser(self._profile.login, client, show, attempt)
        return self._signed_in(await self._exchange(sign_in.of_code(code, attempt.verifier)))

    async def exchange(self, subject_token: str, kind: SubjectToken = "id_token") -> SignedIn:
        """Exchange a token of the organisation's provider; from then on this client asks in that person's name."""
        return self._signed_in(await self._exchange(sign_in.of_subject(subject_token, kind)))

    def _signed_in(self, answer: Any) -> SignedIn:
        self._token.use(answer.access_token)
        return sign_in.signed_in(answer)

    async def _renew(self, token: str) -> Any:
        return await self._exchange(sign_in.of_subject(token, "access_token"), attempts=ATTEMPTS)

    async def _exchange(self, request: tok.ExchangeTokenRequest, attempts: int = 1) -> Any:
        # A code or a provider's token is tried once: it serves once, and a lost answer does not bring it back.
        rpc = _TOKENS + "ExchangeToken"
        return await self._call(rpc, request, tok.ExchangeTokenResponse, attempts=attempts, authorized=False)

    async def _get(self, name: str) -> Any:
        request = comp.GetComputationRequest(name=_full(name))
        return await self._call(_COMPUTATION + "GetComputation", request, comp.GetComputationResponse)

    async def _issue(self) -> Any:
        """A fresh access token for this certificate."""
        request = tok.IssueTokenRequest()
        return await self._call(_TOKENS + "IssueToken", request, tok.IssueTokenResponse, authorized=False)

    async def _watch_once(self, name: str) -> AsyncIterator[Computation]:
        call = self._open().unary_stream(
            _COMPUTATION + "WatchComputation",
            request_serializer=comp.WatchComputationRequest.SerializeToString,
            response_deserializer=comp.WatchComputationResponse.FromString,
        )
        request = comp.WatchComputationRequest(name=_full(name))
        stream = call(request, timeout=WATCH_WITHIN, metadata=await self._metadata())
        try:
            async for message in stream:
                yield messages.computation_from(message.computation)
        finally:
            stream.cancel()

    async def _call(
        self,
        rpc: str,
        request: Message,
        answer: type[Message],
        within: float = CALL_WITHIN,
        *,
        attempts: int = ATTEMPTS,
        authorized: bool = True,
    ) -> Any:
        call = self._open().unary_unary(
            rpc, request_serializer=type(request).SerializeToString, response_deserializer=answer.FromString
        )
        retrying = AsyncRetrying(
            retry=retry_if_exception(_is_unavailable),
            stop=stop_after_attempt(attempts),
            wait=wait_random_exponential(multiplier=0.2, max=2.0),
            reraise=True,
        )
        try:
            async for attempt in retrying:
                with attempt:
                    metadata = await self._metadata() if authorized else ()
                    return await call(request, timeout=within, metadata=metadata)
        except grpc.RpcError as problem:
            raise self._refused(problem) from None
        raise self._silent(rpc)

    async def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {await self._token.get()}"),)

    def _open(self) -> grpc.aio.Channel:
        if self._channel is None:
            raise RuntimeError("a client is used inside `with`")
        return self._channel

    def _refused(self, problem: grpc.RpcError) -> IsthmusError:
        return from_rpc_error(problem, whom=f"the gateway at {self._profile.gateway}")

    def _silent(self, about: str) -> IsthmusError:
        return IsthmusError(
            Reason.PEER_UNREACHABLE,
            f"the gateway at {self._profile.gateway} stopped reporting on {about}",
            advice="Look again with `isthmus computations show`",
        )


def ended(computation: Computation) -> IsthmusError:
    """Why there is no result."""
    ending = computation.ending
    if computation.state in LIVE:
        return IsthmusError(
            Reason.NOT_FOUND, f"{computation.name} has not ended yet", advice="Watch it until it has"
        )  # fmt: skip
    if ending is None:
        reason = {State.WITHHELD: Reason.NOT_RELEASABLE, State.EXPIRED: Reason.CONTRACT_EXPIRED}.get(
            computation.state, Reason.INTERNAL
        )
        text = f"{computation.name} ended {computation.state}"
        advice = "Every cell is too small to show: ask for coarser groups" if reason is Reason.NOT_RELEASABLE else ""
        return IsthmusError(reason, text, advice=advice or "Ask again")
    reason = Reason(ending.reason) if ending.reason in Reason.__members__ else Reason.INTERNAL
    return IsthmusError(
        reason, f"{computation.name} ended {computation.state}: {ending.text}", space=ending.space, advice=ending.action
    )


def has_table(computation: Computation) -> bool:
    """Whether the home gateway can show this result: it is the recipient, so the caller needs no key."""
    if computation.state is not State.RELEASED or computation.deletions:
        return False
    recipients = evidence.contract_of(computation).body.recipients
    return any(recipient.kind == "gateway" for recipient in recipients)


def _full(name: str) -> str:
    return name if name.startswith("computations/") else f"computations/{name}"


def _is_unavailable(problem: BaseException) -> bool:
    return isinstance(problem, grpc.aio.AioRpcError) and problem.code() is grpc.StatusCode.UNAVAILABLE


def _is_passing(problem: BaseException) -> bool:
    """Whether a watch may be opened again: the line broke, or its time was up."""
    if isinstance(problem, grpc.aio.AioRpcError):
        return problem.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    return isinstance(problem, _Silent)
