"""Multiple-systems estimation at the client, from an overlap table that its recipients may open.

Invariants: nothing here sees a record, only counts; at least two models stand side by side in every
answer; a model that the data cannot carry is refused with its reason and never given a number. SciPy
(extra `[stats]`) is imported when the first estimate is asked for, not before.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.client.estimates.result import Estimate, render
from gateway.client.estimates.table import OverlapTable
from gateway.domain.errors import IsthmusError, Reason

MODELS = ("stepwise-aic", "minimum-bic", "downhill-bic", "stepwise-p", "main-effects")
DEFAULT_MODELS = MODELS[:3]

__all__ = ["DEFAULT_MODELS", "MODELS", "Estimate", "OverlapTable", "estimate", "render"]


def estimate(table: OverlapTable, models: Sequence[str] = DEFAULT_MODELS) -> list[Estimate]:
    """Estimate everyone, those on no list included, under each of `models`, in that order.

    Raises IsthmusError: INVALID_ARGUMENT for an unknown model or fewer than two of them,
    CONFIGURATION when the extra `[stats]` is not installed.
    """
    for index, model in enumerate(models):
        if model not in MODELS:
            raise IsthmusError(
                Reason.INVALID_ARGUMENT,
                f"there is no model {model!r}",
                field=f"models[{index}]",
                advice=f"Choose from {', '.join(MODELS)}.",
            )
    if len(set(models)) < 2:
        raise IsthmusError(
            Reason.INVALID_ARGUMENT,
            "one model alone would be one number alone, and the literature disputes each of them",
            field="models",
            advice=f"Name at least two of {', '.join(MODELS)}.",
        )
    try:
        import scipy  # noqa: F401
    except ModuleNotFoundError as missing:
        raise IsthmusError(
            Reason.CONFIGURATION,
            "estimates need SciPy, which is not installed here",
            advice="Install it with: pip install 'isthmus[stats]'.",
        ) from missing
    from gateway.client.estimates.selection import run

    return run(table, models)
