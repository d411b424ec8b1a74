"""Whether this space approves a contract: its own rules, over signed bytes, whoever brought them.

Invariant: the agent does not trust its gateway to have checked anything; the same rules run at the dry run
(what public metadata can say), at Propose and again at Run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from connectors.rules.columns import ColumnRule, check_columns
from gateway.domain.contract import Contract, Input
from gateway.domain.dataset import ColumnType, Dataset, Edition
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import EntityId, host_of
from gateway.domain.offer import Offer, Operator
from gateway.rules import common_codes, key_rules, packages, planning, plans, policy, statistics
from gateway.rules.contract import check_contract, check_parameters, check_parties, check_whole, invalid
from gateway.rules.roles import check_roles


@dataclass(frozen=True, slots=True)
class OwnPart:
    """What this space offers, and per dataset the spaces that may initiate, and rules for its columns."""

    entity: str
    offer: Offer
    spaces: Mapping[str, Sequence[str]]
    columns: Mapping[str, Sequence[ColumnRule]] = field(default_factory=dict)
    # The edition before the one on offer, by dataset, and until when a contract may have been made on it.
    former: Mapping[str, tuple[Edition, int]] = field(default_factory=dict)
    # Per dataset, the roles that are answered of one space alone.
    roles: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)

    def dataset(self, name: str) -> Dataset | None:
        return next((dataset for dataset in self.offer.datasets if dataset.name == name), None)

    def in_edition(self, item: Input, made: int) -> Dataset | None:
        """The dataset in the edition that a contract of that time names, unless it was replaced before."""
        dataset = self.dataset(item.dataset)
        if dataset is None or item == planning.edition_of(dataset):
            return dataset
        edition, until = self.former.get(item.dataset, (dataset.edition, 0))
        former = replace(dataset, edition=edition)
        return former if made < until and item == planning.edition_of(former) else None

    def is_open(self, name: str, space: str) -> bool:
        """Whether questions about the dataset `name` may come from `space`."""
        return "*" in self.spaces[name] or space in self.spaces[name]


def check_draft(draft: Contract, own: OwnPart, operators: Mapping[str, Operator], now: int) -> None:
    """What can be said from public metadata; raises IsthmusError with what would pass."""
    check_whole(draft)
    datasets = _own_datasets(draft, own)
    for dataset in datasets:
        if not own.is_open(dataset.name, draft.initiator):
            raise IsthmusError(
                Reason.POLICY_REFUSED,
                f"{dataset.name} is not open to questions from {draft.initiator}",
                field="initiator",
                space=own.entity,
                advice="Ask its steward to add that space to the policy",
            )
    for index, source in enumerate(draft.query.sources):
        if (named := own.dataset(source.dataset)) is not None:
            planning.check_source(draft.query, index, named)
    planning.check_lists(draft.query, datasets)
    if datasets and key_rules.settle(draft.query, datasets) != draft.key_rules:
        raise invalid("its people would be linked by other rules than this space declares", field="key_rules")
    for dataset in datasets:
        check_roles(draft, dataset, own.roles.get(dataset.name, {}))
        check_columns(draft, dataset, own.columns.get(dataset.name, ()))
    policy.check_terms(draft, datasets, operators, now)
    plans.check_standing(draft, datasets)
    if len(draft.seats_of(own.entity)) > own.offer.seats:
        raise IsthmusError(
            Reason.SEATS_REFUSED,
            f"{len(draft.seats_of(own.entity))} seats were asked of a space that offers {own.offer.seats}",
            space=own.entity,
            advice="Ask for fewer seats here",
        )
    _check_program(draft, own)


def check_proposal(contract: Contract, own: OwnPart, operators: Mapping[str, Operator], now: int) -> None:
    """Everything: the contract's own rules, then this space's. Raises IsthmusError."""
    check_contract(contract, operators, now)
    _check_takes_part(contract, own)
    check_draft(contract, own, operators, now)


def check_plan(plan: Contract, own: OwnPart, operators: Mapping[str, Operator], now: int) -> None:
    """The same of a plan that people are to decide on, whose session has no time yet."""
    check_parties(plan, operators)
    _check_takes_part(plan, own)
    check_draft(plan, own, operators, now)


def _check_takes_part(contract: Contract, own: OwnPart) -> None:
    if own.entity not in contract.entities():
        raise invalid("the contract gives this space no part", space=own.entity)


def _own_datasets(draft: Contract, own: OwnPart) -> list[Dataset]:
    """The datasets that the contract wants of this space, in exactly the editions that it offers, or offered when the
    contract was made."""
    provider = draft.provider_of(own.entity)
    named = [source.dataset for source in draft.query.sources if own.dataset(source.dataset) is not None]
    if provider is None:
        if named:
            raise invalid("the contract names a dataset of this space, and not the space as provider", space=own.entity)
        return []
    datasets = []
    for item in provider.inputs:
        dataset = own.in_edition(item, draft.not_before)
        if dataset is None:
            raise IsthmusError(
                Reason.EDITION_CHANGED,
                f"{item.dataset} in edition {item.edition} is not what this space offers now",
                field="providers",
                space=own.entity,
                advice="Make the plan again: the catalogue has the present edition",
            )
        datasets.append(dataset)
    return datasets


def _check_program(draft: Contract, own: OwnPart) -> None:
    program = draft.program
    known = {(offer.name, offer.version): offer for offer in own.offer.programs}
    installed, packaged = known.get((program.name, program.version)), draft.query.statistic.program
    if packaged is not None and (installed is None or installed.digest != program.digest):
        raise IsthmusError(
            Reason.PROGRAM_MISMATCH,
            f"{host_of(EntityId(own.entity))} does not allow {packages.identified(program.name, program.digest)} here",
            field="program",
            space=own.entity,
            advice=f"Here {packages.HOW} to `programs` of its agent's configuration",
        )
    if packaged is not None and installed is not None and packaged.descriptor != installed.descriptor:
        raise invalid(
            f"the query says otherwise of program {program.name} than what is installed here under its digest",
            field="query.statistic.program.descriptor",
            space=own.entity,
        )
    if (
        installed is None
        or installed.digest != program.digest
        or bool(installed.descriptor) is not (packaged is not None)
        or (program.engine, program.codec) != (own.offer.engine, own.offer.codec)
    ):  # fmt: skip
        raise IsthmusError(
            Reason.PROGRAM_MISMATCH,
            f"this space does not run program {program.name} {program.version} with the contract's digest",
            field="program",
            space=own.entity,
            advice="All spaces of a session have to run the same release",
        )
    uses = [used for used in statistics.of(draft.query).uses(draft.query) if ColumnType.CODE in used.types]
    told = statistics.code_lists(program.parameters)
    own_codes: list[dict[str, tuple[str, ...]]] = [
        {
            used.column: common_codes.own(
                draft.query, told.get(used.column, ()), common_codes.code_values(dataset, used.column)
            )
            for used in uses
            if used.taken_from(index)
        }
        for index, source in enumerate(draft.query.sources)
        if (dataset := own.dataset(source.dataset)) is not None
    ]
    for codes in own_codes or [{}]:
        check_parameters(draft, codes)
