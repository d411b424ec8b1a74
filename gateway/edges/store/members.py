"""An anchor's members and invitations in the database.

Invariants: a member is added in the transaction that uses its invitation up, so that one invitation makes one member
whatever fails in between; versions are handed out in the order of commits, so that nobody who asks for what came after
one misses a change. An invitation's state and attempts stand in their columns; the record keeps what was invited.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.audit import Fact
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.membership import Invitation, InvitationState, Member
from gateway.edges.audit import append_facts
from gateway.edges.store.connections import Connections
from gateway.edges.store.tables import invitations, members
from gateway.rules.records import from_bytes, to_bytes

_OPEN = InvitationState.OPEN.value


class StoredMembers:
    """`Members` of gateway.ports."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def add(self, member: Member, invitation: str, facts: Sequence[Fact]) -> Member:
        async def work(connection: AsyncConnection) -> Member:
            wanted = (invitations.c.id == invitation) & (invitations.c.state == _OPEN)
            used = await connection.execute(update(invitations).where(wanted).values(state=InvitationState.USED.value))
            if used.rowcount != 1:
                raise IsthmusError(
                    Reason.PERMISSION_DENIED,
                    "this invitation was used before, or is withdrawn",
                    advice="Ask the anchor's operator for a new one",
                )
            await append_facts(connection, facts)  # first: it is what makes writers take turns
            made = replace(member, version=await _next(connection))
            await connection.execute(delete(members).where(members.c.entity == member.entity))
            await connection.execute(insert(members).values(_row(made)))
            return made

        return await self._connections.write(work)

    async def save(self, member: Member, facts: Sequence[Fact]) -> Member:
        async def work(connection: AsyncConnection) -> Member:
            await append_facts(connection, facts)
            made = replace(member, version=await _next(connection))
            same = (members.c.entity == member.entity) & (members.c.version == member.version)
            if (await connection.execute(update(members).where(same).values(_row(made)))).rowcount != 1:
                raise IsthmusError(
                    Reason.ILLEGAL_TRANSITION, f"{member.entity} was changed by somebody else", advice="Try again"
                )
            return made

        return await self._connections.write(work)

    async def get(self, entity: str) -> Member | None:
        async def work(connection: AsyncConnection) -> Member | None:
            found = (await connection.execute(select(members.c.record).where(members.c.entity == entity))).scalar()
            return None if found is None else _member(found)

        return await self._connections.read(work)

    async def since(self, version: int, limit: int) -> Sequence[Member]:
        wanted = select(members.c.record).where(members.c.version > version).order_by(members.c.version).limit(limit)

        async def work(connection: AsyncConnection) -> Sequence[Member]:
            return tuple(_member(found) for found in (await connection.execute(wanted)).scalars())

        return await self._connections.read(work)


class StoredInvitations:
    """`Invitations` of gateway.ports."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def keep(self, invitation: Invitation, facts: Sequence[Fact]) -> None:
        row = {
            "id": invitation.id,
            "state": invitation.state.value,
            "attempts": invitation.attempts,
            "record": to_bytes(invitation).decode(),
        }

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(insert(invitations).values(row))
            await append_facts(connection, facts)

        await self._connections.write(work)

    async def get(self, id: str) -> Invitation | None:
        found = await self._list(id)
        return found[0] if found else None

    async def attempted(self, id: str) -> int:
        async def work(connection: AsyncConnection) -> int:
            this = invitations.c.id == id
            await connection.execute(update(invitations).where(this).values(attempts=invitations.c.attempts + 1))
            return (await connection.execute(select(invitations.c.attempts).where(this))).scalar() or 0

        return await self._connections.write(work)

    async def withdraw(self, id: str, facts: Sequence[Fact]) -> bool:
        async def work(connection: AsyncConnection) -> bool:
            wanted = (invitations.c.id == id) & (invitations.c.state == _OPEN)
            withdrawn = InvitationState.WITHDRAWN.value
            done = (await connection.execute(update(invitations).where(wanted).values(state=withdrawn))).rowcount == 1
            if done:
                await append_facts(connection, facts)
            return done

        return await self._connections.write(work)

    async def list(self) -> Sequence[Invitation]:
        return await self._list(None)

    async def _list(self, id: str | None) -> Sequence[Invitation]:
        wanted = select(invitations.c.record, invitations.c.state, invitations.c.attempts)
        if id is not None:
            wanted = wanted.where(invitations.c.id == id)

        async def work(connection: AsyncConnection) -> Sequence[Invitation]:
            return tuple(
                replace(_invitation(record), state=InvitationState(state), attempts=attempts)
                for record, state, attempts in (await connection.execute(wanted)).all()
            )

        return await self._connections.read(work)


async def _next(connection: AsyncConnection) -> int:
    return ((await connection.execute(select(func.max(members.c.version)))).scalar() or 0) + 1


def _row(member: Member) -> dict[str, object]:
    return {"entity": member.entity, "version": member.version, "record": to_bytes(member).decode()}


def _member(record: str) -> Member:
    return from_bytes(Member, record, what="member", reason=Reason.INTERNAL)


def _invitation(record: str) -> Invitation:
    return from_bytes(Invitation, record, what="invitation", reason=Reason.INTERNAL)
