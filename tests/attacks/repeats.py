"""What care's agent keeps of a contract that was answered before, put into its store; and the same question again."""

from __future__ import annotations

import base64
import json
import sqlite3
from dataclasses import replace

from gateway.domain.approval import SignedContract
from gateway.domain.computation import SealedShare
from gateway.domain.contract import Contract, Recipient
from gateway.domain.identity import b64url
from gateway.domain.kept import Kept, KeptShare
from gateway.edges.documents import _recalled
from gateway.edges.keys import load_agreement_key
from gateway.rules import sealing
from gateway.rules.canonical import question
from gateway.rules.jose import parse_compact
from gateway.rules.records import to_bytes
from gateway.rules.roster import roster
from tests.attacks.rogue import CARE, World
from tests.examples import cell_codes

EARLIER = "e" * 64
TRANSCRIPT = b"T" * 32


def vector(contract: Contract) -> list[int]:
    """Output shares, by their look: a number for each count, and one for each flag."""
    return [1000 + number for number in range(2 * len(cell_codes(contract)))]


def keeps(world: World, contract: Contract, *, as_of: str = EARLIER) -> Kept:
    """Of the contract EARLIER, which asked the same, care's agent keeps the share of seat 0; sealed as of the contract
    `as_of`."""
    private, public = sealing.fresh_key()
    storage = load_agreement_key(world.home(CARE) / "agent" / "storage.pem").secret.public_key().public_bytes_raw()
    asked = question(contract)
    sealed = sealing.seal_kept(storage, private, TRANSCRIPT, 0, as_of, asked, vector(contract))
    kept = Kept(
        EARLIER, "0" * 32, CARE, asked, tuple(seat.entity for seat in contract.seats), contract.t,
        contract.program.digest, contract.program.parameters, TRANSCRIPT.hex(), _text(storage),
        (KeptShare(0, _text(public), _text(sealed)),), contract.not_before,
    )  # fmt: skip
    row = (kept.contract, kept.session, asked, " ".join(kept.seats), kept.at, to_bytes(kept).decode())
    with sqlite3.connect(world.home(CARE) / "agent.db", timeout=10) as database:
        database.execute("INSERT OR REPLACE INTO kept_shares VALUES (?, ?, ?, ?, ?, ?)", row)
    database.close()
    return kept


def keeps_nothing(world: World) -> None:
    with sqlite3.connect(world.home(CARE) / "agent.db", timeout=10) as database:
        database.execute("DELETE FROM kept_shares")
    database.close()


def received_by(contract: Contract, public: bytes) -> Contract:
    return replace(contract, recipients=(Recipient("client analyst", "client", _text(public)),))


def opened(contract: Contract, token: str, digest: str, approvals: list[str], share: SealedShare, key: bytes) -> object:
    """The share, as the recipient opens it."""
    keys = roster(SignedContract(contract, digest, token), [_recalled(approval) for approval in approvals])
    sealed = base64.b64decode(share.sealed)
    return sealing.open_output(key, keys.seats[share.pid], keys.transcript, share.pid, share.recipient, sealed)


def named(approval: str) -> str:
    return str(parse_compact(approval, 64 * 1024).claims["kept"])


def renamed(approval: str, kept: str) -> str:
    """Another contract named under the old signature."""
    head, _, signature = approval.split(".")
    claims = parse_compact(approval, 64 * 1024).claims
    return ".".join((head, b64url(json.dumps({**claims, "kept": kept}).encode()), signature))


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
