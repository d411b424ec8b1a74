"""From service descriptors to a listening server: one port, TLS, the gate in front of every rpc.

Invariants: requests reach the gate as the bytes that came, and are parsed and validated once, after it; an
implementation is called with a message and a caller and returns a message (or yields them); whatever it
raises leaves as a status of `edges/grpc/errors.py`, and anything but IsthmusError as a generic text.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import grpc
import protovalidate
import structlog
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from gateway.domain.caller import Caller
from gateway.domain.errors import IsthmusError, Reason
from gateway.edges.certificates import Credentials
from gateway.edges.grpc.errors import to_status
from gateway.edges.grpc.gate import Stream, seconds_allowed
from gateway.ports import Clock

MAX_MESSAGE = 5 * 1024 * 1024
CLOCK_METADATA = "isthmus-clock"  # seconds since 1970, beside a refusal of credentials
OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
    ("grpc.max_metadata_size", 64 * 1024),
    ("grpc.absolute_max_metadata_size", 128 * 1024),
    ("grpc.max_concurrent_streams", 512),
    ("grpc.so_reuseport", 0),
    # A peer that stops answering pings is gone; clients may ping, not flood.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
)

log = structlog.get_logger()
_Context = grpc.aio.ServicerContext[Any, Any]


class Gatekeeper(Protocol):
    """Decides who gets past: a gateway's `Gate`, or an anchor's."""

    @property
    def clock(self) -> Clock: ...

    @property
    def streams(self) -> set[Stream]:
        """Calls that go on now."""
        ...

    async def admit(self, rpc: str, received: bytes, context: _Context) -> Caller: ...

    async def refused(self, rpc: str, subject: str, problem: IsthmusError) -> None: ...


def handlers(service: ServiceDescriptor, implementation: object, gate: Gatekeeper) -> grpc.GenericRpcHandler[Any, Any]:
    """A handler for every rpc of `service`; `implementation` has a method of the same name in snake case."""
    methods = {method.name: _handler(method, implementation, gate) for method in service.methods}
    return grpc.method_handlers_generic_handler(service.full_name, methods)


class PortTls:
    """What the port shows and asks for in a handshake, which may change while it listens.

    gRPC asks from threads of its own, at every connection: it is handed one finished value, and that once. Whatever
    it is handed it takes for new, and throws away the handshakes' common ground while others stand on it: handed the
    same value each time, it crashes under a few connections at once.
    """

    def __init__(self, own: Credentials, roots: bytes | None) -> None:
        """`roots` None: no client certificate is asked for."""
        self._known = (own, roots)
        self._first = _certificate_configuration(own, roots)
        self._fresh: grpc.ServerCertificateConfiguration | None = None
        self._handing = threading.Lock()

    def present(self, own: Credentials, roots: bytes) -> None:
        """From the next handshake on. `roots` is PEM of every CA whose clients may connect."""
        if (own, roots) != self._known:
            made = _certificate_configuration(own, roots)
            with self._handing:
                self._fresh, self._known = made, (own, roots)

    def credentials(self) -> grpc.ServerCredentials:
        asks = self._known[1] is not None
        # The stubs do not know that a fetcher may say None, for no change.
        changed: Any = self._changed
        return grpc.dynamic_ssl_server_credentials(self._first, changed, require_client_authentication=asks)

    def _changed(self) -> grpc.ServerCertificateConfiguration | None:
        """None where nothing has changed since gRPC last asked."""
        with self._handing:
            fresh, self._fresh = self._fresh, None
        return fresh


def _certificate_configuration(own: Credentials, roots: bytes | None) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(own.key_pem, own.certificate_pem)], roots)


async def listen(
    address: str,
    tls: PortTls,
    services: Sequence[grpc.GenericRpcHandler[Any, Any]],
    *,
    options: Sequence[tuple[str, int]] = OPTIONS,
) -> tuple[grpc.aio.Server, int]:
    """A started server and its port. Raises IsthmusError(CONFIGURATION) when the address cannot be bound."""
    server = grpc.aio.server(options=options)
    server.add_generic_rpc_handlers(tuple(services))
    # Health and reflection ask for a certificate, as the whole port does, and for no token: they say that this
    # is a gateway which serves, and show the protos that are public anyway.
    healthy = health.aio.HealthServicer()  # type: ignore[attr-defined]
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    await healthy.set("", health_pb2.HealthCheckResponse.SERVING)
    names = [service.service_name() for service in services]  # type: ignore[attr-defined]
    reflection.enable_server_reflection(names, server)
    try:
        port = server.add_secure_port(address, tls.credentials())
    except RuntimeError:
        port = 0
    if port == 0:
        raise IsthmusError(
            Reason.CONFIGURATION,
            f"the address {address} cannot be listened on",
            field="listen",
            advice="Another process may hold the port: choose another, or stop it",
        )
    await server.start()
    return server, port


def _handler(method: MethodDescriptor, implementation: object, gate: Gatekeeper) -> grpc.RpcMethodHandler[Any, Any]:
    rpc = f"/{method.containing_service.full_name}/{method.name}"
    call = getattr(implementation, re.sub(r"(?<!^)(?=[A-Z])", "_", method.name).lower())
    request_type = GetMessageClass(method.input_type)
    if method.client_streaming:
        return grpc.stream_stream_rpc_method_handler(
            _stream_stream(rpc, call, request_type, gate), response_serializer=_serialize
        )
    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(
            _unary_stream(rpc, call, request_type, gate), response_serializer=_serialize
        )
    return grpc.unary_unary_rpc_method_handler(
        _unary_unary(rpc, call, request_type, gate), response_serializer=_serialize
    )


def _unary_unary(rpc: str, call: Callable[..., Any], kind: type[Message], gate: Gatekeeper) -> Callable[..., Any]:
    async def handle(received: bytes, context: _Context) -> Any:
        async with _Refusals(rpc, gate, context) as refusals:
            caller = refusals.caller = await gate.admit(rpc, received, context)
            seconds = seconds_allowed(rpc, context.time_remaining(), streams=False)
            async with asyncio.timeout(seconds):
                return await call(parse(kind, received), caller)

    return handle


def _unary_stream(rpc: str, call: Callable[..., Any], kind: type[Message], gate: Gatekeeper) -> Callable[..., Any]:
    async def handle(received: bytes, context: _Context) -> AsyncIterator[Any]:
        async with _Refusals(rpc, gate, context) as refusals:
            caller = refusals.caller = await gate.admit(rpc, received, context)
            seconds = seconds_allowed(rpc, context.time_remaining(), streams=True)
            async with refusals.streaming(seconds):
                async for message in refusals.sent(call(parse(kind, received), caller)):
                    yield message

    return handle


def _stream_stream(rpc: str, call: Callable[..., Any], kind: type[Message], gate: Gatekeeper) -> Callable[..., Any]:
    async def handle(requests: AsyncIterator[bytes], context: _Context) -> AsyncIterator[Any]:
        async with _Refusals(rpc, gate, context) as refusals:
            async with asyncio.timeout(FIRST_MESSAGE_WITHIN):
                first = await anext(aiter(requests), b"")
            caller = refusals.caller = await gate.admit(rpc, first, context)
            seconds = seconds_allowed(rpc, context.time_remaining(), streams=True)

            async def messages() -> AsyncIterator[Any]:
                async for received in requests:
                    yield parse(kind, received)

            async with refusals.streaming(seconds):
                async for message in refusals.sent(call(parse(kind, first), messages(), caller)):
                    yield message

    return handle


FIRST_MESSAGE_WITHIN = 10.0
SENT_WITHIN = 1.0


def parse(kind: type[Message], received: bytes) -> Any:
    """A valid message of `kind`; raises IsthmusError(INVALID_ARGUMENT) with the path of the first bad field."""
    try:
        message = kind.FromString(received)
    except DecodeError:
        raise IsthmusError(
            Reason.INVALID_ARGUMENT, "the request is no valid message", advice="Generate the client from proto/ again"
        ) from None
    try:
        protovalidate.validate(message)
    except protovalidate.ValidationError as problem:
        violation = problem.violations[0].proto
        field = ".".join(element.field_name for element in violation.field.elements) if violation.field else ""
        raise IsthmusError(
            Reason.INVALID_ARGUMENT, f"{field}: {violation.message}", field=field, advice="Correct the field"
        ) from None
    return message


class _Refusals:
    """Turns what a handler raises into a status. gRPC's own cancellation passes through."""

    def __init__(self, rpc: str, gate: Gatekeeper, context: _Context) -> None:
        self._rpc, self._gate, self.context = rpc, gate, context
        self.caller: Caller | None = None
        self._deadline = asyncio.timeout(None)
        self._cut: IsthmusError | None = None
        self._sending = False

    @asynccontextmanager
    async def streaming(self, seconds: float) -> AsyncIterator[None]:
        """For at most so many seconds, and until what let the call in is revoked."""
        self._deadline = asyncio.timeout(None if seconds == float("inf") else seconds)
        self._gate.streams.add(self)
        try:
            async with self._deadline:
                yield
        finally:
            self._gate.streams.discard(self)

    async def sent(self, messages: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """The messages, until the stream is cut."""
        async for message in messages:
            self._sending = True
            yield message
            self._sending = False
            if self._cut is not None:
                raise TimeoutError

    def cut(self, problem: IsthmusError) -> None:
        """End the stream now, with this refusal."""
        self._cut = problem
        # Ended while gRPC sends, it would end without the reason. Who does not read what is sent is not waited for.
        self._deadline.reschedule(asyncio.get_running_loop().time() + (SENT_WITHIN if self._sending else 0.0))

    async def __aenter__(self) -> _Refusals:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, problem: BaseException | None, _: object) -> None:
        if problem is None or isinstance(problem, asyncio.CancelledError | GeneratorExit | grpc.aio.AbortError):
            return
        if isinstance(problem, TimeoutError):
            late = IsthmusError(Reason.DEADLINE_EXCEEDED, "the call took too long", advice="Allow it more time")
            refusal = late if self._cut is None else await self._written(self._cut)
        elif isinstance(problem, IsthmusError):
            refusal = await self._written(problem)
        else:
            where = f"{type(problem).__name__} at {_where(problem)}"
            log.error("call failed", rpc=self._rpc, error=repr(problem), where=where)
            advice = "The operator finds the reason in the log"
            bug = IsthmusError(Reason.INTERNAL, "something went wrong here", private=where, advice=advice)
            refusal = await self._written(bug)
        status: Any = to_status(refusal)
        if self.caller is None and refusal.reason is Reason.UNAUTHENTICATED:
            # Clocks that differ make tokens fail, and whoever was refused could not ask for the time
            # (as in RFC 4120 section 5.9.1).
            told = (CLOCK_METADATA, str(self._gate.clock.now()))
            status = status._replace(trailing_metadata=(*status.trailing_metadata, told))
        await self.context.abort_with_status(status)  # type: ignore[attr-defined]

    async def _written(self, refusal: IsthmusError) -> IsthmusError:
        """The refusal, once it is in the audit log; where it cannot be written, that is what the caller hears."""
        if self.caller is None:  # the gate has written what it refused itself
            return refusal
        try:
            await self._gate.refused(self._rpc, self.caller.id, refusal)
        except IsthmusError as lost:
            log.error("a refusal is not in the audit log", rpc=self._rpc, refused=refusal, problem=lost)
            return lost
        return refusal


def _where(problem: BaseException) -> str:
    """File and line of the innermost frame: enough to find a bug, nothing of the values in it."""
    trace = problem.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()
