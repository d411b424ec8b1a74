"""What one space offers to a federation: datasets, seats, programs. Signed by its agent."""

from __future__ import annotations

from gateway.domain.dataset import Dataset
from gateway.domain.errors import Reason
from gateway.domain.records import record


@record
class Opening:
    """A step in which parties open values, and why these may be known."""

    step: str
    why: str


@record
class ProgramCost:
    """What a run takes with m parties and `providers` of equal size that have `rows` together: rounds, and bytes that
    one party sends on average."""

    m: int
    providers: int
    rows: int
    rounds: int
    bytes_per_party: int


@record
class ProgramOffer:
    """A program as one space would run it: the digest covers engine and program, and with them all that is said here.
    `formula` says what the cost consists of, `sample` of which question `costs` are."""

    name: str
    version: int
    digest: str
    leakage: str
    title: str = ""
    inputs: str = ""
    outputs: str = ""
    takes: str = ""
    opens: tuple[Opening, ...] = ()
    formula: str = ""
    sample: str = ""
    costs: tuple[ProgramCost, ...] = ()
    # Canonical text of a package's descriptor (gateway.domain.program); empty for programs of the release.
    descriptor: str = ""

    @property
    def identity(self) -> tuple[str, int, str]:
        """Two spaces that say the same here run the same code."""
        return self.name, self.version, self.digest


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
