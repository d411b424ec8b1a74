"""isthmus.peer.v1.ExaminationService and isthmus.client.v1.DiagnosticsService: the doctor's two doors.

Invariants: a peer has itself examined and nobody else, at the endpoint of its own verified statement; it can
neither have that done twice at once nor often, so that this gateway is no amplifier; an answer is never larger
than a message may be.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field

from gateway.api.client.v1 import diagnostics_pb2 as client
from gateway.api.peer.v1 import examination_pb2 as pb
from gateway.domain.audit import Fact
from gateway.domain.caller import Caller
from gateway.domain.errors import IsthmusError, Reason
from gateway.edges.doctor import Doctor
from gateway.edges.grpc.finding_convert import finding_to, shown_to
from gateway.ports import AuditLog

MINUTE = 60.0


@dataclass(slots=True)
class Allowance:
    """How much one caller may have: so many at once, so many begun within a minute."""

    at_once: int
    per_minute: int
    _running: Counter[str] = field(default_factory=Counter)
    _begun: dict[str, deque[float]] = field(default_factory=dict)

    @contextmanager
    def of(self, caller: str) -> Iterator[None]:
        """Raises IsthmusError(RESOURCE_EXHAUSTED)."""
        now = time.monotonic()
        begun = self._begun.setdefault(caller, deque())
        while begun and now - begun[0] > MINUTE:
            begun.popleft()
        if self._running[caller] >= self.at_once or len(begun) >= self.per_minute:
            raise IsthmusError(
                Reason.RESOURCE_EXHAUSTED,
                "this gateway has been asked that too often just now",
                advice="Try again in a minute",
            )
        begun.append(now)
        self._running[caller] += 1
        try:
            yield
        finally:
            self._running[caller] -= 1


@dataclass(frozen=True, slots=True)
class ExaminationService:
    doctor: Doctor
    open_to: Callable[[str], Awaitable[tuple[str, ...]]]
    audit: AuditLog
    probes: Allowance = field(default_factory=lambda: Allowance(8, 6000))
    examinations: Allowance = field(default_factory=lambda: Allowance(1, 6))

    async def probe(self, request: pb.ProbeRequest, caller: Caller) -> pb.ProbeResponse:
        with self.probes.of(caller.id):
            spoken = self.doctor.spoken()
            return pb.ProbeResponse(
                clock_ms=self.doctor.milliseconds(),
                release=spoken.release,
                protocols=spoken.protocols,
                engine=spoken.engine,
                codec=spoken.codec,
                agent_connected=bool(spoken.engine),
                padding=bytes(request.answer_bytes),
            )

    async def list_open_datasets(
        self, request: pb.ListOpenDatasetsRequest, caller: Caller
    ) -> pb.ListOpenDatasetsResponse:
        return pb.ListOpenDatasetsResponse(datasets=await self.open_to(caller.id))

    async def examine(self, request: pb.ExamineRequest, caller: Caller) -> AsyncIterator[pb.ExamineResponse]:
        believed = self.doctor.trust.entity(caller.id)
        if believed is None:
            raise IsthmusError(Reason.PERMISSION_DENIED, "this space is not believed here any more", space=caller.id)
        with self.examinations.of(caller.id):
            now = self.doctor.clock.now()
            await self.audit.append([Fact(now, "line.examined", caller.id, believed.endpoint, "asked by that space")])
            examined = self.doctor.examine(believed.entity_id, believed.endpoint, discreet=True)
            async with aclosing(examined) as findings:
                async for finding in findings:
                    yield pb.ExamineResponse(finding=finding_to(finding))


@dataclass(frozen=True, slots=True)
class DiagnosticsService:
    doctor: Doctor

    async def diagnose_peer(
        self, request: client.DiagnosePeerRequest, caller: Caller
    ) -> AsyncIterator[client.DiagnosePeerResponse]:
        peer = self.doctor.peer(request.peer)
        if peer is None:
            known = ", ".join(sorted(self.doctor.addresses()))
            raise IsthmusError(
                Reason.NOT_FOUND,
                f"no peer of this gateway is called {request.peer!r:.200}",
                field="peer",
                advice=f"Its peers are: {known or 'none yet'}",
            )
        async with aclosing(self.doctor.diagnose(peer)) as findings:
            async for way, finding in findings:
                yield client.DiagnosePeerResponse(peer=peer, finding=shown_to(way, finding))
