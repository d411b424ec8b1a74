"""Computations in the database.

Invariants: a computation and the facts about it are one transaction; a revision is written once; a request
that is repeated writes nothing, neither record nor fact; none begins on an audit log that does not hold.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.audit import Fact
from gateway.domain.computation import Computation, Role, State
from gateway.domain.errors import IsthmusError, Reason
from gateway.edges.audit import append_facts
from gateway.edges.audit_guard import AuditGuard
from gateway.edges.store.connections import Connections
from gateway.edges.store.tables import computations, insert_new
from gateway.rules.lifecycle import LIVE
from gateway.rules.records import from_bytes, to_bytes
from gateway.rules.retention import Kept


class StoredComputations:
    """`ComputationStore` of gateway.ports. A home computation with an empty request_id is always new."""

    def __init__(self, connections: Connections, guard: AuditGuard) -> None:
        self._connections, self._guard = connections, guard

    async def create(self, computation: Computation, facts: Sequence[Fact]) -> Computation:
        async def work(connection: AsyncConnection) -> Computation:
            await self._guard.check_within(connection)
            if await insert_new(connection, computations, row_of(computation)):
                await append_facts(connection, facts)
                return computation
            return _same(computation, await _one(connection, _known_as(computation)))

        return await self._connections.write(work)

    async def get(self, id: str) -> Computation | None:
        wanted = select(computations.c.record).where(computations.c.id == id)
        return await self._connections.read(lambda connection: _one(connection, wanted))

    async def list(self, *, requester: str | None, after: str, limit: int) -> Sequence[Computation]:
        if limit < 1:
            raise _invalid("a page holds one computation at least", "limit", "Ask for a limit of 1 or more")
        order = tuple_(computations.c.created, computations.c.id)
        newest = (computations.c.created.desc(), computations.c.id.desc())
        wanted = select(computations.c.record).order_by(*newest).limit(limit)
        # Looked up among the asker's own, so that nobody learns from an answer which identifiers others have.
        last = select(computations.c.created).where(computations.c.id == after)
        if requester is not None:
            wanted = wanted.where(computations.c.requester == requester)
            last = last.where(computations.c.requester == requester)

        async def work(connection: AsyncConnection) -> Sequence[Computation]:
            page = wanted
            if after:
                created = (await connection.execute(last)).scalar()
                if created is None:
                    raise _invalid("the page begins after a computation that is not there", "after", "Start anew")
                page = wanted.where(order < tuple_(created, after))
            return await _all(connection, page)

        return await self._connections.read(work)

    async def save(self, computation: Computation, facts: Sequence[Fact]) -> Computation:
        written = dataclasses.replace(computation, revision=computation.revision + 1)
        here = computations.c.id == computation.id
        replace = update(computations).where(here, computations.c.revision == computation.revision)

        async def work(connection: AsyncConnection) -> Computation:
            done = await connection.execute(replace.values(row_of(written)))
            if done.rowcount != 1:
                raise _overtaken(computation, await _one(connection, select(computations.c.record).where(here)))
            await append_facts(connection, facts)
            return written

        return await self._connections.write(work)

    async def live(self, states: Sequence[State]) -> Sequence[Computation]:
        wanted = (
            select(computations.c.record)
            .where(computations.c.state.in_([state.value for state in states]))
            .order_by(computations.c.created, computations.c.id)
        )
        return await self._connections.read(lambda connection: _all(connection, wanted))


def row_of(computation: Computation) -> dict[str, Any]:
    return {
        "id": computation.id,
        "role": computation.role.value,
        "requester": computation.requester,
        "request_id": computation.request_id,
        "request_digest": computation.request_digest,
        "state": computation.state.value,
        "contract_digest": computation.contract_digest,
        "created": computation.created,
        "expires": computation.expires,
        "revision": computation.revision,
        "ended": 0 if computation.state in LIVE else computation.updated,
        "kept": _kept(computation),
        "record": to_bytes(computation).decode(),
    }


def _kept(computation: Computation) -> str:
    """What of it could still be deleted: its result, its record, or nothing."""
    if computation.shares or computation.views:
        return "result"
    return "" if any(gone.kind == Kept.COMPUTATIONS for gone in computation.deletions) else "record"


def _known_as(computation: Computation) -> Select[str]:
    """What would be the same computation already stored."""
    wanted = select(computations.c.record).where(computations.c.role == computation.role.value)
    if computation.role is Role.PARTICIPANT:
        return wanted.where(computations.c.contract_digest == computation.contract_digest)
    return wanted.where(
        computations.c.requester == computation.requester,
        computations.c.request_id == computation.request_id,
        computations.c.request_id != "",
    )


def _same(computation: Computation, stored: Computation | None) -> Computation:
    if stored is None:
        raise IsthmusError(
            Reason.ALREADY_EXISTS,
            "another computation has this identifier",
            field="id",
            advice="Ask again: a new identifier is made",
        )
    if computation.role is Role.HOME and stored.request_digest != computation.request_digest:
        raise IsthmusError(
            Reason.ALREADY_EXISTS,
            "this request_id was used for another request",
            field="request_id",
            advice="Give each request an identifier of its own",
        )
    return stored


def _overtaken(computation: Computation, stored: Computation | None) -> IsthmusError:
    if stored is None:
        return IsthmusError(
            Reason.NOT_FOUND, f"{computation.name} is not stored here", advice="Create it before it is changed"
        )
    return IsthmusError(
        Reason.ILLEGAL_TRANSITION,
        f"{computation.name} was changed by somebody else; it is {stored.state} now",
        private=f"revision {stored.revision} is stored, {computation.revision} was read",
        advice="Read its state again",
    )


def _invalid(public: str, field: str, advice: str) -> IsthmusError:
    return IsthmusError(Reason.INVALID_ARGUMENT, public, field=field, advice=advice)


async def _one(connection: AsyncConnection, wanted: Select[str]) -> Computation | None:
    body = (await connection.execute(wanted)).scalar()
    return None if body is None else read_record(body)


async def _all(connection: AsyncConnection, wanted: Select[str]) -> Sequence[Computation]:
    return tuple(read_record(body) for body in (await connection.execute(wanted)).scalars())


def read_record(body: str) -> Computation:
    return from_bytes(Computation, body, what="stored computation", reason=Reason.INTERNAL)
