"""The line to an anchor: joining it, and asking it every few seconds what has changed.

Invariants: an anchor is dialled at the address that is configured, and shows a certificate of the CA that is
configured; what it sends is verified like any pushed chain, by the pinned keys and within its prefixes; whom it no
longer vouches for it can only take away if its own statement brought them; while it does not answer, everything goes
on with what is held.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import structlog
from google.protobuf.message import Message
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential_jitter

from gateway.api.trust.v1 import anchor_pb2 as pb
from gateway.config import PolledAnchorConfig, broken
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import EntityId, host_of
from gateway.domain.rulebook import Rulebook
from gateway.edges.channels import CHANNEL_OPTIONS
from gateway.edges.federation import Federation
from gateway.edges.grpc.errors import from_rpc_error
from gateway.edges.keyrings import Signer
from gateway.edges.peers import signed_request
from gateway.edges.rulebooks import RulebookFiles
from gateway.edges.spaces import Spaces
from gateway.ports import Clock, Ids
from gateway.rules.jose import MAX_CHAIN_BYTES, parse_compact

SERVICE = "/isthmus.trust.v1.AnchorService/"
CALL_WITHIN = 8.0
EVERY = 5.0
FIRST_WITHIN = 2.0
# What an anchor that was restored from a backup has forgotten to tell comes with everything, once an hour.
EVERYTHING_EVERY = 3600

log = structlog.get_logger()


@dataclass(frozen=True)
class AnchorAddress:
    """Where an anchor answers: `address` is host:port, `tls_ca` the PEM of its own CA."""

    entity: EntityId
    address: str
    tls_ca: bytes


def located(anchor: PolledAnchorConfig) -> AnchorAddress:
    """Raises IsthmusError(CONFIGURATION)."""
    if anchor.tls_ca is None:
        raise broken(f"the anchor {anchor.entity} has an address and no tls_ca", "anchors.tls_ca", "Name its CA")
    return AnchorAddress(anchor.entity, anchor.address, anchor.tls_ca.read_bytes())


class AnchorLine:
    """Calls one anchor as `own`. `signer` gives the token key that signs now."""

    def __init__(self, own: str, anchor: AnchorAddress, signer: Signer, clock: Clock, ids: Ids) -> None:
        self._own, self._anchor, self._signer, self._clock, self._ids = own, anchor, signer, clock, ids
        named = ("grpc.ssl_target_name_override", host_of(anchor.entity))
        self._channel = grpc.aio.secure_channel(
            anchor.address, grpc.ssl_channel_credentials(anchor.tls_ca), options=(*CHANNEL_OPTIONS, named)
        )

    @property
    def entity(self) -> EntityId:
        return self._anchor.entity

    async def close(self) -> None:
        await self._channel.close(grace=None)

    async def join(self, invitation: str, proof: bytes, configuration: str) -> tuple[str, ...]:
        """The statements about this space. Never retried by itself: an invitation is good for one use."""
        request = pb.JoinRequest(invitation=invitation, proof=proof, configuration=configuration)
        answer: pb.JoinResponse = await self._call("Join", request, pb.JoinResponse, ())
        return tuple(answer.statements)

    async def fetch(
        self, configuration: str, rotations: Sequence[str], version: int, rulebook: int = 0
    ) -> pb.FetchResponse:
        request = pb.FetchRequest(
            configuration=configuration, rotations=rotations, version=version, rulebook=rulebook
        )  # fmt: skip
        metadata = self._token("Fetch", request.SerializeToString())
        answer: pb.FetchResponse = await self._call("Fetch", request, pb.FetchResponse, metadata)
        return answer

    async def _call(self, method: str, request: Message, kind: type[Any], metadata: tuple[tuple[str, str], ...]) -> Any:
        call = self._channel.unary_unary(
            SERVICE + method, request_serializer=None, response_deserializer=kind.FromString
        )
        try:
            return await call(request.SerializeToString(), metadata=metadata, timeout=CALL_WITHIN)
        except grpc.RpcError as error:
            raise from_rpc_error(error, space=self.entity, whom=f"the anchor {self.entity}") from None

    def _token(self, method: str, sent: bytes) -> tuple[tuple[str, str], ...]:
        rpc, now = SERVICE + method, self._clock.now()
        return signed_request(self._own, self.entity, rpc, sent, self._signer(), now, self._ids.fresh())


async def _no_list(_: str) -> None:
    return


class AnchorPoll:
    """Asks one anchor for ever. `statement` is the file of what it says about this space, which `own_chain` reads.

    `revocations` takes its list; `rotations` are the tokens that ask it to pin other keys; the texts of its rulebook
    are kept beside `statement`.
    """

    def __init__(
        self,
        line: AnchorLine,
        own_chain: Callable[[], tuple[str, ...]],
        statement: Path,
        trust: Federation,
        spaces: Spaces,
        clock: Clock,
        *,
        revocations: Callable[[str], Awaitable[None]] = _no_list,
        rotations: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._line, self._own_chain, self._statement = line, own_chain, statement
        self._trust, self._spaces, self._clock = trust, spaces, clock
        self._revocations, self._rotations = revocations, rotations
        self._version = 0
        self._everything_at = clock.now()
        self._wanted = asyncio.Event()
        self._silent = False
        self._texts = RulebookFiles.beside(statement)

    def wake(self) -> None:
        """Ask at once: the own statement has changed."""
        self._wanted.set()

    async def before_listening(self) -> None:
        """Ask once, briefly: who is known at the first handshake need not try again. No answer is no matter."""
        with suppress(IsthmusError, TimeoutError):
            async with asyncio.timeout(FIRST_WITHIN):
                await self.fetch()

    async def for_ever(self) -> None:
        while True:
            self._wanted.clear()
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(Exception),
                wait=wait_exponential_jitter(multiplier=0.2, max=30.0),
                before_sleep=self._unanswered,
            ):
                with attempt:
                    await self.fetch()
            if self._silent:
                self._silent = False
                log.info("anchor answers", anchor=self._line.entity)
            try:
                async with asyncio.timeout(EVERY * random.uniform(0.8, 1.2)):  # noqa: S311  (no secret: spreads the load)
                    await self._wanted.wait()
            except TimeoutError:
                continue

    async def fetch(self) -> None:
        """Ask until there is no more. Raises IsthmusError when the anchor does not answer, or refuses."""
        now = self._clock.now()
        if now - self._everything_at > EVERYTHING_EVERY:
            self._version, self._everything_at = 0, now
        more = True
        while more:
            rotations = [token for token in self._rotations() if audience_of(token) == self._line.entity]
            text_of = self._missing_text()
            wanted = 0 if text_of is None else text_of.version
            answer = await self._line.fetch(self._own_chain()[0], rotations, self._version, wanted)
            self._take(answer.statements)
            if text_of is not None:
                self._keep(text_of, answer.rulebook_text)
            if answer.revocations:
                await self._revocations(answer.revocations)
            chains = [tuple(chain.statements) for chain in answer.members]
            await self._spaces.learn(self._line.entity, chains, tuple(answer.suspended))
            self._version = answer.version
            more = answer.more or (text_of is None and self._missing_text() is not None)

    def _take(self, statements: Sequence[str]) -> None:
        """New statements about this space are kept once they prove what it says of itself."""
        own = self._own_chain()
        if statements == own[1:] or list(statements) == read_statements(self._statement):
            return
        self._trust.admit((own[0], *statements))
        write_statements(self._statement, statements)
        log.info("own statement renewed", anchor=self._line.entity)

    def _missing_text(self) -> Rulebook | None:
        return self._texts.missing(self._line.entity, self._trust.rulebooks.of(self._line.entity))

    def _keep(self, book: Rulebook, text: str) -> None:
        try:
            self._texts.keep(self._line.entity, book, text)
            log.info("a version of the rulebook is here", anchor=self._line.entity, version=book.version)
        except IsthmusError as problem:
            log.warning("a rulebook is refused", anchor=self._line.entity, version=book.version, problem=problem.public)

    def _unanswered(self, state: RetryCallState) -> None:
        problem = state.outcome.exception() if state.outcome is not None else None
        if self._silent:
            return
        self._silent = True
        told = str(problem) if isinstance(problem, IsthmusError) else repr(problem)
        private = problem.private if isinstance(problem, IsthmusError) else ""
        log.warning("anchor does not answer", anchor=self._line.entity, problem=told, detail=private)


def read_statements(file: Path) -> list[str]:
    """The superiors' statements about this space, one a line; none where it has not joined yet."""
    try:
        return file.read_text().split()
    except OSError:
        return []


def write_statements(file: Path, statements: Sequence[str]) -> None:
    """All of them, or what was there before. Raises IsthmusError(CONFIGURATION)."""
    fresh = file.with_name(file.name + ".new")
    try:
        file.parent.mkdir(exist_ok=True)
        fresh.write_text("".join(f"{statement}\n" for statement in statements))
        fresh.replace(file)
    except OSError as problem:
        raise IsthmusError(
            Reason.CONFIGURATION,
            f"the statement about this space cannot be kept in {file}: {problem.strerror}",
            field="statement",
            advice="Check the folder and the disk",
        ) from None


def audience_of(token: str) -> object:
    """Whom a token of our own is for; read, not verified."""
    return parse_compact(token, MAX_CHAIN_BYTES).claims.get("aud")
