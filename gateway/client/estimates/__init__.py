"""Multiple-systems estimation at the client, from an overlap table that its recipients may open.

Invariants: nothing here sees a record, only counts; at least two models stand side by side in every
answer; a model that the data cannot carry is refused with its reason and never given a number. SciPy
(extra `[stats]`) is imported when the first estimate is asked for, not before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.client.estimates.result import Estimate, render
from gateway.client.estimates.table import OverlapTable
from gateway.domain.errors import IsthmusError, Reason

MODELS = ("stepwise-aic", "minimum-bic", "downhill-bic", "stepwise-p", "main-effects")
DEFAULT_MODELS = MODELS[:3]
FEWEST, MOST = 100, 100_000

__all__ = ["DEFAULT_MODELS", "MODELS", "Estimate", "OverlapTable", "estimate", "render", "usual_replicates"]


def usual_replicates(lists: int) -> int:
    """How many replicates all models take in some 10 to 20 s, with eight lists in up to a minute."""
    return 1000 if lists <= 5 else 250 if lists == 6 else FEWEST


def estimate(
    table: OverlapTable,
    models: Sequence[str] = DEFAULT_MODELS,
    *,
    profile: bool = True,
    replicates: int | None = None,
    seed: int = 1,
    tick: Callable[[], None] = lambda: None,
) -> list[Estimate]:
    """Estimate everyone, those on no list included, under each of `models`, in that order.

    `profile` asks for profile-likelihood intervals, `replicates` for bootstrap intervals from so many
    resampled tables, drawn from `seed`; `tick` is called after each of them. Raises IsthmusError:
    INVALID_ARGUMENT for an unknown model, fewer than two of them, too few or too many replicates or a
    negative seed, CONFIGURATION when the extra `[stats]` is not installed.
    """
    _check(models, replicates, seed)
    try:
        import scipy  # noqa: F401
    except ModuleNotFoundError as missing:
        raise IsthmusError(
            Reason.CONFIGURATION,
            "estimates need SciPy, which is not installed here",
            advice="Install it with: pip install 'isthmus[stats]'.",
        ) from missing
    from gateway.client.estimates.bootstrap import Resampling
    from gateway.client.estimates.estimating import run

    return run(
        table, list(dict.fromkeys(models)), profile, None if replicates is None else Resampling(replicates, seed), tick
    )


def _check(models: Sequence[str], replicates: int | None, seed: int) -> None:
    for index, model in enumerate(models):
        if model not in MODELS:
            raise _wrong(f"there is no model {model!r}", f"models[{index}]", f"Choose from {', '.join(MODELS)}.")
    if len(set(models)) < 2:
        raise _wrong(
            "one model alone would be one number alone, and the literature disputes each of them",
            "models",
            f"Name at least two of {', '.join(MODELS)}.",
        )
    if replicates is not None and not FEWEST <= replicates <= MOST:
        raise _wrong(f"{replicates} replicates are too few or too many", "replicates", f"Take {FEWEST} to {MOST}.")
    if seed < 0:
        raise _wrong(f"{seed} is no seed", "seed", "Take a whole number from 0.")


def _wrong(public: str, field: str, advice: str) -> IsthmusError:
    return IsthmusError(Reason.INVALID_ARGUMENT, public, field=field, advice=advice)
