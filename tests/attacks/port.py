"""Calls to a running gateway's port with any certificate, any metadata and any bytes."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from gateway.api.agent.v1 import agent_pb2
from gateway.api.client.v1 import (
    approvals_pb2,
    catalogue_pb2,
    computations_pb2,
    diagnostics_pb2,
    policies_pb2,
    tokens_pb2,
)
from gateway.api.peer.v1 import examination_pb2, peer_pb2
from gateway.domain.caller import CallerKind
from gateway.domain.errors import IsthmusError
from gateway.edges import keys
from gateway.edges.clock import SystemIds
from gateway.edges.grpc.errors import from_rpc_error
from gateway.edges.tokens import sign
from gateway.rules import access
from gateway.rules.jose import parse_compact
from gateway.rules.tokens import request_hash
from gateway.sandbox.layout import STATEMENT
from tests.e2e.shell import Shell

CLIENT = "/isthmus.client.v1."
LIST = CLIENT + "CatalogueService/ListSpaces"
PEER = "/isthmus.peer.v1.PeerService/"
AGENT = "/isthmus.agent.v1.AgentService/"
METHODS: dict[str, MethodDescriptor] = {
    f"/{service.full_name}/{method.name}": method
    for file in (
        agent_pb2,
        approvals_pb2,
        catalogue_pb2,
        computations_pb2,
        diagnostics_pb2,
        examination_pb2,
        peer_pb2,
        policies_pb2,
        tokens_pb2,
    )
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
# The rows of the access table for this port; what an anchor answers is answered on a port of its own.
ROWS = {rpc: entry for rpc, entry in access.TABLE.items() if entry.kind not in (CallerKind.INVITED, CallerKind.MEMBER)}
STREAMS = {rpc for rpc, method in METHODS.items() if method.server_streaming}
OK = grpc.StatusCode.OK
UNAUTHENTICATED, DENIED = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED
INVALID, UNAVAILABLE = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNAVAILABLE
# What everybody is told whose credentials are not good, whatever is wrong with them.
GENERIC = "These credentials were not accepted"
Metadata = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status, the text that the caller sees, the refusal in it, and the bytes."""

    code: grpc.StatusCode
    text: str = ""
    problem: IsthmusError | None = None
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Port:
    """The port of `space`, seen by somebody who has read every key of the federation."""

    shell: Shell
    space: str = "care"
    # Of another replica of the space's gateway than the one that the sandbox runs.
    replica: str = ""

    @property
    def folder(self) -> Path:
        return self.shell.folder

    @property
    def address(self) -> str:
        return self.replica or self.shell.sandbox.addresses[self.space]

    def client(self, space: str = "care", client: str = "analyst") -> tuple[bytes, bytes]:
        users = self.folder / "users"
        return _pair(users / f"{space}-{client}.pem", users / f"{space}-{client}.key.pem")

    def gateway(self, space: str) -> tuple[bytes, bytes]:
        tls = self.folder / "spaces" / space / "tls"
        return _pair(tls / "to-peers.pem", tls / "to-peers.key.pem")

    def agent(self, space: str) -> tuple[bytes, bytes]:
        home = self.folder / "spaces" / space / "agent"
        return _pair(home / "agent.pem", home / "agent.key.pem")

    def key(self, space: str, name: str = "token") -> keys.SigningKey:
        return keys.load_signing_key(self.folder / "spaces" / space / "keys" / f"{name}.pem")

    def access_token(self, space: str = "care", client: str = "analyst") -> str:
        return (self.folder / "users" / f"{space}-{client}.token").read_text().strip()

    def request_token(self, space: str, rpc: str, received: bytes, **changes: Any) -> str:
        now = int(time.time())
        entity = f"https://{space}.example"
        claims = {
            "iss": entity,
            "sub": entity,
            "aud": f"https://{self.space}.example",
            "iat": now,
            "exp": now + 60,
            "jti": SystemIds().fresh(),
            "rpc": rpc,
            "rqh": request_hash(received),
        }
        return sign("isthmus-request+jwt", {**claims, **changes}, self.key(space))

    @contextmanager
    def channel(self, credentials: tuple[bytes, bytes] | None) -> Iterator[grpc.Channel]:
        certificate, key = credentials or (None, None)
        ca = (self.folder / "users" / f"{self.space}.ca.pem").read_bytes()
        tls = grpc.ssl_channel_credentials(ca, key, certificate)
        options = (
            ("grpc.ssl_target_name_override", f"{self.space}.example"),
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_send_message_length", -1),
        )
        with grpc.secure_channel(self.address, tls, options) as channel:
            yield channel

    def call(
        self,
        rpc: str,
        request: bytes | Message = b"",
        credentials: tuple[bytes, bytes] | None = None,
        metadata: Metadata = (),
        timeout: float | None = 15.0,
    ) -> Answer:
        """One call with one message; of a stream, what its first message brings."""
        sent = request if isinstance(request, bytes) else request.SerializeToString()
        with self.channel(credentials) as channel:
            return answer_of(channel, rpc, sent, metadata, timeout)

    def as_client(
        self, rpc: str, request: bytes | Message = b"", client: str = "analyst", timeout: float | None = 15.0
    ) -> Answer:
        token = self.access_token(self.space, client)
        return self.call(rpc, request, self.client(self.space, client), bearer(token), timeout)

    def as_peer(self, space: str, method: str, request: bytes | Message) -> Answer:
        sent = request if isinstance(request, bytes) else request.SerializeToString()
        token = self.request_token(space, PEER + method, sent)
        return self.call(PEER + method, sent, self.gateway(space), bearer(token))

    def chain(self, space: str) -> list[str]:
        """A fresh statement of a space, made with its own key, and its superior's."""
        home = self.folder / "spaces" / space
        first, superior = ((home / name).read_text().strip() for name in ("configuration.jwt", STATEMENT))
        now = int(time.time())
        fresh = {**parse_compact(first, 64 * 1024).claims, "iat": now, "exp": now + 3600}
        return [sign("entity-statement+jwt", fresh, self.key(space, "federation")), superior]

    def statement(self, space: str, by: keys.SigningKey | None = None, /, **changes: Any) -> str:
        """The anchor's statement about a space, changed, and signed by the anchor or by somebody else."""
        key = by or keys.load_signing_key(self.folder / "anchor" / "federation.pem")
        laid_out = (self.folder / "spaces" / space / "keys" / "anchor.statement.jwt").read_text().strip()
        return sign("entity-statement+jwt", {**parse_compact(laid_out, 64 * 1024).claims, **changes}, key)

    def restated(self, space: str, by: keys.SigningKey | None = None, /, **changes: Any) -> str:
        """What a space says of itself, changed, and signed by its own key or by another."""
        claims = parse_compact(self.chain(space)[0], 64 * 1024).claims
        made = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        return sign("entity-statement+jwt", made, by or self.key(space, "federation"))

    @contextmanager
    def audits(self, rpc: str, why: str = "") -> Iterator[None]:
        """What happens inside leaves exactly one record of a refused call, with its reason."""
        start = len(self.shell.facts(self.space))
        yield
        (fact,) = [f for f in self.shell.facts(self.space, start) if f.kind == "call.refused" and f.about == rpc]
        assert why in fact.detail, fact.detail

    def still_serves(self) -> bool:
        return self.as_client(LIST).code is OK


def answer_of(channel: grpc.Channel, rpc: str, sent: bytes, metadata: Metadata, timeout: float | None) -> Answer:
    try:
        if rpc in STREAMS:
            both = channel.stream_stream(rpc)
            body = next(iter(both(iter([sent]), metadata=metadata, timeout=timeout)), b"")
        else:
            body = channel.unary_unary(rpc)(sent, metadata=metadata, timeout=timeout)
    except grpc.RpcError as error:
        problem = from_rpc_error(error)
        return Answer(error.code(), error.details() or "", problem)
    return Answer(OK, body=body)


def free_address() -> str:
    """A place on loopback where nothing listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{held.getsockname()[1]}"


def bearer(token: str) -> Metadata:
    return (("authorization", f"Bearer {token}"),)


def _pair(certificate: Path, key: Path) -> tuple[bytes, bytes]:
    return certificate.read_bytes(), keys.read_secret(key)
