"""A dataset of tests.examples as its owner has it on disk: agent's configuration, description, policy, key and file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from gateway.cli.app import app
from gateway.edges.keys import write_secret
from tests import examples

HEADER = "name,born,age,seen,note,year,form"
POLICY = """\
version = 1
purposes = ["trend-monitoring"]
legal_bases = ["led-8"]
statistics = ["count_by"]
"""


@dataclass(frozen=True, slots=True)
class Done:
    code: int
    plain: dict[str, Any]
    error: str


@dataclass(frozen=True, slots=True)
class Owner:
    """Of the dataset `list`, everything in one folder."""

    folder: Path

    @classmethod
    def of(cls, folder: Path, entity: str, lines: Iterable[str]) -> Owner:
        owner = cls(folder)
        owner.source.parent.mkdir(parents=True)
        write_secret(folder / "list.key", bytes(32))
        owner.policy.write_text(POLICY)
        owner.describe()
        owner.agent.write_text(
            f'entity = "{entity}"\ngateway = "127.0.0.1:9"\ndatabase = "sqlite+aiosqlite:///agent.db"\n'
            'datasets = ["list.toml"]\n[keys]\ncontract = "contract"\n[tls]\nca = "ca"\nagent = "agent"\n'
        )
        owner.write(lines)
        return owner

    @property
    def agent(self) -> Path:
        return self.folder / "agent.toml"

    @property
    def dataset(self) -> Path:
        return self.folder / "list.toml"

    @property
    def policy(self) -> Path:
        return self.folder / "list.policy.toml"

    @property
    def source(self) -> Path:
        return self.folder / "data" / "list.csv"

    @property
    def copies(self) -> Path:
        return self.folder / "editions" / "list"

    @property
    def url(self) -> str:
        return f"sqlite+aiosqlite:///{self.folder}/agent.db"

    def describe(self, file: str = "list.csv", forms: Iterable[str] = examples.FORMS) -> None:
        text = [
            'id = "list"\ntitle = "A list"\nfolder = "data"\nsnapshot_key = "list.key"\npolicy = "list.policy.toml"',
            f'file = "{file}"\nkey_columns = ["name", "born"]',
            '[edition]\nid = "2026-1"\ncreated = 1790000000\nrow_bound = 64',
        ]
        for column in examples.dataset(examples.POLICE).columns:
            text.append(f'[[columns]]\nname = "{column.name}"\ntype = "{column.type}"')
            if codes := list(forms) if column.name == "form" else [code.value for code in column.codes]:
                text.append(f"codes = [{', '.join(f'{{value = {json.dumps(code)}}}' for code in codes)}]")
        self.dataset.write_text("\n".join(text) + "\n")

    def write(self, lines: Iterable[str]) -> None:
        """The live file, in one go."""
        new = self.source.with_suffix(".new")
        new.write_text("\n".join([HEADER, *lines]) + "\n")
        new.replace(self.source)

    def publish(self, *options: object) -> Done:
        return self("publish", *options)

    def editions(self) -> Done:
        return self("editions")

    def said(self, command: str, *options: object) -> str:
        """What a person reads."""
        return CliRunner().invoke(app, self._arguments(command, *options)).stdout

    def __call__(self, command: str, *options: object) -> Done:
        done = CliRunner().invoke(app, [*self._arguments(command, *options), "--json"])
        return Done(done.exit_code, json.loads(done.stdout), done.stderr)

    def _arguments(self, command: str, *options: object) -> list[str]:
        return ["datasets", command, str(self.dataset), "--agent", str(self.agent), *map(str, options)]
