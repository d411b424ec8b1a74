"""Which processes a sandbox consists of: read from the process table, by parent and by command.

Works from /proc where there is one, else from `ps`.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

PARTY = "isthmus-party"
_PROC = Path("/proc/self/stat")


@dataclass(frozen=True, slots=True)
class Process:
    id: int
    parent: int
    command: str
    name: str = ""  # by which a forked process calls itself


def table() -> list[Process]:
    """All processes that can be seen."""
    if _PROC.exists():
        return [process for entry in Path("/proc").glob("[0-9]*") if (process := _from_proc(entry)) is not None]
    lines = subprocess.run(["ps", "-axo", "pid=,ppid=,command="], capture_output=True, text=True, check=True).stdout
    fields = (line.split(None, 2) for line in lines.splitlines())
    return [Process(int(field[0]), int(field[1]), field[2]) for field in fields if len(field) == 3]


def descendants(ancestor: int) -> list[Process]:
    """Everything that `ancestor` started, itself left out; parents before children."""
    everyone = table()
    found: list[Process] = []
    waiting = [ancestor]
    while waiting:
        parent = waiting.pop(0)
        children = [process for process in everyone if process.parent == parent]
        found += children
        waiting += [child.id for child in children]
    return found


def role_of(process: Process) -> str:
    """anchor, gateway, agent or party; empty for anything else."""
    if process.name == PARTY:
        return "party"
    words = process.command
    if " agent serve " in words:
        return "agent"
    if " trust serve " in words:
        return "anchor"
    return "gateway" if " gateway serve " in words else ""


def is_alive(id: int) -> bool:
    return _one(id) is not None


def is_supervisor(id: int) -> bool:
    """Whether process `id` is a sandbox's supervisor, and not whatever got its number since."""
    found = _one(id)
    return found is not None and " sandbox up" in found.command


def _one(id: int) -> Process | None:
    """Without a look at all others: who waits for a process asks ten times a second."""
    if _PROC.exists():
        return _from_proc(Path(f"/proc/{id}"))
    return next((process for process in table() if process.id == id), None)


def _from_proc(entry: Path) -> Process | None:
    try:
        stat = (entry / "stat").read_text()
        command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return None  # it has ended meanwhile
    name, _, rest = stat.partition("(")[2].rpartition(")")
    fields = rest.split()
    return None if fields[0] == "Z" else Process(int(entry.name), int(fields[1]), command, name)
