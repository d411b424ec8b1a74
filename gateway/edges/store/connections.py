"""Transactions: one writer at a time on SQLite, readers beside it.

Invariants: everything that `work` does is one transaction; it is finished or undone even when the caller
is cancelled in between (a client that hangs up must not leave the writer half-way); no error but
IsthmusError leaves; no statement's parameters come into an error or a log.

SQLite runs in WAL mode with synchronous=FULL. NORMAL would save the disk's flush per commit, but could lose
the last commits with the power, and a consumed contract digest that comes back unconsumed is a contract that
runs twice (https://www.sqlite.org/pragma.html#pragma_synchronous). What is deleted is overwritten (secure_delete), in
the file at once and in its journal by `scrub`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.domain.errors import IsthmusError, Reason

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]

SQLITE = "sqlite+aiosqlite"
POSTGRESQL = "postgresql+asyncpg"
# Another process may hold the file (a backup, the command line); milliseconds.
BUSY = 5000
# How long `scrub` waits for readers while others wait for it; milliseconds.
SCRUB_WITHIN = 100
READERS = 4
# PostgreSQL takes several at once, each waiting for the rows that it needs.
WRITERS = 8


class Connections:
    """The engines of one database; belongs to one event loop."""

    def __init__(self, writer: AsyncEngine, reader: AsyncEngine, turn: asyncio.Semaphore) -> None:
        self._writer = writer
        self._reader = reader
        self._turn = turn
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def write(self, work: Work[T]) -> T:
        """Run `work` in one transaction that is committed when it returns and undone when it raises."""
        return await self._finished(self._write(work))

    async def read(self, work: Work[T]) -> T:
        """Run `work` on one state of the database; it cannot write."""
        return await self._finished(self._read(work))

    async def scrub(self) -> bool:
        """Take what was deleted out of SQLite's journal too: the journal is written back and cut to nothing.

        False where somebody reads at the moment, so that it could not be. PostgreSQL does so by its own VACUUM.
        """
        return await self._finished(self._scrub())

    async def close(self) -> None:
        """Wait for what is running, then let go of the database."""
        self._closed = True
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._reader.dispose()
        await self._writer.dispose()

    async def _finished(self, running: Coroutine[Any, Any, T]) -> T:
        if self._closed:
            running.close()
            raise IsthmusError(
                Reason.INTERNAL, "the store of this space is closed", advice="Ask again when the space is up"
            )
        task = asyncio.ensure_future(running)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def _write(self, work: Work[T]) -> T:
        async with self._turn:
            try:
                async with self._writer.begin() as connection:
                    return await work(connection)
            except IsthmusError:
                raise
            # Drivers raise errors of their own beside SQLAlchemy's; none of them may pass this edge.
            except Exception as problem:
                raise _failed("written", problem) from problem

    async def _scrub(self) -> bool:
        if self._writer.dialect.name != "sqlite":
            return True
        async with self._turn:
            try:
                async with self._writer.connect() as connection:
                    # A checkpoint cannot be inside the transaction that has been begun here.
                    await connection.exec_driver_sql("ROLLBACK")
                    await connection.exec_driver_sql(f"PRAGMA busy_timeout = {SCRUB_WITHIN}")
                    try:
                        busy = (await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")).scalar_one()
                    finally:
                        await connection.exec_driver_sql(f"PRAGMA busy_timeout = {BUSY}")
                    return bool(busy == 0)
            except Exception as problem:
                raise _failed("written", problem) from problem

    async def _read(self, work: Work[T]) -> T:
        try:
            async with self._reader.connect() as connection:
                return await work(connection)
        except IsthmusError:
            raise
        except Exception as problem:
            raise _failed("read", problem) from problem


def connect(url: str) -> Connections:
    """Engines for `sqlite+aiosqlite:///path` or `postgresql+asyncpg://…`; nothing is opened yet but the file made.

    Raises IsthmusError(CONFIGURATION) for another URL or a file that cannot be made.
    """
    try:
        place = make_url(url)
    except ArgumentError:
        raise _misconfigured("a text that is no database URL") from None
    if place.drivername == POSTGRESQL:
        writer = create_async_engine(
            place, hide_parameters=True, pool_pre_ping=True, pool_size=WRITERS + READERS, max_overflow=0
        )
        reader = writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        # The database serialises what must be serial: the tree's row is locked by whoever appends.
        return Connections(writer, reader, asyncio.Semaphore(WRITERS))
    if place.drivername == SQLITE and place.database not in (None, "", ":memory:"):
        _private_file(Path(str(place.database)))
        return Connections(_sqlite(place, writes=True), _sqlite(place, writes=False), asyncio.Semaphore(1))
    raise _misconfigured("a database in memory" if place.drivername == SQLITE else place.drivername)


def shown(url: str) -> str:
    """The URL without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "the database"


def _sqlite(place: URL, *, writes: bool) -> AsyncEngine:
    engine = create_async_engine(
        place, hide_parameters=True, pool_size=1 if writes else READERS, max_overflow=0, pool_timeout=30
    )

    @event.listens_for(engine.sync_engine, "connect")
    def opened(connection: DBAPIConnection, _: object) -> None:
        # The driver would begin transactions late and on its own; `begun` below begins them.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY}")
        cursor.execute("PRAGMA foreign_keys = ON")
        if writes:
            cursor.execute("PRAGMA journal_mode = WAL")
            if cursor.fetchone() != ("wal",):
                raise _misconfigured("the file system under the database")
            cursor.execute("PRAGMA synchronous = FULL")
            cursor.execute("PRAGMA secure_delete = ON")
        else:
            cursor.execute("PRAGMA query_only = ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begun(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _private_file(path: Path) -> None:
    """Make the file for its owner alone; SQLite gives its journals the same permissions."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            # Not through a descriptor: closing one would drop the locks of whoever has the file open in
            # this process (https://www.sqlite.org/howtocorrupt.html section 2.2).
            path.chmod(0o600)
    except OSError as problem:
        raise IsthmusError(
            Reason.CONFIGURATION,
            f"the database file {path} cannot be made or kept private: {problem.strerror}",
            field="database",
            advice="Choose a folder that this user owns",
        ) from problem


def _misconfigured(what: str) -> IsthmusError:
    return IsthmusError(
        Reason.CONFIGURATION,
        f"{what} cannot serve as the store",
        field="database",
        advice=f"Use {SQLITE}:///path on a local disk, or {POSTGRESQL}://host/name",
    )


def _failed(verb: str, problem: Exception) -> IsthmusError:
    # The driver's own words, their first line alone: PostgreSQL quotes the failing row on the next.
    words = str(getattr(problem, "orig", None) or problem).partition("\n")[0]
    return IsthmusError(
        Reason.INTERNAL,
        f"the store of this space cannot be {verb} at the moment",
        private=f"{type(problem).__name__}: {words}",
        advice="Look at the state and try again; if it stays so, ask this space's operator, whose log names the cause",
    )
