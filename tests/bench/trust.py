"""`python -m tests.bench.trust`: what checking tokens and chains takes, on one core. Medians; never a test.

- a client call's checks: all that the gate does before an rpc begins (certificate, `at+jwt`, access table), keys warm;
- a chain of depth 3: the leaf's keys seen for the first time, its superiors' not;
- statements of 10,000 peers: resident memory of a process of its own, before and after it believes them all.
"""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from gateway.domain.caller import Rights
from gateway.domain.identity import Anchor, parse_entity_id
from gateway.domain.sign_in import Grant
from gateway.edges.certificates import Role, client_certificate, thumbprint
from gateway.edges.federation import Federation, entity_configuration, subordinate_statement
from gateway.edges.grpc.gate import Gate
from gateway.edges.keys import SigningKey, load_signing_key, new_signing_key, pem_of, write_secret
from gateway.edges.tokens import Verifier, sign, signature_holds
from gateway.rules import access
from gateway.rules.jwks import jwk_set
from gateway.rules.tokens import request_hash
from gateway.rules.trust import verify_chain
from tests.fakes import FakeClock
from tests.unit.federation_simulator import Simulator
from tests.unit.trust_kit import (
    ANCHOR,
    CARE,
    METHOD,
    NOW,
    POLICE,
    MemoryReplay,
    StoppedClock,
    at_claims,
    new_bench,
    new_space,
    request_claims,
)

PEERS = 10_000
RUNS = 400
RPC = "/isthmus.client.v1.ComputationService/ListComputations"
NETWORK = parse_entity_id("https://peers.example")


@dataclass(frozen=True)
class Call:
    certificate: bytes
    token: str

    def auth_context(self) -> dict[str, list[bytes]]:
        return {"x509_pem_cert": [self.certificate]}

    def invocation_metadata(self) -> list[tuple[str, str]]:
        return [("authorization", f"Bearer {self.token}")]


def calls() -> list[tuple[str, list[float]]]:
    """Milliseconds for a client's call, and for a peer's, through the whole gate."""
    bench = new_bench()
    gate = Gate(
        CARE,
        lambda: bench.care.authority.certificate_pem,
        bench.federation,
        Verifier(bench.federation, bench.clock, MemoryReplay()),
        None,  # type: ignore[arg-type]  # nothing is refused here
        FakeClock(),
        {"analyst": Grant(("catalogue", "compute"), Rights(("*",), ("*",), ("*",)))},
        lambda person: (),
    )
    client = client_certificate(bench.care.authority, CARE, Role.CLIENT, NOW, client_id="analyst").certificate_pem
    scope = access.TABLE[RPC].scope
    access_token = sign("at+jwt", at_claims(thumbprint(client), scope=scope), bench.care.tokens)
    asked: Any = Call(client, access_token)
    peer = client_certificate(bench.police.authority, POLICE, Role.GATEWAY, NOW).certificate_pem
    received = b"x" * 1000

    requests: list[Any] = [
        Call(
            peer, sign("isthmus-request+jwt", request_claims(request_hash(received), jti=f"r{n}"), bench.police.tokens)
        )
        for n in range(RUNS + 20)
    ]

    async def measured() -> list[tuple[str, list[float]]]:
        by_client = [await _timed(lambda: gate.admit(RPC, received, asked)) for _ in range(RUNS)]
        by_peer = [await _timed(lambda call=call: gate.admit(METHOD, received, call)) for call in requests]
        return [
            ("a client call's checks, keys warm: ms", by_client[20:]),
            ("a peer call's checks, keys warm: ms", by_peer[20:]),
        ]

    return asyncio.run(measured())


async def _timed(admit: Callable[[], Any]) -> float:
    began = time.thread_time()
    await admit()
    return (time.thread_time() - began) * 1000


def chains() -> list[tuple[str, list[float]]]:
    taken: list[float] = []
    first = Simulator(3)
    for _ in range(60):
        simulator = Simulator(3, new_space(CARE), ANCHOR, first.anchor_key, first.intermediates)
        chain, anchors = simulator.chain(), [simulator.anchor]
        began = time.thread_time()
        verify_chain(chain, anchors, NOW, signature_holds)
        taken.append((time.thread_time() - began) * 1000)
    return [("a chain of depth 3, its leaf seen for the first time: ms", taken[10:])]


def peers(count: int = PEERS) -> list[tuple[str, list[float]]]:
    with tempfile.TemporaryDirectory(prefix="isthmus-bench-") as folder:
        anchor_key = new_signing_key()
        write_secret(Path(folder) / "anchor.pem", pem_of(anchor_key.secret))
        with (Path(folder) / "chains").open("w") as file:
            for number in range(count):
                file.write(" ".join(_peer(number, anchor_key)) + "\n")
        child = subprocess.run(
            [sys.executable, "-m", "tests.bench.trust", "believe", folder], capture_output=True, text=True, check=True
        )
    mib, seconds = map(float, child.stdout.split())
    return [
        (f"statements of {count:,} peers believed: MiB", [mib]),
        (f"statements of {count:,} peers verified and believed: s", [seconds]),
    ]


def _peer(number: int, anchor_key: SigningKey) -> Sequence[str]:
    space = new_space(parse_entity_id(f"{NETWORK}/{number}"))
    metadata = space.metadata(operator=f"Operator number {number}", operator_group=f"group-{number}")
    statement = subordinate_statement(
        ANCHOR,
        space.entity_id,
        [space.federation.jwk],
        anchor_key,
        NOW,
        metadata_policy={"contract_jwks": {"value": jwk_set((space.contracts.jwk,))}},
    )
    return entity_configuration(space.entity_id, metadata, [ANCHOR], space.federation, NOW), statement


def believe(folder: Path) -> None:
    """In a process of its own: how much it grows by believing every chain in the file."""
    anchor = Anchor(ANCHOR, (load_signing_key(folder / "anchor.pem").jwk,), (NETWORK,))
    federation = Federation([anchor], StoppedClock())
    gc.collect()
    before, began = _resident(), time.thread_time()
    with (folder / "chains").open() as file:
        for line in file:
            federation.admit(line.split())
    took = time.thread_time() - began
    gc.collect()
    print(_resident() - before, took)


def _resident() -> float:
    """MiB that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def rows() -> list[tuple[str, list[float]]]:
    return [*calls(), *chains(), *peers()]


def main() -> None:
    table = Table("what", "runs", "median", "least", "most", title="Trust, one core")
    for what, values in rows():
        shown = (statistics.median(values), min(values), max(values))
        table.add_row(what, str(len(values)), *(f"{value:,.3f}" for value in shown))
    Console(width=120).print(table)


if __name__ == "__main__":
    if sys.argv[1:2] == ["believe"]:
        believe(Path(sys.argv[2]))
    else:
        main()
