"""Deletes from the database what was kept for its time.

Invariants: a batch and the fact about it are one transaction; no row of a live computation is read for it; somebody
who writes to a row meanwhile is never overwritten: that row waits for the next look.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.computation import Computation
from gateway.edges.audit import append_facts
from gateway.edges.store.computations import read_record, row_of
from gateway.edges.store.connections import Connections
from gateway.edges.store.tables import approvals, computations, decisions, evidence, plan_runs, plans
from gateway.rules.retention import Kept, Rule, deletion, without_record, without_result

Batch = Callable[[AsyncConnection, Rule, int, int], Awaitable[int]]


class StoredRetention:
    """`Retention` of gateway.ports."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def delete(self, rule: Rule, entity: str, now: int, limit: int) -> int:
        async def work(connection: AsyncConnection) -> int:
            if count := await _BATCHES[rule.kept](connection, rule, now, limit):
                await append_facts(connection, [deletion(rule, entity, count, now)])
            return count

        return await self._connections.write(work)

    async def scrub(self) -> bool:
        return await self._connections.scrub()


async def _results(connection: AsyncConnection, rule: Rule, now: int, limit: int) -> int:
    return await _lessen(connection, ("result",), without_result, rule, now, limit)


async def _computations(connection: AsyncConnection, rule: Rule, now: int, limit: int) -> int:
    return await _lessen(connection, ("result", "record"), without_record, rule, now, limit)


async def _lessen(
    connection: AsyncConnection,
    kept: tuple[str, ...],
    lessened: Callable[[Computation, int, int], Computation],
    rule: Rule,
    now: int,
    limit: int,
) -> int:
    """Write what is left of computations that have ended; live ones have 0 for their end."""
    here = computations.c
    wanted = (
        select(here.record)
        .where(here.kept.in_(kept), here.ended > 0, here.ended < rule.before(now))
        .order_by(here.ended)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    count = 0
    for body in (await connection.execute(wanted)).scalars().all():
        found = read_record(body)
        left = row_of(replace(lessened(found, rule.days, now), revision=found.revision + 1))
        unchanged = (here.id == found.id) & (here.revision == found.revision)
        count += (await connection.execute(update(computations).where(unchanged).values(left))).rowcount
    return count


async def _sign_ins(connection: AsyncConnection, rule: Rule, now: int, limit: int) -> int:
    due = select(evidence.c.jti).where(evidence.c.at < rule.before(now)).order_by(evidence.c.at).limit(limit)
    return (await connection.execute(delete(evidence).where(evidence.c.jti.in_(due)))).rowcount


async def _contracts(connection: AsyncConnection, rule: Rule, now: int, limit: int) -> int:
    """The contract goes, its approval stays: the same contract gets the same approval for ever."""
    here = approvals.c
    due = select(here.digest).where(here.contract != "", here.at < rule.before(now)).order_by(here.at).limit(limit)
    return (await connection.execute(update(approvals).where(here.digest.in_(due)).values(contract=""))).rowcount


async def _plans(connection: AsyncConnection, rule: Rule, now: int, limit: int) -> int:
    """What people were asked goes together with what they signed, once none of it can count any more."""
    here = plans.c
    due = select(here.digest).where(here.expires < rule.before(now)).order_by(here.expires).limit(limit)
    gone = (await connection.execute(due)).scalars().all()
    for table in (decisions, plan_runs):
        await connection.execute(delete(table).where(table.c.plan.in_(gone)))
    return (await connection.execute(delete(plans).where(here.digest.in_(gone)))).rowcount


_BATCHES: dict[Kept, Batch] = {
    Kept.RESULTS: _results,
    Kept.COMPUTATIONS: _computations,
    Kept.SIGN_INS: _sign_ins,
    Kept.CONTRACTS: _contracts,
    Kept.PLANS: _plans,
}
