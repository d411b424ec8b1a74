"""What an agent keeps of a released result: the output shares of its own seats, sealed to itself."""

from __future__ import annotations

from gateway.domain.records import record


@record
class KeptShare:
    """The output share of one seat: `key` is the seat's public session key (base64) that authenticates what is
    `sealed` (base64)."""

    pid: int
    key: str
    sealed: str


@record
class Kept:
    """Of one contract, by its digest. `question` is the digest of the canonical query, `seats` the entity of each pid,
    `parameters` say in which order the cells lie, `transcript` (hex) is T of the session, `storage_key` the public key
    (base64) that it is all sealed to, `at` the second of the release."""

    contract: str
    session: str
    initiator: str
    question: str
    seats: tuple[str, ...]
    t: int
    program: str
    parameters: str
    transcript: str
    storage_key: str
    shares: tuple[KeptShare, ...]
    at: int
