"""Proofs from files, checked without log, database or network: `isthmus audit check-proof`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.records import record
from gateway.rules import merkle_proofs
from gateway.rules.merkle import leaf_hash
from gateway.rules.records import from_plain

MAX_BYTES = 1024 * 1024


@record
class InclusionFile:
    kind: str
    log: str
    position: int
    record: str
    size: int
    root: str
    path: tuple[str, ...]

    def holds(self) -> bool:
        leaf, root = leaf_hash(self.record.encode()), _hex(self.root)
        return merkle_proofs.includes(root, self.size, self.position, leaf, [_hex(part) for part in self.path])

    def said(self) -> str:
        return f"Record {self.position} stands in the log of {self.log} with {self.size} records and root {self.root}."


@record
class ConsistencyFile:
    kind: str
    log: str
    since: int
    since_root: str
    size: int
    root: str
    path: tuple[str, ...]

    def holds(self) -> bool:
        earlier, root = _hex(self.since_root), _hex(self.root)
        return merkle_proofs.continues(self.since, earlier, self.size, root, [_hex(part) for part in self.path])

    def said(self) -> str:
        return (
            f"The log of {self.log} with {self.size} records and root {self.root} begins with the log that had "
            f"{self.since} records and root {self.since_root}."
        )


def read(file: Path) -> InclusionFile | ConsistencyFile:
    """Raises IsthmusError(INVALID_ARGUMENT)."""
    try:
        with file.open("rb") as opened:
            plain: Any = json.loads(opened.read(MAX_BYTES))
    except (ValueError, RecursionError):
        plain = None
    kinds: dict[object, type[InclusionFile | ConsistencyFile]] = {
        "inclusion": InclusionFile,
        "consistency": ConsistencyFile,
    }
    kind = kinds.get(plain.get("kind")) if isinstance(plain, dict) and isinstance(plain.get("kind"), str) else None
    if kind is None:
        raise IsthmusError(
            Reason.INVALID_ARGUMENT, f"{file} holds no proof", advice="A log's operator makes one: isthmus audit prove"
        )
    return from_plain(kind, plain, what="proof")


def check(proof: InclusionFile | ConsistencyFile, root: str) -> None:
    """Raises IsthmusError(AUDIT_BROKEN) unless it proves what it says, and of the head `root`, if one is given."""
    if not proof.holds():
        raise IsthmusError(
            Reason.AUDIT_BROKEN,
            "the proof does not prove what it says",
            field="path",
            advice=f"Ask the operator of {proof.log} for another, and hold its log against its receipts",
        )
    if root and root != proof.root:
        raise IsthmusError(
            Reason.AUDIT_BROKEN,
            "the proof is of another head",
            field="root",
            advice=f"Ask the operator of {proof.log} for one with --size of the head that you hold",
        )


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
