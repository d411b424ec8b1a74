"""What a party is told to do, and what is made of it when it fails: pure, from contract and roster.

Invariant: a party's culprit is named by pid or provider index; what leaves the space names the entity that the
contract has there, with a reason that everybody knows.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from gateway.domain.contract import Contract
from gateway.domain.errors import Reason
from gateway.domain.session import Failure
from gateway.rules.roster import Roster

# A party's reason codes (connectors.engine.errors.Abort), as everybody else knows them.
REASONS = {
    "BAD_INPUT": Reason.PROTOCOL_VIOLATION,
    "BAD_FRAME": Reason.PROTOCOL_VIOLATION,
    "FRAME_TOO_LARGE": Reason.PROTOCOL_VIOLATION,
    "WRONG_LENGTH": Reason.PROTOCOL_VIOLATION,
    "ELEMENT_OUT_OF_RANGE": Reason.PROTOCOL_VIOLATION,
    "UNDECLARED_PAYLOAD": Reason.PROTOCOL_VIOLATION,
    "INCONSISTENT_SHARES": Reason.INCONSISTENT_SHARES,
    "PROGRAM_MISMATCH": Reason.PROGRAM_MISMATCH,
    "DEADLINE": Reason.DEADLINE_EXCEEDED,
    "OUT_OF_MEMORY": Reason.RESOURCE_EXHAUSTED,
    "NOT_CONFINED": Reason.NO_FREE_SEAT,
}


def party_job(contract: Contract, roster: Roster, private_key: bytes, pid: int) -> dict[str, Any]:
    """The job of party `pid`, as `connectors.engine.job` reads it."""
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
    }


def blame(contract: Contract, entity: str, pid: int, said: Mapping[str, Any]) -> Failure:
    """The FAILED of party `pid` at `entity`, with its culprit as the entity that the contract has there."""
    culprit = said.get("culprit") or {}
    if "pid" in culprit:
        whose = contract.seats[culprit["pid"]].entity
    elif "provider" in culprit:
        whose = contract.providers[culprit["provider"]].entity
    else:
        whose = "" if said["reason"] == "DEADLINE" else entity
    reason = REASONS.get(str(said["reason"]), Reason.INTERNAL)
    return failure(reason, whose, str(said["phase"]), f"party {pid}: {said['detail']}")


def failure(reason: Reason, culprit: str, phase: str, text: str, action: str = "") -> Failure:
    """A failure with whose turn it is: the culprit's operator, or whoever asked where nobody is to blame."""
    turn = f"The operator of {culprit} has to look into it" if culprit else "Ask again"
    return Failure(reason.value, culprit, phase, text, action or turn)


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode()
