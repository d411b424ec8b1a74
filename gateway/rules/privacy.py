"""Whether a question gets noise, how much, and what an owner says to it: pure, from public terms.

Invariants: the least ε of all owners and the question holds, and a requester may only ask for less; no question gets
noise that an owner has not opened its dataset to (`[privacy]` of its policy), since noise takes the place of other
limits.

Which limits: with noise, what one provider has of a cell (subtraction, dominance) is not looked at. Those limits depend
on exact parts of a cell, so whether it is shown would tell exactly what noise is there to hide; what is left to a
provider that takes its own people away is as noisy as the count. Minimum and rounding apply to the noised count, and
tell nothing that it does not.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.domain import contract, query
from gateway.domain.dataset import Dataset, Privacy
from gateway.domain.errors import IsthmusError, Reason
from gateway.rules import noise


def settle_epsilon(wished: query.Limits, datasets: Sequence[Dataset]) -> str | None:
    """ε of the contract, None for a question without noise. Raises IsthmusError(POLICY_REFUSED)."""
    asked = [] if wished.epsilon is None else [noise.epsilon(wished.epsilon)]
    given = {dataset.name: dataset.terms.privacy for dataset in datasets}
    if not asked and not any(terms is not None and terms.required for terms in given.values()):
        return None
    for dataset in datasets:
        if given[dataset.name] is None:
            raise refused(
                dataset,
                f"{dataset.name} answers nothing with noise",
                "Ask without limits.epsilon" if asked else "Ask without this source: another owner wants noise",
            )
    if wished.dominance is not None:
        raise IsthmusError(
            Reason.POLICY_REFUSED,
            "what one provider has of a cell is not looked at where counts have noise",
            field="limits.dominance",
            advice="Ask without limits.dominance",
        )
    most = [noise.epsilon(terms.epsilon) for terms in given.values() if terms is not None]
    return noise.text(min([*asked, *most]))


def check_noise(limits: contract.Limits, dataset: Dataset) -> None:
    """Raises IsthmusError(POLICY_REFUSED) unless this owner takes the contract's ε, or that it has none."""
    terms = dataset.terms.privacy
    if limits.epsilon is None:
        if terms is not None and terms.required:
            text = f"{dataset.name} answers with noise alone, for an epsilon of {terms.epsilon} at most"
            raise refused(dataset, text, f"Ask for {terms.epsilon}")
        return
    if terms is None:
        raise refused(dataset, f"{dataset.name} answers nothing with noise", "Ask without limits.epsilon")
    if noise.epsilon(limits.epsilon) > noise.epsilon(terms.epsilon):
        text = f"{dataset.name} answers with noise for an epsilon of {terms.epsilon} at most"
        raise refused(dataset, text, f"Ask for {terms.epsilon}")


def check_settled(wished: query.Limits, limits: contract.Limits) -> str:
    """What is wrong with the contract's ε, the query's wish and its other limits beside it; empty where nothing is."""
    if not noise.is_epsilon(limits.epsilon):
        return "epsilon is not a decimal within its range"
    if limits.epsilon is not None and limits.dominance is not None:
        return "what one provider has of a cell is not looked at where counts have noise"
    if wished.epsilon is not None and (
        limits.epsilon is None or noise.epsilon(limits.epsilon) > noise.epsilon(wished.epsilon)
    ):
        return "there is less noise than the query wished"
    return ""


def terms_hold(terms: Privacy | None) -> bool:
    """Whether an owner's terms are within their ranges, and a budget takes one question."""
    if terms is None:
        return True
    try:
        budgets = [noise.budget(written) for written in (terms.budget, terms.total) if written is not None]
        return noise.epsilon(terms.epsilon) <= min(budgets)
    except ValueError:
        return False


def off_by(limits: contract.Limits) -> int | None:
    """How far a count is from the truth at most, with 95 percent; None without noise."""
    if limits.epsilon is None:
        return None
    return noise.of(limits.epsilon).within() + (limits.rounding or 1) // 2


def refused(dataset: Dataset, public: str, advice: str) -> IsthmusError:
    return IsthmusError(
        Reason.POLICY_REFUSED,
        f"{public} (version {dataset.terms.version} of its policy)",
        field="limits.epsilon",
        space=f"https://{dataset.space_host}",
        advice=advice,
    )
