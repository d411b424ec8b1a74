"""The datasets that this agent holds: described, checked against their sources, read for a contract.

Invariants: what is offered was checked; rows are read for the edition that the contract names or not at
all; only keys, list memberships, code indices and what is measured leave this module. Plain blocking calls.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from connectors.config import DatasetConfig, PolicyConfig
from connectors.engine.rows import InputCells, InputRows
from connectors.policies import columns_of, described, roles_of, stewards_of, terms_of
from connectors.rules.columns import ColumnRule
from connectors.sources.errors import SourceError
from connectors.sources.linking import link_locally
from connectors.sources.pooling import Adding, again, totals
from connectors.sources.snapshot import Identities
from connectors.sources.tables import DatasetSource, Report, SourceConfig, YearOf
from gateway.config import load
from gateway.domain.contract import Contract, Input, Provider
from gateway.domain.dataset import Column, ColumnType, Dataset, Edition
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import EntityId, host_of
from gateway.edges.keys import read_secret
from gateway.rules import common_codes, statistics
from gateway.rules.statistics import Use, Used

T = TypeVar("T")
# What a statistic has owners work out of several columns (`statistics.placing`).
PLACE = Column("place", ColumnType.INTEGER)


@dataclass(frozen=True, slots=True)
class FrozenCopy:
    """A published edition and its copy: `file` is relative to `folder`."""

    edition: Edition
    folder: Path
    file: str


@dataclass(frozen=True, slots=True)
class Former:
    """The edition before the one on offer: contracts that were made before `until` still run on it."""

    edition: Edition
    source: DatasetSource
    until: int


@dataclass(frozen=True, slots=True)
class Holding:
    dataset: Dataset
    source: DatasetSource
    # Entity IDs of the spaces that may initiate; "*" for every peer.
    spaces: tuple[str, ...]
    snapshot_key: bytes = field(repr=False)
    # How many questions an edition answers; None: any number.
    questions: int | None = None
    # Which column is for whom; one without a rule is for everybody.
    columns: tuple[ColumnRule, ...] = ()
    # Where its policy stands; None for one that was made without a file.
    policy_file: Path | None = None
    # Names of the stewards who may approve, where the terms want people; none: all of the agent's.
    stewards: tuple[str, ...] = ()
    # In which roles the people of a space are answered, where that is not for all alike.
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    former: Former | None = None

    def source_of(self, edition: Input) -> DatasetSource | None:
        """Where the rows of this edition are, if it is at hand."""
        if edition.snapshot == self.dataset.edition.snapshot:
            return self.source
        if self.former is not None and edition.snapshot == self.former.edition.snapshot:
            return self.former.source
        return None


def open_holdings(
    entity: EntityId, paths: Sequence[Path], published: Mapping[str, FrozenCopy] | None = None
) -> dict[str, Holding]:
    """Holdings by dataset name: of one that was published its newest edition, of others what their files describe.

    Raises IsthmusError naming dataset, field and what breaks the description.
    """
    holdings = {}
    for path in paths:
        holding = _open(entity, load(DatasetConfig, path), published or {})
        if holding.dataset.name in holdings:
            raise IsthmusError(Reason.CONFIGURATION, f"{path} describes {holding.dataset.name} again", field="id")
        holdings[holding.dataset.name] = holding
    return holdings


def under(holding: Holding, policy: PolicyConfig) -> Holding:
    """The same rows under this policy. Raises IsthmusError(CONFIGURATION) for one that does not fit the dataset."""
    columns = columns_of(policy, holding.dataset.columns)
    dataset = replace(holding.dataset, terms=terms_of(policy))
    return replace(
        holding,
        dataset=dataset,
        spaces=policy.spaces,
        questions=policy.questions,
        columns=columns,
        roles=roles_of(policy),
        stewards=stewards_of(policy),
    )


def read_rows(contract: Contract, entity: str, holdings: Mapping[str, Holding]) -> InputRows | InputCells:
    """This provider's people for `contract`, linked at home, keyed for this session alone; where nobody is recognised
    across providers, added up.

    Raises IsthmusError: EDITION_CHANGED when a source is not what was approved, ROWS_EXCEED_BOUND, and what
    the source raises.
    """
    provider = contract.provider_of(entity)
    if provider is None:
        raise IsthmusError(Reason.CONTRACT_INVALID, "this space provides nothing to the contract", space=entity)
    if not contract.query.link_on:
        return _totals(contract, provider, holdings)
    inputs = {item.dataset: item for item in provider.inputs}
    uses = list(statistics.of(contract.query).uses(contract.query))
    groups = [used for used in uses if used.use is Use.GROUP]
    measures = [used.column for used in uses if used.use is Use.MEASURE]
    edges = {used.column: used.edges for used in uses if used.edges}
    chosen = _chosen(contract, groups)
    # A column that no source here tells has no codes here, and nobody's code of it is known.
    grouped = {used.column: Column(used.column, ColumnType.CODE) for used in groups}
    if (place := statistics.placing(contract.query)) is not None:
        grouped = {PLACE.name: PLACE}
    told: dict[int, list[int]] = {}
    lists: list[tuple[int, Sequence[tuple[str | int | None, ...]]]] = []
    keys: tuple[Column, ...] = ()
    measured: tuple[Column, ...] = ()
    # By name: which code a person has may not depend on the order in which a question names its sources, or it and its
    # repeat in another order would differ by a few people.
    for index, source in sorted(enumerate(contract.query.sources), key=lambda item: item[1].dataset):
        if source.dataset not in inputs:
            continue
        holding = holdings[source.dataset]
        keys = _columns(holding.dataset, contract.query.link_on)
        told[index] = [number for number, used in enumerate(groups) if used.taken_from(index)]
        here = [groups[number].column for number in told[index]]
        if place is None:
            grouped.update((column.name, column) for column in _columns(holding.dataset, here))
        measured = _columns(holding.dataset, measures)
        names = [*contract.query.link_on, *here, *measures]
        rows = _of_edition(
            holding,
            inputs[source.dataset],
            partial(DatasetSource.read, columns=names, filters=common_codes.filters(contract, index)),
        )
        if place is not None:
            told[index] = [0]
            rows = [(*row[: len(keys)], place(row[len(keys) :])) for row in rows]
        lists.append((index, rows))
    columns, salt = tuple(grouped.values()), contract.session.encode()
    linked = link_locally(lists, keys, columns, salt, edges, told, measured, chosen)
    _check_bound(len(linked.keys), provider)
    return InputRows(linked.keys, linked.lists, linked.codes, linked.values)


def _totals(contract: Contract, provider: Provider, holdings: Mapping[str, Holding]) -> InputCells:
    """This provider's people, each once, added up by cells. Whose rows they are is asked of each list first, then their
    groups without the rows of people who were counted before: the order of lists is that of linking at home."""
    parameters = json.loads(contract.program.parameters)
    inputs = {item.dataset: item for item in provider.inputs}
    # By name, as when people are linked.
    sources = sorted(
        ((index, source.dataset) for index, source in enumerate(contract.query.sources) if source.dataset in inputs),
        key=lambda source: source[1],
    )
    kept = [common_codes.filters(contract, index) for index, _ in sources]
    uses = list(statistics.of(contract.query).uses(contract.query))
    groups = [used for used in uses if used.use is Use.GROUP]
    names = [used.column for used in groups]
    measured = [
        Adding(used.column, item["least"], item.get("squares", False), ColumnType.DATE in used.types)
        for used, item in zip(
            (used for used in uses if used.use is Use.MEASURE), parameters.get("measures", ()), strict=True
        )
    ]
    everybody = [
        _of_edition(
            holdings[dataset],
            inputs[dataset],
            partial(DatasetSource.people, filters=filters),
        )
        for (_, dataset), filters in zip(sources, kept, strict=True)
    ]
    found = [
        _of_edition(
            holdings[dataset],
            inputs[dataset],
            partial(DatasetSource.groups, columns=names, measured=measured, filters=filters, without=without),
        )
        for (_, dataset), filters, without in zip(sources, kept, again(everybody), strict=True)
    ]
    columns, chosen = _columns(holdings[sources[0][1]].dataset, names), _chosen(contract, groups)
    codes = [chosen.get(name, ()) for name in names]
    made = totals(found, columns, [used.edges for used in groups], codes, measured)
    _check_bound(int(made.totals[0].sum()), provider)
    return made


def _chosen(contract: Contract, groups: Sequence[Used]) -> dict[str, tuple[str, ...]]:
    """The codes of each column of codes in the contract's order, which is where programs look for them: of those that
    it does not have, whoever has one is left out by its program, or by a filter (`common_codes`)."""
    listed = statistics.code_lists(contract.program.parameters)
    return {
        used.column: listed[used.column] for used in groups if ColumnType.CODE in used.types and used.column in listed
    }


def _check_bound(people: int, provider: Provider) -> None:
    if people > provider.row_bound:
        raise IsthmusError(
            Reason.ROWS_EXCEED_BOUND,
            "the datasets have more people than their editions' bounds",
            space=provider.entity,
            advice="Their owner has to publish an edition with a larger row_bound",
        )


@dataclass(frozen=True, slots=True)
class RowSets:
    """Identities (snapshot.py) of the rows that a question's filters keep and, where it takes some codes or numbers of
    a column alone, of those of them with such."""

    kept: Identities
    counted: Identities | None = None


def row_sets(contract: Contract, entity: str, holdings: Mapping[str, Holding]) -> dict[str, RowSets]:
    """Of each dataset of this provider, which rows the contract is about. Raises IsthmusError as `read_rows` does."""
    provider = contract.provider_of(entity)
    inputs = {} if provider is None else {item.dataset: item for item in provider.inputs}
    return {
        source.dataset: _row_sets(contract, index, holdings[source.dataset], inputs[source.dataset])
        for index, source in enumerate(contract.query.sources)
        if source.dataset in inputs
    }


def _row_sets(contract: Contract, index: int, holding: Holding, edition: Input) -> RowSets:
    filters = common_codes.filters(contract, index)
    uses = statistics.of(contract.query).uses(contract.query)
    taken = [used.picks for used in uses if used.picks is not None and used.taken_from(index)]
    counted = None
    if taken:
        counted = _of_edition(holding, edition, partial(DatasetSource.identities, filters=(*filters, *taken)))
    # Last: a reading leaves at hand which rows it kept, and the session asks for these.
    kept = _of_edition(holding, edition, partial(DatasetSource.identities, filters=filters))
    return RowSets(kept, counted)


def named(problem: SourceError, dataset: str, entity: str) -> IsthmusError:
    """A source knows its file alone: what it says is said of the dataset and its space."""
    return IsthmusError(
        problem.reason,
        f"{dataset}: {problem.public}",
        private=problem.private,
        field=problem.field,
        space=entity,
        advice=problem.advice,
    )


def _of_edition(holding: Holding, edition: Input, read: Callable[..., T]) -> T:
    """What `read(source, key=, pinned=)` reads of exactly the edition that was checked, offered and approved. Raises in
    words that do not depend on rows: they go to every space, and a line's number is nearly a count."""
    space = f"https://{holding.dataset.space_host}"
    try:
        if (source := holding.source_of(edition)) is not None:
            return read(source, key=holding.snapshot_key, pinned=edition.snapshot)
    except SourceError as broken:
        if broken.reason is Reason.SOURCE_UNREADABLE:
            raise IsthmusError(
                Reason.SOURCE_UNREADABLE,
                f"the source of {holding.dataset.name} cannot be read",
                private=f"{broken.public} {broken.private}",
                field="path",
                space=space,
                advice="Its owner has to repair it; nothing was read",
            ) from None
        if broken.reason is not Reason.EDITION_CHANGED:
            raise named(broken, holding.dataset.name, space) from None
    raise IsthmusError(
        Reason.EDITION_CHANGED,
        f"{holding.dataset.name} is not what it was when its edition was offered",
        field="providers",
        space=space,
        advice="Its owner publishes the change as a new edition; then ask again",
    )


def _columns(dataset: Dataset, names: Sequence[str]) -> tuple[Column, ...]:
    return tuple(column for name in names if (column := dataset.column(name)) is not None)


def described_by(entity: EntityId, settings: DatasetConfig, policy: PolicyConfig) -> Holding:
    """The dataset over its live file, of which nothing has been read yet: the edition has no snapshot."""
    dataset = described(host_of(entity), settings, policy)
    derived = tuple(YearOf(item.column, item.year_of) for item in settings.derived)
    dates = {column.name: column.dates for column in settings.columns if column.dates}
    config = SourceConfig(settings.folder, settings.file, dataset.columns, settings.key_columns, derived, dates)
    try:
        source = DatasetSource(config)
    except ValueError as wrong:
        raise IsthmusError(Reason.CONFIGURATION, f"{dataset.name}: {wrong}", field="columns", space=entity) from None
    bare = Holding(dataset, source, (), read_secret(settings.snapshot_key), policy_file=settings.policy)
    return under(bare, policy)


def checked(holding: Holding) -> Report:
    """What is in the holding's source. Raises IsthmusError for one that cannot be read."""
    try:
        return holding.source.check(holding.snapshot_key)
    except SourceError as problem:
        raise named(problem, holding.dataset.name, f"https://{holding.dataset.space_host}") from None


def on_copy(holding: Holding, copy: FrozenCopy) -> Holding:
    """The dataset in a published edition, whose copy has been checked. Raises IsthmusError where it is not that."""
    name, space = holding.dataset.name, f"https://{holding.dataset.space_host}"
    dataset = replace(holding.dataset, edition=copy.edition)
    frozen = replace(holding, dataset=dataset, source=holding.source.at(copy.folder, copy.file), former=None)
    report = checked(frozen)
    if report.problems:
        raise broken_by(report, f"the copy of edition {copy.edition.id} of {name}", space)
    if report.pinned != copy.edition.snapshot:
        raise IsthmusError(
            Reason.SOURCE_UNREADABLE,
            f"{copy.file} is not what was published as edition {copy.edition.id} of {name}",
            field="editions",
            space=space,
            advice="Start the agent again if its description has changed; else take the copy from a backup",
        )
    return frozen


def broken_by(report: Report, what: str, space: str) -> IsthmusError:
    """For its owner alone: the first rule that the rows break."""
    first = report.problems[0]
    lines = f", first in line {first.lines[0]}" if first.lines else ""
    return IsthmusError(
        Reason.SOURCE_UNREADABLE,
        f"{what}: {first.rule} in {first.column} ({first.rows} rows{lines})",
        field=first.column,
        space=space,
        advice="Correct the file or its description",
    )


def _open(entity: EntityId, settings: DatasetConfig, published: Mapping[str, FrozenCopy]) -> Holding:
    holding = described_by(entity, settings, load(PolicyConfig, settings.policy))
    name = holding.dataset.name
    if (copy := published.get(name)) is not None:
        return on_copy(holding, copy)
    report = checked(holding)
    if report.pinned is None:
        raise broken_by(report, name, entity)
    if report.rows > settings.edition.row_bound:
        raise IsthmusError(
            Reason.ROWS_EXCEED_BOUND,
            f"{name} has more rows than its row_bound of {settings.edition.row_bound}",
            field="edition.row_bound",
            space=entity,
            advice=f"Set it to at least {2 ** math.ceil(math.log2(report.rows))}",
        )
    edition = replace(holding.dataset.edition, snapshot=report.pinned)
    return replace(holding, dataset=replace(holding.dataset, edition=edition))
