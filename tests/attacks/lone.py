"""One gateway of a laid out federation, alone: no agent, no peer that runs, a port that anybody may call."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import grpc

from gateway.api.client.v1 import tokens_pb2
from gateway.api.peer.v1 import peer_pb2 as peer
from gateway.domain.audit import Fact
from gateway.domain.identity import EntityId
from gateway.edges import keys
from gateway.edges.anchors import write_statements
from gateway.rules.jose import parse_compact
from gateway.sandbox.anchor import NAME, enrol
from gateway.sandbox.federation import _free_ports
from gateway.sandbox.layout import SPACES, STATEMENT, lay_out
from tests.attacks.port import CLIENT, OK, Answer, Port
from tests.e2e.shell import Shell
from tests.unit.trust_kit import revocation_list

CARE = "https://care.example"
UP_WITHIN = 90.0
HEARD_WITHIN = 20.0


@dataclass(frozen=True)
class _Addresses:
    addresses: dict[str, str]


@dataclass(frozen=True)
class _Folder(Shell):
    """A laid out federation in `home`, with the address of the one gateway that runs."""

    addresses: dict[str, str]

    @property
    def folder(self) -> Path:
        return self.home

    @property
    def sandbox(self) -> Any:
        return _Addresses(self.addresses)


async def laid_out(folder: Path, ports: Mapping[str, int]) -> dict[EntityId, list[str]]:
    """A federation whose spaces are all members, as the sandbox makes it; everybody's chain."""
    newcomers = lay_out(folder, ports, int(time.time()))
    statements = await enrol(folder / NAME / "anchor.toml", newcomers)
    for spec in SPACES:
        write_statements(folder / "spaces" / spec.name / STATEMENT, [statements[spec.entity]])
    return {entity: [newcomers[entity], statements[entity]] for entity in newcomers}


class Lone:
    """The gateway of `care`."""

    def __init__(self, folder: Path) -> None:
        ports = _free_ports(SPACES)
        chains = asyncio.run(laid_out(folder, ports))
        shell = _Folder(folder, {name: f"127.0.0.1:{port}" for name, port in ports.items()})
        self.port = Port(shell)
        self.home = folder / "spaces" / "care"
        self._process: subprocess.Popen[bytes] | None = None
        toml = (self.home / "gateway.toml").read_text()
        toml = toml.replace('[agent]\nconfig = "agent.toml"\n', "")
        for entity, chain in chains.items():
            if entity != CARE:
                file = f"{entity.removeprefix('https://')}.chain.json"
                (self.home / file).write_text(json.dumps(chain))
                toml += f'\n[[peers]]\nentity = "{entity}"\nchain = "{file}"\n'
        (self.home / "gateway.toml").write_text(toml)

    def start(self) -> None:
        command = [sys.executable, "-m", "gateway", "gateway", "serve", "--config", str(self.home / "gateway.toml")]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        rpc, client = CLIENT + "TokenService/IssueToken", self.port.client()
        assert until(lambda: self.port.call(rpc, b"", client).code is not grpc.StatusCode.UNAVAILABLE)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def token(self, client: str = "analyst") -> str:
        """An access token, fresh."""
        rpc, certificate = CLIENT + "TokenService/IssueToken", self.port.client("care", client)
        answer = self.port.call(rpc, tokens_pb2.IssueTokenRequest(), certificate)
        assert answer.code is OK, answer
        return cast(str, tokens_pb2.IssueTokenResponse.FromString(answer.body).access_token)

    def describe(self, space: str, *lists: str) -> Answer:
        """`space` tells the gateway of itself, and brings lists."""
        return self.port.as_peer(
            space, "Describe", peer.DescribeRequest(chain=self.port.chain(space), revocations=lists)
        )

    def list_of(self, issuer: str, key: keys.SigningKey | None = None, **said: Any) -> str:
        """A list by an issuer's own revocation key, or by another; made now, unless `said` has a time."""
        folder = self.port.folder / ("anchor" if issuer == "anchor" else f"spaces/{issuer}/keys")
        signer = key or keys.load_signing_key(folder / "revocation.pem")
        return revocation_list(EntityId(f"https://{issuer}.example"), signer, said.pop("at", int(time.time())), **said)

    def held(self) -> dict[str, dict[str, Any]]:
        """What the gateway passes on: by issuer, what its list says."""
        answer = self.describe("neutral")
        assert answer.code is OK, answer
        lists = peer.DescribeResponse.FromString(answer.body).revocations
        return {claims["iss"]: claims for claims in (parse_compact(token, len(token)).claims for token in lists)}

    def revoke(self, *arguments: object) -> dict[str, Any]:
        done = self.port.shell("trust", "revoke", "--config", self.home / "gateway.toml", *arguments, "--json")
        assert done.code == 0, done.err
        return cast(dict[str, Any], json.loads(done.out))

    def facts(self, kind: str, start: int = 0) -> list[Fact]:
        return [fact for fact in self.port.shell.facts("care", start) if fact.kind == kind]


@contextmanager
def lone_gateway(folder: Path) -> Iterator[Lone]:
    lone = Lone(folder)
    try:
        lone.start()
        yield lone
    finally:
        lone.stop()


def until(holds: Any, within: float = UP_WITHIN) -> bool:
    """Whether `holds` becomes true: what another process does is waited for by asking it."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.1)
    return False
