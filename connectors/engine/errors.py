"""How a session ends badly. Invariant: every abort has a stable reason, and names a culprit where one is
known.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Abort(StrEnum):
    """Stable reason codes of a party process."""

    BAD_JOB = "BAD_JOB"
    PROGRAM_MISMATCH = "PROGRAM_MISMATCH"
    BAD_INPUT = "BAD_INPUT"
    BAD_FRAME = "BAD_FRAME"
    FRAME_TOO_LARGE = "FRAME_TOO_LARGE"
    WRONG_LENGTH = "WRONG_LENGTH"
    ELEMENT_OUT_OF_RANGE = "ELEMENT_OUT_OF_RANGE"
    UNDECLARED_PAYLOAD = "UNDECLARED_PAYLOAD"
    REPEATED_KEYS = "REPEATED_KEYS"
    INCONSISTENT_SHARES = "INCONSISTENT_SHARES"
    DEADLINE = "DEADLINE"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    NOT_CONFINED = "NOT_CONFINED"
    INTERNAL = "INTERNAL"


@dataclass(frozen=True, slots=True)
class Culprit:
    """The seat or provider (by its index in the contract) whose behaviour ended the session."""

    role: Literal["pid", "provider"]
    index: int


class SessionAborted(Exception):
    """The session is over; nothing further is sent."""

    def __init__(self, reason: Abort, detail: str, culprit: Culprit | None = None, phase: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail, self.culprit, self.phase = reason, detail, culprit, phase


class InputRejected(ValueError):
    """Parameters or rows that a program does not take; `field` says which, in the caller's words."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field, self.detail = field, detail
