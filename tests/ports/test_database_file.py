"""The SQLite file itself: permissions, settings, schema, and what is refused."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.computation import Computation
from gateway.domain.errors import IsthmusError, Reason
from gateway.edges.store import schema
from gateway.edges.store.connections import connect
from gateway.edges.store.database import Database
from gateway.edges.store.tables import REVISION, metadata


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "state.db"


def sqlite(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


def dump(path: Path) -> list[str]:
    """The schema as SQLite keeps it, without the white space that tells its writers apart."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
    return ["".join(sql.split()) for (sql,) in rows]


async def test_the_file_and_its_journals_belong_to_their_owner_alone(path: Path) -> None:
    mask = os.umask(0)
    try:
        async with await Database.open(sqlite(path)) as database:
            await database.once.consume("jti", "https://a.example", "k", None)
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(mask)
    assert modes == {"state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600}


async def test_a_file_that_others_could_read_is_made_private(path: Path) -> None:
    async with await Database.open(sqlite(path)):
        pass
    path.chmod(0o644)
    async with await Database.open(sqlite(path)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_every_commit_reaches_the_disk_and_readers_cannot_write(path: Path) -> None:
    async def settings(connection: AsyncConnection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "query_only")
        return [(await connection.exec_driver_sql(f"PRAGMA {name}")).scalar() for name in names]

    connections = connect(sqlite(path))
    try:
        assert await connections.write(settings) == ["wal", 2, 1, 5000, 0]
        assert (await connections.read(settings))[2:] == [1, 5000, 1]
        with pytest.raises(IsthmusError):
            await connections.read(lambda connection: connection.exec_driver_sql("CREATE TABLE x (y)"))
    finally:
        await connections.close()


async def test_migrations_make_the_schema_that_the_tables_describe(path: Path, tmp_path: Path) -> None:
    migrated = tmp_path / "migrated.db"
    connections = connect(sqlite(migrated))

    def compared(connection: Connection) -> list[object]:
        schema.migrate(connection)
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    try:
        assert await connections.write(lambda connection: connection.run_sync(compared)) == []
    finally:
        await connections.close()
    async with await Database.open(sqlite(path)):
        pass
    assert dump(migrated) == dump(path)
    assert len(dump(path)) == len(metadata.tables) + sum(len(t.indexes) for t in metadata.tables.values()) + 1


def test_the_newest_migration_is_the_one_that_the_tables_name() -> None:
    assert ScriptDirectory(schema.MIGRATIONS).get_heads() == [REVISION]


async def test_an_older_database_is_migrated_when_it_is_opened(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
    async with await Database.open(sqlite(path)) as database:
        assert await database.once.consume("jti", "https://a.example", "k", None)
        assert (await database.audit.head()).size == 0
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(REVISION,)]


def test_a_database_that_is_up_to_date_is_opened_without_alembic(path: Path) -> None:
    program = (
        "import asyncio, sys\n"
        "from gateway.edges.store.database import Database\n"
        "async def main():\n"
        "    for _ in range(2):\n"
        "        async with await Database.open(sys.argv[1]): pass\n"
        "asyncio.run(main())\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('alembic', 'asyncpg', 'grpc', 'structlog')])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, sqlite(path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE somebody_elses (x)",
        "CREATE TABLE alembic_version AS SELECT '9999' AS version_num",
    ],
)
async def test_a_database_of_something_else_or_newer_is_refused_untouched(path: Path, statement: str) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    before = dump(path)
    with pytest.raises(IsthmusError) as refused:
        await Database.open(sqlite(path))
    assert refused.value.reason is Reason.CONFIGURATION
    assert dump(path) == before


async def test_a_file_that_is_no_database_is_refused_untouched(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("name,year\n" * 500)
    with pytest.raises(IsthmusError) as refused:
        await Database.open(sqlite(path))
    assert refused.value.reason is Reason.CONFIGURATION
    assert path.read_text() == "name,year\n" * 500


@pytest.mark.parametrize(
    "url",
    ["sqlite+aiosqlite://", "sqlite+aiosqlite:///:memory:", "sqlite:///x.db", "mysql://u:hidden@h/x", "nonsense", ""],
)
async def test_another_kind_of_url_is_refused(url: str) -> None:
    with pytest.raises(IsthmusError) as refused:
        await Database.open(url)
    assert refused.value.reason is Reason.CONFIGURATION
    assert "hidden" not in str(refused.value)


async def test_a_place_that_cannot_hold_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(IsthmusError) as refused:
        await Database.open(sqlite(tmp_path / "file" / "state.db"))
    assert refused.value.reason is Reason.CONFIGURATION


async def test_a_full_disk_fails_the_write_and_loses_nothing(
    path: Path, a_computation: Callable[..., Computation]
) -> None:
    async with await Database.open(sqlite(path)) as database:
        kept = await database.computations.create(a_computation(), [])

        async def fill(connection: AsyncConnection) -> None:
            pages = (await connection.exec_driver_sql("PRAGMA page_count")).scalar_one()
            await connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

        await database._connections.write(fill)
        large = a_computation(query="Maria Jansen " * 10_000)
        with pytest.raises(IsthmusError) as failed:
            await database.computations.create(large, [])
        assert failed.value.reason is Reason.INTERNAL
        assert "full" in failed.value.private
        assert "Maria" not in failed.value.private + str(failed.value)
        assert await database.computations.get(large.id) is None
        assert await database.computations.get(kept.id) == kept
        assert await database.once.consume("jti", "https://a.example", "k", None)


async def test_an_edited_tree_stops_the_log_instead_of_forking_it(path: Path, a_fact: Callable[..., object]) -> None:
    async with await Database.open(sqlite(path)) as database:
        await database.audit.append([a_fact(), a_fact()])  # type: ignore[list-item]
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(text("UPDATE tree SET size = 1, frontier = :root"), {"root": "00" * 32})
    engine.dispose()
    async with await Database.open(sqlite(path)) as database:
        with pytest.raises(IsthmusError) as refused:
            await database.audit.append([a_fact()])  # type: ignore[list-item]
        assert refused.value.reason is Reason.AUDIT_BROKEN
        assert len(await database.audit.read(start=0, limit=10)) == 2
