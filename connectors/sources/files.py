"""One CSV or Parquet file as a table of an embedded DuckDB that stays open from one reading to the next.

Invariants: the file lies in the allowed folder, reached through no symlink, looked at before each reading; a reading is
of the file's bytes as they were taken into memory at its beginning, whoever writes to the file meanwhile, and their
SHA-256 is that of what is read (where the system has no files in memory, the file itself is read, and has none); the
engine can open nothing else, keeps nothing of the content and writes none of it to disk; what is kept is the empty
engine and the statements for a file of one shape. One reading at a time. Plain blocking calls.
"""

from __future__ import annotations

import csv
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from connectors.sources.errors import SourceError
from gateway.domain.errors import Reason

Row = tuple[str | int | None, ...]
# The column names of a CSV; names and types of a Parquet file.
Shape = tuple[Any, ...]

# How many rows of a reading are in Python's hands at once.
BATCH = 1 << 13
# Bytes of the file that are taken into memory at once.
PIECE = 1 << 20
KEPT_STATEMENTS = 64


@dataclass(slots=True)
class Opened:
    """The file as an ibis table, while its shape is what it was. `memory` has its bytes while a reading lasts, of which
    `content` is the SHA-256, empty where there is none."""

    engine: Any
    where: str
    memory: BinaryIO | None
    suffix: str
    content: bytes = b""
    shape: Shape = ()
    table: Any = None
    _statements: dict[str, str] = field(default_factory=dict)

    def take(self, file: Path) -> None:
        """The file's bytes as they are now."""
        if self.memory is None:
            return
        digest = hashlib.sha256()
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb", buffering=0) as source:
            while piece := source.read(PIECE):
                digest.update(piece)
                while piece:  # unbuffered, so that it may take a part; a rest that it has no room for is an OSError
                    piece = piece[self.memory.write(piece) :]
        self.content = digest.digest()

    def let_go(self) -> None:
        if self.memory is not None:
            self.memory.seek(0)
            self.memory.truncate()

    def see(self, shape: Shape) -> None:
        if shape == self.shape:
            return
        self._statements.clear()
        if self.suffix == ".csv":
            # The sniffer would widen a table, or skip lines, to make odd rows fit.
            self.table = self.engine.read_csv(
                self.where,
                table_name="source",
                auto_detect=False,
                columns=dict.fromkeys(shape, "VARCHAR"),
                header=True,
                delim=",",
                quote='"',
                escape='"',
            )
        else:
            self.table = self.engine.read_parquet(self.where, table_name="source")
        self.shape = shape

    def statement(self, name: str, expression: Callable[[], Any]) -> str:
        """The SQL of `expression`, compiled once for this shape: compiling takes longer than reading a small file."""
        if name not in self._statements:
            if len(self._statements) >= KEPT_STATEMENTS:
                self._statements.clear()
            self._statements[name] = self.engine.compile(expression())
        return self._statements[name]

    def rows(self, statement: str) -> Iterator[list[Row]]:
        """In batches, as the engine reads on."""
        result = self.engine.con.execute(statement)
        while batch := result.fetchmany(BATCH):
            yield batch

    def numbers(self, statement: str) -> npt.NDArray[np.int64]:
        """The one column of whole numbers that it selects."""
        (column,) = self.engine.con.execute(statement).fetchnumpy().values()
        return np.asarray(column, dtype=np.int64)

    def fetch(self, expression: Any) -> list[Row]:
        rows: list[Row] = self.engine.con.execute(self.engine.compile(expression)).fetchall()
        return rows


class SourceFile:
    """`path` is relative to `folder`. Raises SourceError."""

    def __init__(self, folder: Path, path: str) -> None:
        self._folder, self._path = folder, path
        self._opened: Opened | None = None
        self._reading = Lock()

    @property
    def path(self) -> Path:
        """The file, if it may be read: looked at again each time, since a link may have taken its place."""
        relative = PurePosixPath(self._path)
        where = self._folder.resolve()
        # `*`, `?` and `[` would make the engine look for other files.
        if relative.is_absolute() or ".." in relative.parts or re.search(r"[*?\[\]\\\x00]", str(relative)):
            raise self.unreadable("its path leaves the allowed folder or has wildcards in it")
        if relative.suffix not in (".csv", ".parquet"):
            raise self.unreadable("it is neither .csv nor .parquet")
        for part in relative.parts:
            where = where / part
            if where.is_symlink():
                raise self.unreadable("there is a symlink in its path")
        if not where.is_file():
            raise self.unreadable("there is no such file")
        return where

    @contextmanager
    def opened(self) -> Iterator[Opened]:
        import duckdb
        import ibis

        with self._reading:
            try:
                file = self.path
                if self._opened is None:
                    memory = _memory()
                    where = str(file) if memory is None else f"/proc/self/fd/{memory.fileno()}"
                    self._opened = Opened(_engine(where), where, memory, file.suffix)
                opened = self._opened
                try:
                    opened.take(file)
                    opened.see(self._header(opened))
                    yield opened
                finally:
                    opened.let_go()
            except OSError as error:
                raise self.unreadable("it cannot be opened", type(error).__name__) from None
            except (duckdb.Error, ibis.common.exceptions.IbisError) as error:
                # What it keeps may no longer fit the file.
                self._close()
                line = re.search(r"Line: ([0-9]+)", str(error))
                at = f" at line {line.group(1)}" if line else ""
                raise self.unreadable(f"its content cannot be read{at}", type(error).__name__) from None

    def _close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            # In this order: another file may get the number that the engine knows.
            opened.engine.disconnect()
            if opened.memory is not None:
                opened.memory.close()

    def _header(self, opened: Opened) -> Shape:
        if opened.suffix != ".csv":
            described = opened.engine.con.execute("DESCRIBE SELECT * FROM read_parquet(?)", [opened.where])
            return tuple(column[:2] for column in described.fetchall())
        try:
            with Path(opened.where).open(encoding="utf-8-sig", newline="") as file:
                names = next(csv.reader(file, strict=True), [])
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise self.unreadable("its header cannot be read", type(error).__name__) from None
        # DuckDB takes names that differ in case alone for one.
        if not names or not all(names) or len({name.lower() for name in names}) != len(names):
            raise self.unreadable("its header is missing, or has a name that is empty or there twice")
        return tuple(names)

    def unreadable(self, what: str, private: str = "") -> SourceError:
        return SourceError(
            Reason.SOURCE_UNREADABLE,
            f"the source {PurePosixPath(self._path).name} is unreadable: {what}",
            field="path",
            private=private,
            advice="Its owner has to repair it; nothing was read.",
        )


def _memory() -> BinaryIO | None:
    """A file that is nowhere but in memory, where the system has such, and a name for it."""
    if not hasattr(os, "memfd_create"):
        return None
    return os.fdopen(os.memfd_create("source", os.MFD_CLOEXEC), "w+b", buffering=0)


def _engine(where: str) -> Any:
    """Opens `where` and nothing else, and reads it anew each time: what it cached it would hold against the file's
    times, which a change need not touch."""
    import ibis

    engine = ibis.duckdb.connect(threads=2, autoinstall_known_extensions=False, autoload_known_extensions=False)
    for setting in (
        f"allowed_paths = [{_quoted(where)}]",
        "temp_directory = ''",
        "enable_external_file_cache = false",
        "parquet_metadata_cache = false",
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        engine.raw_sql(f"SET {setting}")
    return engine


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
