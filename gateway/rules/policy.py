"""What an owner allows, decided from public terms: the same rule in a dry run and at approval.

Invariant: the strictest of all owners wins and a requester may only tighten; a refusal says what would
pass. Nothing here depends on a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.domain import contract, query
from gateway.domain.dataset import Dataset
from gateway.domain.errors import IsthmusError, Reason


def demanded_minimum(dataset: Dataset, statistic: str) -> int:
    """The least minimum cell that this owner accepts for this statistic (0: exact release is allowed)."""
    return 0 if statistic in dataset.terms.exact_statistics else dataset.terms.minimum_cell


def settle_limits(wished: query.Limits, statistic: str, datasets: Sequence[Dataset]) -> contract.Limits:
    """The limits of the contract: wished ones where they are strict enough, else a refusal.

    Without a wish the strictest minimum of all owners holds, exact release or not: it has to be asked for.
    """
    minimum = max(dataset.terms.minimum_cell for dataset in datasets)
    if wished.minimum_cell is not None:
        for dataset in datasets:
            demanded = demanded_minimum(dataset, statistic)
            if wished.minimum_cell < demanded:
                raise IsthmusError(
                    Reason.POLICY_REFUSED,
                    f"{dataset.name} releases {statistic} in cells of at least {demanded}, and {wished.minimum_cell} was asked",
                    field="limits.minimum_cell",
                    space=f"https://{dataset.space_host}",
                    advice=f"Ask for a minimum cell of {demanded} or more",
                )
        minimum = wished.minimum_cell
    small_zero = wished.zero_is_small or any(dataset.terms.zero_is_small for dataset in datasets)
    return contract.Limits(minimum, small_zero and minimum > 1, provider_subtraction=minimum > 1)


def check_terms(draft: contract.Contract, datasets: Iterable[Dataset]) -> None:
    """Raises IsthmusError(POLICY_REFUSED) when one of these datasets' owners would refuse the contract."""
    asked = draft.query
    for dataset in datasets:
        terms = dataset.terms
        demanded = demanded_minimum(dataset, asked.statistic.name)
        refusals = (
            (asked.purpose not in terms.purposes, "purpose", f"the purpose {asked.purpose}", terms.purposes),
            (asked.legal_basis not in terms.legal_bases, "legal_basis", f"the legal basis {asked.legal_basis}", terms.legal_bases),
            (asked.statistic.name not in terms.statistics, "statistic", f"the statistic {asked.statistic.name}", terms.statistics),
        )  # fmt: skip
        for refused, field, what, passing in refusals:
            if refused:
                raise _refused(
                    dataset,
                    field,
                    f"{dataset.name} does not allow {what}",
                    f"It allows: {', '.join(passing)}",
                )
        if draft.limits.minimum_cell < demanded or (demanded > 1 and not draft.limits.provider_subtraction):
            raise _refused(
                dataset,
                "limits.minimum_cell",
                f"{dataset.name} wants cells of at least {demanded}",
                f"Ask for {demanded}",
            )
        if terms.zero_is_small and draft.limits.minimum_cell > 1 and not draft.limits.zero_is_small:
            raise _refused(dataset, "limits.zero_is_small", f"{dataset.name} counts zero as small", "Set zero_is_small")
        if draft.m < terms.minimum_seats:
            raise _refused(
                dataset,
                "seats",
                f"{dataset.name} wants at least {terms.minimum_seats} seats",
                f"Ask for {terms.minimum_seats}",
            )
        if draft.demo_view and not terms.demo_view:
            raise _refused(
                dataset,
                "demo_view",
                f"{dataset.name} does not allow a look into a receive buffer",
                "Leave demo_view out",
            )


def _refused(dataset: Dataset, field: str, public: str, advice: str) -> IsthmusError:
    return IsthmusError(
        Reason.POLICY_REFUSED, public, field=field, space=f"https://{dataset.space_host}", advice=advice
    )
