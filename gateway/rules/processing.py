"""The record of processing of one computation, as a space's gateway can write it: the fields of GDPR Article 30 and
Directive (EU) 2016/680 Article 24, as far as they apply.

Invariants: it follows from the contract as it was signed and from the account that the gateway keeps; no number of the
result is in it, nor a share of one: a record of processing is not the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.domain.computation import Computation
from gateway.domain.contract import Contract
from gateway.domain.offer import Operator
from gateway.domain.query import Filter
from gateway.domain.records import record
from gateway.rules import common_codes, seats, statistics, wording
from gateway.rules.lifecycle import LIVE
from gateway.rules.retention import DAY, Kept, Rule, result_deletion


@record
class Controller:
    """A space whose people were counted: it decides about its data. `operator` is empty where it is not known here."""

    space: str
    operator: str
    jurisdiction: str
    datasets: tuple[str, ...]
    editions: tuple[str, ...]
    row_bound: int


@record
class Processor:
    """A seat: it computes on shares, of which any t seats together tell nothing."""

    pid: int
    space: str
    operator: str
    jurisdiction: str


@record
class SentTo:
    name: str
    kind: str
    space: str
    jurisdiction: str
    place: str


@record
class Times:
    """Seconds since 1970; until when what is kept here, None where it is gone or kept for ever."""

    created: int
    ended: int | None
    result_until: int | None
    record_until: int | None
    result_deleted: int | None
    record_deleted: int | None


@record
class Witnessed:
    """A space's receipt: whose audit log has this under which head."""

    space: str
    log_size: int
    log_head: str


@record
class Asked:
    """What the contract says. `smallest_group` are the operators that together would see everything."""

    title: str
    requester: str
    requester_signed: bool
    initiator: str
    purpose: str
    purpose_means: str
    legal_basis: str
    legal_basis_means: str
    statistic: str
    columns: tuple[str, ...]
    filters: tuple[tuple[str, str], ...]
    controllers: tuple[Controller, ...]
    processors: tuple[Processor, ...]
    recipients: tuple[SentTo, ...]
    m: int
    t: int
    smallest_group: tuple[str, ...]
    limits: str
    noise: str
    demo_view: bool
    program: str
    program_digest: str
    engine: str


@record
class Processing:
    """`asked` is None once the contract is not kept any more."""

    computation: str
    space: str
    role: str
    state: str
    reason: str
    why: str
    contract: str
    made: int
    times: Times
    asked: Asked | None
    receipts: tuple[Witnessed, ...]


def processing(
    kept: Computation,
    body: Contract | None,
    entity: str,
    operators: Mapping[str, Operator],
    rules: Sequence[Rule],
    now: int,
) -> Processing:
    """`operators` are those that are believed now; a space that is none of them is called as the contract calls it."""
    ending = kept.ending
    return Processing(
        computation=kept.name,
        space=entity,
        role=kept.role.value,
        state=kept.state.value,
        reason="" if ending is None else ending.reason,
        why="" if ending is None else ending.text,
        contract=kept.contract_digest,
        made=now,
        times=_times(kept, rules),
        asked=None if body is None else _asked(body, operators),
        receipts=tuple(
            Witnessed(one.space, one.tree_size, one.tree_head) for one in sorted(kept.receipts, key=lambda r: r.space)
        ),
    )


def _times(kept: Computation, rules: Sequence[Rule]) -> Times:
    days = {rule.kept: rule.days for rule in rules}
    ended = None if kept.state in LIVE else kept.updated
    result = result_deletion(kept)
    record_gone = next((gone.at for gone in kept.deletions if gone.kind == Kept.COMPUTATIONS), None)

    def until(what: Kept) -> int | None:
        return None if ended is None else ended + days[what] * DAY

    return Times(
        created=kept.created,
        ended=ended,
        result_until=until(Kept.RESULTS) if kept.shares else None,
        record_until=until(Kept.COMPUTATIONS) if record_gone is None else None,
        result_deleted=None if result is None else result.at,
        record_deleted=record_gone,
    )


def _asked(body: Contract, operators: Mapping[str, Operator]) -> Asked:
    asked = body.query
    named = {seat.entity: seat.operator for seat in body.seats}

    def name(entity: str) -> str:
        return operators[entity].name if entity in operators else named.get(entity, "")

    def where(entity: str) -> str:
        return operators[entity].jurisdiction if entity in operators else ""

    # Affiliates that are not known here any more are taken for strangers: the seat rules were held when it was agreed.
    hands = {
        seat.entity: operators.get(seat.entity, Operator(seat.entity, seat.operator, seat.operator))
        for seat in body.seats
    }
    used = [item.column for item in statistics.of(asked).uses(asked)]
    filters = [
        (source.dataset, item)
        for index, source in enumerate(asked.sources)
        for item in common_codes.filters(body, index)
    ]
    return Asked(
        title=asked.title,
        requester=body.requester,
        requester_signed=body.requester_signed,
        initiator=body.initiator,
        purpose=asked.purpose,
        purpose_means=wording.purpose(asked.purpose),
        legal_basis=asked.legal_basis,
        legal_basis_means=wording.legal_basis(asked.legal_basis),
        statistic=wording.statistic(asked, rules=body.key_rules),
        columns=tuple(dict.fromkeys([*asked.link_on, *used, *(item.column for _, item in filters)])),
        filters=tuple(map(_filter, filters)),
        controllers=tuple(
            Controller(
                provider.entity,
                name(provider.entity),
                where(provider.entity),
                tuple(item.dataset for item in provider.inputs),
                tuple(item.edition for item in provider.inputs),
                provider.row_bound,
            )
            for provider in body.providers
        ),
        processors=tuple(Processor(seat.pid, seat.entity, seat.operator, where(seat.entity)) for seat in body.seats),
        recipients=tuple(
            SentTo(to.name, to.kind, body.initiator, where(body.initiator), wording.place(where(body.initiator)))
            for to in body.recipients
        ),
        m=body.m,
        t=body.t,
        smallest_group=seats.smallest_group(body.t, body.seats, hands),
        limits=wording.limits(body),
        noise=wording.noise(body.limits),
        demo_view=body.demo_view,
        program=f"{body.program.name} {body.program.version}",
        program_digest=body.program.digest,
        engine=body.program.engine,
    )


def _filter(given: tuple[str, Filter]) -> tuple[str, str]:
    return given[0], wording.filtered(given[1])
