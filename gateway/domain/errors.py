"""What can go wrong, once for the whole house.

Invariants: a `Reason` never changes its name once released; the public text may be shown to whoever
asked, the private text goes to the audit record and the log alone. A public text says what happened,
to whom, and what to do next.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Stable codes; clients decide on them, `edges/grpc/errors.py` maps each to one gRPC status."""

    # who asks
    UNAUTHENTICATED = "UNAUTHENTICATED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    REVOKED = "REVOKED"
    # what is asked
    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    MALFORMED_QUERY = "MALFORMED_QUERY"
    NO_DEADLINE = "NO_DEADLINE"
    UNKNOWN_DATASET = "UNKNOWN_DATASET"
    UNKNOWN_COLUMN = "UNKNOWN_COLUMN"
    UNKNOWN_CODE = "UNKNOWN_CODE"
    WRONG_FILTER_TYPE = "WRONG_FILTER_TYPE"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    RESULT_DELETED = "RESULT_DELETED"
    # what the federation answers
    SEATS_REFUSED = "SEATS_REFUSED"
    POLICY_REFUSED = "POLICY_REFUSED"
    NOT_APPROVED = "NOT_APPROVED"
    NOT_RELEASABLE = "NOT_RELEASABLE"
    PROGRAM_UNKNOWN = "PROGRAM_UNKNOWN"
    PROGRAM_MISMATCH = "PROGRAM_MISMATCH"
    CONTRACT_INVALID = "CONTRACT_INVALID"
    CONTRACT_EXPIRED = "CONTRACT_EXPIRED"
    CONTRACT_CONSUMED = "CONTRACT_CONSUMED"
    APPROVALS_INVALID = "APPROVALS_INVALID"
    EDITION_CHANGED = "EDITION_CHANGED"
    REVOCATION_STALE = "REVOCATION_STALE"
    RULEBOOK_NOT_ACCEPTED = "RULEBOOK_NOT_ACCEPTED"
    SPACE_PAUSED = "SPACE_PAUSED"
    # what sources answer
    SOURCE_UNREADABLE = "SOURCE_UNREADABLE"
    ROWS_EXCEED_BOUND = "ROWS_EXCEED_BOUND"
    INPUT_OUT_OF_RANGE = "INPUT_OUT_OF_RANGE"
    # what happens to a session
    PEER_UNREACHABLE = "PEER_UNREACHABLE"
    AGENT_UNREACHABLE = "AGENT_UNREACHABLE"
    NO_FREE_SEAT = "NO_FREE_SEAT"
    PARTY_DIED = "PARTY_DIED"
    PARTY_STALLED = "PARTY_STALLED"
    PROTOCOL_VIOLATION = "PROTOCOL_VIOLATION"
    FRAME_UNREADABLE = "FRAME_UNREADABLE"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    CANCELLED = "CANCELLED"
    INCONSISTENT_SHARES = "INCONSISTENT_SHARES"
    KEPT_SHARE_UNREADABLE = "KEPT_SHARE_UNREADABLE"
    # the house itself
    ILLEGAL_TRANSITION = "ILLEGAL_TRANSITION"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    AUDIT_BROKEN = "AUDIT_BROKEN"
    CONFIGURATION = "CONFIGURATION"
    INTERNAL = "INTERNAL"


class IsthmusError(Exception):
    """One failure with its reason, whom it concerns, and what to do next.

    `public` may be shown to the asker; `private` may not. `field` is the path of the offending field
    (`sources[1].filters[0].column`), `space` the entity ID of the space concerned, `advice` the next step.
    """

    def __init__(
        self,
        reason: Reason,
        public: str,
        *,
        private: str = "",
        field: str = "",
        space: str = "",
        advice: str = "",
    ) -> None:
        super().__init__(public)
        self.reason = reason
        self.public = public
        self.private = private
        self.field = field
        self.space = space
        self.advice = advice

    @property
    def in_full(self) -> str:
        """For the audit log alone: the private text stands in it."""
        return f"{self.reason}: {self.public}" + (f" [{self.private}]" if self.private else "")

    def __str__(self) -> str:
        where = ", ".join(part for part in (self.field, self.space) if part)
        text = f"{self.public} ({where})" if where else self.public
        return f"{text}. {self.advice}" if self.advice else text
