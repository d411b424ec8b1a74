"""From query to draft contract: one read of facts in, pure decisions out.

Invariant: the draft depends only on the query, the verified offers and the arguments, so that every space
that holds the same facts can make the same draft and compare.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import rfc8785

from gateway.domain import contract, query
from gateway.domain.dataset import Column, ColumnType, Dataset
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.offer import Space
from gateway.domain.plan import Decision, Forecast, Learns, Persons, Plan, Verdict
from gateway.rules import common_codes, dates, key_rules, noise, packages, plans, policy, privacy, seats, statistics
from gateway.rules.sharing import P
from gateway.rules.text import nearest

STARTS_WITHIN = 600  # seconds that a contract may wait for its session (DESIGN section 4)
DEADLINES = contract.Deadlines(connect=10, stall=5, total=300)
LONGEST_SESSION = 3600  # seconds: no contract may hold a seat for longer
MAX_ROWS = 1 << 22  # people of all providers together, padded; as many as a party takes
# Measured on loopback through three gateways, two cores (tests/bench): a round, and bytes per second with the computing
# between them.
SECONDS_PER_ROUND = 0.002
BYTES_PER_SECOND = 45e6
SECONDS_TO_START = 0.3


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks, and what identifies this request: everything in a draft that is not the query or an offer."""

    home: str
    requester: str
    recipient: contract.Recipient
    session: str
    now: int
    roles: tuple[str, ...] = ()


def draft_contract(asked: query.Query, spaces: Mapping[str, Space], request: Request) -> contract.Contract:
    """Resolve `asked` against verified offers.

    Raises IsthmusError naming the field: UNKNOWN_DATASET, UNKNOWN_COLUMN, UNKNOWN_CODE, WRONG_FILTER_TYPE,
    POLICY_REFUSED, SEATS_REFUSED, PROGRAM_UNKNOWN, PEER_UNREACHABLE.
    """
    owners = [_owner(asked, index, spaces) for index in range(len(asked.sources))]
    datasets = [dataset for _, dataset in owners]
    for index, dataset in enumerate(datasets):
        check_source(asked, index, dataset)
    codes, rules = common_codes.settle(asked, datasets), key_rules.settle(asked, datasets)
    by_owner: dict[str, list[Dataset]] = {}
    for entity, dataset in owners:
        by_owner.setdefault(entity, []).append(dataset)
    for owned in by_owner.values():
        check_lists(asked, owned)
    often = policy.counts_often(asked, len(by_owner))
    limits = policy.settle_limits(asked.limits, asked.statistic.name, datasets, often)
    seated = seats.assign(asked.seats.count, asked.seats.at, list(by_owner), spaces)
    taking_part = list(dict.fromkeys([*(seat.entity for seat in seated), *by_owner]))
    offer = packages.shared_program(asked, {entity: spaces[entity] for entity in taking_part})
    asked = packages.filled_in(asked, offer)
    return contract.Contract(
        session=request.session,
        initiator=request.home,
        requester=request.requester,
        requester_signed=False,
        query=asked,
        program=contract.Program(
            name=offer.name,
            version=offer.version,
            digest=offer.digest,
            engine=spaces[taking_part[0]].offer.engine,
            codec=spaces[taking_part[0]].offer.codec,
            parameters=parameters(asked, limits, codes),
        ),
        field=str(P),
        m=asked.seats.count,
        t=(asked.seats.count - 1) // 2,
        seats=seated,
        providers=tuple(provider(entity, by_owner[entity]) for entity in sorted(by_owner)),
        recipients=(request.recipient,),
        limits=limits,
        deadlines=DEADLINES,
        demo_view=asked.demo_view,
        not_before=request.now,
        expires=request.now + STARTS_WITHIN,
        requester_roles=request.roles,
        key_rules=rules,
    )


def provider(entity: str, datasets: Sequence[Dataset]) -> contract.Provider:
    """A provider's part: its editions, and the public size that its people are padded to."""
    return contract.Provider(
        entity=entity,
        inputs=tuple(edition_of(dataset) for dataset in sorted(datasets, key=lambda dataset: dataset.name)),
        row_bound=sum(dataset.edition.row_bound for dataset in datasets),
    )


def edition_of(dataset: Dataset) -> contract.Input:
    """The edition of `dataset` that is on offer, as a contract names it."""
    edition = dataset.edition
    return contract.Input(dataset.name, edition.id, edition.snapshot, edition.row_bound)


def parameters(asked: query.Query, limits: contract.Limits, codes: Mapping[str, Sequence[str]]) -> str:
    """The program's parameters as canonical JSON; every approver makes them again and compares."""
    rules = statistics.of(asked)
    rules.check_limits(asked, limits)
    shared: dict[str, Any] = {"minimum_cell": limits.minimum_cell, "zero_is_small": limits.zero_is_small}
    if limits.dominance is not None:
        shared["dominance"] = limits.dominance
    if limits.rounding is not None:
        shared["rounding"] = limits.rounding
    if limits.epsilon is not None:
        shared["noise"] = noise.table(limits.epsilon)
    if not asked.link_on:
        if limits.epsilon is not None:
            raise IsthmusError(
                Reason.MALFORMED_QUERY,
                "noise covers a person who is counted once, and without link_on somebody on two lists counts twice",
                field="link_on",
                advice="Name the columns that identify a person, or ask without noise",
            )
        shared["linked"] = False
    return rfc8785.dumps({**shared, **rules.parameters(asked, codes)}).decode()


def forecast(verdicts: Sequence[Verdict]) -> Forecast:
    """What the slowest seat says that its engine costs, in seconds on a local network."""
    rounds = max((verdict.rounds for verdict in verdicts), default=0)
    sent = max((verdict.bytes_per_party for verdict in verdicts), default=0)
    return Forecast(round(SECONDS_TO_START + rounds * SECONDS_PER_ROUND + sent / BYTES_PER_SECOND, 2), sent, rounds)


def plan(draft: contract.Contract, spaces: Mapping[str, Space], verdicts: Sequence[Verdict]) -> Plan:
    """The draft with what people want to know before they ask it."""
    operators = {entity: space.operator for entity, space in spaces.items()}
    learns = [Learns(recipient.name, _outcome(draft)) for recipient in draft.recipients]
    learns += [
        Learns(f"party {seat.pid} ({seat.operator})", "public sizes only; shares that say nothing alone")
        for seat in draft.seats
    ]
    learns += [
        Learns(f"provider {operators[item.entity].name}", "nothing new, unless it is a recipient")
        for item in draft.providers
    ]
    return Plan(
        draft=draft,
        smallest_group=seats.smallest_group(draft.t, draft.seats, operators),
        learns=tuple(learns),
        forecast=forecast([verdict for verdict in verdicts if verdict.decision is Decision.ALLOWED]),
        verdicts=tuple(verdicts),
        persons=tuple(
            Persons(entity, need.persons, need.within) for entity, need in plans.needs(draft, spaces).items()
        ),
    )


def check_source(asked: query.Query, index: int, dataset: Dataset) -> None:
    """Raises IsthmusError unless the columns, filters and codes that source `index` names exist in `dataset`."""
    where = f"sources[{index}]"
    for number, name in enumerate(asked.link_on):
        _column(dataset, name, f"link_on[{number}]")
        if name not in dataset.key_columns:
            raise IsthmusError(
                Reason.UNKNOWN_COLUMN,
                f"{dataset.name} does not link people on {name}",
                field=f"link_on[{number}]",
                space=f"https://{dataset.space_host}",
                advice=f"It links on: {', '.join(dataset.key_columns)}",
            )
    if not asked.link_on and not dataset.key_columns:
        raise IsthmusError(
            Reason.UNKNOWN_COLUMN,
            f"{dataset.name} does not say what identifies a person, and each is counted once at home",
            field="link_on",
            space=f"https://{dataset.space_host}",
            advice="Its owner names key_columns in its description, or leave this source out",
        )
    for number, item in enumerate(asked.sources[index].filters):
        _check_filter(item, dataset, f"{where}.filters[{number}]")
    for used in statistics.of(asked).uses(asked):
        if not used.taken_from(index):
            continue
        column = _column(dataset, used.column, used.field, used.instead)
        ordered = used.use is statistics.Use.GROUP and ColumnType.CODE not in used.types
        if ordered and used.column in dataset.key_columns:
            raise _identifies(dataset, used.column, used.field, "Count by a column that many people share")
        if used.within and used.column in dataset.key_columns:
            raise _identifies(dataset, used.column, used.field, "Measure what many people share")
        if column.type not in used.types:
            wanted = "code list" if used.types == (ColumnType.CODE,) else " or ".join(used.types)
            raise _wrong_type(dataset, used.field, f"{used.column} has no {wanted}")
        if used.within is not None:
            _check_bounds(column, used.field, *used.within, dataset)


def check_lists(asked: query.Query, datasets: Sequence[Dataset]) -> None:
    """Raises IsthmusError unless an owner can count the people of its own lists, each once, where `link_on` does not
    say how."""
    if asked.link_on or not datasets:
        return
    first, *others = datasets
    for other in others:
        if _keys(other) != _keys(first):
            raise IsthmusError(
                Reason.UNKNOWN_COLUMN,
                f"{first.name} and {other.name} tell people apart by different columns or rules, and are one owner's",
                field="link_on",
                space=f"https://{other.space_host}",
                advice="Name in link_on what identifies a person in both, or leave one of them out",
            )


def _keys(dataset: Dataset) -> list[tuple[str, ColumnType, tuple[str, ...] | None]]:
    columns = [column for name in dataset.key_columns if (column := dataset.column(name)) is not None]
    return [(column.name, column.type, column.normalise) for column in columns]


def _check_filter(item: query.Filter, dataset: Dataset, field: str) -> None:
    column = _column(dataset, item.column, f"{field}.column")
    if item.column in dataset.key_columns:
        raise _identifies(dataset, item.column, f"{field}.column", "Filter on a column that many people share")
    if column.type is ColumnType.TEXT:
        raise _wrong_type(dataset, f"{field}.column", f"{item.column} is text, and text is not filtered on")
    if item.between is not None:
        if column.type not in (ColumnType.DATE, ColumnType.INTEGER):
            raise _wrong_type(dataset, f"{field}.between", f"{item.column} is a {column.type}, which has no order")
        values: tuple[str | int, ...] = (item.between.low, item.between.high)
    elif item.one_of is not None:
        values = item.one_of
    else:
        values = () if item.equals is None else (item.equals,)
    for value in values:
        if not _fits(column, value):
            raise _wrong_type(
                dataset,
                field,
                f"{item.column} is a {column.type}, and the filter compares it with {value!r}",
                f'Put it in quotes: "{value}"' if str(value) in {code.value for code in column.codes} else "",
            )
        if column.type is ColumnType.CODE and value not in {code.value for code in column.codes}:
            known = [code.value for code in column.codes]
            raise IsthmusError(
                Reason.UNKNOWN_CODE,
                f"{value!r} is not a code of {item.column} in {dataset.name}",
                field=field,
                space=f"https://{dataset.space_host}",
                advice=nearest(str(value), known, "Its codes are"),
            )
    if item.between is not None:
        _check_order(item.between, dataset, field)


def _check_bounds(column: Column, field: str, low: str | int, high: str | int, dataset: Dataset) -> None:
    """What is added up or compared has public bounds, within those of the question: a row beyond the question's would
    end its session, which tells of one person that it is beyond bounds of the asker's choice."""
    least, most = column.least, column.most
    if least is None or most is None:
        raise _wrong_type(
            dataset,
            field,
            f"{column.name} of {dataset.name} has no public bounds, and what has none is not added up",
            "Ask its owner to describe it with least and most, or leave this source out",
        )
    if not (_ordered(low, least) and _ordered(most, high)):
        raise _wrong_type(
            dataset,
            field,
            f"{column.name} of {dataset.name} lies between {least} and {most}, beyond the question's bounds",
            f"Take bounds that these lie within, such as least: {least} and most: {most}",
        )


def _ordered(low: str | int, high: str | int) -> bool:
    """Of one type, and in order; days in ISO form sort as text."""
    return isinstance(low, int) is isinstance(high, int) and low <= high  # type: ignore[operator]


def _fits(column: Column, value: str | int) -> bool:
    match column.type:
        case ColumnType.INTEGER:
            return isinstance(value, int) and not isinstance(value, bool)
        case ColumnType.DATE:
            return isinstance(value, str) and dates.is_day(value)
        case _:
            return isinstance(value, str)


def _check_order(between: query.Between, dataset: Dataset, field: str) -> None:
    """Both ends are of the column's one type by now; days in ISO form sort as text."""
    if between.low > between.high:  # type: ignore[operator]
        raise IsthmusError(
            Reason.MALFORMED_QUERY,
            f"{between.low} comes after {between.high}, so the filter keeps nothing",
            field=f"{field}.between",
            space=f"https://{dataset.space_host}",
            advice="Swap the two",
        )


def _owner(asked: query.Query, index: int, spaces: Mapping[str, Space]) -> tuple[str, Dataset]:
    name = asked.sources[index].dataset
    known = {dataset.name: (entity, dataset) for entity, space in spaces.items() for dataset in space.offer.datasets}
    if name not in known:
        raise IsthmusError(
            Reason.UNKNOWN_DATASET,
            f"no dataset named {name} is offered in this federation",
            field=f"sources[{index}].dataset",
            advice=nearest(name, sorted(known), "See `isthmus datasets`; offered are"),
        )
    entity, dataset = known[name]
    seats.check_standing(spaces[entity], f"sources[{index}].dataset")
    if not spaces[entity].reachable:
        raise IsthmusError(
            Reason.PEER_UNREACHABLE,
            f"the space that offers {name} does not answer",
            field=f"sources[{index}].dataset",
            space=entity,
            advice="Try again later, or leave the source out",
        )
    return entity, dataset


def _column(dataset: Dataset, name: str, field: str, instead: str = "") -> Column:
    column = dataset.column(name)
    if column is None:
        raise IsthmusError(
            Reason.UNKNOWN_COLUMN,
            f"{dataset.name} has no column {name}",
            field=field,
            space=f"https://{dataset.space_host}",
            advice=nearest(name, [column.name for column in dataset.columns], "Its columns are") + instead,
        )
    return column


def _outcome(draft: contract.Contract) -> str:
    what = statistics.of(draft.query).said(draft.query, str)
    if draft.query.common_codes:
        what = f"{what}; {common_codes.SAID}"
    what = f"{what}{key_rules.told(draft.key_rules)}"
    if draft.limits.epsilon is not None:
        what = f"{what}, each off by at most {privacy.off_by(draft.limits)} with 95 % (ε = {draft.limits.epsilon})"
    if draft.limits.minimum_cell > 1:
        rounded = f", others to multiples of {draft.limits.rounding}" if draft.limits.rounding else ""
        return f"{what}; cells under {draft.limits.minimum_cell} suppressed{rounded}"
    return f"{what}; exact" if draft.limits.epsilon is None else f"{what}; every cell shown"


def _identifies(dataset: Dataset, column: str, field: str, advice: str) -> IsthmusError:
    return IsthmusError(
        Reason.PERMISSION_DENIED,
        f"{column} tells who somebody is, and questions are not asked about one person",
        field=field,
        space=f"https://{dataset.space_host}",
        advice=advice,
    )


def _wrong_type(dataset: Dataset, field: str, public: str, advice: str = "") -> IsthmusError:
    return IsthmusError(
        Reason.WRONG_FILTER_TYPE,
        public,
        field=field,
        space=f"https://{dataset.space_host}",
        advice=advice or f"`isthmus datasets {dataset.name}` shows each column's type and codes",
    )
