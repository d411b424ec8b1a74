"""Walks through a page of docs/: its files and commands as they stand, in the folder of a running sandbox."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.shell import ROOT, WITHIN, Done, Shell


@dataclass(frozen=True, slots=True)
class Step:
    """A file block (its language and text) or one command, with the exit code that the page says."""

    kind: str
    text: str
    code: int = 0
    waits: bool = False


def steps(page: Path, heading: str) -> list[Step]:
    section = re.split(r"^## ", page.read_text().partition(f"\n## {heading}")[2], maxsplit=1, flags=re.M)[0]
    found = []
    for kind, text in re.findall(r"```(\w+)\n(.*?)```", section, flags=re.S):
        if kind != "sh":
            found.append(Step(kind, text))
            continue
        for line in text.splitlines():
            command, _, remark = line.partition(" # ")
            code = int(remark.removeprefix("exit ")) if remark.startswith("exit ") else 0
            found.append(Step(kind, command, code, remark == "waits"))
    return found


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody at a terminal in the sandbox's folder."""

    shell: Shell

    @property
    def folder(self) -> Path:
        return self.shell.folder

    def words(self, command: str, **names: str) -> list[str]:
        written = [names.get(word, word) for word in shlex.split(command)[1:]]
        return [sys.executable, "-m", "gateway", *written]

    def run(self, step: Step, **names: str) -> Done:
        """The command as it stands on the page; it ends as the page says."""
        done = subprocess.run(
            self.words(step.text, **names), cwd=self.folder, env=self.environment(), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=WITHIN,
        )  # fmt: skip
        assert done.returncode == step.code, (step.text, done.stdout, done.stderr)
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, step: Step) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(
            self.words(step.text), cwd=self.folder, env=self.environment(), stdin=subprocess.DEVNULL, stdout=pipe,
            stderr=pipe, text=True,
        )  # fmt: skip

    def environment(self) -> dict[str, str]:
        return self.shell.environment(PYTHONPATH=str(ROOT))
