"""What a space reports while it runs a contract, and what one space answers to another."""

from __future__ import annotations

from gateway.domain.computation import SealedShare
from gateway.domain.records import record

# In place of a culprit: nobody can tell whose doing it was. No entity ID, and shown to users as it is.
UNDETERMINED = "UNDETERMINED"


@record
class Heartbeat:
    """The agent lives; says nothing else."""


@record
class Progress:
    phase: str
    fraction: float


@record
class ViewSample:
    """What one party received at one step (demonstrations only)."""

    pid: int
    step: str
    sender: int
    values: tuple[str, ...]


@record
class Completed:
    """The agent's signed receipt; nothing comes after it."""

    receipt: str
    views: tuple[ViewSample, ...] = ()


@record
class Failure:
    """Why a session ended: a stable reason, whose doing (an entity, or UNDETERMINED), in which phase, and whose
    turn it is now. Of a space it is its report; what all of them are told is `rules.blame.verdict`. `found` is what the
    gateway that reads this found itself, in what came to it; it is on no line, so that nobody can claim it."""

    reason: str
    culprit: str
    phase: str
    text: str
    action: str = ""
    found: bool = False


RunEvent = Heartbeat | Progress | SealedShare | Completed | Failure


@record
class Refusal:
    """A space's no: stable reason, text for people, the field concerned, what would pass."""

    reason: str
    text: str
    field: str = ""
    advice: str = ""
    space: str = ""


@record
class Approval:
    """A space's yes: the signed approval with the session keys of its seats and its provider."""

    token: str


@record
class Frame:
    """A piece of sealed session traffic. `source` is a pid, or 256 plus the index of a provider.

    What is sealed as one may travel in several frames from the same source to the same destination; all but
    the last say that `more` follows.
    """

    source: int
    destination: int
    sealed: bytes
    more: bool = False


PROVIDER_BASE = 256
