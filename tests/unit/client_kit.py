"""A gateway for the client's tests: real mutual TLS and real sealed shares, one fake computation.

The computation is an overlap of two lists with three cells, the last of them suppressed.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc

from gateway.api.client.v1 import catalogue_pb2 as cat
from gateway.api.client.v1 import catalogue_pb2_grpc, computations_pb2_grpc, tokens_pb2_grpc
from gateway.api.client.v1 import computations_pb2 as comp
from gateway.api.client.v1 import tokens_pb2 as tok
from gateway.client.profile import Profile
from gateway.domain.approval import ApprovalBody, SeatKey, SignedApproval, SignedContract
from gateway.domain.computation import Computation, Ending, Receipt, Role, SealedShare, State
from gateway.domain.contract import Contract, Deadlines, Input, Limits, Program, Provider, Recipient, Seat
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import EntityId
from gateway.domain.query import Query
from gateway.edges import certificates, keys
from gateway.edges.clock import SystemIds
from gateway.edges.documents import Writer
from gateway.edges.grpc import convert
from gateway.edges.grpc.errors import to_status
from gateway.edges.tokens import sign
from gateway.ports import Clock
from gateway.rules import queries, sealing
from gateway.rules.jose import parse_compact
from gateway.rules.planning import parameters
from gateway.rules.roster import roster
from gateway.rules.sharing import P
from gateway.rules.tokens import payload_digest

CARE = EntityId("https://care.example")
NOW = 1_800_000_000
LIMITS = Limits(11, False, True)
COUNTS, KEPT = (54, 463, 0), (1, 1, 0)
QUERY = queries.read_query(
    {
        "title": "Overlap",
        "purpose": "p",
        "legal_basis": "l",
        "sources": [{"dataset": f"spaces/care.example/datasets/{name}"} for name in ("la", "ng")],
        "link_on": ["name"],
        "statistic": {"overlap": {}},
    }
)


@dataclass(frozen=True)
class FixedClock:
    at: int = NOW

    def now(self) -> int:
        return self.at


def shares_of(secrets: tuple[int, ...]) -> list[list[int]]:
    """Shares of degree 1 for three parties; the slopes are fixed, since nothing here is secret."""
    return [[(secret + (7 + index) * (pid + 1)) % P for index, secret in enumerate(secrets)] for pid in range(3)]


def released(asked: Query, recipient: bytes, id: str, *, spoil: bool = False, kind: str = "client") -> Computation:
    """A released computation whose shares are sealed to the public key `recipient`; `spoil` falsifies a share."""
    name = {"client": "client analyst", "gateway": f"gateway {CARE}"}[kind]
    contract = Contract(
        session=id,
        initiator=CARE,
        requester="analyst",
        requester_signed=False,
        query=asked,
        program=Program("overlap", 1, "00", "mpyc 0.11", 1, parameters(asked, LIMITS, {})),
        field=str(P),
        m=3,
        t=1,
        seats=tuple(Seat(pid, f"https://s{pid}.example", f"Operator {pid}") for pid in range(3)),
        providers=(Provider(CARE, tuple(Input(source.dataset, "1", "00", 1024) for source in asked.sources), 2048),),
        recipients=(Recipient(name, kind, base64.b64encode(recipient).decode()),),
        limits=LIMITS,
        deadlines=Deadlines(10, 5, 300),
        demo_view=False,
        not_before=NOW,
        expires=NOW + 600,
    )
    signed = _signed(contract)
    secrets = {pid: sealing.fresh_key() for pid in range(3)}
    provider = sealing.fresh_key()[1]
    approvals = [_approved(signed, f"https://s{pid}.example", pid, secrets[pid][1]) for pid in range(3)]
    approvals.append(_approved(signed, CARE, None, provider))
    transcript = roster(signed, approvals).transcript
    vectors = shares_of((*COUNTS, *KEPT))
    if spoil:
        vectors[2][0] = (vectors[2][0] + 1) % P
    sealed = [sealing.seal_output(recipient, secrets[pid][0], transcript, pid, name, vectors[pid]) for pid in range(3)]
    outputs = {f"https://s{pid}.example": (hashlib.sha256(sealed[pid]).hexdigest(),) for pid in range(3)}
    return Computation(
        id=id,
        role=Role.HOME,
        requester="analyst",
        request_id="r",
        request_digest="",
        state=State.RELEASED,
        query="{}",
        contract=signed.token,
        contract_digest=signed.digest,
        created=NOW,
        updated=NOW,
        expires=NOW + 600,
        approvals=tuple(approval.token for approval in approvals),
        shares=tuple(
            SealedShare(pid, name, base64.b64encode(sealed[pid]).decode()) for pid in range(3)
        ),
        receipts=tuple(
            Receipt(entity, signed.digest, outputs.get(entity, ()), 11, False, 4, "12" * 32, 9, 1, 0.1, "")
            for entity in contract.entities()
        ),
    )  # fmt: skip


def _signed(contract: Contract) -> SignedContract:
    token = Writer(CARE, keys.new_signing_key, FixedClock(), SystemIds()).contract(contract)
    return SignedContract(contract, payload_digest(parse_compact(token, 10**6).payload), token)


def _approved(contract: SignedContract, entity: str, pid: int | None, key: bytes) -> SignedApproval:
    text = base64.b64encode(key).decode()
    seats = () if pid is None else (SeatKey(pid, text),)
    body = ApprovalBody(contract.digest, seats, text if pid is None else "")
    token = Writer(entity, keys.new_signing_key, FixedClock(), SystemIds()).approval(contract.body, body)
    return SignedApproval(entity, body, payload_digest(parse_compact(token, 10**6).payload), token)


def person_token(now: int, expires: int, ends: int) -> str:
    claims = {
        "iss": CARE,
        "sub": "anna@people",
        "aud": CARE,
        "iat": now,
        "exp": expires,
        "jti": f"j{now}",
        "client_id": "analyst",
        "scope": "catalogue",
        "cnf": {"x5t#S256": "A" * 43},
        "act": {"sub": "analyst"},
        "sign_in_ends": ends,
    }
    return sign("at+jwt", claims, keys.new_signing_key())


@dataclass
class FakeGateway(
    catalogue_pb2_grpc.CatalogueServiceServicer,
    computations_pb2_grpc.ComputationServiceServicer,
    tokens_pb2_grpc.TokenServiceServicer,
):
    """`unavailable` calls are refused as if the line had broken; watches break off after `watch_breaks` times."""

    clock: Clock = field(default_factory=FixedClock)
    unavailable: int = 0
    watch_breaks: int = 0
    spoil: bool = False
    ending: Ending | None = None
    tokens: list[str] = field(default_factory=list)
    seen_tokens: list[str] = field(default_factory=list)
    deadlines: list[float | None] = field(default_factory=list)
    created: dict[str, Computation] = field(default_factory=dict)
    acknowledged: list[bool] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    exchanged: list[tok.ExchangeTokenRequest] = field(default_factory=list)
    sign_in_ends: int = NOW + 1000

    async def IssueToken(self, request: tok.IssueTokenRequest, context: Any) -> tok.IssueTokenResponse:
        self.tokens.append(f"token-{len(self.tokens)}")
        return tok.IssueTokenResponse(access_token=self.tokens[-1], expire_time=self.clock.now() + 300)

    async def ExchangeToken(self, request: tok.ExchangeTokenRequest, context: Any) -> tok.ExchangeTokenResponse:
        """Whoever comes is anna, for as long as `sign_in_ends` says."""
        self.exchanged.append(request)
        now = self.clock.now()
        expires = min(now + 300, self.sign_in_ends)
        self.tokens.append(person_token(now, expires, self.sign_in_ends))
        return tok.ExchangeTokenResponse(
            access_token=self.tokens[-1],
            expire_time=expires,
            subject="anna@people",
            scopes=["catalogue"],
            sign_in_expire_time=self.sign_in_ends,
        )

    async def _admit(self, context: Any) -> None:
        self.deadlines.append(context.time_remaining())
        authorization = dict(context.invocation_metadata()).get("authorization", "")
        self.seen_tokens.append(authorization.removeprefix("Bearer "))
        if self.unavailable:
            self.unavailable -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the line broke")

    async def ListDatasets(self, request: cat.ListDatasetsRequest, context: Any) -> cat.ListDatasetsResponse:
        await self._admit(context)
        self.pages.append(request.page_token)
        names = {"": "la", "2": "ng"}
        item = cat.Dataset(name=f"spaces/care.example/datasets/{names[request.page_token]}", seen_time=NOW)
        return cat.ListDatasetsResponse(
            datasets=[item], next_page_token="" if request.page_token else "2", unreachable=["https://x.example"]
        )

    async def GetDataset(self, request: cat.GetDatasetRequest, context: Any) -> cat.GetDatasetResponse:
        problem = IsthmusError(
            Reason.UNKNOWN_DATASET, "no such dataset", field="name", space="https://x.example", advice="Look again"
        )
        status: Any = to_status(problem)
        context.set_trailing_metadata(status.trailing_metadata)
        await context.abort(status.code, status.details)
        raise problem

    async def CreateComputation(
        self, request: comp.CreateComputationRequest, context: Any
    ) -> comp.CreateComputationResponse:
        await self._admit(context)
        asked = convert.query_from(request.query)
        key = request.recipient_key or sealing.fresh_key()[1]
        kind = "client" if request.recipient_key else "gateway"
        made = released(asked, key, f"{len(self.created):032x}", spoil=self.spoil, kind=kind)
        self.created[made.name] = made
        return comp.CreateComputationResponse(computation=convert.computation_to(running(made), None))

    async def GetComputation(self, request: comp.GetComputationRequest, context: Any) -> comp.GetComputationResponse:
        await self._admit(context)
        message = convert.computation_to(self.created[request.name], None)
        message.table.CopyFrom(comp.Table(columns=["la", "ng"], rows=[comp.Row(codes=["1", "0"], suppressed=True)]))
        return comp.GetComputationResponse(computation=message)

    async def WatchComputation(self, request: comp.WatchComputationRequest, context: Any) -> AsyncIterator[Any]:
        await self._admit(context)
        made = self.created[request.name]
        yield comp.WatchComputationResponse(computation=convert.computation_to(running(made), None))
        if self.watch_breaks:
            self.watch_breaks -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the line broke")
        if self.ending is not None:
            made = replace(made, state=State.FAILED, ending=self.ending, shares=())
        yield comp.WatchComputationResponse(computation=convert.computation_to(made, None))

    async def AcknowledgeResult(
        self, request: comp.AcknowledgeResultRequest, context: Any
    ) -> comp.AcknowledgeResultResponse:
        await self._admit(context)
        self.acknowledged.append(request.consistent)
        return comp.AcknowledgeResultResponse()


def running(made: Computation) -> Computation:
    return replace(made, state=State.RUNNING, approvals=(), shares=(), receipts=())


@asynccontextmanager
async def served(gateway: FakeGateway, folder: Path) -> AsyncIterator[Profile]:
    """A profile for `gateway`, which listens on loopback under certificates of its own CA while inside."""
    import time

    authority = certificates.create_authority(CARE, int(time.time()))
    server_leaf = certificates.server_certificate(authority, CARE, int(time.time()))
    leaf = certificates.client_certificate(
        authority, CARE, certificates.Role.CLIENT, int(time.time()), client_id="analyst"
    )
    (folder / "ca.pem").write_bytes(authority.certificate_pem)
    (folder / "me.pem").write_bytes(leaf.certificate_pem)
    keys.write_secret(folder / "me.key.pem", leaf.key_pem)
    server = grpc.aio.server()
    catalogue_pb2_grpc.add_CatalogueServiceServicer_to_server(gateway, server)
    computations_pb2_grpc.add_ComputationServiceServicer_to_server(gateway, server)
    tokens_pb2_grpc.add_TokenServiceServicer_to_server(gateway, server)
    credentials = grpc.ssl_server_credentials(
        [(server_leaf.key_pem, server_leaf.certificate_pem)], authority.certificate_pem, require_client_auth=True
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    text = {"gateway": f"127.0.0.1:{port}", "server_name": "care.example", "ca": "ca.pem",
            "certificate": "me.pem", "key": "me.key.pem", "token": "me.token"}  # fmt: skip
    (folder / "profile.toml").write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in text.items()))
    try:
        yield Profile.load(folder / "profile.toml")
    finally:
        await server.stop(None)
