"""What one space offers to a federation: datasets, seats, programs. Signed by its agent."""

from __future__ import annotations

from gateway.domain.dataset import Dataset
from gateway.domain.errors import Reason
from gateway.domain.records import record


@record
class ProgramOffer:
    """A program as one space would run it: the digest covers engine and program."""

    name: str
    version: int
    digest: str
    leakage: str


@record
class Offer:
    """Everything a space's agent says of itself in public."""

    datasets: tuple[Dataset, ...]
    programs: tuple[ProgramOffer, ...]
    seats: int
    engine: str
    codec: int


@record
class Operator:
    """Who runs a space: `group` and `affiliates` say whose hands it is in (seats are counted per hands)."""

    entity: str
    name: str
    group: str
    affiliates: tuple[str, ...] = ()
    jurisdiction: str = ""


@record
class Objection:
    """Why no session begins with a space now: it has paused or left, or owes the rulebook."""

    reason: Reason
    text: str
    advice: str = ""


@record
class Space:
    """One space as the federation sees it: verified operator, verified offer, and the offer's age; the version of the
    rulebook that it has accepted, and why no session begins with it now, if anything is against that."""

    operator: Operator
    offer: Offer
    seen: int
    reachable: bool = True
    rulebook: int = 0
    objection: Objection | None = None
