"""An agent's inbox in the database: plans that people decide on, what they signed, which editions were run under it.

Invariants: a plan is there once, under its digest, however often it is asked; what an initiator may put here is
bounded; what was signed is never changed or taken out; an audit record is written with what it is about. Nothing here
is believed: whoever reads a plan or a decision verifies it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Select, delete, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.audit import Fact
from gateway.domain.decision import Delivered, Ran
from gateway.domain.errors import IsthmusError, Reason
from gateway.edges.audit import append_facts
from gateway.edges.store.connections import Connections
from gateway.edges.store.tables import decisions, insert_new, plan_runs, plans

MAX_OPEN_OF_ONE = 100
# Undecided ones that are over, before the oldest of them is let go.
MAX_OVER_OF_ONE = 1000
_NEWEST_FIRST = (plans.c.delivered.desc(), plans.c.digest.desc())


class StoredInbox:
    """Of one agent."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def deliver(self, asked: Delivered, facts: Sequence[Fact]) -> Delivered:
        """Put a plan there; as it is there then. One that is open keeps its times, and so does one that is brought
        again for the same session; one that was withdrawn or is over begins anew with another. `facts` are written when
        it is new or begins anew.

        Raises IsthmusError(RESOURCE_EXHAUSTED) when its initiator has too many open ones.
        """
        here, now = plans.c.digest == asked.digest, asked.delivered

        async def work(connection: AsyncConnection) -> Delivered:
            known = await _one(connection, select(plans).where(here))
            is_open = known is not None and not known.withdrawn and known.deadline > now
            if known is not None and (is_open or known.session == asked.session):
                kept = {"plan": asked.plan, "session": asked.session, "expires": asked.expires}
                await connection.execute(update(plans).where(here).values(kept))
            else:
                await append_facts(connection, facts)
                await _make_room(connection, asked, now)
                row = _row(asked)
                if not await insert_new(connection, plans, row):
                    await connection.execute(update(plans).where(here).values(row))
            found = await _one(connection, select(plans).where(here))
            return asked if found is None else found

        return await self._connections.write(work)

    async def withdraw(self, digest: str, session: str, at: int, facts: Sequence[Fact]) -> bool:
        """Its initiator takes this asking of it back; False when there is none, or a newer one."""
        here = (plans.c.digest == digest) & (plans.c.session == session) & (plans.c.withdrawn == 0)

        async def work(connection: AsyncConnection) -> bool:
            done = await connection.execute(update(plans).where(here).values(withdrawn=at))
            if done.rowcount == 1:
                await append_facts(connection, facts)
            return done.rowcount == 1

        return await self._connections.write(work)

    async def see(self, digest: str, by: str, at: int, facts: Sequence[Fact]) -> None:
        """Whoever has the key with the thumbprint `by` has looked at it. The first one counts."""
        here = (plans.c.digest == digest) & (plans.c.seen == 0)

        async def work(connection: AsyncConnection) -> None:
            done = await connection.execute(update(plans).where(here).values(seen=at, seen_by=by))
            if done.rowcount == 1:
                await append_facts(connection, facts)

        await self._connections.write(work)

    async def get(self, digest: str) -> Delivered | None:
        return await self._connections.read(
            lambda connection: _one(connection, select(plans).where(plans.c.digest == digest))
        )

    async def list(self, *, after: str = "", limit: int) -> Sequence[Delivered]:
        """Newest first; `after` is the digest of the last one seen."""
        wanted = select(plans).order_by(*_NEWEST_FIRST).limit(limit)
        if after:
            last = select(plans.c.delivered).where(plans.c.digest == after).scalar_subquery()
            wanted = wanted.where(tuple_(plans.c.delivered, plans.c.digest) < tuple_(last, after))

        async def work(connection: AsyncConnection) -> Sequence[Delivered]:
            return tuple(Delivered(**row) for row in (await connection.execute(wanted)).mappings())

        return await self._connections.read(work)

    async def decide(self, plan: str, digest: str, decision: str, at: int, facts: Sequence[Fact]) -> None:
        """Keep what a steward signed about a plan; `digest` is that of its payload."""
        row = {"plan": plan, "digest": digest, "decision": decision, "at": at}

        async def work(connection: AsyncConnection) -> None:
            if await insert_new(connection, decisions, row):
                await append_facts(connection, facts)

        await self._connections.write(work)

    async def decided(self, plan: str) -> tuple[Sequence[str], Sequence[Ran]]:
        """What was signed about a plan, in the order in which it came, and what was run under it."""
        return await self._connections.read(lambda connection: _decided(connection, plan))

    async def run(
        self,
        plan: str,
        editions: str,
        contract: str,
        at: int,
        fact: Fact,
        check: Callable[[Sequence[str], Sequence[Ran]], None],
    ) -> None:
        """Write down that these editions are run under the plan now, unless they were before.

        `check` is handed what `decided` gives, in the same transaction, and raises to leave everything as it was.
        """
        row = {"plan": plan, "editions": editions, "contract": contract, "at": at}

        async def work(connection: AsyncConnection) -> None:
            await append_facts(connection, [fact])  # first, since it makes other writers wait
            check(*await _decided(connection, plan))
            await insert_new(connection, plan_runs, row)

        await self._connections.write(work)


def _row(asked: Delivered) -> dict[str, Any]:
    return {field.name: getattr(asked, field.name) for field in fields(Delivered)}


async def _one(connection: AsyncConnection, wanted: Select[Any]) -> Delivered | None:
    row = (await connection.execute(wanted)).mappings().first()
    return None if row is None else Delivered(**row)


async def _decided(connection: AsyncConnection, plan: str) -> tuple[Sequence[str], Sequence[Ran]]:
    signed = select(decisions.c.decision).where(decisions.c.plan == plan).order_by(decisions.c.at, decisions.c.digest)
    ran = select(plan_runs.c.editions, plan_runs.c.at).where(plan_runs.c.plan == plan).order_by(plan_runs.c.at)
    found = tuple((await connection.execute(signed)).scalars())
    return found, tuple(Ran(editions, at) for editions, at in (await connection.execute(ran)).all())


async def _make_room(connection: AsyncConnection, asked: Delivered, now: int) -> None:
    undecided = plans.c.digest.not_in(select(decisions.c.plan))
    own = (plans.c.initiator == asked.initiator) & (plans.c.digest != asked.digest) & undecided
    is_open = (plans.c.withdrawn == 0) & (plans.c.deadline > now)
    counted = select(func.count()).select_from(plans)
    if int((await connection.execute(counted.where(own, is_open))).scalar_one()) >= MAX_OPEN_OF_ONE:
        raise IsthmusError(
            Reason.RESOURCE_EXHAUSTED,
            f"{MAX_OPEN_OF_ONE} plans of {asked.initiator} wait here for people already",
            advice="Wait until some are decided, or cancel some",
        )
    over = select(plans.c.digest).where(own, ~is_open).order_by(plans.c.delivered.desc(), plans.c.digest)
    oldest = tuple((await connection.execute(over.offset(MAX_OVER_OF_ONE))).scalars())
    if oldest:
        await connection.execute(delete(plans).where(plans.c.digest.in_(oldest)))
