"""What the database holds of the audit log's tree, read for checks and proofs; each function is given a transaction.

Invariants: nothing here changes anything; what is read is compared with what is hashed again from the facts, never
taken for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from sqlalchemy import false, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.audit import Break
from gateway.domain.errors import IsthmusError, Reason
from gateway.edges.store.tables import facts, nodes, tree
from gateway.rules import merkle
from gateway.rules.merkle_proofs import Place, subtrees


async def frontier(connection: AsyncConnection, *, change: bool = False) -> merkle.Frontier:
    """The stored one. `change`: nobody else appends until the transaction ends."""
    wanted = select(tree.c.size, tree.c.frontier)
    size, roots = (await connection.execute(wanted.with_for_update() if change else wanted)).one()
    return merkle.Frontier(size, tuple(bytes.fromhex(subtree) for subtree in roots.split()))


async def hashes_at(connection: AsyncConnection, places: Iterable[Place]) -> dict[Place, bytes]:
    """The stored roots of these perfect subtrees; what is missing is left out."""
    # Not a list of pairs: for that SQLite reads the whole table.
    here = [(nodes.c.level == level) & (nodes.c.position == position) for level, position in places]
    found = await connection.execute(select(nodes.c.level, nodes.c.position, nodes.c.hash).where(or_(false(), *here)))
    return {(level, position): hash for level, position, hash in found}


async def broken_end(connection: AsyncConnection, stored: merkle.Frontier) -> Break | None:
    """What is wrong with the end of the log, seen from its last fact and O(log size) hashes; None if nothing."""
    wanted = select(facts.c.position, facts.c.record).order_by(facts.c.position.desc()).limit(1)
    last = (await connection.execute(wanted)).first()
    size = 0 if last is None else last.position + 1
    if size != stored.size:
        return _ends_elsewhere(size, stored.size)
    if last is None:
        return None
    peaks = subtrees((0, size))
    found = await hashes_at(connection, [(0, last.position), *peaks])
    if found.get((0, last.position)) != merkle.leaf_hash(_bytes(last.record)):
        return _not_as_written(last.position, last.record)
    if tuple(found.get(place) for place in peaks) != stored.roots:
        return Break("the stored head is not that of the stored tree")
    return None


async def prefix_holds(connection: AsyncConnection, before: merkle.Frontier) -> bool:
    """Whether the stored tree still begins with a tree that was seen before."""
    found = await hashes_at(connection, subtrees((0, before.size)))
    return tuple(found.get(place) for place in subtrees((0, before.size))) == before.roots


async def next_slice(
    connection: AsyncConnection, before: merkle.Frontier, limit: int
) -> tuple[merkle.Frontier, Break | None]:
    """Hash the next facts after `before` again, and compare with every stored hash that they complete. The frontier
    that comes back is `before` when there are none left, and then the stored head has been compared too."""
    wanted = select(facts.c.position, facts.c.record).where(facts.c.position >= before.size)
    rows = list(await connection.execute(wanted.order_by(facts.c.position).limit(limit)))
    if not rows:
        return before, await _broken_head(connection, before)
    gap = next((n for n, row in enumerate(rows, before.size) if row.position != n), None)
    whole = rows if gap is None else rows[: gap - before.size]
    after, made = merkle.with_nodes(before, [_bytes(row.record) for row in whole])
    stored = await _completed(connection, before.size, after.size)
    for node in made:
        if stored.get((node.level, node.index)) != node.hash:
            first = node.index << node.level
            record = whole[first - before.size].record if first >= before.size else await _record(connection, first)
            if node.level == 0:
                return after, _not_as_written(first, record)
            until = (node.index + 1 << node.level) - 1
            text = f"one of the records {first} to {until} is not what was hashed when it was written"
            return after, _named(text, first, record)
    if gap is not None:
        return after, Break(f"record {gap} is missing", gap)
    return after, None


async def broken_promise(connection: AsyncConnection, heads: Sequence[tuple[int, str, str]]) -> Break | None:
    """The first of `heads` (size, root in hex, where it is known from) that the stored tree does not continue."""
    size, fits = (await frontier(connection)).size, 0
    for promised, root, where in sorted(heads):
        if promised > size:
            return Break(f"record {size} is missing: {where} has a head over {promised} records", size)
        places = subtrees((0, promised))
        found = await hashes_at(connection, places)
        if any(place not in found for place in places) or (
            merkle.folded([found[place] for place in places]).hex() != root
        ):
            text = f"one of the records {fits} to {promised - 1} is not what it was when {where} got its head"
            return _named(text, fits, await _record(connection, fits))
        fits = promised
    return None


def broken(found: Break, space: str = "") -> IsthmusError:
    """The refusal that follows; where it is broken is the operator's to know."""
    return IsthmusError(
        Reason.AUDIT_BROKEN,
        "the audit log is not what was written to it",
        private=found.text,
        space=space,
        advice="Nothing new begins here until the space's operator has seen to it: isthmus audit verify",
    )


async def _completed(connection: AsyncConnection, start: int, end: int) -> dict[Place, bytes]:
    """Every stored hash that the leaves from `start` up to `end` complete."""
    found: dict[Place, bytes] = {}
    for level in range(end.bit_length()):
        here = (nodes.c.level == level) & nodes.c.position.between(start >> level, (end >> level) - 1)
        if end >> level > start >> level:
            rows = await connection.execute(select(nodes.c.position, nodes.c.hash).where(here))
            found |= {(level, position): hash for position, hash in rows}
    return found


async def _broken_head(connection: AsyncConnection, hashed: merkle.Frontier) -> Break | None:
    stored = await frontier(connection)
    if stored.size != hashed.size:
        return _ends_elsewhere(hashed.size, stored.size)
    return None if stored == hashed else Break("the stored head is not that of the records")


def _ends_elsewhere(size: int, promised: int) -> Break:
    if size < promised:
        return Break(f"record {size} is missing: the stored head is over {promised} records", size)
    return Break(f"record {promised} is beyond the stored head", promised)


def _not_as_written(position: int, record: str | bytes) -> Break:
    return _named(f"record {position} is not what was hashed when it was written", position, record)


def _bytes(record: str | bytes) -> bytes:
    """What SQLite hands out for an edited record may be no text."""
    return record.encode() if isinstance(record, str) else record


async def _record(connection: AsyncConnection, position: int) -> str | bytes:
    found = (await connection.execute(select(facts.c.record).where(facts.c.position == position))).scalar()
    return found or ""


def _named(text: str, position: int, record: str | bytes) -> Break:
    """With what the record says of itself, as far as it still says anything."""
    try:
        says = json.loads(record)
        return Break(text, position, str(says["kind"])[:100], int(says["at"]))
    except (ValueError, KeyError, TypeError, OverflowError):
        return Break(text, position)
