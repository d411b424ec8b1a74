"""What a broken-in gateway cannot do, when its agent is another user's: see shares, approve, sign for its agent.

The attacker holds the gateway's user, files, keys and process. Everything here is really tried: by a program of that
user, by a gateway that obeys the attacker, and over the ports of the other spaces with the stolen keys.
"""

from __future__ import annotations

import base64
import os
import re
import zlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import pytest_asyncio

from connectors.engine.wire import ELEMENT_BYTES
from gateway.api.peer.v1 import peer_pb2 as peer
from gateway.client import load_query
from gateway.domain.approval import ApprovalBody, SeatKey
from gateway.domain.computation import State
from gateway.domain.contract import Contract
from gateway.edges import keys
from gateway.edges.clock import SystemClock, SystemIds
from gateway.edges.documents import APPROVAL, Writer
from gateway.rules import sealing
from gateway.rules.gateway_metadata import ENTITY_TYPE
from gateway.rules.jose import parse_compact
from gateway.rules.jwks import jwk_object
from gateway.rules.tokens import payload_digest
from tests.afresh import shown
from tests.attacks.other_users import AGENT_USER, CANARY, GATEWAY_USER, BrokenIn, broken_in
from tests.attacks.port import OK, UNAUTHENTICATED, Port
from tests.attacks.test_sessions import contract_of, signed
from tests.e2e.shell import QUERIES
from tests.unit.trust_kit import forge, header_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

CARE = "https://care.example"
QUERY = shown(load_query(QUERIES / "form_year.yaml").query)
ORDERS: tuple[Literal["little", "big"], ...] = ("little", "big")
REFUSED = {"Permission denied", "Operation not permitted"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world() -> AsyncIterator[BrokenIn]:
    async with broken_in() as running:
        yield running


# What the kernel keeps from it.


async def test_the_agents_files_cannot_be_reached(world: BrokenIn) -> None:
    inside = [world.agent_home, *world.agent_home.rglob("*")]
    files, folders = [str(path) for path in inside if path.is_file()], [str(path) for path in inside if path.is_dir()]
    for kept in ("agent/contract.pem", "agent/agent.key.pem", "agent.db", "data/la.csv", "datasets/la.key"):
        assert str(world.agent_home / kept) in files
    tried = await world.intrude(files=files, folders=folders, users=[AGENT_USER])
    assert {name: why for name, why in tried.items() if why not in REFUSED} == {}
    # What is the gateway's own is open to the same program.
    own = world.home / "own"
    own.write_text("x")
    os.chown(own, GATEWAY_USER, GATEWAY_USER)
    assert {name for name, why in (await world.intrude(files=[str(own)])).items() if why} == set()


async def test_the_agent_and_its_parties_cannot_be_looked_into(world: BrokenIn) -> None:
    processes = [world.agent, *await world.started_parties()]
    assert len(processes) == 2
    tried = await world.intrude(processes=processes)
    assert {name: why for name, why in tried.items() if why not in REFUSED} == {}
    # The same program sees a process of its own user.
    idle = await world.start(GATEWAY_USER, "-c", "input()")
    seen = await world.intrude(processes=[idle.pid])
    await idle.communicate(b"\n")
    for what in ("environ", "maps", "fd"):
        assert seen[f"read /proc/{idle.pid}/{what}"] == ""
    assert seen[f"follow /proc/{idle.pid}/fd/0"] == ""


async def test_not_even_a_process_of_their_own_user_looks_into_agent_party_or_gateway(world: BrokenIn) -> None:
    for user, processes in (
        (AGENT_USER, [world.agent, *await world.started_parties()]),
        (GATEWAY_USER, [world.gateway]),
    ):
        tried = await world.intrude(user, processes=processes)
        allowed = {name for name, why in tried.items() if why not in REFUSED}
        # Signals, and limits that it may only lower, are its user's affair.
        assert {name.split()[0] for name in allowed} <= {"signal"}, allowed


async def test_what_everybody_may_see_of_a_process_is_no_secret(world: BrokenIn) -> None:
    secrets = [_raw(world.agent_home / "agent" / name) for name in ("contract.pem", "agent.key.pem")]
    for process in (world.agent, *await world.started_parties()):
        proc = Path(f"/proc/{process}")
        status = (proc / "status").read_text()
        assert "Umask:\t0077" in status
        assert f"Uid:\t{AGENT_USER}" in status
        assert re.search(r"Max core file size +0 +0 ", (proc / "limits").read_text())
        shown = (proc / "cmdline").read_bytes() + status.encode()
        assert not [secret for secret in secrets if secret in shown]
    # Nor has it left anything in a place that is open to all.
    left = [
        path
        for place in ("/tmp", "/var/tmp", "/dev/shm")
        for path in _of_user(Path(place), AGENT_USER)
        if not path.is_relative_to(world.agent_home)
    ]
    assert left == []


def _of_user(folder: Path, user: int) -> Iterable[Path]:
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            try:
                if path.lstat().st_uid == user:
                    yield path
            except OSError:  # gone meanwhile
                continue


def _raw(pem: Path) -> bytes:
    return b"".join(pem.read_bytes().splitlines()[1:-1])


async def test_the_gateways_memory_holds_nothing_of_its_agents(world: BrokenIn) -> None:
    """All that it has mapped and may write, after a session in which its agent had a seat and provided people."""
    done = await world.ask(QUERY)
    assert done.state is State.RELEASED
    agent, secrets = world.agent_home, world.agent_home / "agent"
    sought = {
        "the token key": _seed(world.loot.folder / "spaces/care/keys/token.pem"),
        "the contract key": _seed(secrets / "contract.pem"),
        "the contract key's file": _raw(secrets / "contract.pem"),
        "the storage key": _seed(secrets / "storage.pem"),
        "the agent's TLS key's file": _raw(secrets / "agent.key.pem"),
        "somebody's name": CANARY.encode(),
        **{f"the key of {path.stem}": path.read_bytes() for path in (agent / "datasets").glob("*.key")},
    }
    assert len(sought) == 8
    # Its own key is there, so this search finds what there is.
    assert _found(sought, _mapped(world.gateway)) == {"the token key"}


def _found(sought: dict[str, bytes], places: Iterable[bytes]) -> set[str]:
    return {name for place in places for name, secret in sought.items() if secret in place}


def _mapped(process: int) -> Iterable[bytes]:
    with Path(f"/proc/{process}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{process}/maps").read_text().splitlines():
            place, rights = line.split()[:2]
            start, end = (int(number, 16) for number in place.split("-"))
            if rights.startswith("rw"):
                try:
                    memory.seek(start)
                    yield memory.read(end - start)
                except OSError:  # not every mapping is memory
                    continue


def _seed(pem: Path) -> bytes:
    """The 32 bytes of an Ed25519 or X25519 key, which end its PKCS8 form (RFC 8410 section 7)."""
    return base64.b64decode(_raw(pem))[-32:]


# What it cannot sign.


def _approval(contract: Contract, digest: str) -> ApprovalBody:
    seats = tuple(SeatKey(seat.pid, _public()) for seat in contract.seats_of(CARE))
    return ApprovalBody(digest, seats, _public())


def _public() -> str:
    return base64.b64encode(sealing.fresh_key()[1]).decode()


def _by(key: keys.SigningKey, contract: Contract, digest: str) -> str:
    return Writer(CARE, lambda: key, SystemClock(), SystemIds()).approval(contract, _approval(contract, digest))


def _posing(key: keys.SigningKey, kid: str, contract: Contract, digest: str) -> str:
    """By one key in the name of another."""
    claims = parse_compact(_by(key, contract, digest), 64 * 1024).claims
    return forge(header_of(APPROVAL, key, kid=kid), claims, key.secret)


FORGED = {
    "by its token key": lambda port, *what: _by(port.key("care"), *what),
    "by its federation key": lambda port, *what: _by(port.key("care", "federation"), *what),
    "by a fresh key": lambda port, *what: _by(keys.new_signing_key(), *what),
    "by a fresh key in the agent's name": lambda port, *what: _posing(keys.new_signing_key(), _pinned(port), *what),
    "by its token key in the agent's name": lambda port, *what: _posing(port.key("care"), _pinned(port), *what),
}


def _pinned(port: Port) -> str:
    """The kid of the contract key that the anchor pins."""
    (key,) = _metadata(port)["contract_jwks"]["keys"]
    return str(key["kid"])


def _metadata(port: Port) -> dict[str, Any]:
    described: dict[str, Any] = parse_compact(port.chain("care")[0], 64 * 1024).claims["metadata"][ENTITY_TYPE]
    return described


@pytest.mark.parametrize("name", FORGED)
async def test_an_approval_in_its_agents_name_is_refused_by_every_other_agent(world: BrokenIn, name: str) -> None:
    make = FORGED[name]
    _is_refused_everywhere(world, lambda port, contract, digest: make(port, contract, digest), [])


async def test_a_new_statement_brings_no_new_contract_key(world: BrokenIn) -> None:
    """The anchor pins it: whoever holds the federation key can say what they like of themselves, but for this."""
    port = world.port("police")
    key = keys.new_signing_key()
    pinned, own = _metadata(port)["contract_jwks"]["keys"], jwk_object(key.jwk)
    for listed in ([own], [*pinned, own]):
        described = {**_metadata(port), "contract_jwks": {"keys": listed}}
        chain = [port.restated("care", metadata={ENTITY_TYPE: described}), port.chain("care")[1]]
        for space in ("police", "neutral", "registry"):
            pushed = world.port(space).as_peer("care", "Describe", peer.DescribeRequest(chain=chain))
            assert pushed.code in (OK, UNAUTHENTICATED)
        _is_refused_everywhere(world, lambda port, contract, digest: _by(key, contract, digest), chain)


def _is_refused_everywhere(world: BrokenIn, forge_it: Any, chain: list[str]) -> None:
    """Everybody else approves what care asks; with a forged approval of care's, none of their agents runs it."""
    home = world.port("police")
    contract = contract_of(home, "care")
    token = signed(home, contract, "care")
    digest = payload_digest(parse_compact(token, 512 * 1024).payload)
    names = [entity.removeprefix("https://").removesuffix(".example") for entity in contract.entities()]
    statements = {name: chain if name == "care" and chain else home.chain(name) for name in names}
    chains = [peer.Chain(statements=statement) for statement in statements.values()]
    others = [name for name in names if name != "care"]
    assert sorted(others) == ["neutral", "police", "registry"]
    approvals = []
    for name in others:
        request = peer.ProposeRequest(contract=token, chains=chains)
        answer = world.port(name).as_peer("care", "Propose", request)
        assert answer.code is OK, answer
        approvals.append(peer.ProposeResponse.FromString(answer.body).approval)
        assert approvals[-1]
    approvals.append(forge_it(home, contract, digest))
    for name in others:
        start = len(world.facts(name))
        run = peer.RunRequest(contract=token, approvals=approvals, chains=chains)
        answer = world.port(name).as_peer("care", "Run", run)
        assert answer.code is UNAUTHENTICATED, answer
        (fact,) = world.facts(name, start)
        assert (fact.kind, fact.about) == ("session.refused", digest)
        assert re.search(r"KEY|SIGNATURE", fact.detail), fact.detail


@pytest.mark.parametrize("key", ["token", "federation"])
async def test_a_gateway_that_answers_in_its_agents_place_gets_nowhere(world: BrokenIn, key: str) -> None:
    world.order(do="approve", key=key)
    seen = _seen(world)
    done = await world.ask(QUERY)
    assert done.state in (State.FAILED, State.REJECTED), done
    assert (done.ending.reason, done.ending.space) == ("UNAUTHENTICATED", CARE)
    assert done.shares == ()
    assert not [fact for fact in seen() if fact.kind.startswith("session.")]
    # Its own agent has heard of nothing.
    assert not [fact for fact in seen("care") if fact.about == done.contract_digest]


@pytest.mark.parametrize("do", ["receipt", "share"])
async def test_a_receipt_is_the_agents_and_fits_what_came(world: BrokenIn, do: str) -> None:
    world.order(do=do)
    done = await world.ask(QUERY)
    assert done.state is State.FAILED
    assert done.ending.space == CARE
    assert done.ending.reason == ("UNAUTHENTICATED" if do == "receipt" else "PROTOCOL_VIOLATION")
    assert (done.shares, done.receipts) == ((), ())


def _seen(world: BrokenIn) -> Any:
    """What the agents' audit logs hold from now on."""
    starts = {space: len(world.facts(space)) for space in ("care", "police", "neutral", "registry")}
    return lambda *only: [fact for space in only or starts for fact in world.facts(space, starts[space])]


# What passes through it.


@pytest.mark.parametrize(
    ("do", "way"),
    [("alter", "out"), ("alter", "in"), ("cut", "out"), ("repeat", "in"), ("swap", "out"), ("invent", "in")],
)
async def test_a_frame_that_it_tampers_with_ends_the_session_before_anything_is_opened(
    world: BrokenIn, do: str, way: str
) -> None:
    world.order(do=do, way=way)
    seen = _seen(world)
    done = await world.ask(QUERY)
    assert done.state is State.FAILED, done
    assert done.ending.reason == "FRAME_UNREADABLE"
    assert (done.shares, done.receipts, done.views) == ((), (), ())
    kinds = {fact.kind for fact in seen() if fact.about == done.contract_digest}
    assert "session.started" in kinds
    assert "session.failed" in kinds
    assert "session.output" not in kinds


async def test_what_it_sees_passing_is_ciphertext_and_no_use_later(world: BrokenIn) -> None:
    frames = world.home / "frames.bin"
    world.order(do="record")
    done = await world.ask(replace(QUERY, demo_view=True))
    assert done.state is State.RELEASED
    recorded = frames.read_bytes()
    sent = next(receipt.bytes_sent for receipt in done.receipts if receipt.space == CARE)
    came = len(recorded)
    assert came > sent > 1_000_000, "not everything was recorded"
    # Shares that care's party sent to police's, as police's party saw them.
    shares = [int(value) for view in done.views for value in view.values if int(value) >= 1 << 40]
    assert len(shares) > 50
    spelled = {f"{share} {order}": share.to_bytes(ELEMENT_BYTES, order) for share in shares[:24] for order in ORDERS}
    sought = {**spelled, CANARY: CANARY.encode()}
    assert _found(sought, [recorded]) == set()
    compressed = len(zlib.compress(recorded, 1))
    assert compressed > 0.999 * len(recorded)
    # One of these frames, in the next session.
    world.order(do="old", way="out")
    done = await world.ask(QUERY)
    assert (done.state, done.shares) == (State.FAILED, ())
    assert done.ending.reason == "FRAME_UNREADABLE"


async def test_after_all_this_the_federation_computes(world: BrokenIn) -> None:
    world.order()
    assert (await world.ask(QUERY)).state is State.RELEASED
