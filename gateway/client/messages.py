"""From the client API's messages to nouns.

Invariant: a noun holds what the message says and nothing made up; what the gateway keeps to itself (request
digests, revisions, the codec) is empty here.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from gateway.api.client.v1 import catalogue_pb2 as cat
from gateway.api.client.v1 import computations_pb2 as comp
from gateway.api.client.v1 import diagnostics_pb2 as diag
from gateway.domain import computation, dataset, plan
from gateway.domain.contract import Contract
from gateway.domain.diagnosis import Finding, Way
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.offer import Objection, Offer, Opening, Operator, ProgramCost, ProgramOffer, Space
from gateway.edges.grpc.finding_convert import shown_from
from gateway.rules.records import from_bytes


@dataclass(frozen=True, slots=True)
class Listed:
    """A dataset, and when the home gateway last had it confirmed (seconds since 1970)."""

    dataset: dataset.Dataset
    seen: int


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All datasets; `unreachable` are entity IDs of spaces whose entries are older than they should be."""

    datasets: tuple[Listed, ...]
    unreachable: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """One finding about the line to `peer`, an entity ID."""

    peer: str
    way: Way
    finding: Finding


def found_from(message: diag.DiagnosePeerResponse) -> Found | None:
    """None for a step that a newer gateway tries and this release does not know."""
    shown = shown_from(message.finding)
    return None if shown is None else Found(message.peer, *shown)


_COLUMN_TYPES = {
    cat.COLUMN_TYPE_TEXT: dataset.ColumnType.TEXT,
    cat.COLUMN_TYPE_DATE: dataset.ColumnType.DATE,
    cat.COLUMN_TYPE_INTEGER: dataset.ColumnType.INTEGER,
    cat.COLUMN_TYPE_CODE: dataset.ColumnType.CODE,
}
_DECISIONS = {
    comp.Verdict.DECISION_ALLOWED: plan.Decision.ALLOWED,
    comp.Verdict.DECISION_REFUSED: plan.Decision.REFUSED,
    comp.Verdict.DECISION_UNREACHABLE: plan.Decision.UNREACHABLE,
}


def dataset_from(message: cat.Dataset) -> Listed:
    terms, edition = message.terms, message.edition
    return Listed(
        dataset.Dataset(
            name=message.name,
            title=message.title,
            description=message.description,
            vocabulary=message.vocabulary,
            columns=tuple(_column(column) for column in message.columns),
            key_columns=tuple(message.key_columns),
            coverage=message.coverage,
            terms=dataset.Terms(
                purposes=tuple(terms.purposes),
                legal_bases=tuple(terms.legal_bases),
                statistics=tuple(terms.statistics),
                minimum_cell=terms.minimum_cell,
                exact_statistics=tuple(terms.exact_statistics),
                zero_is_small=terms.zero_is_small,
                minimum_seats=terms.minimum_seats,
                demo_view=terms.demo_view,
                version=terms.version,
                expires=terms.expires,
                minimum_t=terms.minimum_t,
                transfer=tuple(terms.transfer),
                programs=tuple(terms.programs),
                packages=tuple(terms.packages),
                dominance=terms.dominance if terms.HasField("dominance") else None,
                rounding=terms.rounding if terms.HasField("rounding") else None,
                roles=tuple(terms.roles),
                privacy=_privacy(terms.privacy) if terms.HasField("privacy") else None,
                persons=terms.persons,
                decide_within=terms.decide_within,
                person_statistics=tuple(terms.person_statistics),
                standing=terms.standing or 1,
                one_person=_one_person(terms.one_person) if terms.HasField("one_person") else None,
            ),
            edition=dataset.Edition(edition.id, edition.create_time, edition.snapshot, edition.row_bound),
        ),
        message.seen_time,
    )


def _privacy(message: cat.Privacy) -> dataset.Privacy:
    return dataset.Privacy(message.epsilon, message.budget, message.total or None, message.required)


def _one_person(message: cat.OnePerson) -> dataset.OnePerson:
    return dataset.OnePerson(
        tuple(message.legal_bases),
        tuple(message.roles),
        message.least_list,
        message.quota_per_case,
        message.quota_per_day,
        message.case,
    )


def _column(message: cat.Column) -> dataset.Column:
    if message.type not in _COLUMN_TYPES:
        raise newer("a type of column")
    kind, codes = _COLUMN_TYPES[message.type], tuple(dataset.Code(code.value, code.label) for code in message.codes)
    least, most = (_bound(getattr(message, end), kind) if message.HasField(end) else None for end in ("least", "most"))
    rules = tuple(message.normalise) or None
    return dataset.Column(message.name, kind, message.label, message.standard, codes, least, most, rules)


def _bound(text: str, kind: dataset.ColumnType) -> str | int:
    return int(text) if kind is dataset.ColumnType.INTEGER and text.lstrip("-").isdecimal() else text


@dataclass(frozen=True, slots=True)
class ListedProgram:
    """A program, the spaces that run it byte for byte, and the kinds of statistic that it computes."""

    program: ProgramOffer
    spaces: tuple[str, ...]
    statistics: tuple[str, ...]


def programs_from(message: cat.ListProgramsResponse) -> tuple[ListedProgram, ...]:
    return tuple(
        ListedProgram(_program(item.program), tuple(item.spaces), tuple(item.statistics)) for item in message.programs
    )


def _program(message: cat.Program) -> ProgramOffer:
    return ProgramOffer(
        message.name,
        message.version,
        message.digest,
        message.leakage,
        message.title,
        message.inputs,
        message.outputs,
        message.takes,
        tuple(Opening(item.step, item.why) for item in message.opens),
        message.formula,
        message.sample,
        tuple(
            ProgramCost(item.m, item.providers, item.rows, item.rounds, item.bytes_per_party) for item in message.costs
        ),
        message.descriptor,
    )


def space_from(message: cat.Space) -> Space:
    """The space without its datasets, which the catalogue lists."""
    programs = tuple(map(_program, message.programs))
    return Space(
        Operator(
            message.entity, message.operator, message.group, tuple(message.affiliates), message.jurisdiction
        ),
        Offer((), programs, message.seats, message.engine, 0),
        message.seen_time,
        message.reachable,
        message.rulebook,
        _objection(message.objection) if message.HasField("objection") else None,
    )  # fmt: skip


def _objection(message: cat.Objection) -> Objection:
    if message.reason not in Reason.__members__:
        raise newer("a reason")
    return Objection(Reason(message.reason), message.text, message.advice)


def plan_from(message: comp.Plan) -> plan.Plan:
    forecast = message.forecast
    return plan.Plan(
        draft=from_bytes(Contract, message.draft, what="plan", reason=Reason.CONTRACT_INVALID),
        smallest_group=tuple(message.smallest_group),
        learns=tuple(plan.Learns(learner.who, learner.what) for learner in message.learners),
        forecast=plan.Forecast(forecast.seconds, forecast.bytes_per_party, forecast.rounds),
        verdicts=tuple(
            plan.Verdict(
                verdict.space,
                _DECISIONS.get(verdict.decision, plan.Decision.UNREACHABLE),
                reason=verdict.reason,
                text=verdict.text,
                advice=verdict.advice,
            )
            for verdict in message.verdicts
        ),
        persons=tuple(plan.Persons(item.space, item.persons, item.hours) for item in message.persons),
    )


def computation_from(message: comp.Computation) -> computation.Computation:
    state = comp.Computation.State.Name(message.state).removeprefix("STATE_")
    role = comp.Computation.Role.Name(message.role).removeprefix("ROLE_")
    if state not in computation.State.__members__ or role not in computation.Role.__members__:
        raise newer("a state of computation")
    ending = message.ending
    return computation.Computation(
        id=message.name.removeprefix("computations/"),
        role=computation.Role(role),
        requester=message.requester,
        request_id="",
        request_digest="",
        state=computation.State(state),
        query=message.query,
        contract=message.contract,
        contract_digest=message.contract_digest,
        created=message.create_time,
        updated=message.update_time,
        expires=0,
        approvals=tuple(message.approvals),
        spaces=tuple(
            computation.SpaceStatus(space.space, space.status, space.phase, space.fraction) for space in message.spaces
        ),
        shares=tuple(
            computation.SealedShare(share.pid, share.recipient, base64.b64encode(share.sealed).decode())
            for share in message.shares
        ),
        receipts=tuple(_receipt(receipt) for receipt in message.receipts),
        views=tuple(
            computation.View(view.pid, view.space, view.step, view.sender, tuple(view.values)) for view in message.views
        ),
        ending=computation.Ending(ending.reason, ending.space, ending.phase, ending.text, ending.action)
        if message.HasField("ending")
        else None,
        seconds=message.session_seconds,
        deletions=tuple(
            computation.Deletion(gone.kind, gone.delete_time, gone.kept_days) for gone in message.deletions
        ),
        plan=message.plan,
        plan_digest=message.plan_digest,
    )


def _receipt(message: comp.Receipt) -> computation.Receipt:
    return computation.Receipt(
        space=message.space,
        contract=message.contract_digest,
        outputs=tuple(message.outputs),
        minimum_cell=message.minimum_cell,
        zero_is_small=message.zero_is_small,
        tree_size=message.tree_size,
        tree_head=message.tree_head,
        bytes_sent=message.bytes_sent,
        rounds=message.rounds,
        seconds=message.seconds,
        token=message.token,
        epsilon=message.epsilon if message.HasField("epsilon") else None,
        redelivered=message.redelivered,
    )


def newer(what: str) -> IsthmusError:
    return IsthmusError(
        Reason.INTERNAL,
        f"the gateway answered with {what} that this release does not know",
        advice="Upgrade isthmus here",
    )
