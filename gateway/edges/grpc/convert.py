"""Between protobuf messages and nouns, for queries, plans, datasets and computations.

Invariant: nothing inward of this module sees a proto message.
"""

from __future__ import annotations

import base64

from gateway.api.client.v1 import catalogue_pb2 as cat
from gateway.api.client.v1 import computations_pb2 as comp
from gateway.api.client.v1 import query_pb2 as qpb
from gateway.domain import computation, dataset, plan, query
from gateway.domain.offer import ProgramOffer, Space
from gateway.domain.result import Figure, Row, Table
from gateway.edges.grpc.statistic_convert import put_statistic, statistic_from, value_from, value_to
from gateway.rules import queries
from gateway.rules.records import to_bytes


def query_from(message: qpb.JointQuery) -> query.Query:
    """The typed query; raises IsthmusError(MALFORMED_QUERY)."""
    asked = query.Query(
        title=message.title,
        purpose=message.purpose,
        legal_basis=message.legal_basis,
        sources=tuple(
            query.Source(source.dataset, tuple(_filter_from(item) for item in source.filters))
            for source in message.sources
        ),
        link_on=tuple(message.link_on),
        statistic=statistic_from(message),
        limits=query.Limits(
            message.limits.minimum_cell if message.limits.HasField("minimum_cell") else None,
            message.limits.zero_is_small,
            message.limits.dominance if message.limits.HasField("dominance") else None,
            message.limits.rounding if message.limits.HasField("rounding") else None,
            message.limits.epsilon if message.limits.HasField("epsilon") else None,
        ),
        seats=query.Seats(message.seats.count or 3, tuple(message.seats.at)),
        demo_view=message.demo_view,
        standing=message.standing or 1,
        common_codes=message.common_codes,
    )
    return queries.checked(asked)


def query_to(asked: query.Query) -> qpb.JointQuery:
    message = qpb.JointQuery(
        title=asked.title,
        purpose=asked.purpose,
        legal_basis=asked.legal_basis,
        sources=[
            qpb.Source(dataset=source.dataset, filters=[_filter_to(item) for item in source.filters])
            for source in asked.sources
        ],
        link_on=asked.link_on,
        limits=qpb.Limits(
            minimum_cell=asked.limits.minimum_cell,
            zero_is_small=asked.limits.zero_is_small,
            dominance=asked.limits.dominance,
            rounding=asked.limits.rounding,
            epsilon=asked.limits.epsilon,
        ),
        seats=qpb.Seats(count=asked.seats.count, at=asked.seats.at),
        demo_view=asked.demo_view,
        standing=asked.standing,
        common_codes=asked.common_codes,
    )
    put_statistic(message, asked.statistic)
    return message


def _filter_from(message: qpb.Filter) -> query.Filter:
    match message.WhichOneof("operator"):
        case "equals":
            return query.Filter(message.column, equals=value_from(message.equals))
        case "one_of":
            return query.Filter(message.column, one_of=tuple(value_from(value) for value in message.one_of.values))
        case _:
            between = query.Between(value_from(message.between.low), value_from(message.between.high))
            return query.Filter(message.column, between=between)


def _filter_to(item: query.Filter) -> qpb.Filter:
    if item.between is not None:
        between = qpb.Between(low=value_to(item.between.low), high=value_to(item.between.high))
        return qpb.Filter(column=item.column, between=between)
    if item.one_of is not None:
        return qpb.Filter(column=item.column, one_of=qpb.Values(values=[value_to(value) for value in item.one_of]))
    return qpb.Filter(column=item.column, equals=value_to("" if item.equals is None else item.equals))


_COLUMN_TYPES = {
    dataset.ColumnType.TEXT: cat.COLUMN_TYPE_TEXT,
    dataset.ColumnType.DATE: cat.COLUMN_TYPE_DATE,
    dataset.ColumnType.INTEGER: cat.COLUMN_TYPE_INTEGER,
    dataset.ColumnType.CODE: cat.COLUMN_TYPE_CODE,
}


def dataset_to(item: dataset.Dataset, seen: int) -> cat.Dataset:
    terms = item.terms
    return cat.Dataset(
        name=item.name,
        title=item.title,
        description=item.description,
        vocabulary=item.vocabulary,
        columns=[
            cat.Column(
                name=column.name,
                type=_COLUMN_TYPES[column.type],
                label=column.label,
                standard=column.standard,
                codes=[cat.Code(value=code.value, label=code.label) for code in column.codes],
                least=None if column.least is None else str(column.least),
                most=None if column.most is None else str(column.most),
                normalise=column.normalise,
            )
            for column in item.columns
        ],
        key_columns=item.key_columns,
        coverage=item.coverage,
        terms=cat.Terms(
            purposes=terms.purposes,
            legal_bases=terms.legal_bases,
            statistics=terms.statistics,
            minimum_cell=terms.minimum_cell,
            exact_statistics=terms.exact_statistics,
            zero_is_small=terms.zero_is_small,
            minimum_seats=terms.minimum_seats,
            demo_view=terms.demo_view,
            version=terms.version,
            expires=terms.expires,
            minimum_t=terms.minimum_t,
            transfer=terms.transfer,
            programs=terms.programs,
            packages=terms.packages,
            dominance=terms.dominance,
            rounding=terms.rounding,
            roles=terms.roles,
            privacy=None if terms.privacy is None else _privacy_to(terms.privacy),
            persons=terms.persons,
            decide_within=terms.decide_within,
            person_statistics=terms.person_statistics,
            standing=terms.standing,
            one_person=None if terms.one_person is None else _one_person_to(terms.one_person),
        ),
        edition=cat.Edition(
            id=item.edition.id,
            create_time=item.edition.created,
            snapshot=item.edition.snapshot,
            row_bound=item.edition.row_bound,
        ),
        seen_time=seen,
    )


def _privacy_to(terms: dataset.Privacy) -> cat.Privacy:
    return cat.Privacy(epsilon=terms.epsilon, budget=terms.budget, total=terms.total or "", required=terms.required)


def _one_person_to(terms: dataset.OnePerson) -> cat.OnePerson:
    return cat.OnePerson(
        legal_bases=terms.legal_bases,
        roles=terms.roles,
        least_list=terms.least_list,
        quota_per_case=terms.quota_per_case,
        quota_per_day=terms.quota_per_day,
        case=terms.case,
    )


def program_to(item: ProgramOffer) -> cat.Program:
    return cat.Program(
        name=item.name,
        version=item.version,
        digest=item.digest,
        leakage=item.leakage,
        title=item.title,
        inputs=item.inputs,
        outputs=item.outputs,
        takes=item.takes,
        opens=[cat.Opening(step=opening.step, why=opening.why) for opening in item.opens],
        formula=item.formula,
        sample=item.sample,
        descriptor=item.descriptor,
        costs=[
            cat.ProgramCost(
                m=cost.m,
                providers=cost.providers,
                rows=cost.rows,
                rounds=cost.rounds,
                bytes_per_party=cost.bytes_per_party,
            )
            for cost in item.costs
        ],
    )


def space_to(item: Space) -> cat.Space:
    return cat.Space(
        entity=item.operator.entity,
        operator=item.operator.name,
        group=item.operator.group,
        affiliates=item.operator.affiliates,
        jurisdiction=item.operator.jurisdiction,
        seats=item.offer.seats,
        engine=item.offer.engine,
        programs=map(program_to, item.offer.programs),
        seen_time=item.seen,
        reachable=item.reachable,
        rulebook=item.rulebook,
        objection=None
        if item.objection is None
        else cat.Objection(reason=item.objection.reason, text=item.objection.text, advice=item.objection.advice),
    )


_DECISIONS = {
    plan.Decision.ALLOWED: comp.Verdict.DECISION_ALLOWED,
    plan.Decision.REFUSED: comp.Verdict.DECISION_REFUSED,
    plan.Decision.UNREACHABLE: comp.Verdict.DECISION_UNREACHABLE,
}


def plan_to(made: plan.Plan) -> comp.Plan:
    draft = made.draft
    return comp.Plan(
        draft=to_bytes(draft).decode(),
        seats=[comp.PlannedSeat(pid=seat.pid, entity=seat.entity, operator=seat.operator) for seat in draft.seats],
        threshold=draft.t,
        editions=[
            comp.PlannedEdition(dataset=item.dataset, edition=item.edition, row_bound=item.row_bound)
            for provider in draft.providers
            for item in provider.inputs
        ],
        smallest_group=made.smallest_group,
        learners=[comp.Learner(who=learner.who, what=learner.what) for learner in made.learns],
        forecast=comp.Forecast(
            seconds=made.forecast.seconds, bytes_per_party=made.forecast.bytes_per_party, rounds=made.forecast.rounds
        ),
        verdicts=[
            comp.Verdict(
                space=verdict.space,
                decision=_DECISIONS[verdict.decision],
                reason=verdict.reason,
                text=verdict.text,
                advice=verdict.advice,
            )
            for verdict in made.verdicts
        ],
        minimum_cell=draft.limits.minimum_cell,
        persons=[comp.Persons(space=item.space, persons=item.persons, hours=item.hours) for item in made.persons],
    )


def computation_to(item: computation.Computation, table: Table | None) -> comp.Computation:
    ending = item.ending
    return comp.Computation(
        name=item.name,
        state=comp.Computation.State.Value(f"STATE_{item.state}"),  # type: ignore[arg-type]
        role=comp.Computation.Role.Value(f"ROLE_{item.role}"),  # type: ignore[arg-type]
        requester=item.requester,
        create_time=item.created,
        update_time=item.updated,
        contract=item.contract,
        contract_digest=item.contract_digest,
        approvals=item.approvals,
        spaces=[
            comp.SpaceStatus(space=space.space, status=space.status, phase=space.phase, fraction=space.fraction)
            for space in item.spaces
        ],
        ending=None
        if ending is None
        else comp.Ending(
            reason=ending.reason, space=ending.space, phase=ending.phase, text=ending.text, action=ending.action
        ),
        shares=[
            comp.SealedShare(pid=share.pid, recipient=share.recipient, sealed=base64.b64decode(share.sealed))
            for share in item.shares
        ],
        table=None if table is None else table_to(table),
        receipts=[receipt_to(receipt) for receipt in item.receipts],
        views=[
            comp.View(pid=view.pid, space=view.space, step=view.step, sender=view.sender, values=view.values)
            for view in item.views
        ],
        session_seconds=item.seconds,
        query=item.query,
        deletions=[comp.Deletion(kind=gone.kind, delete_time=gone.at, kept_days=gone.days) for gone in item.deletions],
        plan=item.plan,
        plan_digest=item.plan_digest,
    )


def receipt_to(item: computation.Receipt) -> comp.Receipt:
    return comp.Receipt(
        space=item.space,
        contract_digest=item.contract,
        outputs=item.outputs,
        minimum_cell=item.minimum_cell,
        zero_is_small=item.zero_is_small,
        tree_size=item.tree_size,
        tree_head=item.tree_head,
        bytes_sent=item.bytes_sent,
        rounds=item.rounds,
        seconds=item.seconds,
        token=item.token,
        epsilon=item.epsilon,
        redelivered=item.redelivered,
    )


def table_to(table: Table) -> comp.Table:
    rows = [
        comp.Row(codes=row.codes, count=row.count, suppressed=row.suppressed, values=map(_number_to, row.values))
        for row in table.rows
    ]
    return comp.Table(
        columns=table.columns,
        rows=rows,
        measures=table.measures,
        uncounted=not table.counted,
        overall=[comp.Figure(name=figure.name, value=_number_to(figure.value)) for figure in table.overall],
    )


def table_from(message: comp.Table) -> Table:
    rows = (
        Row(tuple(row.codes), row.count if row.HasField("count") else None, tuple(map(_number_from, row.values)))
        for row in message.rows
    )
    overall = tuple(Figure(figure.name, _number_from(figure.value)) for figure in message.overall)
    return Table(tuple(message.columns), tuple(rows), tuple(message.measures), not message.uncounted, overall)


def _number_to(value: int | float | None) -> comp.Number:
    if value is None:
        return comp.Number()
    return comp.Number(integer=value) if isinstance(value, int) else comp.Number(real=value)


def _number_from(message: comp.Number) -> int | float | None:
    match message.WhichOneof("kind"):
        case "integer":
            return int(message.integer)
        case "real":
            return float(message.real)
        case _:
            return None
