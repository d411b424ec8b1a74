"""The contract's own rules: what every space checks again, however it came to see the bytes.

Invariants: a contract is read from the payload that was signed and never re-made; its digest is over that
payload, so that no second form of a signature makes a second contract.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from gateway.domain.contract import Contract
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.offer import Operator
from gateway.rules import queries, seats
from gateway.rules.planning import PROGRAM_OF, STARTS_WITHIN, parameters
from gateway.rules.records import from_bytes
from gateway.rules.sharing import P

LEEWAY = 5
ENVELOPE = ("iss", "sub", "aud", "iat", "exp", "jti", "nbf")


def audience(session: str) -> str:
    """The `aud` of every token about one session."""
    return f"urn:isthmus:session:{session}"


def digest(payload: bytes) -> str:
    """SHA-256 of the signed payload, in hex."""
    return hashlib.sha256(payload).hexdigest()


def read_contract(claims: Mapping[str, object]) -> Contract:
    """The contract in a verified token's claims (`contract`, beside the envelope)."""
    body = claims.get("contract")
    if not isinstance(body, dict) or set(claims) - {*ENVELOPE, "contract"}:
        raise invalid("the contract token carries something else than a contract")
    read = from_bytes(Contract, json.dumps(body), what="contract", reason=Reason.CONTRACT_INVALID)
    queries.checked(read.query, what="contract")
    if claims.get("iss") != read.initiator:
        raise invalid("the contract is signed by another space than its initiator", field="initiator")
    if claims.get("aud") != audience(read.session):
        raise invalid("the contract's audience is another session", field="session")
    return read


def check_contract(read: Contract, operators: Mapping[str, Operator], now: int) -> None:
    """Raises IsthmusError unless the contract is whole, timely and its seats are allowed.

    `operators` are the verified statements of everybody who takes part. What an owner allows is
    `gateway.rules.policy`; what its rows say is its agent's affair.
    """
    if now > read.expires + LEEWAY:
        raise IsthmusError(
            Reason.CONTRACT_EXPIRED, "the contract has expired", field="expires", advice="Ask again: a new one is made"
        )
    if now < read.not_before - LEEWAY or read.expires - read.not_before > STARTS_WITHIN:
        raise invalid("the contract's times are out of range; clocks may differ", field="not_before")
    if read.field != str(P):
        raise invalid("the contract computes in another field than this engine", field="field")
    seats.check_seats(read.m, read.t, read.seats, operators)
    if read.program.name != PROGRAM_OF[read.query.statistic.name]:
        raise invalid("the program does not answer the query's statistic", field="program.name")
    named = sorted(source.dataset for source in read.query.sources)
    given = sorted(item.dataset for provider in read.providers for item in provider.inputs)
    if named != given or [p.entity for p in read.providers] != sorted({p.entity for p in read.providers}):
        raise invalid("the providers' editions are not the query's sources", field="providers")
    for provider in read.providers:
        hosts = {item.dataset.split("/")[1] for item in provider.inputs}
        if hosts != {provider.entity.removeprefix("https://")}:
            raise invalid(
                "a dataset stands under a space that does not own it", field="providers", space=provider.entity
            )
        if provider.row_bound != sum(item.row_bound for item in provider.inputs) or provider.row_bound < 1:
            raise invalid("a provider's bound is not the sum of its editions' bounds", field="providers")
        if provider.entity not in operators:
            raise invalid("a provider is unknown here", field="providers", space=provider.entity)
    if not read.recipients or read.demo_view != read.query.demo_view:
        raise invalid("nobody would receive the result", field="recipients")
    wished = read.query.limits.minimum_cell
    if wished is not None and read.limits.minimum_cell < wished:
        raise invalid("the limits are looser than the query wished", field="limits")


def check_parameters(read: Contract, codes: Mapping[str, tuple[str, ...]] | None) -> None:
    """Raises unless the program's parameters follow from query and limits.

    `codes` are the code lists of the approver's own datasets; a neutral seat has none and takes the lists
    as they stand, since the owners compare them.
    """
    if codes is None:
        columns = json.loads(read.program.parameters).get("columns", [])
        codes = {column["name"]: tuple(column["codes"]) for column in columns}
        if read.query.statistic.count_by is not None and set(codes) != set(read.query.statistic.count_by.columns):
            raise invalid("the program counts by other columns than the query", field="program.parameters")
    if parameters(read.query, read.limits, codes) != read.program.parameters:
        raise invalid("the program's parameters do not follow from the query", field="program.parameters")


def invalid(public: str, *, field: str = "", space: str = "") -> IsthmusError:
    return IsthmusError(
        Reason.CONTRACT_INVALID, public, field=field, space=space, advice="Make the plan again and have it approved"
    )
