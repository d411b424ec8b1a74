"""What somebody does to an audit log who can write to its SQLite file, beside the process that holds it open."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from gateway.rules import merkle


def edit(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path, timeout=30)) as connection, connection:
        connection.execute(statement)


def rows(path: Path) -> list[str]:
    """The records, as they are stored."""
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        return [record for (record,) in connection.execute("SELECT record FROM facts ORDER BY position")]


def edited_and_rehashed(path: Path, position: int) -> None:
    """A fact and its own hash are edited, and no hash above it."""
    record = rows(path)[position].replace("ann", "bob")
    with closing(sqlite3.connect(path, timeout=30)) as connection, connection:
        connection.execute("UPDATE facts SET record = ? WHERE position = ?", (record, position))
        connection.execute(
            "UPDATE nodes SET hash = ? WHERE level = 0 AND position = ?", (merkle.leaf_hash(record.encode()), position)
        )


def forked(path: Path, records: Sequence[str]) -> None:
    """Another history, with its whole tree: nothing in these tables shows it."""
    frontier, nodes = merkle.with_nodes(merkle.Frontier(), [record.encode() for record in records])
    with closing(sqlite3.connect(path, timeout=30)) as connection, connection:
        connection.execute("DELETE FROM facts")
        connection.execute("DELETE FROM nodes")
        connection.executemany("INSERT INTO facts VALUES (?, ?)", list(enumerate(records)))
        connection.executemany("INSERT INTO nodes VALUES (?, ?, ?)", [(n.level, n.index, n.hash) for n in nodes])
        roots = " ".join(root.hex() for root in frontier.roots)
        connection.execute("UPDATE tree SET size = ?, frontier = ?", (frontier.size, roots))
