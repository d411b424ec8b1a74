"""What the command line's exit code says (DESIGN section 8).

Invariant: every `Reason` and every state has a code, and a test holds that; codes never change their meaning.
"""

from __future__ import annotations

from gateway.domain.computation import State
from gateway.domain.errors import Reason

OK, USAGE, REFUSED, WITHHELD, FAILED = 0, 2, 3, 4, 5

BY_REASON: dict[Reason, int] = {
    Reason.UNAUTHENTICATED: REFUSED,
    Reason.PERMISSION_DENIED: REFUSED,
    Reason.REVOKED: REFUSED,
    Reason.INVALID_ARGUMENT: USAGE,
    Reason.MALFORMED_QUERY: USAGE,
    Reason.NO_DEADLINE: USAGE,
    Reason.UNKNOWN_DATASET: USAGE,
    Reason.UNKNOWN_COLUMN: USAGE,
    Reason.UNKNOWN_CODE: USAGE,
    Reason.WRONG_FILTER_TYPE: USAGE,
    Reason.NOT_FOUND: USAGE,
    Reason.ALREADY_EXISTS: USAGE,
    Reason.RESULT_DELETED: FAILED,
    Reason.SEATS_REFUSED: REFUSED,
    Reason.POLICY_REFUSED: REFUSED,
    Reason.NOT_APPROVED: REFUSED,
    Reason.NOT_RELEASABLE: WITHHELD,
    Reason.PROGRAM_UNKNOWN: REFUSED,
    Reason.PROGRAM_MISMATCH: REFUSED,
    Reason.CONTRACT_INVALID: REFUSED,
    Reason.CONTRACT_EXPIRED: REFUSED,
    Reason.CONTRACT_CONSUMED: REFUSED,
    Reason.APPROVALS_INVALID: REFUSED,
    Reason.EDITION_CHANGED: REFUSED,
    Reason.REVOCATION_STALE: REFUSED,
    Reason.RULEBOOK_NOT_ACCEPTED: REFUSED,
    Reason.SPACE_PAUSED: REFUSED,
    Reason.SOURCE_UNREADABLE: FAILED,
    Reason.ROWS_EXCEED_BOUND: FAILED,
    Reason.INPUT_OUT_OF_RANGE: FAILED,
    Reason.PEER_UNREACHABLE: FAILED,
    Reason.AGENT_UNREACHABLE: FAILED,
    Reason.NO_FREE_SEAT: FAILED,
    Reason.PARTY_DIED: FAILED,
    Reason.PARTY_STALLED: FAILED,
    Reason.PROTOCOL_VIOLATION: FAILED,
    Reason.FRAME_UNREADABLE: FAILED,
    Reason.DEADLINE_EXCEEDED: FAILED,
    Reason.CANCELLED: FAILED,
    Reason.INCONSISTENT_SHARES: FAILED,
    Reason.KEPT_SHARE_UNREADABLE: FAILED,
    Reason.ILLEGAL_TRANSITION: REFUSED,
    Reason.RESOURCE_EXHAUSTED: FAILED,
    Reason.AUDIT_BROKEN: REFUSED,
    Reason.CONFIGURATION: USAGE,
    Reason.INTERNAL: FAILED,
}

# Of a computation that ended; one that lives has not failed.
BY_STATE: dict[State, int] = {
    State.PENDING: OK,
    State.AWAITING_APPROVAL: OK,
    State.AGREED: OK,
    State.RUNNING: OK,
    State.RELEASED: OK,
    State.WITHHELD: WITHHELD,
    State.REJECTED: REFUSED,
    State.CANCELLED: FAILED,
    State.FAILED: FAILED,
    State.EXPIRED: FAILED,
}
