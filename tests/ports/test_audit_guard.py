"""The guard of an audit log: what is edited, cut or forked in the database is found, and named."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from gateway.domain.audit import Break, Fact
from gateway.domain.computation import Computation
from gateway.domain.errors import IsthmusError, Reason
from gateway.edges import audit_guard
from gateway.edges.store import schema
from gateway.edges.store.database import Database
from gateway.rules import merkle
from tests.ports.tampering import edit, edited_and_rehashed, forked, rows

SIZE = 11


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
async def guarded(path: Path) -> AsyncIterator[Database]:
    async with await Database.open(f"sqlite+aiosqlite:///{path}") as database:
        await database.audit.append([Fact(100 + n, f"kind.{n}", "ann", "it", f"detail {n}") for n in range(SIZE)])
        await database.guard.begin(_unwanted)
        await database.guard.check()
        yield database


def _unwanted(found: Break) -> None:
    raise AssertionError(found)


async def breaks(path: Path, promises: list[tuple[int, str, str]] | None = None) -> Break | None:
    """What a process that starts finds."""
    found: list[Break] = []
    async with await Database.open(f"sqlite+aiosqlite:///{path}") as database:
        whole = await database.guard.verified(promises or [])
        await database.guard.begin(found.append, promises or [])
        if whole is None:
            await database.guard.check()
        else:
            with pytest.raises(IsthmusError) as refused:
                await database.guard.check()
            assert refused.value.reason is Reason.AUDIT_BROKEN
            assert refused.value.private == whole.text
    assert found == ([] if whole is None else [whole])
    return whole


async def running(database: Database) -> str:
    """What the guard of a process that has run since before comes to say, within one round."""
    told: list[Break] = []
    database.guard._told = told.append
    await database.guard.look()
    with pytest.raises(IsthmusError) as refused:
        await database.guard.check()
    assert refused.value.reason is Reason.AUDIT_BROKEN
    assert [found.text for found in told] == [refused.value.private]
    return refused.value.private


async def test_a_log_that_nobody_touched_holds_and_goes_on_to_hold(guarded: Database, path: Path) -> None:
    assert await breaks(path) is None
    for _ in range(3):
        await guarded.audit.append([Fact(1, "more", "ann", "it", "")])
        await guarded.guard.look()
        await guarded.guard.check()
    assert await breaks(path) is None


@pytest.mark.parametrize("position", range(SIZE))
async def test_an_edited_fact_is_named(guarded: Database, path: Path, position: int) -> None:
    edit(path, f"UPDATE facts SET record = replace(record, 'ann', 'bob') WHERE position = {position}")
    text = f"record {position} is not what was hashed when it was written"
    assert await breaks(path) == Break(text, position, f"kind.{position}", 100 + position)
    assert await running(guarded) == text


async def test_an_edited_fact_that_says_nothing_any_more_is_named_by_its_position(
    guarded: Database, path: Path
) -> None:
    for garbage in ("'not json'", "'[]'", "x'ff00'", '\'{"kind": 1, "at": 1e999}\''):
        edit(path, f"UPDATE facts SET record = {garbage} WHERE position = 6")
        found = await breaks(path)
        assert found == Break("record 6 is not what was hashed when it was written", 6)
    assert await running(guarded) == found.text


async def test_an_edited_fact_whose_hash_was_edited_too_is_named_with_its_neighbour(
    guarded: Database, path: Path
) -> None:
    edited_and_rehashed(path, 6)
    text = "one of the records 6 to 7 is not what was hashed when it was written"
    assert await breaks(path) == Break(text, 6, "kind.6", 106)
    assert await running(guarded) == text


async def test_a_fact_that_was_taken_out_is_named(guarded: Database, path: Path) -> None:
    edit(path, "DELETE FROM facts WHERE position = 4")
    assert await breaks(path) == Break("record 4 is missing", 4)
    assert await running(guarded) == "record 4 is missing"


async def test_facts_that_were_cut_off_are_missing(guarded: Database, path: Path) -> None:
    edit(path, "DELETE FROM facts WHERE position >= 8")
    text = f"record 8 is missing: the stored head is over {SIZE} records"
    assert await breaks(path) == Break(text, 8)
    assert await running(guarded) == text


async def test_facts_that_were_cut_off_with_their_tree_are_missed_by_whoever_has_seen_them(
    guarded: Database, path: Path
) -> None:
    before = await guarded.audit.head()
    forked(path, rows(path)[:8])
    assert await running(guarded) == f"record 8 is missing: there were {SIZE}"
    assert await breaks(path) is None  # nothing in the database says so, but for a head that was promised
    found = await breaks(path, [(before.size, before.root, "a receipt")])
    assert found == Break(f"record 8 is missing: a receipt has a head over {SIZE} records", 8)


async def test_a_forked_log_is_not_what_was_seen_or_promised(guarded: Database, path: Path) -> None:
    promises = []
    for size in (3, 5, 9):
        head = await guarded.audit.head_at(size)
        promises.append((head.size, head.root, f"receipt {size}"))
    told = rows(path)
    told[6] = told[6].replace("ann", "bob")
    forked(path, told)
    assert await breaks(path) is None
    found = await breaks(path, promises)
    assert found == Break("one of the records 5 to 8 is not what it was when receipt 9 got its head", 5, "kind.5", 105)
    assert await running(guarded) == f"the first {SIZE} records are not those that this process has seen"


async def test_a_log_that_was_cut_and_has_grown_again_is_a_fork(guarded: Database, path: Path) -> None:
    forked(path, [*rows(path)[:8], *('{"kind":"other","at":1}' for _ in range(9))])
    assert await running(guarded) == f"the first {SIZE} records are not those that this process has seen"


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("UPDATE tree SET frontier = replace(frontier, 'a', 'b')", "the stored head is not that of the stored tree"),
        ("UPDATE tree SET size = 8, frontier = substr(frontier, 1, 64)", "record 8 is missing: there were 11"),
    ],
)
async def test_an_edited_head_is_found(guarded: Database, path: Path, statement: str, text: str) -> None:
    edit(path, statement)
    assert await breaks(path) is not None
    assert await running(guarded) == text


async def test_a_hash_that_went_missing_is_found(guarded: Database, path: Path) -> None:
    edit(path, "DELETE FROM nodes WHERE level = 1 AND position = 2")
    text = "one of the records 4 to 5 is not what was hashed when it was written"
    assert await breaks(path) == Break(text, 4, "kind.4", 104)
    assert await running(guarded) == text


async def test_what_was_found_broken_stays_so_in_this_process(guarded: Database, path: Path) -> None:
    edit(path, "UPDATE facts SET record = replace(record, 'ann', 'bob') WHERE position = 2")
    await running(guarded)
    edit(path, "UPDATE facts SET record = replace(record, 'bob', 'ann') WHERE position = 2")
    with pytest.raises(IsthmusError):
        await guarded.guard.check()
    assert await breaks(path) is None


async def test_a_computation_does_not_begin_on_a_broken_log(
    guarded: Database, path: Path, a_computation: Callable[..., Computation], a_fact: Callable[..., Fact]
) -> None:
    kept = await guarded.computations.create(a_computation(), [a_fact()])
    forked(path, [text.replace("ann", "bob") for text in rows(path)])
    wanted, told = a_computation(), list[Break]()
    guarded.guard._told = told.append
    with pytest.raises(IsthmusError) as refused:
        await guarded.computations.create(wanted, [a_fact()])
    assert refused.value.reason is Reason.AUDIT_BROKEN
    assert told[0].text == refused.value.private not in str(refused.value)
    assert await guarded.computations.get(wanted.id) is None
    # What lives is still ended, and what happens still written down.
    assert (await guarded.computations.save(kept, [a_fact()])).revision == 1


async def test_nothing_is_appended_to_an_end_that_does_not_fit(guarded: Database, path: Path) -> None:
    for statement in (
        "UPDATE facts SET record = '{}' WHERE position = 10",
        "DELETE FROM facts WHERE position = 10",
        "INSERT INTO facts VALUES (10, '{}'), (11, '{}')",
        "DELETE FROM facts WHERE position = 11",
    ):
        edit(path, statement)
        with pytest.raises(IsthmusError) as refused:
            await guarded.audit.append([Fact(1, "more", "ann", "it", "")])
        assert refused.value.reason is Reason.AUDIT_BROKEN


async def test_a_log_of_several_slices_is_hashed_again_round_by_round(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_guard, "SLICE", 4)
    async with await Database.open(f"sqlite+aiosqlite:///{path}") as database:
        await database.audit.append([Fact(n, "some", "ann", "it", "") for n in range(14)])
        await database.guard.begin(_unwanted)
        for _ in range(9):
            await database.guard.look()
        edit(path, "UPDATE facts SET record = replace(record, 'ann', 'bob') WHERE position = 9")
        told: list[Break] = []
        database.guard._told = told.append
        for _ in range(4):
            await database.guard.look()
        assert [found.position for found in told] == [9]
    assert (await breaks(path)) == told[0]


async def test_a_database_from_before_the_tree_was_stored_gets_it_from_its_facts(guarded: Database, path: Path) -> None:
    await guarded.close()
    old = path.with_name("old.db")
    engine = create_engine(f"sqlite:///{old}")
    with engine.begin() as migrating:
        schema.migrate(migrating, "0004")
    engine.dispose()
    with sqlite3.connect(path) as connection:
        before = connection.execute("SELECT * FROM nodes ORDER BY level, position").fetchall()
        connection.execute("ATTACH ? AS old", (str(old),))
        for table in ("facts", "tree"):
            connection.execute(f"DELETE FROM old.{table}")
            connection.execute(f"INSERT INTO old.{table} SELECT * FROM main.{table}")
    assert await breaks(old) is None
    with sqlite3.connect(old) as connection:
        assert connection.execute("SELECT * FROM nodes ORDER BY level, position").fetchall() == before
    assert len(before) == 2 * SIZE - SIZE.bit_count()


async def test_the_heads_of_the_past_are_those_that_were_handed_out(database: Database) -> None:
    heads = [await database.audit.append([Fact(n, "some", "ann", "it", "")]) for n in range(20)]
    assert [await database.audit.head_at(head.size) for head in heads] == heads
    assert await database.audit.head_at(0) == (await database.audit.head_at(0))
    with pytest.raises(IsthmusError) as refused:
        await database.audit.head_at(21)
    assert refused.value.reason is Reason.INVALID_ARGUMENT
    assert merkle.root(merkle.Frontier()).hex() == (await database.audit.head_at(0)).root


async def test_guards_beside_writers_of_two_replicas_find_nothing_wrong(
    database: Database, replica: Database, a_computation: Callable[..., Computation], a_fact: Callable[..., Fact]
) -> None:
    async def works(store: Database) -> None:
        for _ in range(6):
            await store.computations.create(a_computation(), [a_fact(), a_fact()])
            await store.audit.append([a_fact()])
            await store.guard.check()

    for store in (database, replica):
        await store.guard.begin(_unwanted)
    looks = [store.guard.look() for _ in range(10) for store in (database, replica)]
    await asyncio.gather(*(works(store) for store in (database, replica) for _ in range(4)), *looks)
    assert (await database.audit.head()).size == 2 * 4 * 6 * 3
    assert await database.guard.verified() is None
