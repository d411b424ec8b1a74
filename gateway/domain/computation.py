"""The resource that a client creates, watches, cancels and reads; and what each space keeps of it."""

from __future__ import annotations

from enum import StrEnum

from gateway.domain.records import record


class State(StrEnum):
    PENDING = "PENDING"
    AWAITING_APPROVAL = "AWAITING_APPROVAL"
    AGREED = "AGREED"
    RUNNING = "RUNNING"
    RELEASED = "RELEASED"
    WITHHELD = "WITHHELD"
    REJECTED = "REJECTED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"


class Role(StrEnum):
    """HOME where the request came in, PARTICIPANT at every other space that took part."""

    HOME = "HOME"
    PARTICIPANT = "PARTICIPANT"


@record
class Ending:
    """Why a computation ended other than by release: whose doing, in which phase, whose turn it is now."""

    reason: str
    space: str
    phase: str
    text: str
    action: str


@record
class SpaceStatus:
    """Where one space stands: PROPOSED, APPROVED, REFUSED, RUNNING, DONE or FAILED, with its phase. While people
    decide: READY (nobody there has to), DELIVERED, SEEN, APPROVED, REFUSED or UNREACHABLE, and the phase says how many
    have."""

    space: str
    status: str
    phase: str = ""
    fraction: float = 0.0


@record
class SealedShare:
    """One party's output share, sealed to one recipient (base64 of HPKE ciphertext)."""

    pid: int
    recipient: str
    sealed: str


@record
class Receipt:
    """What a space signs at the end of a session; `token` is the signed form, the rest is its content. `redelivered` is
    the digest of the contract whose kept shares it sent, where no session was run, else empty."""

    space: str
    contract: str
    outputs: tuple[str, ...]
    minimum_cell: int
    zero_is_small: bool
    tree_size: int
    tree_head: str
    bytes_sent: int
    rounds: int
    seconds: float
    token: str
    redelivered: str = ""
    # Noise that was added, if any.
    epsilon: str | None = None


@record
class View:
    """A sample of one party's receive buffer, shown because the contract says so (demonstrations only)."""

    pid: int
    space: str
    step: str
    sender: int
    values: tuple[str, ...]


@record
class Deletion:
    """What was deleted of it when its time was over: `kind` is "results" or "computations", kept for `days`."""

    kind: str
    at: int
    days: int


@record
class Computation:
    """One computation as one space sees it. `query` and `contract` are kept as the bytes they came in."""

    id: str
    role: Role
    requester: str
    request_id: str
    request_digest: str
    state: State
    query: str
    contract: str
    contract_digest: str
    created: int
    updated: int
    expires: int
    revision: int = 0
    approvals: tuple[str, ...] = ()
    spaces: tuple[SpaceStatus, ...] = ()
    shares: tuple[SealedShare, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    views: tuple[View, ...] = ()
    ending: Ending | None = None
    seconds: float = 0.0
    deletions: tuple[Deletion, ...] = ()
    # What people decide on, as it was signed, and its digest; the contract is frozen when they have.
    plan: str = ""
    plan_digest: str = ""

    @property
    def waits_for_people(self) -> bool:
        return bool(self.plan) and not self.contract

    @property
    def name(self) -> str:
        return f"computations/{self.id}"
