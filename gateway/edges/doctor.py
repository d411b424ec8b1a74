"""Examines the line to a peer, step by step, from this gateway's own place and with its own credentials.

Invariants: steps go in the order of `domain.diagnosis.Step`, and after one without which the next cannot be
tried, the rest is "not tried"; nothing is believed, admitted or changed by looking; what a peer reports about
the way back is read as its opinion: bounded, and its "own" turned into our "peer's".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from importlib.metadata import version
from statistics import median

from gateway.api.peer.v1 import examination_pb2 as pb
from gateway.domain.diagnosis import (
    LINE,
    Answer,
    ClockSeen,
    Ends,
    Finding,
    Outcome,
    Reached,
    Spoken,
    Step,
    Trouble,
    Way,
)
from gateway.domain.errors import IsthmusError
from gateway.domain.identity import Entity, EntityId, host_of
from gateway.domain.offer import Offer
from gateway.edges import reach, transfers
from gateway.edges.contact import Called, Contact
from gateway.edges.documents import Reader
from gateway.edges.federation import Federation
from gateway.edges.grpc.finding_convert import finding_from
from gateway.edges.keyrings import Presented, Signer
from gateway.ports import Clock, Ids
from gateway.rules import diagnosis, diagnosis_peer
from gateway.rules.jose import Problem, TokenProblem

PROTOCOLS = (1,)  # of isthmus.peer
PROBES = 5
WITNESSES = 3
# Without these nothing after them can be tried.
ESSENTIAL = frozenset({Step.NAME, Step.PORT, Step.TLS, Step.CLOCK, Step.CHAIN})


def spoken_by(offer: Offer | None) -> Spoken:
    """What this gateway speaks, with the agent whose offer it is."""
    if offer is None:
        return Spoken(version("isthmus"), PROTOCOLS)
    programs = frozenset((program.name, program.version, program.digest) for program in offer.programs)
    return Spoken(version("isthmus"), PROTOCOLS, offer.engine, offer.codec, programs)


@dataclass(frozen=True, slots=True)
class Doctor:
    """`addresses()` says where each peer is dialled; `spoken()` what this space speaks now."""

    own: EntityId
    trust: Federation
    reader: Reader
    credentials: Presented
    signer: Signer
    own_chain: Callable[[], tuple[str, ...]]
    addresses: Callable[[], Mapping[str, str]]
    spoken: Callable[[], Spoken]
    clock: Clock
    milliseconds: Callable[[], int]
    ids: Ids

    def peer(self, name: str) -> EntityId | None:
        """The peer with this entity ID or host name."""
        found = [entity for entity in self.addresses() if name in (entity, host_of(EntityId(entity)))]
        return EntityId(found[0]) if len(found) == 1 else None

    async def diagnose(self, peer: EntityId) -> AsyncGenerator[tuple[Way, Finding], None]:
        """Both ways. `peer` is one of `addresses()`."""
        root: Step | None = None
        address = self.addresses()[peer]
        async with aclosing(self.examine(peer, address)) as findings:
            async for finding in findings:
                yield Way.THERE, finding
                if root is None and finding.outcome is Outcome.FAILED and finding.step in ESSENTIAL:
                    root = finding.step
        known = self.trust.entity(peer)
        if root is not None or known is None:
            yield Way.BACK, diagnosis.not_tried(Step.EXAMINATION, root or Step.CHAIN)
            return
        async with aclosing(self._back(known, address)) as findings:
            async for finding in findings:
                yield Way.BACK, finding

    async def examine(self, peer: EntityId, address: str, *, discreet: bool = False) -> AsyncGenerator[Finding, None]:
        """From here to `peer` at `address` (host:port): one finding for every step of LINE.

        `discreet`: for the eyes of that peer, who chose the address: what names resolve to, and whose certificates
        are seen at addresses that are not the peer's, is nobody's business outside.
        """
        done: set[Step] = set()
        root = Step.CHAIN
        known = self.trust.last_known(peer)
        ends = Ends(self.own, peer, address, known.endpoint if known is not None else "")
        async with aclosing(self._line(ends, known, discreet)) as findings:
            async for finding in findings:
                done.add(finding.step)
                yield finding
                if finding.outcome is Outcome.FAILED and finding.step in ESSENTIAL:
                    root = finding.step
                    break
        for step in LINE:
            if step not in done:
                yield diagnosis.not_tried(step, root)

    def _contact(self, peer: Entity, address: str) -> Contact:
        return Contact(self.own, peer, address, self.credentials(), self.signer(), self.clock, self.ids)

    async def _line(self, ends: Ends, known: Entity | None, discreet: bool) -> AsyncGenerator[Finding, None]:
        host, _, port = ends.address.rpartition(":")
        host = host.strip("[]")
        if not port.isdecimal():  # an address that was written down without one
            yield diagnosis.name(ends, Reached(trouble=Trouble.NO_SUCH_NAME))
            return
        resolved = await reach.resolve(host, int(port))
        yield diagnosis.name(ends, replace(resolved, what="") if discreet else resolved)
        yield diagnosis.port(ends, await reach.connect(host, int(port)))
        yield await self._tls(ends, known, host, int(port), discreet)
        if known is None:
            yield diagnosis.not_tried(Step.CLOCK, Step.CHAIN)
            yield diagnosis_peer.chain(ends, Answer.GIVEN, True, None, False)
            return
        async with Contact(
            self.own, known, ends.address, self.credentials(), self.signer(), self.clock, self.ids
        ) as contact:
            async with aclosing(self._calls(ends, contact)) as findings:
                async for finding in findings:
                    yield finding

    async def _tls(self, ends: Ends, known: Entity | None, host: str, port: int, discreet: bool) -> Finding:
        authorities = known.tls_ca if known is not None else ""
        name = host_of(EntityId(ends.peer))
        seen = await reach.handshake(host, port, name, authorities, self.credentials())
        if discreet and not (seen.issued and name in seen.names):
            others = ("another name",) if seen.names else ()
            names = seen.names if name in seen.names else others
            seen = replace(seen, names=names, issuer=seen.issuer and "another CA")
        own = self.trust.last_known(self.own)
        now = self.clock.now()
        holds = own is not None and reach.own_certificate_holds(self.credentials(), own.tls_ca, now)
        return diagnosis.tls(ends, seen, now, own_holds=holds)

    async def _calls(self, ends: Ends, contact: Contact) -> AsyncGenerator[Finding, None]:
        probe, offset, round_trip = await self._probes(contact)
        if (unanswered := diagnosis.calls(ends, probe.answer)) is not None:
            yield unanswered
            return
        differs = offset is not None and abs(offset.offset) > diagnosis.CLOCK_WARNS
        yield diagnosis.clock(ends, offset, await self._witnesses(ends.peer) if differs else ())

        described = await contact.describe(self.own_chain())
        yield self._chain(ends, described)
        token = described.message.offer if described.message is not None else ""
        offer = await self._offer(token, ends.peer)
        connected = bool(probe.message.agent_connected if probe.message is not None else token)
        yield diagnosis_peer.agent(ends, connected, offer is not None)
        yield diagnosis_peer.versions(ends, self.spoken(), _spoken(probe, offer))
        if offer is None:
            yield diagnosis.not_tried(Step.POLICY, Step.AGENT)
        else:
            answered = await contact.open_datasets()
            opened = tuple(answered.message.datasets) if answered.message is not None else None
            yield diagnosis_peer.policy(ends, offer, opened)

        if round_trip is None:  # a release that answers no probe
            for step in (Step.SIZES, Step.BANDWIDTH):
                yield diagnosis.not_tried(step, Step.VERSIONS)
        else:
            sent = await transfers.sizes(contact, round_trip)
            judged = diagnosis_peer.sizes(ends, sent)
            yield judged
            if judged.outcome is Outcome.FAILED:
                yield diagnosis.not_tried(Step.BANDWIDTH, Step.SIZES)
            else:
                yield diagnosis_peer.bandwidth(ends, await transfers.flow(contact, transfers.chunk(sent, round_trip)))
        yield diagnosis_peer.round_trip(ends, round_trip)

    async def _probes(self, contact: Contact) -> tuple[Called, ClockSeen | None, float | None]:
        """The last answer, the peer's clock against ours, and the median round trip in seconds."""
        times: list[tuple[int, int, int]] = []
        seconds: list[float] = []
        await contact.probe()  # opens the connection; its time is not a round trip's
        for _ in range(PROBES):
            before = self.milliseconds()
            called = await contact.probe()
            after = self.milliseconds()
            if called.answer is not Answer.GIVEN:
                if called.told is None:
                    return called, None, None
                offset = called.told * 1000 + 500 - (before + after) // 2
                return called, ClockSeen(offset, 500 + (after - before) // 2), None
            times.append((before, after, called.message.clock_ms))
            seconds.append(called.seconds)
        return called, diagnosis.offset_of(times), median(seconds)

    async def _witnesses(self, peer: str) -> list[int]:
        """How far the clocks of a few other peers are off, in milliseconds."""

        async def ask(entity: str, address: str) -> int | None:
            known = self.trust.entity(entity)
            if known is None:
                return None
            async with Contact(
                self.own, known, address, self.credentials(), self.signer(), self.clock, self.ids
            ) as contact:
                offset = (await self._probes(contact))[1]
            return None if offset is None else offset.offset

        others = [(entity, address) for entity, address in self.addresses().items() if entity != peer]
        asked = await asyncio.gather(*(ask(entity, address) for entity, address in others[:WITNESSES]))
        return [offset for offset in asked if offset is not None]

    def _chain(self, ends: Ends, described: Called) -> Finding:
        def verify(chain: Sequence[str]) -> Entity:
            return self.trust.check(chain, ends.peer)

        try:
            self.trust.check(self.own_chain(), self.own)
            own_holds = True
        except TokenProblem as problem:
            own_holds = problem.problem is Problem.OLDER
        seen = None
        if described.message is not None:
            chain = tuple(described.message.chain)
            seen = diagnosis_peer.see_chain(chain, self.trust.anchors, self.clock.now(), verify)
        admitted = self.trust.entity(ends.peer) is not None
        return diagnosis_peer.chain(ends, described.answer, own_holds, seen, admitted)

    async def _offer(self, token: str, peer: str) -> Offer | None:
        if not token:
            return None
        try:
            return await self.reader.offer(token, peer)
        except IsthmusError:
            return None

    async def _back(self, peer: Entity, address: str) -> AsyncGenerator[Finding, None]:
        ends = Ends(self.own, peer.entity_id, address)
        ended = Answer.GIVEN
        came = 0
        async with self._contact(peer, address) as contact:
            async with aclosing(contact.examine()) as answers:
                async for called in answers:
                    ended = called.answer
                    found = finding_from(called.message.finding) if called.message is not None else None
                    if found is not None:
                        came += 1
                        yield found
        if ended is not Answer.GIVEN or not came:
            yield diagnosis_peer.no_examination(ends, ended, came)


def _spoken(probe: Called, offer: Offer | None) -> Spoken | None:
    if probe.message is None:
        return None
    said: pb.ProbeResponse = probe.message
    programs = frozenset() if offer is None else spoken_by(offer).programs
    protocols = tuple(said.protocols)[:16]
    return Spoken(said.release[:40], protocols, said.engine[:40], said.codec, programs)
