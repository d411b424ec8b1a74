"""What an owner allows, decided from public terms: the same rule in a dry run and at approval.

Invariant: the strictest of all owners wins and a requester may only tighten; a refusal says what would
pass. Nothing here depends on a row.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from gateway.domain import contract, query
from gateway.domain.dataset import Dataset
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.offer import Operator
from gateway.rules import codelists, dates, one_person, privacy
from gateway.rules.statistics import ABOUT_ONE_PERSON

MAX_DOMINANCE = 99  # percent
MAX_ROUNDING = 1000


def demanded_minimum(dataset: Dataset, statistic: str, often: int = 1) -> int:
    """The least minimum cell that this owner accepts for this statistic (0: exact release is allowed, or it has no
    cells), where a person may count so `often`."""
    exact = statistic in dataset.terms.exact_statistics or statistic in ABOUT_ONE_PERSON
    return 0 if exact else _least(dataset, often)


def counts_often(asked: query.Query, owners: int) -> int:
    """How often one person may count in what is left of a cell without one owner. Nobody is recognised across owners
    where nothing is linked on; each counts a person once at home. Cells of so many times the least number of people
    have that number of people at least: provider subtraction leaves as much, of all owners but one, and one of those
    has its part of it."""
    return 1 if asked.link_on else max(owners - 1, 1)


def _least(dataset: Dataset, often: int) -> int:
    least = dataset.terms.minimum_cell
    return least * often if least > 1 else least


def settle_limits(wished: query.Limits, statistic: str, datasets: Sequence[Dataset], often: int = 1) -> contract.Limits:
    """The limits of the contract: wished ones where they are strict enough, else a refusal. A person may count so
    `often` (`counts_often`).

    Without a wish the strictest minimum of all owners holds, exact release or not: it has to be asked for.
    """
    if statistic in ABOUT_ONE_PERSON:
        return one_person.LIMITS
    minimum = max(_least(dataset, often) for dataset in datasets)
    if wished.minimum_cell is not None:
        for dataset in datasets:
            demanded = demanded_minimum(dataset, statistic, often)
            if wished.minimum_cell < demanded:
                raise IsthmusError(
                    Reason.POLICY_REFUSED,
                    f"{dataset.name} releases {statistic} in cells of at least {demanded}, "
                    f"and {wished.minimum_cell} was asked",
                    field="limits.minimum_cell",
                    space=f"https://{dataset.space_host}",
                    advice=f"Ask for a minimum cell of {demanded} or more",
                )
        minimum = wished.minimum_cell
    epsilon = privacy.settle_epsilon(wished, datasets)
    if minimum <= 1:
        return contract.Limits(minimum, zero_is_small=False, provider_subtraction=False, epsilon=epsilon)
    small_zero = wished.zero_is_small or any(dataset.terms.zero_is_small for dataset in datasets)
    # What one provider has of a cell is held against exact counts alone (`rules.privacy`).
    shares = [] if epsilon else [wished.dominance, *(dataset.terms.dominance for dataset in datasets)]
    return contract.Limits(
        minimum,
        small_zero,
        provider_subtraction=epsilon is None,
        epsilon=epsilon,
        dominance=min((share for share in shares if share is not None), default=None),
        rounding=_common_multiple([wished.rounding, *(dataset.terms.rounding for dataset in datasets)]),
    )


def _common_multiple(bases: Iterable[int | None]) -> int | None:
    """What counts are rounded to, so that everybody's base divides them."""
    given = [base for base in bases if base is not None]
    if not given:
        return None
    common = math.lcm(*given)
    if common > MAX_ROUNDING:
        raise IsthmusError(
            Reason.POLICY_REFUSED,
            f"the owners and the question round to bases whose least common multiple is {common}, over {MAX_ROUNDING}",
            field="limits.rounding",
            advice="Ask without a base of your own, or of fewer owners",
        )
    return common


def dominance_in_range(percent: int | None) -> bool:
    return percent is None or 1 <= percent <= MAX_DOMINANCE


def rounding_in_range(base: int | None) -> bool:
    return base is None or 2 <= base <= MAX_ROUNDING


def check_terms(
    draft: contract.Contract, datasets: Iterable[Dataset], operators: Mapping[str, Operator], now: int
) -> None:
    """Raises IsthmusError(POLICY_REFUSED) when one of these datasets' owners would refuse the contract. `operators` are
    verified: results go where the initiator's is."""
    asked = draft.query
    for dataset in datasets:
        terms = dataset.terms
        if terms.expires and dates.day_of(now) >= terms.expires:
            raise _refused(
                dataset,
                "policy.expires",
                f"{dataset.name} answers nothing any more: its policy expired on {terms.expires}",
                "Its steward decides on a new one",
            )
        demanded = demanded_minimum(dataset, asked.statistic.name, counts_often(asked, len(draft.providers)))
        wanted = (
            ("purpose", asked.purpose, terms.purposes),
            ("legal_basis", asked.legal_basis, terms.legal_bases),
            ("statistic", asked.statistic.name, terms.statistics),
        )
        for field, value, allowed in wanted:
            if value not in allowed:
                text = f"{dataset.name} does not allow the {field.replace('_', ' ')} {value}"
                raise _refused(dataset, field, text, f"It allows: {', '.join(allowed)}")
        one_person.check_terms(draft, dataset)
        privacy.check_noise(draft.limits, dataset)
        subtracts = draft.limits.provider_subtraction or draft.limits.epsilon is not None
        if draft.limits.minimum_cell < demanded or (demanded > 1 and not subtracts):
            raise _refused(
                dataset,
                "limits.minimum_cell",
                f"{dataset.name} wants cells of at least {demanded}",
                f"Ask for {demanded}",
            )
        if terms.zero_is_small and draft.limits.minimum_cell > 1 and not draft.limits.zero_is_small:
            raise _refused(dataset, "limits.zero_is_small", f"{dataset.name} counts zero as small", "Set zero_is_small")
        _check_shares(draft.limits, dataset)
        if draft.m < terms.minimum_seats:
            raise _refused(
                dataset,
                "seats",
                f"{dataset.name} wants at least {terms.minimum_seats} seats",
                f"Ask for {terms.minimum_seats}",
            )
        if draft.t < terms.minimum_t:
            raise _refused(
                dataset,
                "seats",
                f"{dataset.name} wants that no {terms.minimum_t} seats together see anything",
                f"Ask for {2 * terms.minimum_t + 1} seats",
            )
        _check_transfer(draft, dataset, operators)
        if asked.statistic.program is not None:
            _check_package(draft.program, dataset)
        elif terms.programs and draft.program.digest not in terms.programs:
            name = f"{draft.program.name} {draft.program.version}"
            raise _refused(
                dataset,
                "program",
                f"{dataset.name} does not accept program {name} with digest {draft.program.digest}",
                f"It accepts the digests: {', '.join(terms.programs)}",
            )
        if draft.demo_view and not terms.demo_view:
            raise _refused(
                dataset,
                "demo_view",
                f"{dataset.name} does not allow a look into a receive buffer",
                "Leave demo_view out",
            )


def _check_package(program: contract.Program, dataset: Dataset) -> None:
    """What no release has runs on a dataset whose owner admits its very digest."""
    if program.digest not in dataset.terms.packages:
        raise _refused(
            dataset,
            "program",
            f"{dataset.space_host} does not allow program {program.name}@sha256:{program.digest} "
            f"on {dataset.short_name}",
            "Its operator reads the package, runs `isthmus programs check DIR`, and adds the digest to `packages` of "
            "the policy",
        )


def _check_shares(limits: contract.Limits, dataset: Dataset) -> None:
    """An exact release has no further limits either."""
    terms = dataset.terms
    if limits.minimum_cell <= 1:
        return
    if (
        terms.dominance is not None
        and not limits.epsilon
        and (limits.dominance is None or limits.dominance > terms.dominance)
    ):
        text = f"{dataset.name} shows no cell of which one provider has over {terms.dominance} percent"
        raise _refused(dataset, "limits.dominance", text, f"Ask for {terms.dominance}")
    if terms.rounding is not None and (limits.rounding is None or limits.rounding % terms.rounding):
        text = f"{dataset.name} shows multiples of {terms.rounding}"
        raise _refused(dataset, "limits.rounding", text, f"Ask for a multiple of {terms.rounding}")


def _check_transfer(draft: contract.Contract, dataset: Dataset, operators: Mapping[str, Operator]) -> None:
    """Recipients are the initiator's own (`rules.contract`), so results go to its jurisdiction, or stay at home."""
    allowed, owner = dataset.terms.transfer, f"https://{dataset.space_host}"
    initiator = operators.get(draft.initiator)
    where = "" if initiator is None else initiator.jurisdiction
    if draft.initiator == owner or codelists.covers(allowed, where):
        return
    said = f"in {where}" if where else "whose jurisdiction is not known here"
    raise _refused(
        dataset,
        "initiator",
        f"results on {dataset.name} do not go to {draft.initiator}, {said}",
        f"They go to: {', '.join(allowed)}" if allowed else "They stay with its owner",
    )


def _refused(dataset: Dataset, field: str, public: str, advice: str) -> IsthmusError:
    return IsthmusError(
        Reason.POLICY_REFUSED,
        f"{public} (version {dataset.terms.version} of its policy)",
        field=field,
        space=f"https://{dataset.space_host}",
        advice=advice,
    )
