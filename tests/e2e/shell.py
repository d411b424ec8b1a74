"""The command line as a user has it: a home of their own, `isthmus` in a process, a sandbox that runs."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.client import Profile
from gateway.domain.audit import Fact
from gateway.rules.records import from_bytes
from gateway.sandbox import processes
from gateway.sandbox.federation import Sandbox, attached

ROOT = Path(__file__).parents[2]
QUERIES = ROOT / "docs" / "queries"
WITHIN = 120.0


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def is_one_line(self) -> bool:
        """Whether it says what is wrong in one line, without a traceback."""
        return self.err.count("\n") == 1 and "Traceback" not in self.err + self.out


@dataclass(frozen=True, slots=True)
class Shell:
    """`home` holds all that the user's commands write."""

    home: Path

    @classmethod
    @contextmanager
    def with_sandbox(cls, home: Path) -> Iterator[Shell]:
        shell = cls(home)
        up = shell("sandbox", "up", "--detach", "--json")
        assert up.code == 0, up.err
        try:
            yield shell
        finally:
            if (shell.folder / "sandbox.json").exists():
                down = shell("sandbox", "down", "--json")
                assert down.code == 0, down.err

    def __call__(self, *arguments: object, **more: str) -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "gateway", *map(str, arguments)],
            cwd=ROOT,
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WITHIN,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ISTHMUS_", "XDG_"))}
        home = str(self.home)
        return {**kept, "HOME": home, "XDG_STATE_HOME": home, "XDG_CONFIG_HOME": f"{home}/config", **more}

    @property
    def folder(self) -> Path:
        return self.home / "isthmus" / "sandbox"

    @property
    def sandbox(self) -> Sandbox:
        return attached(self.folder, json.loads((self.folder / "sandbox.json").read_text())["supervisor"])

    def warm_party(self, space: str, within: float = WITHIN) -> int:
        """The process of the one party that waits for its job there, once it does."""
        end = time.monotonic() + within
        while len(found := self.sandbox.process_ids()["party"].get(space, [])) != 1:
            assert time.monotonic() < end, found
            time.sleep(0.1)
        return found[0]

    def profile(self, space: str = "care", client: str = "analyst") -> Profile:
        return Profile.load(self.sandbox.profile(space, client))

    def facts(self, space: str = "care", start: int = 0, *, database: str = "gateway.db") -> list[Fact]:
        """A space's audit log, from its database."""
        file = self.folder / "spaces" / space / database
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as connection:
            wanted = "SELECT record FROM facts WHERE position >= ? ORDER BY position"
            rows = connection.execute(wanted, (start,)).fetchall()
        connection.close()
        return [from_bytes(Fact, record, what="fact") for (record,) in rows]

    def file(self, name: str, text: str) -> Path:
        path = self.home / name
        path.write_text(text)
        return path


def processes_in(folder: Path) -> set[int]:
    """Everything whose command line names `folder`, and the parties below it."""
    named = {process.id for process in processes.table() if str(folder) in process.command}
    return named | {child.id for id in named for child in processes.descendants(id)}


def is_open(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((host, int(port))) == 0
