"""A signed contract, and a space's approval of it: the keys of its roles in this session, nothing else."""

from __future__ import annotations

from gateway.domain.contract import Contract
from gateway.domain.records import record


@record
class SeatKey:
    """The fresh X25519 public key (base64) of one seat for one session."""

    pid: int
    key: str


@record
class ApprovalBody:
    """What the agent signs: one key per seat it holds, one if it provides data ("" if not), its decisions. `kept` is
    the digest of the earlier contract of which it keeps the output shares of these very seats ("" for none)."""

    contract_digest: str
    seats: tuple[SeatKey, ...]
    provider: str = ""
    # What this space's stewards signed about the plan (`isthmus-decision+jwt`), where its policy wants persons.
    decisions: tuple[str, ...] = ()
    kept: str = ""


@record
class SignedApproval:
    """A verified approval; `digest` is over its signed payload, `token` its signed form."""

    entity: str
    body: ApprovalBody
    digest: str
    token: str


@record
class SignedContract:
    """A verified contract; `digest` is over its signed payload, `token` its signed form."""

    body: Contract
    digest: str
    token: str


@record
class Approved:
    """What an agent keeps of a contract that it approved at a time: both as they were signed; `question` is the digest
    of the canonical query (`gateway.rules.canonical`)."""

    digest: str
    approval: str
    contract: str
    question: str
    initiator: str
    at: int
