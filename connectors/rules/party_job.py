"""What a party is told to do, and what is made of it when it fails: pure, from contract and roster.

Invariants: a party's culprit is named by pid or provider index; what leaves the space names the entity that the
contract has there, with a reason that everybody knows; what a frame proves that does not open, and whose frames are
missing, is for `gateway.rules.blame` to say: such a report suspects, or leaves it open.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from gateway.domain.approval import SignedContract
from gateway.domain.contract import Contract
from gateway.domain.errors import Reason
from gateway.domain.session import UNDETERMINED, Failure
from gateway.rules.canonical import question
from gateway.rules.roster import Roster

# A party's reason codes (connectors.engine.errors.Abort), as everybody else knows them. Frames and inputs that do not
# open may have been altered by whoever carried them; the others were opened before they were judged.
REASONS = {
    "BAD_INPUT": Reason.FRAME_UNREADABLE,
    "BAD_FRAME": Reason.FRAME_UNREADABLE,
    "FRAME_TOO_LARGE": Reason.PROTOCOL_VIOLATION,
    "WRONG_LENGTH": Reason.PROTOCOL_VIOLATION,
    "ELEMENT_OUT_OF_RANGE": Reason.PROTOCOL_VIOLATION,
    "UNDECLARED_PAYLOAD": Reason.PROTOCOL_VIOLATION,
    "REPEATED_KEYS": Reason.PROTOCOL_VIOLATION,
    "INCONSISTENT_SHARES": Reason.INCONSISTENT_SHARES,
    "PROGRAM_MISMATCH": Reason.PROGRAM_MISMATCH,
    "DEADLINE": Reason.DEADLINE_EXCEEDED,
    "OUT_OF_MEMORY": Reason.RESOURCE_EXHAUSTED,
    "NOT_CONFINED": Reason.NO_FREE_SEAT,
}
# Whoever is waited for may be waiting too; shares that do not fit say only that one of them is wrong; and whether a
# provider's keys repeat is computed by parties of which one may have lied.
_NOBODYS = frozenset({"DEADLINE", "INCONSISTENT_SHARES", "REPEATED_KEYS"})


def keeper(contract: SignedContract, storage_key: bytes) -> dict[str, str] | None:
    """For whom a party seals its output shares once more: the agent, under its own public key, if it has one."""
    if not storage_key:
        return None
    return {"key": _text(storage_key), "contract": contract.digest, "question": question(contract.body)}


def party_job(
    contract: Contract, roster: Roster, private_key: bytes, pid: int, kept_by: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The job of party `pid`, as `connectors.engine.job` reads it; `kept_by` is its agent's `keeper`."""
    return {
        "session": contract.session,
        "transcript": roster.transcript.hex(),
        "pid": pid,
        "m": contract.m,
        "t": contract.t,
        "program": {
            "name": contract.program.name,
            "version": contract.program.version,
            "digest": contract.program.digest,
        },
        "parameters": json.loads(contract.program.parameters),
        "providers": [
            {
                "entity": provider.entity,
                "rows": provider.row_bound,
                "session_key": _text(roster.providers[provider.entity]),
            }
            for provider in contract.providers
        ],
        "seats": [
            {"pid": seat.pid, "entity": seat.entity, "session_key": _text(roster.seats[seat.pid])}
            for seat in contract.seats
        ],
        "private_key": _text(private_key),
        "recipients": [{"name": recipient.name, "key": recipient.key} for recipient in contract.recipients],
        "deadline_seconds": contract.deadlines.total,
        "demo_view": pid == contract.viewed_pid(),
        "keeper": kept_by,
    }


def blame(contract: Contract, entity: str, pid: int, said: Mapping[str, Any]) -> Failure:
    """The FAILED of party `pid` at `entity`, with its culprit as the entity that the contract has there."""
    reason = REASONS.get(str(said["reason"]), Reason.INTERNAL)
    culprit = said.get("culprit") or {}
    if said["reason"] in _NOBODYS:
        whose = UNDETERMINED
    elif "pid" in culprit:
        whose = contract.seats[culprit["pid"]].entity
    elif "provider" in culprit:
        whose = contract.providers[culprit["provider"]].entity
    else:
        whose = entity
    return failure(reason, whose, str(said["phase"]), f"party {pid}: {said['detail']}")


def failure(reason: Reason, culprit: str, phase: str, text: str, action: str = "") -> Failure:
    """A failure with whose turn it is: the culprit's operator, or whoever asked where nobody is to blame."""
    turn = "Ask again" if culprit == UNDETERMINED else f"The operator of {culprit} has to look into it"
    return Failure(reason.value, culprit, phase, text, action or turn)


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode()
