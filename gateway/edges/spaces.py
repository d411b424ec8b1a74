"""Everybody this gateway knows, itself included: port `Federation`.

Invariants: a space is here only through a chain that a pinned anchor ends and an offer that its agent
signed; a refresh swaps one peer at a time and keeps the last good copy of one that does not answer; peers come
with their chain and go when nobody vouches for them any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from gateway.domain.computation import State
from gateway.domain.decision import Consulted
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import EntityId
from gateway.domain.offer import Objection, Offer, Space
from gateway.domain.plan import Verdict
from gateway.domain.session import Approval, Failure, Frame, Refusal, RunEvent
from gateway.edges.documents import Reader
from gateway.edges.federation import Federation, operator_of
from gateway.edges.peers import PeerLine
from gateway.edges.revocations import Revocations
from gateway.flows.take_part import TakePart
from gateway.ports import Chains, Clock, SpaceLine
from gateway.rules.jose import MAX_CHAIN_BYTES, Problem, TokenProblem, parse_compact
from gateway.rules.rulebook import acceptance_of

log = structlog.get_logger()
REFRESH_EVERY = 20.0
REFRESH_MISSING_EVERY = 1.0


@dataclass(frozen=True, slots=True)
class OwnLine:
    """The line to the own space: the same flow that answers peers, called in this process."""

    entity: str
    take_part: TakePart

    async def check(self, draft: bytes) -> Verdict:
        return await self.take_part.check(draft, caller=self.entity)

    async def consult(self, plan: str, chains: Chains, withdrawn: bool) -> Consulted | Refusal:
        return await self.take_part.consult(plan, chains, withdrawn, caller=self.entity)

    async def propose(self, contract: str, chains: Chains) -> Approval | Refusal:
        return await self.take_part.propose(contract, chains, caller=self.entity)

    def run(self, contract: str, approvals: Sequence[str], chains: Chains) -> AsyncGenerator[RunEvent, None]:
        return self.take_part.run(contract, approvals, chains, caller=self.entity)

    async def conclude(
        self, session: str, digest: str, state: State, failure: Failure | None, receipts: Sequence[str]
    ) -> None:
        await self.take_part.conclude(session, digest, state, failure, receipts, caller=self.entity)


class Spaces:
    def __init__(
        self,
        entity: str,
        trust: Federation,
        reader: Reader,
        clock: Clock,
        own_chain: Callable[[], tuple[str, ...]],
        dial: Callable[[EntityId], PeerLine],
        revocations: Revocations,
    ) -> None:
        """`dial` makes the line to a peer. Whoever is believed is one."""
        self._entity, self._trust, self._reader, self._clock = entity, trust, reader, clock
        self._revocations = revocations
        self._own_chain, self._dial = own_chain, dial
        self._chains: dict[str, tuple[str, ...]] = {}
        self._spaces: dict[str, Space] = {}
        self._peers: dict[str, PeerLine] = {}
        self._lost: set[str] = set()
        self._news = asyncio.Event()
        # The own offer, and which one each peer was told.
        self._offer = ""
        self._told: dict[str, str] = {}
        self._everybody_at = 0.0
        self._own_line: OwnLine | None = None

    def take_part_as(self, take_part: TakePart) -> None:
        """Close the circle: the own line needs the flow, which needs what is built after this."""
        self._own_line = OwnLine(self._entity, take_part)

    def spaces(self) -> Mapping[str, Space]:
        return {entity: self._standing(entity, space) for entity, space in self._spaces.items()}

    def line(self, entity: str) -> SpaceLine:
        if entity == self._entity and self._own_line is not None:
            return self._own_line
        return self._peer(entity)

    def chains(self, entities: Sequence[str]) -> Chains:
        """Raises IsthmusError(PEER_UNREACHABLE) for one that is no peer, or none any more: statements live for a day,
        and what waits for people waits for longer."""
        missing = [entity for entity in entities if entity != self._entity and entity not in self._chains]
        if missing:
            raise _no_peer(missing[0])
        return [self._own_chain() if entity == self._entity else self._chains[entity] for entity in entities]

    def tunnel(
        self, entity: str, session: str, within: float, outgoing: AsyncIterator[Sequence[Frame]]
    ) -> AsyncIterator[Frame]:
        return self._peer(entity).tunnel(session, within, outgoing)

    async def alive(self, entity: str, within: float) -> bool:
        """Whether the gateway of another space answers."""
        try:
            return await self._peer(entity).alive(within)
        except IsthmusError:
            return False

    async def offered(self, token: str) -> None:
        """The own agent's offer, verified like anybody's."""
        offer = await self._reader.offer(token, self._entity)
        own = self._trust.entity(self._entity)
        if own is not None:
            known = self._spaces.get(self._entity)
            self._spaces[self._entity] = Space(operator_of(own), offer, self._clock.now())
            if known is None or known.offer != offer:
                self._offer, self._everybody_at = token, 0.0
                self._news.set()

    async def offered_by(self, caller: str, token: str) -> None:
        """A peer's new offer, pushed by itself. One that does not hold is passed over: whoever asks hears the same.
        That it reaches this gateway does not say that this one reaches it: who is missing is asked at once."""
        try:
            offer, reached = await self._reader.offer(token, caller), self._is_reachable(caller)
            self._stands(caller, offer, reached)
            if not reached:
                self._news.set()
        except IsthmusError as problem:
            log.warning("a peer's offer is not taken", space=caller, reason=problem.reason, detail=problem.private)

    async def admit(self, caller: str, chain: tuple[str, ...]) -> None:
        """A chain that `caller` pushed: believed from now on if it is its own.

        One that is older than what is known is passed over: replicas of one gateway make statements of their own,
        and clocks are set back.
        """
        if not chain or parse_compact(chain[0], MAX_CHAIN_BYTES).claims.get("sub") != caller:
            raise IsthmusError(Reason.UNAUTHENTICATED, "the chain is another entity's", field="chain")
        try:
            await self._trust.believe(chain)
        except TokenProblem as problem:
            if problem.problem is not Problem.OLDER:
                raise
            return
        self._is_peer(caller, chain)

    def lists(self) -> list[str]:
        """What peers are told of revocations: this space's own list and the anchors'."""
        return self._revocations.held((self._entity, *(anchor.entity_id for anchor in self._trust.anchors)))

    async def believe(self, chain: tuple[str, ...]) -> None:
        """A chain that came from elsewhere than its entity: an anchor, or the configuration.

        Raises TokenProblem when it does not hold, or a newer one is believed.
        """
        self._is_peer((await self._trust.believe(chain)).entity_id, chain)

    async def restore(self) -> None:
        """Those who were peers before the process started, and still would be."""
        await self._trust.restore()
        for chain in self._trust.chains():
            self._is_peer(str(parse_compact(chain[0], MAX_CHAIN_BYTES).claims.get("sub")), chain)

    async def learn(self, anchor: str, chains: Sequence[tuple[str, ...]], suspended: Sequence[str]) -> None:
        """What an anchor says of its members: those that are new or changed, and those that it takes back."""
        for chain in chains:
            try:
                self._trust.rejoin(str(parse_compact(chain[0], MAX_CHAIN_BYTES).claims.get("sub")), anchor)
                await self.believe(chain)
            except TokenProblem as problem:
                if problem.problem is not Problem.OLDER:
                    log.warning("a member is not believed", anchor=anchor, detail=problem.private)
        for entity in suspended:
            self._trust.part_with(entity, anchor)
        self._forget_the_gone()

    async def refresh(self, *, missing: bool = False) -> None:
        """Ask every peer, or those that are missing alone, for its chain and offer, in parallel."""
        self._forget_the_gone()
        asked = [entity for entity in self._chains if not (missing and self._is_reachable(entity))]
        await asyncio.gather(*(self._refresh(entity) for entity in asked))

    @property
    def complete(self) -> bool:
        """Whether every peer, and the own agent, has made an offer."""
        return all(map(self._is_reachable, (*self._chains, self._entity)))

    async def refresh_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._news.clear()
            everybody = loop.time() >= self._everybody_at
            if everybody:
                self._everybody_at = loop.time() + REFRESH_EVERY
            await self.refresh(missing=not everybody)
            wait = self._everybody_at - loop.time() if self.complete else REFRESH_MISSING_EVERY
            try:
                async with asyncio.timeout(wait):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def close(self) -> None:
        await asyncio.gather(*(peer.close() for peer in self._peers.values()))

    def _is_peer(self, entity: str, chain: tuple[str, ...]) -> None:
        if entity == self._entity:
            return
        if entity not in self._chains:
            self._news.set()
        self._chains[entity] = chain

    def _standing(self, entity: str, space: Space) -> Space:
        """With what it accepted, and what is against it now."""
        believed, problem = self._trust.entity(entity), self._trust.objection(entity)
        accepted = None if believed is None else acceptance_of(believed.word, believed.anchor)
        version = 0 if accepted is None else accepted.version
        objection = None if problem is None else Objection(problem.reason, problem.public, problem.advice)
        return replace(space, rulebook=version, objection=objection)

    def _is_reachable(self, entity: str) -> bool:
        space = self._spaces.get(entity)
        return space is not None and space.reachable

    def _forget_the_gone(self) -> None:
        """Those whose statement has expired, or is taken back, are peers no longer. Who was revoked may come back."""
        gone = [
            entity
            for entity in self._chains
            if self._trust.entity(entity) is None and self._trust.withdrawn(entity) is None
        ]
        for entity in gone:
            log.info("no longer a peer", space=entity)
            del self._chains[entity]
            self._spaces.pop(entity, None)
            self._lost.discard(entity)
            self._told.pop(entity, None)
            self._peers.pop(entity, None)  # what runs on its line goes on: ending it is revocation's

    async def _refresh(self, entity: str) -> None:
        try:
            if (withdrawn := self._trust.withdrawn(entity)) is not None:
                raise withdrawn
            offer, known = self._offer, self._spaces.get(entity)
            news = offer if self._told.get(entity) != offer else ""
            answer = await self._peer(entity).describe(self._own_chain(), self.lists(), news)
            self._told[entity] = offer
            await self.admit(entity, tuple(answer.chain))
            await self._revocations.hear(tuple(answer.revocations), entity)
            if not answer.offer:
                raise IsthmusError(Reason.AGENT_UNREACHABLE, "the space's agent is not connected", space=entity)
            made = await self._reader.offer(answer.offer, entity)
            now = self._spaces.get(entity)
            # What the peer pushed while it was asked is newer than its answer.
            self._stands(entity, made if now is None or now is known else now.offer)
        except IsthmusError as problem:
            known = self._spaces.get(entity)
            if entity not in self._lost:
                self._lost.add(entity)
                # At start everybody is still coming up; who was there and went is worth a warning.
                level = log.info if known is None else log.warning
                level("peer not reachable", space=entity, reason=problem.reason, detail=problem.private)
            if known is not None:
                self._spaces[entity] = replace(known, reachable=False)

    def _stands(self, entity: str, offer: Offer, reached: bool = True) -> None:
        """A peer with what it offers now."""
        believed = self._trust.entity(entity)
        if believed is None:
            raise _no_peer(entity)
        self._spaces[entity] = Space(operator_of(believed), offer, self._clock.now(), reached)
        if reached and entity in self._lost:
            self._lost.remove(entity)
            log.info("peer reachable", space=entity)

    def _peer(self, entity: str) -> PeerLine:
        if entity not in self._peers:
            if (withdrawn := self._trust.withdrawn(entity)) is not None:
                raise withdrawn
            believed = self._trust.entity(entity)
            if believed is None or entity not in self._chains or not believed.tls_ca:
                raise _no_peer(entity)
            self._peers[entity] = self._dial(believed.entity_id)
        return self._peers[entity]


def _no_peer(entity: str) -> IsthmusError:
    return IsthmusError(
        Reason.PEER_UNREACHABLE,
        "this space is no peer of ours, or its statement has expired",
        space=entity,
        advice="Its operator has to push a new statement",
    )
