"""From a table to estimates: each model selects, is fitted, and gets its intervals.

Invariant: a model that is refused for the table itself is not resampled; nothing else changes an estimate's
point, whichever intervals are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from gateway.client.estimates.bootstrap import Resampling, bootstrap
from gateway.client.estimates.interval import NoProfile, profile_interval
from gateway.client.estimates.loglinear import Fit, Loglinear
from gateway.client.estimates.result import BCA, PROFILE_BESIDE, PROFILE_KIND, SIDE_BY_SIDE, Bootstrap, Estimate
from gateway.client.estimates.selection import SELECT, Refused
from gateway.client.estimates.table import OverlapTable

# What the papers take, and with which ends move by a few percent from seed to seed.
PLENTY = 1000


def run(
    table: OverlapTable, models: Sequence[str], profile: bool, resampling: Resampling | None, tick: Callable[[], None]
) -> list[Estimate]:
    """One estimate per model, in that order."""
    loglinear = Loglinear(table)
    kind = None if not profile else PROFILE_KIND if resampling is None else PROFILE_BESIDE
    found = [_estimate(loglinear, model, kind) for model in models]
    if resampling is None:
        return found
    chosen = {each.model: (each.point, frozenset(each.terms)) for each in found if each.point is not None}
    drawn = bootstrap(table, chosen, resampling, tick)
    return [_with(each, drawn[each.model], profile) if each.model in drawn else each for each in found]


def _estimate(table: Loglinear, model: str, profile: str | None) -> Estimate:
    """`profile` is the note on its interval; None where none is asked for."""
    try:
        fit, notes = SELECT[model](table)
    except Refused as refusal:
        return Estimate(model, table.observed, notes=(SIDE_BY_SIDE,), refused=str(refusal))
    made = Estimate(
        model=model,
        observed=table.observed,
        terms=tuple(table.name(pair) for pair in fit.pairs),
        point=fit.point,
        aic=fit.aic,
        bic=fit.bic,
        notes=(SIDE_BY_SIDE,),
    )
    if profile is not None:
        made = _with_profile(_noted(made, profile), fit)
    return _noted(made, *notes)


def _noted(made: Estimate, *notes: str) -> Estimate:
    return replace(made, notes=(*made.notes, *notes))


def _with_profile(made: Estimate, fit: Fit) -> Estimate:
    try:
        interval = profile_interval(fit)
    except NoProfile:
        return _noted(made, f"{made.model}: the profile likelihood could not be followed; no interval is given.")
    made = replace(made, lo=interval.lo, hi=interval.hi)
    return made if made.hi is not None else _noted(made, f"{made.model}: the likelihood gives no upper bound.")


def _with(made: Estimate, drawn: Bootstrap, profile: bool) -> Estimate:
    """With its bootstrap, whose BCa interval heads the estimate where no profile was asked for."""
    notes = [
        f"Bootstrap intervals are 95 % BCa (Efron 1987) and plain percentiles of {drawn.replicates} resampled tables "
        f"(seed {drawn.seed}), in each of which the model is selected anew."
    ]
    if drawn.replicates < PLENTY:
        notes.append(f"Ends from {drawn.replicates} replicates are rough; `--replicates {PLENTY}` takes longer.")
    if drawn.refused:
        notes.append(
            f"{made.model}: {drawn.refused} of {drawn.replicates} resampled tables gave no estimate and are left out"
            + ("." if drawn.percentile is not None else "; that is over a tenth, so no bootstrap interval is given.")
        )
    if drawn.percentile is not None and drawn.bca is None:
        notes.append(
            f"{made.model}: BCa is undefined here: all replicates lie on one side of the estimate, or the table has no "
            "estimate without one of its people."
        )
    made = replace(_noted(made, *notes), bootstrap=drawn)
    if profile:
        return made
    ends = drawn.bca
    return replace(made, interval=BCA, lo=None if ends is None else ends.lo, hi=None if ends is None else ends.hi)
