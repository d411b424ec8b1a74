"""The contract's own rules: what every space checks again, however it came to see the bytes.

Invariants: a contract is read from the payload that was signed and never re-made; its digest is over that
payload, so that no second form of a signature makes a second contract.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence

from gateway.domain.contract import Contract, Deadlines
from gateway.domain.dataset import ColumnType
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import EntityId, host_of
from gateway.domain.offer import Operator
from gateway.rules import key_rules, one_person, policy, privacy, queries, roles, seats, statistics
from gateway.rules.jose import MAX_INTEGER, TokenProblem, parse_compact
from gateway.rules.planning import LONGEST_SESSION, MAX_ROWS, STARTS_WITHIN, parameters
from gateway.rules.records import from_bytes
from gateway.rules.sharing import P
from gateway.rules.tokens import payload_digest

LEEWAY = 5
MAX_STORED = 512 * 1024  # bytes of a signed form
SESSION = re.compile(r"[0-9a-f]{32}")
ENVELOPE = ("iss", "sub", "aud", "iat", "exp", "jti", "nbf")


def audience(session: str) -> str:
    """The `aud` of every token about one session."""
    return f"urn:isthmus:session:{session}"


def read_contract(claims: Mapping[str, object]) -> Contract:
    """The contract in a verified token's claims (`contract`, beside the envelope)."""
    read = read_body(claims)
    if claims.get("aud") != audience(read.session):
        raise invalid("the contract's audience is another session", field="session")
    return read


def read_body(claims: Mapping[str, object]) -> Contract:
    """What a contract and a plan have in common."""
    body = claims.get("contract")
    if not isinstance(body, dict) or set(claims) - {*ENVELOPE, "contract"}:
        raise invalid("the contract token carries something else than a contract")
    read = from_bytes(Contract, json.dumps(body), what="contract", reason=Reason.CONTRACT_INVALID)
    queries.checked(read.query, what="contract")
    if SESSION.fullmatch(read.session) is None:
        raise invalid("a session is named by 32 hexadecimal digits", field="session")
    if not 1 <= len(read.requester) <= 200 or not read.requester.isprintable():
        raise invalid("a requester is named by 1 to 200 printable characters", field="requester")
    if claims.get("iss") != read.initiator:
        raise invalid("the contract is signed by another space than its initiator", field="initiator")
    return read


def stored_contract(token: str, digest: str) -> Contract:
    """The contract in a signed form that was verified when it came, and stored since: only that it still has its digest
    is looked at. Raises IsthmusError(AUDIT_BROKEN)."""
    try:
        parsed = parse_compact(token, MAX_STORED)
        if payload_digest(parsed.payload) == digest:
            return read_contract(parsed.claims)
    except TokenProblem:
        pass
    raise IsthmusError(
        Reason.AUDIT_BROKEN,
        f"a stored contract is not the one that was approved with digest {digest}",
        advice="Keep the database as it is; docs/audit.md says what to do",
    )


def check_contract(read: Contract, operators: Mapping[str, Operator], now: int) -> None:
    """Raises IsthmusError unless the contract is whole, timely and its seats are allowed.

    `operators` are the verified statements of everybody who takes part. What an owner allows is
    `gateway.rules.policy`; what its rows say is its agent's affair.
    """
    if now > read.expires + LEEWAY:
        raise IsthmusError(
            Reason.CONTRACT_EXPIRED, "the contract has expired", field="expires", advice="Ask again: a new one is made"
        )
    if now < read.not_before - LEEWAY or not 0 < read.expires - read.not_before <= STARTS_WITHIN:
        raise invalid("the contract's times are out of range; clocks may differ", field="not_before")
    check_parties(read, operators)


def check_parties(read: Contract, operators: Mapping[str, Operator]) -> None:
    """Raises IsthmusError unless the contract is whole and its seats are allowed, whatever the time."""
    seats.check_seats(read.m, read.t, read.seats, operators)
    for provider in read.providers:
        if provider.entity not in operators:
            raise invalid("a provider is unknown here", field="providers", space=provider.entity)
    check_whole(read)


def check_whole(read: Contract) -> None:
    """Raises unless the contract is whole in itself: what can be said without knowing anybody, or the time."""
    if read.field != str(P):
        raise invalid("the contract computes in another field than this engine", field="field")
    seats.check_sizes(read.m, read.t)
    if not roles.are_roles(read.requester_roles):
        raise invalid("the requester's roles are not of the list, in order, each once", field="requester_roles")
    if not key_rules.are_of(read):
        raise invalid("the rules of key columns are not such, each of a column of link_on, in order", field="key_rules")
    _check_wishes(read)
    _check_providers(read)
    _check_recipients(read)
    _check_deadlines(read.deadlines)
    if (wrong := one_person.wrong_with(read))[0]:
        raise invalid(wrong[0], field=wrong[1])


def _check_wishes(read: Contract) -> None:
    """What the requester wished is what the contract does, or something stricter."""
    wished, limits = read.query.limits, read.limits
    if limits.minimum_cell < 0 or (wished.minimum_cell is not None and limits.minimum_cell < wished.minimum_cell):
        raise invalid("the limits are looser than the query wished", field="limits.minimum_cell")
    if limits.minimum_cell > MAX_INTEGER:  # a draft is no token, whose numbers are bounded where it is read
        raise invalid("the limits are no number that canonical JSON holds", field="limits.minimum_cell")
    suppresses = limits.minimum_cell > 1
    if limits.zero_is_small > suppresses or (wished.zero_is_small and suppresses) > limits.zero_is_small:
        raise invalid("the limits count zero otherwise than the query wished", field="limits.zero_is_small")
    if wrong := privacy.check_settled(wished, limits):
        raise invalid(wrong, field="limits.epsilon")
    if limits.provider_subtraction is not (suppresses and limits.epsilon is None):
        raise invalid(
            "a program that suppresses exact counts, and no other, guards against subtraction",
            field="limits.provider_subtraction",
        )
    _check_shares(read)
    if read.demo_view != read.query.demo_view:
        raise invalid("the look into a receive buffer is not what the query wished", field="demo_view")
    if read.m != read.query.seats.count or any(
        seat.entity not in read.query.seats.at for seat in read.seats if read.query.seats.at
    ):
        raise invalid("the seats are not the ones that the query wished", field="seats")


def _check_shares(read: Contract) -> None:
    wished, limits = read.query.limits, read.limits
    if limits.minimum_cell <= 1 and (limits.dominance, limits.rounding) != (None, None):
        raise invalid("an exact release limits nothing", field="limits")
    if not policy.dominance_in_range(limits.dominance) or not policy.rounding_in_range(limits.rounding):
        raise invalid("a percentage or a base for rounding is out of its range", field="limits")
    if limits.minimum_cell <= 1:
        return
    if (
        wished.dominance is not None
        and limits.epsilon is None
        and (limits.dominance is None or limits.dominance > wished.dominance)
    ):
        raise invalid("one provider may have more of a cell than the query wished", field="limits.dominance")
    if wished.rounding is not None and (limits.rounding is None or limits.rounding % wished.rounding):
        raise invalid("counts are not rounded as the query wished", field="limits.rounding")


def _check_providers(read: Contract) -> None:
    named = sorted(source.dataset for source in read.query.sources)
    given = sorted(item.dataset for provider in read.providers for item in provider.inputs)
    if named != given or [p.entity for p in read.providers] != sorted({p.entity for p in read.providers}):
        raise invalid("the providers' editions are not the query's sources", field="providers")
    for provider in read.providers:
        home = host_of(EntityId(provider.entity))
        if any(item.dataset.split("/")[1] != home for item in provider.inputs):
            raise invalid(
                "a dataset stands under a space that does not own it", field="providers", space=provider.entity
            )
        bounds = [item.row_bound for item in provider.inputs]
        if provider.row_bound != sum(bounds) or min(bounds, default=0) < 1:
            raise invalid("a provider's bound is not the sum of its editions' bounds", field="providers")
    rows = sum(provider.row_bound for provider in read.providers)
    if rows > MAX_ROWS:
        raise invalid(f"the providers share {rows} rows, and a session takes {MAX_ROWS}", field="providers")


def _check_recipients(read: Contract) -> None:
    """The requester with a key of its own, or the home gateway for it: nobody else receives anything."""
    known = {"client": f"client {read.requester}", "gateway": f"gateway {read.initiator}"}
    names = [recipient.name for recipient in read.recipients]
    if not names or len(set(names)) < len(names):
        raise invalid("nobody would receive the result, or somebody twice", field="recipients")
    for recipient in read.recipients:
        if known.get(recipient.kind) != recipient.name:
            raise invalid("the recipient is neither the requester nor its gateway", field="recipients")
        try:
            key = base64.b64decode(recipient.key, validate=True)
        except ValueError:
            key = b""
        if len(key) != 32:
            raise invalid("the recipient's key is not an X25519 key of 32 bytes", field="recipients")


def _check_deadlines(deadlines: Deadlines) -> None:
    """A contract may not hold a seat longer than a session can take."""
    if not (
        1 <= deadlines.connect <= deadlines.total
        and 1 <= deadlines.stall <= deadlines.total
        and deadlines.total <= LONGEST_SESSION
    ):
        raise invalid(f"the deadlines are not within 1 and {LONGEST_SESSION} seconds", field="deadlines")


def check_parameters(read: Contract, codes: Mapping[str, Sequence[str]]) -> None:
    """Raises unless program and parameters follow from query and limits.

    `codes` are the code lists of the approver's own datasets. Others, and for a neutral seat all of them, are taken as
    they stand, since their owners compare them.
    """
    rules = statistics.of(read.query)
    if read.program.name != statistics.program_of(read.query):
        raise invalid("the program does not answer the query's statistic", field="program.name")
    packaged = read.query.statistic.program
    if packaged is not None and packaged.digest != read.program.digest:
        raise invalid("the program is not the one of that digest that the query names", field="program.digest")
    told = statistics.code_lists(read.program.parameters)
    wanted = {used.column for used in rules.uses(read.query) if ColumnType.CODE in used.types}
    if not wanted <= set(told):
        raise invalid("the program's parameters name other columns than the query", field="program.parameters")
    if parameters(read.query, read.limits, {**told, **codes}) != read.program.parameters:
        raise invalid("the program's parameters do not follow from the query", field="program.parameters")


def invalid(public: str, *, field: str = "", space: str = "") -> IsthmusError:
    return IsthmusError(
        Reason.CONTRACT_INVALID, public, field=field, space=space, advice="Make the plan again and have it approved"
    )
