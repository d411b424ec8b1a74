"""The plan: the query resolved, before anybody is asked to approve it."""

from __future__ import annotations

from enum import StrEnum

from gateway.domain.contract import Contract
from gateway.domain.records import record


class Decision(StrEnum):
    ALLOWED = "ALLOWED"
    REFUSED = "REFUSED"
    UNREACHABLE = "UNREACHABLE"


@record
class Verdict:
    """What one space says to a plan from public metadata alone.

    A space that would hold a seat also says what its engine would cost: rounds, and bytes sent by one party. An owner
    that keeps an answer to this very question says which spaces had the seats then, by pid.
    """

    space: str
    decision: Decision
    rounds: int = 0
    bytes_per_party: int = 0
    reason: str = ""
    text: str = ""
    advice: str = ""
    kept_seats: tuple[str, ...] = ()


@record
class Learns:
    """Who learns what when the plan runs."""

    who: str
    what: str


@record
class Forecast:
    """Seconds of one session on the local network, bytes that one party sends, rounds."""

    seconds: float
    bytes_per_party: int
    rounds: int


@record
class Persons:
    """At `space`, `persons` stewards have to approve, within `hours`."""

    space: str
    persons: int
    hours: int


@record
class Plan:
    """`draft` is the contract as it would be frozen; `smallest_group` the fewest operators that together
    would see every record."""

    draft: Contract
    smallest_group: tuple[str, ...]
    learns: tuple[Learns, ...]
    forecast: Forecast
    verdicts: tuple[Verdict, ...] = ()
    persons: tuple[Persons, ...] = ()

    @property
    def refusals(self) -> tuple[Verdict, ...]:
        return tuple(verdict for verdict in self.verdicts if verdict.decision is not Decision.ALLOWED)
