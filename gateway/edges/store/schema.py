"""Brings a database to the schema of this release: at once when it is new, by migrations when it is old.

Invariants: a database is never half migrated (all of it is one transaction); one that a newer release has
written, or somebody else, is refused untouched. Alembic is imported only when there is something to migrate.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.errors import IsthmusError, Reason
from gateway.edges.store.tables import REVISION, metadata, tree, version

MIGRATIONS = Path(__file__).parent / "migrations"
# Replicas that start together take turns (PostgreSQL advisory lock; the number is ours alone).
_LOCK = 0x1577_4D05


async def bring_up_to_date(connection: AsyncConnection) -> None:
    """Raises IsthmusError(CONFIGURATION) when the database is not one that this release can take over."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    if not names:
        await connection.run_sync(_create)
        return
    if version.name not in names:
        raise _refused("holds tables of something else")
    found = (await connection.execute(version.select())).scalar()
    if found != REVISION:
        await connection.run_sync(migrate)


def migrate(connection: Connection, revision: str = "head") -> None:
    """Run the packaged migrations up to `revision` (the newest) inside the connection's transaction."""
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    # The path may hold a percent sign, which the configuration would read as its own.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, revision)
    except CommandError as problem:
        raise _refused("was written by a newer release", private=str(problem)) from problem


def _create(connection: Connection) -> None:
    metadata.create_all(connection, checkfirst=False)
    version.create(connection)
    connection.execute(tree.insert().values(id=1, size=0, frontier=""))
    connection.execute(version.insert().values(version_num=REVISION))


def _refused(what: str, private: str = "") -> IsthmusError:
    return IsthmusError(
        Reason.CONFIGURATION,
        f"the database {what}; it was left as it is",
        private=private,
        field="database",
        advice="Name another database, or start the release that wrote this one",
    )
