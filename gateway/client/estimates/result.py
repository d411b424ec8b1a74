"""What an estimate says, in numbers and in words.

Invariants: an estimate has either numbers or the reason of its refusal, never both; every rendering
carries all models and the warning not to quote one of them alone. Fields are an interface: `--json` of
`isthmus run` and `isthmus mse` print them as they are, and they only grow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PROFILE = "profile likelihood"
BCA = "BCa bootstrap"

SIDE_BY_SIDE = (
    "Read the models side by side and quote none of them alone: which one fits victims' lists best is "
    "disputed in the literature, and they may differ by a factor of two."
)
PROFILE_KIND = (
    "Intervals are 95 % profile likelihood, for the model as selected. Published BCa bootstrap intervals "
    "also carry the uncertainty of the selection, are usually wider, and cannot be compared end by end."
)

PROFILE_BESIDE = (
    "Profile intervals are 95 % likelihood, for the model as selected: they leave out that another table of the "
    "same people might have selected another one, which the bootstrap takes in."
)


@dataclass(frozen=True, slots=True)
class Interval:
    """95 %, in people, as real numbers; `hi` is None where nothing bounds the number from above."""

    lo: float
    hi: float | None


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """What `replicates` resampled tables say about one model, which is selected anew in each.

    `refused` of them gave no estimate and are left out; `same_terms` is the share of the others that chose
    the very same interactions. `bca` is None where it is undefined, both are where too many were refused.
    `bias` is z0 and `acceleration` a of Efron (1987).
    """

    replicates: int
    seed: int
    refused: int
    same_terms: float
    percentile: Interval | None
    bca: Interval | None
    bias: float | None
    acceleration: float | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """One model's answer. `point`, `lo` and `hi` count everyone, the observed included.

    `terms` are the pairs of lists that interact, as "LA:NG", in the order in which they were selected;
    `lo` and `hi` are the ends of the kind of interval that `interval` names: of the profile likelihood where
    it was asked for, else BCa; `hi` is None where nothing bounds the number from above, both are where no
    interval can be given; `refused` says why there is no number, and then the numbers are None.
    """

    model: str
    observed: int
    terms: tuple[str, ...] = ()
    point: float | None = None
    lo: float | None = None
    hi: float | None = None
    interval: str = PROFILE
    aic: float | None = None
    bic: float | None = None
    notes: tuple[str, ...] = ()
    refused: str | None = None
    bootstrap: Bootstrap | None = None

    @property
    def text(self) -> str:
        """One line: "stepwise-aic: 11313 (9889 - 13063), profile likelihood; LA:NG NG:GP"."""
        if self.refused is not None or self.point is None:
            return f"{self.model}: refused, {self.refused}"
        lo = "?" if self.lo is None else f"{self.lo:.0f}"
        hi = "?" if self.lo is None else "no upper bound" if self.hi is None else f"{self.hi:.0f}"
        terms = " ".join(self.terms) or "no interactions"
        return f"{self.model}: {self.point:.0f} ({lo} - {hi}), {self.interval}; {terms}"


def render(estimates: Sequence[Estimate]) -> str:
    """All models under each other, then their notes, each once."""
    notes = dict.fromkeys(note for estimate in estimates for note in estimate.notes)
    return "\n".join([*(estimate.text for estimate in estimates), *notes])
