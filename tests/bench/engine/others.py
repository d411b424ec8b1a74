"""The other engines' columns: stock MPyC 0.11 from the lock, SPU from an environment of its own.

SPU pins an old numpy and jax, so it is no part of the lock: `.bench/spu` is made on first use from
`spu.requirements`. Both run as three processes on loopback, at the sizes that `operations.py` names for them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.engine.operations import OPERATIONS, Row

HERE = Path(__file__).parent
ENVIRONMENT = HERE.parents[2] / ".bench" / "spu"
PYTHON = ENVIRONMENT / "bin" / "python"
LONGEST = 900.0
REPEATS = 5


@dataclass(frozen=True)
class Other:
    """Seconds of runs at size n."""

    n: int
    seconds: Sequence[float]
    sent: int = 0


def stock(rows: Sequence[Row]) -> dict[str, Other]:
    """By operation."""
    found = {}
    for name, n in _wanted(rows, "stock"):
        command = [sys.executable, str(HERE / "stock.py"), name, str(n), str(REPEATS), "-M3", "--no-log"]
        said = _said(command)
        if said:
            seconds, sent = json.loads(said[-1])
            found[name] = Other(n, seconds, sent)
    return found


def spu(rows: Sequence[Row]) -> dict[str, Other]:
    """By operation; empty where SPU cannot be installed."""
    wanted = _wanted(rows, "spu")
    if not wanted or not _installed():
        return {}
    jobs = json.dumps([[name, n, REPEATS] for name, n in wanted if name != "start"])
    lines = [
        json.loads(line) for line in _said([str(ENVIRONMENT / "bin" / "python"), str(HERE / "spu_party.py"), jobs])
    ]
    asked = {name for name, _ in wanted}
    return {name: Other(n, seconds) for name, n, seconds in lines if name in asked}


def _wanted(rows: Sequence[Row], whose: str) -> list[tuple[str, int]]:
    """Each operation once, at the size for this engine; none where that is 0."""
    names = dict.fromkeys(row.operation for row in rows if row.goal is not None)
    return [(name, n) for name in names if (n := getattr(OPERATIONS[name], whose))]


def _installed() -> bool:
    if (ENVIRONMENT / "ready").exists():
        return True
    uv = Path(sys.executable).with_name("uv")
    ENVIRONMENT.parent.mkdir(exist_ok=True)
    try:
        for command in (
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, ENVIRONMENT],
            [
                uv,
                "pip",
                "install",
                "--quiet",
                "--python",
                ENVIRONMENT / "bin" / "python",
                "-r",
                HERE / "spu.requirements",
            ],
        ):
            subprocess.run([str(word) for word in command], check=True, timeout=LONGEST)
    except (OSError, subprocess.SubprocessError) as problem:
        print(f"no column for SPU: its environment cannot be made ({problem})", file=sys.stderr)
        return False
    (ENVIRONMENT / "ready").touch()
    return True


def _said(command: Sequence[str]) -> list[str]:
    """The lines of JSON that it prints; none when it fails, which is said on standard error."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=True)
    except subprocess.SubprocessError as problem:
        print(f"{' '.join(command[1:4])}: {problem}", file=sys.stderr)
        return []
    return [line for line in done.stdout.splitlines() if line.startswith(("[[", '["'))]
