"""Who takes part in a session and by which keys: derived from contract and approvals, never sent.

Invariants: a session exists only if the approvers are exactly the contract's seats and providers, each once,
each with one fresh key per role; the transcript digest T binds every key to the contract and all approvals.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.domain.approval import SignedApproval, SignedContract
from gateway.domain.computation import SealedShare
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.result import Table
from gateway.rules import release, sealing, sharing

DIGEST_BYTES = 32
KEY_BYTES = 32
_LABEL = b"isthmus session transcript v1"


@dataclass(frozen=True, slots=True)
class Roster:
    """T, and the public session keys of seats by pid and of providers by entity ID (raw X25519)."""

    transcript: bytes
    seats: Mapping[int, bytes]
    providers: Mapping[str, bytes]


def transcript(contract: bytes, seats: Mapping[int, bytes], providers: Mapping[str, bytes]) -> bytes:
    """T of DESIGN section 5: contract digest, approval digests of seats by pid, then of providers by entity ID.

    All digests are 32 bytes, else ValueError. Entity IDs are ordered by their UTF-8 bytes.
    """
    by_seat = [seats[pid] for pid in sorted(seats)]
    by_provider = [providers[entity] for entity in sorted(providers, key=str.encode)]
    if any(len(digest) != DIGEST_BYTES for digest in (contract, *by_seat, *by_provider)):
        raise ValueError("a digest in the transcript is not 32 bytes long")
    counts = struct.pack("<II", len(by_seat), len(by_provider))
    return hashlib.sha256(b"".join((_LABEL, counts, contract, *by_seat, *by_provider))).digest()


def roster(contract: SignedContract, approvals: Sequence[SignedApproval]) -> Roster:
    """Raises IsthmusError(APPROVALS_INVALID) unless these are exactly the approvals of this contract."""
    body = contract.body
    entities = [approval.entity for approval in approvals]
    for entity in body.entities():
        if entities.count(entity) != 1:
            raise _invalid(f"{entities.count(entity)} approvals of this space came, not one", entity)
    if len(entities) != len(body.entities()):
        raise _invalid("an approval came from a space that takes no part", "")
    seats: dict[int, bytes] = {}
    providers: dict[str, bytes] = {}
    for approval in approvals:
        if approval.body.contract_digest != contract.digest:
            raise _invalid("an approval is for other bytes than this contract", approval.entity)
        expected = [seat.pid for seat in body.seats_of(approval.entity)]
        if [key.pid for key in approval.body.seats] != expected:
            raise _invalid("an approval does not bring a key for each seat of its space", approval.entity)
        if bool(approval.body.provider) is not (body.provider_of(approval.entity) is not None):
            raise _invalid("an approval does not fit its space's part as a provider", approval.entity)
        for key in approval.body.seats:
            seats[key.pid] = _key(key.key, approval.entity)
        if approval.body.provider:
            providers[approval.entity] = _key(approval.body.provider, approval.entity)
    keys = [*seats.values(), *providers.values()]
    if len(set(keys)) != len(keys):
        raise _invalid("one session key stands for two roles", "")
    digests = {approval.entity: bytes.fromhex(approval.digest) for approval in approvals}
    t = transcript(
        bytes.fromhex(contract.digest),
        {seat.pid: digests[seat.entity] for seat in body.seats},
        {provider.entity: digests[provider.entity] for provider in body.providers},
    )
    return Roster(t, seats, providers)


def open_result(
    contract: SignedContract,
    approvals: Sequence[SignedApproval],
    shares: Sequence[SealedShare],
    recipient: str,
    private: bytes,
) -> Table:
    """Open every party's output share sealed to `recipient` and reconstruct the table.

    Raises IsthmusError(INCONSISTENT_SHARES) when a share does not open or they do not fit together.
    """
    keys = roster(contract, approvals)
    vectors: dict[int, list[int]] = {}
    for share in shares:
        if share.recipient != recipient:
            continue
        if share.pid in vectors or share.pid not in keys.seats:
            raise sharing.inconsistent("two shares of one party, or of none")
        try:
            sealed = base64.b64decode(share.sealed, validate=True)
            vectors[share.pid] = sealing.open_output(
                private, keys.seats[share.pid], keys.transcript, share.pid, recipient, sealed
            )
        except (sealing.SealBroken, binascii.Error) as broken:
            raise sharing.inconsistent(f"the share of party {share.pid}: {broken}") from None
    return release.open_table(contract.body, vectors)


def _key(text: str, entity: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise _invalid("a session key is not an X25519 key of 32 bytes", entity)
    return key


def _invalid(public: str, entity: str) -> IsthmusError:
    return IsthmusError(
        Reason.APPROVALS_INVALID, public, space=entity, advice="Have the contract approved again by every space"
    )
