"""Heads of audit logs that were signed in receipts, as a log is held against them.

Invariant: only a head that the log's own agent signed counts against its log: nobody can accuse it with another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from gateway.edges import ringfiles
from gateway.edges.audit_guard import Promise
from gateway.edges.tokens import signature_holds
from gateway.ports import Beliefs
from gateway.rules.heads import MAX_RECEIPT, signed_head
from gateway.rules.jose import TokenProblem, parse_compact

# The kind under which an agent keeps its newest receipt.
OWN_RECEIPT = "own receipt"


async def own_promises(beliefs: Beliefs) -> Sequence[Promise]:
    """The head that this agent signed last, as it keeps it itself. One that cannot be read says as little as none: who
    can spoil it can take it away too, and then only what others hold tells.
    """
    found = []
    for belief in await beliefs.all(OWN_RECEIPT):
        with suppress(TokenProblem):
            found.append(_promise(belief.body))
    return found


def promises_signed(receipts: Iterable[str], space: str, ring: Path) -> list[Promise]:
    """The heads in those of `receipts` that `space` signed with a contract key of its ring, now or in the past.

    Raises IsthmusError(CONFIGURATION) when the ring cannot be read.
    """
    keys = {entry.jwk.kid: entry.jwk for entry in ringfiles.read(ring).entries if entry.jwk is not None}
    found = []
    for receipt in dict.fromkeys(receipts):
        try:
            token, head = parse_compact(receipt, MAX_RECEIPT), signed_head(receipt)
        except TokenProblem:
            continue
        if head.space == space and token.kid in keys and signature_holds(token, keys[token.kid]):
            found.append(_promise(receipt))
    return found


def _promise(receipt: str) -> Promise:
    head = signed_head(receipt)
    return head.size, head.root, f"the receipt of session {_session(receipt)}"


def _session(receipt: str) -> str:
    return str(parse_compact(receipt, MAX_RECEIPT).claims.get("aud", "")).rpartition(":")[2]
