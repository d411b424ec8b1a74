"""From the files of a dataset and its policy to what is offered, and what stays at home.

Invariant: every key of a policy goes somewhere here; what is public is in the terms, which peers see and
hold a question against.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connectors.config import ApprovalConfig, DatasetConfig, OnePersonConfig, PolicyConfig, PrivacyConfig
from connectors.rules.columns import ColumnRule
from connectors.vocabularies.linkage import compared
from gateway.domain.dataset import Code, Column, Dataset, Edition, OnePerson, Privacy, Terms
from gateway.domain.errors import IsthmusError, Reason
from gateway.rules import noise
from gateway.rules.statistics import Use
from gateway.rules.text import nearest


def described(host: str, settings: DatasetConfig, policy: PolicyConfig) -> Dataset:
    """The dataset as its two files describe it at the space `host`; what pins its rows is still to come."""
    columns = tuple(
        Column(
            column.name,
            column.type,
            column.label,
            column.standard,
            tuple(Code(code.value, code.label or code.value) for code in column.codes),
            column.least,
            column.most,
            compared(column.normalise),
        )
        for column in settings.columns
    )
    return Dataset(
        name=f"spaces/{host}/datasets/{settings.id}",
        title=settings.title,
        description=settings.description,
        vocabulary=settings.vocabulary,
        columns=columns,
        key_columns=settings.key_columns,
        coverage=settings.coverage,
        terms=terms_of(policy),
        edition=Edition(settings.edition.id, settings.edition.created, "", settings.edition.row_bound),
    )


def terms_of(policy: PolicyConfig) -> Terms:
    """The public part."""
    return Terms(
        purposes=policy.purposes,
        legal_bases=policy.legal_bases,
        statistics=policy.statistics,
        minimum_cell=policy.minimum_cell,
        exact_statistics=policy.exact_statistics,
        zero_is_small=policy.zero_is_small,
        minimum_seats=policy.minimum_seats,
        demo_view=policy.demo_view,
        minimum_t=policy.minimum_t,
        transfer=policy.transfer,
        programs=policy.programs,
        packages=policy.packages,
        version=policy.version,
        expires="" if policy.expires is None else policy.expires.isoformat(),
        dominance=policy.dominance,
        rounding=policy.rounding,
        roles=policy.roles,
        privacy=None if policy.privacy is None else _privacy(policy.privacy),
        one_person=None if policy.one_person is None else _one_person(policy.one_person),
        **_of_people(policy.approval),
    )


def _of_people(approval: ApprovalConfig | None) -> dict[str, Any]:
    if approval is None:
        return {}
    return {
        "persons": approval.persons,
        "decide_within": approval.within_hours,
        "person_statistics": approval.statistics,
        "standing": approval.standing,
    }


def stewards_of(policy: PolicyConfig) -> tuple[str, ...]:
    """What stays at home: who may approve; none named: all stewards of the agent."""
    return () if policy.approval is None else policy.approval.stewards


def _privacy(given: PrivacyConfig) -> Privacy:
    """Each amount in the one way to write it."""
    total = None if given.total is None else noise.text(noise.units(given.total))
    return Privacy(noise.text(noise.units(given.epsilon)), noise.text(noise.units(given.budget)), total, given.required)


def _one_person(given: OnePersonConfig) -> OnePerson:
    return OnePerson(
        given.legal_bases, given.roles, given.least_list, given.quota_per_case, given.quota_per_day, given.case
    )


def roles_of(policy: PolicyConfig) -> dict[str, tuple[str, ...]]:
    """What stays at home too: in which roles the people of a space are answered, where that is not for all alike."""
    return {str(item.space): item.roles for item in policy.space_roles}


def columns_of(policy: PolicyConfig, described: Sequence[Column]) -> tuple[ColumnRule, ...]:
    """What stays at home: which column is for whom. Raises IsthmusError for one that the dataset does not have."""
    names = [column.name for column in described]
    for index, rule in enumerate(policy.columns):
        if rule.name not in names:
            raise IsthmusError(
                Reason.CONFIGURATION,
                f"a policy has a rule for {rule.name!r:.80}, which the dataset does not have",
                field=f"columns.{index}.name",
                advice=nearest(rule.name, names, "Its columns are"),
            )
    return tuple(
        ColumnRule(rule.name, rule.spaces, rule.statistics, None if rule.use is None else Use(rule.use))
        for rule in policy.columns
    )
