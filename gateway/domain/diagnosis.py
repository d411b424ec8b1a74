"""What `isthmus doctor` finds: steps, causes, whose turn it is, and the measurements that they are judged by.

Invariants: steps stand in the order in which they are tried, so that the first that failed is the root cause;
a cause never changes its name once released; texts name hosts, never "here" or "there", so that a finding
reads the same at either end; nothing in a finding may not be shown to the operator of either gateway.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

KIB, MIB = 1024, 1024 * 1024
# What an answer or request of a probe may be padded to, in bytes: just below the limit of a gRPC message.
LARGEST_PADDING = 5 * MIB - 64 * KIB
SIZES = (KIB, 64 * KIB, MIB, LARGEST_PADDING)


class Way(StrEnum):
    THERE = "there"
    BACK = "back"


class Step(StrEnum):
    """In the order in which they are tried. GATEWAY is the command's own, EXAMINATION opens the way back."""

    GATEWAY = "own gateway"
    EXAMINATION = "examination"
    NAME = "name resolution"
    PORT = "port"
    TLS = "TLS"
    CLOCK = "clock"
    CHAIN = "chain"
    AGENT = "agent"
    VERSIONS = "versions"
    POLICY = "policy"
    SIZES = "message sizes"
    BANDWIDTH = "bandwidth"
    ROUND_TRIP = "round trip"


# What an examination from one gateway to another consists of.
LINE = tuple(step for step in Step if step not in (Step.GATEWAY, Step.EXAMINATION))


class Outcome(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    NOT_TRIED = "not tried"


class Actor(StrEnum):
    """Whose turn it is, as the gateway that examines sees it."""

    NOBODY = ""
    OWN = "own operator"
    PEER = "peer's operator"
    BOTH = "both operators"
    NETWORK = "the network in between"


class Cause(StrEnum):
    """Stable names; docs/doctor.md explains each, and a test holds that."""

    NONE = ""
    UNNAMED = "UNNAMED"  # of a release that is newer than this one
    GATEWAY_UNREACHABLE = "GATEWAY_UNREACHABLE"
    EXAMINATION_UNKNOWN = "EXAMINATION_UNKNOWN"
    EXAMINATION_REFUSED = "EXAMINATION_REFUSED"
    EXAMINATION_BROKE_OFF = "EXAMINATION_BROKE_OFF"
    NAME_UNKNOWN = "NAME_UNKNOWN"
    RESOLVER_SILENT = "RESOLVER_SILENT"
    PORT_CLOSED = "PORT_CLOSED"
    PORT_FILTERED = "PORT_FILTERED"
    NO_ROUTE = "NO_ROUTE"
    TLS_SILENT = "TLS_SILENT"
    TLS_CLOSED = "TLS_CLOSED"
    TLS_ABSENT = "TLS_ABSENT"
    TLS_FAILED = "TLS_FAILED"
    WRONG_ENTITY = "WRONG_ENTITY"
    WRONG_AUTHORITY = "WRONG_AUTHORITY"
    CERTIFICATE_EXPIRED = "CERTIFICATE_EXPIRED"
    CERTIFICATE_NOT_YET_VALID = "CERTIFICATE_NOT_YET_VALID"
    CERTIFICATE_SOON = "CERTIFICATE_SOON"
    OWN_CERTIFICATE = "OWN_CERTIFICATE"
    CERTIFICATE_REFUSED = "CERTIFICATE_REFUSED"
    NOT_GRPC = "NOT_GRPC"
    CALLS_UNANSWERED = "CALLS_UNANSWERED"
    CLOCKS_DIFFER = "CLOCKS_DIFFER"
    PROBE_UNKNOWN = "PROBE_UNKNOWN"
    NOT_BELIEVED = "NOT_BELIEVED"
    OWN_STATEMENT = "OWN_STATEMENT"
    NOT_ADMITTED = "NOT_ADMITTED"
    ANCHOR_UNKNOWN = "ANCHOR_UNKNOWN"
    STATEMENT_EXPIRED = "STATEMENT_EXPIRED"
    STATEMENT_OLDER = "STATEMENT_OLDER"
    STATEMENT_REFUSED = "STATEMENT_REFUSED"
    AGENT_AWAY = "AGENT_AWAY"
    OFFER_REFUSED = "OFFER_REFUSED"
    VERSIONS_APART = "VERSIONS_APART"
    RELEASES_DIFFER = "RELEASES_DIFFER"
    OWN_AGENT_AWAY = "OWN_AGENT_AWAY"
    NOTHING_OPEN = "NOTHING_OPEN"
    NOTHING_OFFERED = "NOTHING_OFFERED"
    LARGE_MESSAGES_CUT = "LARGE_MESSAGES_CUT"
    LARGE_MESSAGES_REFUSED = "LARGE_MESSAGES_REFUSED"
    LINE_SLOW = "LINE_SLOW"
    LINE_BREAKS = "LINE_BREAKS"
    LINE_FAR = "LINE_FAR"


# With these the peer is there and turns us away: exit code 3 of the command.
REFUSALS = frozenset({Cause.CERTIFICATE_REFUSED, Cause.NOT_BELIEVED})


@dataclass(frozen=True, slots=True)
class Finding:
    """One step: `measured` is what was seen, `text` what it means, `advice` what `actor` has to do."""

    step: Step
    outcome: Outcome
    text: str
    cause: Cause = Cause.NONE
    measured: str = ""
    actor: Actor = Actor.NOBODY
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Ends:
    """Who examines whom, and where: `address` is dialled, `stated` is what the peer's own statement says."""

    own: str
    peer: str
    address: str
    stated: str = ""


class Trouble(StrEnum):
    """How a step below TLS ended that did not succeed."""

    NO_SUCH_NAME = "no such name"
    NO_RESOLVER = "no resolver"
    REFUSED = "refused"
    SILENT = "silent"
    UNREACHABLE = "unreachable"
    CLOSED = "closed"
    PLAINTEXT = "plaintext"
    CLIENT_REFUSED = "client refused"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Reached:
    """A name resolved (`what` lists addresses) or a port connected (`what` is the address), in `seconds`."""

    what: str = ""
    seconds: float = 0.0
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class Handshake:
    """What was seen of TLS; `issued` is None where the peer's CA is not known."""

    trouble: Trouble | None = None
    version: str = ""
    protocol: str = ""
    names: tuple[str, ...] = ()
    issuer: str = ""
    issued: bool | None = None
    begins: int = 0
    ends: int = 0


class Answer(StrEnum):
    """How a call to the peer ended."""

    GIVEN = "given"
    UNAUTHENTICATED = "unauthenticated"
    UNKNOWN_CALL = "unknown call"
    UNREACHABLE = "unreachable"
    LATE = "late"
    TOO_LARGE = "too large"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ClockSeen:
    """The peer's clock minus the own one, in milliseconds, known to within `within`."""

    offset: int
    within: int


@dataclass(frozen=True, slots=True)
class Spoken:
    """What one end speaks."""

    release: str
    protocols: tuple[int, ...]
    engine: str = ""
    codec: int = 0
    programs: frozenset[tuple[str, int, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Sent:
    """One message of `size` bytes and how it fared; `up` is to the peer. None: left out, the line is too slow."""

    size: int
    up: bool
    answer: Answer | None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Flow:
    """Bytes per second to the peer and back, or how the attempt broke off."""

    up: float = 0.0
    down: float = 0.0
    broken: Answer | None = None
