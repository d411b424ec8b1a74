"""The contract: a plan frozen as signed bytes with one digest. Every space approves exactly these bytes.

Field names are the JSON names (DESIGN section 5). Times are seconds since 1970; the prime is a string
because JSON numbers end at 2^53.
"""

from __future__ import annotations

from gateway.domain.query import Query
from gateway.domain.records import record
from gateway.domain.session import PROVIDER_BASE


@record
class Program:
    name: str
    version: int
    digest: str
    engine: str
    codec: int
    # Canonical JSON text: its shape is the program's own affair.
    parameters: str


@record
class Seat:
    pid: int
    entity: str
    operator: str


@record
class Input:
    """One edition of one dataset, as its owner froze it for this contract."""

    dataset: str
    edition: str
    snapshot: str
    row_bound: int


@record
class Provider:
    """An agent that secret-shares its people; `row_bound` is the public size they are padded to."""

    entity: str
    inputs: tuple[Input, ...]
    row_bound: int


@record
class Recipient:
    """Who reconstructs: `client` holds its own key, `gateway` stands in for a client without one."""

    name: str
    kind: str
    key: str


@record
class KeyRule:
    """By which rules texts of a key column are compared, where they are not the usual ones; sorted."""

    column: str
    normalise: tuple[str, ...]


@record
class Limits:
    """`dominance` is the percentage of a shown cell that one provider may have, `rounding` what counts are multiples
    of; None where they limit nothing. With `epsilon` (a decimal, as text) noise is added to every count, under MPC, and
    the other limits apply to what comes out."""

    minimum_cell: int
    zero_is_small: bool
    provider_subtraction: bool
    dominance: int | None = None
    rounding: int | None = None
    epsilon: str | None = None


@record
class Deadlines:
    """Seconds: to connect all channels, without a sign of life, and for the whole session."""

    connect: int
    stall: int
    total: int


@record
class Contract:
    session: str
    initiator: str
    requester: str
    # True when the requester signed the query; otherwise the home gateway vouches for it.
    requester_signed: bool
    query: Query
    program: Program
    field: str
    m: int
    t: int
    seats: tuple[Seat, ...]
    providers: tuple[Provider, ...]
    recipients: tuple[Recipient, ...]
    limits: Limits
    deadlines: Deadlines
    demo_view: bool
    not_before: int
    expires: int
    # As what the requester asks: the word of the initiator's gateway, in order.
    requester_roles: tuple[str, ...] = ()
    # By column of `link_on`; None where all are compared by the usual rules.
    key_rules: tuple[KeyRule, ...] | None = None

    def entities(self) -> tuple[str, ...]:
        """Every space that must approve, in a fixed order: seats by pid, then providers."""
        seen = dict.fromkeys(seat.entity for seat in self.seats)
        seen.update(dict.fromkeys(provider.entity for provider in self.providers))
        return tuple(seen)

    def viewed_pid(self) -> int | None:
        """The one party that shows a sample of its receive buffer, if any: the initiator's own, else nobody.

        The sample goes to the initiator. Of another's party it would add to what the initiator's own party sees,
        and what t + 1 parties received gives intermediate values away, suppressed counts among them.
        """
        if not self.demo_view:
            return None
        return next((seat.pid for seat in self.seats_of(self.initiator)), None)

    def entity_at(self, address: int) -> str | None:
        """The space behind an address of session traffic: a pid, or 256 plus the index of a provider."""
        if 0 <= address < self.m:
            return self.seats[address].entity
        index = address - PROVIDER_BASE
        return self.providers[index].entity if 0 <= index < len(self.providers) else None

    def seats_of(self, entity: str) -> tuple[Seat, ...]:
        return tuple(seat for seat in self.seats if seat.entity == entity)

    def provider_of(self, entity: str) -> Provider | None:
        return next((provider for provider in self.providers if provider.entity == entity), None)
