"""Multiple-systems estimates against the published ones, an independent fitter, and their definitions."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, poisson

from gateway.client.estimates import MODELS, OverlapTable, estimate, render
from gateway.client.estimates.designs import Pair, cells, independent
from gateway.client.estimates.interval import Profile, profile_interval
from gateway.client.estimates.loglinear import NO_ESTIMATE, NOT_IDENTIFIABLE, Loglinear
from gateway.client.estimates.maximise import newton, positive_cells, trust_region
from gateway.client.estimates.selection import minimum_bic, poisson_p, wald_p
from gateway.domain.errors import IsthmusError, Reason
from tests.unit.mse_kit import model_named, one, pairs, published, row_id, table


@pytest.mark.parametrize("row", published(), ids=row_id)
def test_every_published_point_is_met_within_a_thousandth(row: dict[str, str]) -> None:
    overlaps = table(row["file"])
    ours = one(overlaps, model_named(row["model"]))
    assert ours.refused is None and ours.point is not None and ours.lo is not None and ours.hi is not None
    assert overlaps.observed == ours.observed == int(row["n"])
    assert ours.point == pytest.approx(float(row["point"]), rel=1e-3)
    if "(" in row["model"]:
        named = row["model"].split("(")[1].rstrip(")").split()
        assert set(ours.terms) == set() if named[0] == "main" else set(ours.terms) == set(named)
    assert ours.interval == "profile likelihood"
    if row["interval"] == ours.interval:
        assert ours.lo == pytest.approx(float(row["lo"]), rel=1e-3)
        assert ours.hi == pytest.approx(float(row["hi"]), rel=1e-3)


def test_the_main_job_gives_the_published_figures_to_the_person() -> None:
    aic, minimum, downhill = estimate(table("uk_2013_5lists"))
    assert aic.text == (
        "stepwise-aic: 11313 (9889 - 13063), profile likelihood; "
        "LA:NG NG:GP PFNCA:GP LA:PFNCA GO:GP NG:GO"
    )  # fmt: skip
    assert (round(minimum.point or 0), round(downhill.point or 0)) == (22991, 12262)
    shown = render([aic, minimum, downhill])
    assert "side by side" in shown and "BCa bootstrap" in shown
    assert shown.count("side by side") == 1


@pytest.mark.parametrize(
    ("terms", "refusal"),
    [
        ((), None),
        (("A:B",), NO_ESTIMATE),
        (("A:B", "A:C", "B:C"), NOT_IDENTIFIABLE),
        (("A:C", "B:C"), None),
    ],
)
def test_a_model_that_the_table_cannot_carry_is_refused(terms: tuple[str, ...], refusal: str | None) -> None:
    overlaps = table("artificial_3lists")
    assert Loglinear(overlaps).fit(pairs(overlaps, *terms)).refused == refusal


def test_a_table_that_no_model_can_carry_is_refused_without_a_number() -> None:
    apart = OverlapTable.from_patterns("AB", [((1, 0), 5), ((0, 1), 7)])
    for answer in estimate(apart, MODELS):
        assert answer.refused is not None and ("exists" in answer.refused or "no set" in answer.refused)
        assert (answer.point, answer.lo, answer.hi) == (None, None, None)
        assert "refused" in answer.text


def test_a_pair_that_never_overlaps_takes_its_cells_out_and_still_counts() -> None:
    overlaps = table("uk_2013_5lists")
    fit = Loglinear(overlaps).fit(pairs(overlaps, "LA:GP"))
    assert fit.refused is None and fit.finite == ()
    assert len(fit.counts) == 31 - 8
    assert fit.parameters == 7
    assert fit.bic == pytest.approx(-2 * fit.loglik + 7 * math.log(2744))


@pytest.mark.parametrize(
    ("whole", "lists", "into", "merged"),
    [
        ("uk_2013_6lists", ("PF", "NCA"), "PFNCA", "uk_2013_5lists"),
        ("neworleans_8lists_n185", ("B", "E", "F", "G"), "BEFG", "neworleans_5lists_n185"),
    ],
)
def test_merging_lists_commutes_with_tabulating(whole: str, lists: tuple[str, ...], into: str, merged: str) -> None:
    expected = table(merged)
    assert table(whole).merge(lists, into).reorder(expected.lists) == expected


@pytest.mark.parametrize("model", ["stepwise-aic", "minimum-bic"])
def test_fits_agree_with_an_independent_fitter(model: str) -> None:
    from statsmodels.genmod.families import Poisson
    from statsmodels.genmod.generalized_linear_model import GLM

    overlaps = table("uk_2013_5lists")
    loglinear = Loglinear(overlaps)
    answer = one(overlaps, model)
    ours = loglinear.fit(pairs(overlaps, *answer.terms))
    theirs = GLM(ours.counts, ours.design, family=Poisson()).fit(tol=1e-12)
    assert ours.loglik == pytest.approx(theirs.llf, abs=1e-7)
    assert ours.coefficients == pytest.approx(theirs.params, abs=1e-5)
    column = -len(ours.finite) + ours.finite.index(ours.pairs[-1])
    assert wald_p(ours) == pytest.approx(theirs.pvalues[column], rel=1e-5)
    assert (answer.aic, answer.bic) == pytest.approx(
        (theirs.aic, -2 * theirs.llf + len(theirs.params) * math.log(2744))
    )


@pytest.mark.parametrize(
    ("name", "terms"),
    [
        ("uk_2013_5lists", ("LA:NG", "NG:GP")),
        ("western_us_5lists", ("A:E",)),
        ("neworleans_8lists_n185", ("D:E", "B:F", "A:E", "C:G", "A:D", "A:G", "E:H")),
    ],
)
def test_interval_ends_are_where_the_profile_has_fallen_by_half_the_chi_squared_point(
    name: str, terms: tuple[str, ...]
) -> None:
    from statsmodels.genmod.families import Poisson
    from statsmodels.genmod.generalized_linear_model import GLM

    overlaps = table(name)
    fit = Loglinear(overlaps).fit(pairs(overlaps, *terms))
    interval = profile_interval(fit)
    assert interval.hi is not None
    design = np.vstack([fit.design, [1.0] + [0.0] * (fit.design.shape[1] - 1)])

    def by_definition(everyone: float) -> float:
        """Multinomial log-likelihood of everyone at the shares that fit best, by another fitter."""
        counts = np.append(fit.counts, everyone - fit.observed)
        shares = GLM(counts, design, family=Poisson()).fit(tol=1e-12, maxiter=200).fittedvalues / everyone
        ways = math.lgamma(everyone + 1) - sum(math.lgamma(count + 1) for count in counts)
        return float(ways + counts @ np.log(shares))

    grid = np.linspace(max(fit.observed + 1, fit.point * 0.97), fit.point * 1.01, 41)
    top = max(by_definition(everyone) for everyone in grid)
    drop = chi2.ppf(0.95, 1) / 2
    assert top - by_definition(interval.lo) == pytest.approx(drop, abs=2e-4)
    assert top - by_definition(interval.hi) == pytest.approx(drop, abs=2e-4)
    profile = Profile(fit)
    assert profile(interval.lo - 1) < profile(interval.lo) < profile(fit.point) > profile(interval.hi)
    assert profile(interval.hi) > profile(interval.hi + 1)


def test_a_poisson_tail_is_the_smaller_one_with_the_observed_value_in_it() -> None:
    overlaps = table("uk_2013_5lists")
    loglinear = Loglinear(overlaps)
    main, every = loglinear.fit(()), cells(5)
    for pair in loglinear.pairs:
        expected = main.expected[every.both[:, every.pairs.index(pair)] > 0].sum()
        seen = loglinear.overlap(pair)
        assert poisson_p(loglinear, main, pair) == pytest.approx(
            min(poisson.cdf(seen, expected), poisson.sf(seen - 1, expected))
        )


def least_bic(loglinear: Loglinear) -> float | None:
    every = itertools.chain.from_iterable(
        itertools.combinations(loglinear.pairs, size) for size in range(len(loglinear.pairs) + 1)
    )
    return min((fit.bic for fit in map(loglinear.fit, every) if fit.refused is None), default=None)


def test_branch_and_bound_finds_the_least_bic_of_all_1024_models() -> None:
    loglinear = Loglinear(table("uk_2013_5lists"))
    assert minimum_bic(Loglinear(table("uk_2013_5lists")))[0].bic == pytest.approx(least_bic(loglinear))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from([0, 0, 0, 1, 2, 5, 30]), min_size=15, max_size=15))
def test_branch_and_bound_finds_the_least_bic_of_sparse_tables_too(counts: list[int]) -> None:
    if not any(counts):
        counts[0] = 1
    overlaps = OverlapTable(tuple("ABCD"), tuple(counts))
    least = least_bic(Loglinear(overlaps))
    answer = one(overlaps, "minimum-bic")
    assert answer.bic == (None if least is None else pytest.approx(least, abs=1e-6))
    if answer.point is not None:
        assert answer.point >= overlaps.observed
        assert answer.lo is None or overlaps.observed <= answer.lo <= answer.point


SPARSE = st.lists(st.sampled_from([0, 0, 0, 1, 2, 5, 30]), min_size=15, max_size=15).filter(any)
SETS = st.sets(st.sampled_from([(i, j) for i in range(4) for j in range(i + 1, 4)])).map(lambda s: tuple(sorted(s)))


@settings(deadline=None)
@given(SPARSE, SETS)
def test_a_fit_is_refused_just_where_the_linear_programme_finds_no_estimate(
    counts: list[int], terms: tuple[Pair, ...]
) -> None:
    fit = Loglinear(OverlapTable(tuple("ABCD"), tuple(counts))).fit(terms)
    part = fit.design if (basis := independent(fit.design)) is None else fit.design[:, basis]
    exists = bool(positive_cells(part, fit.counts).all())
    assert (fit.refused == NO_ESTIMATE) == (not exists)
    if fit.refused is None:
        assert fit.design.T @ fit.expected == pytest.approx(fit.design.T @ fit.counts, abs=1e-6)


@settings(deadline=None)
@given(SPARSE, SETS)
def test_a_model_is_never_less_likely_than_one_nested_in_it(counts: list[int], terms: tuple[Pair, ...]) -> None:
    loglinear = Loglinear(OverlapTable(tuple("ABCD"), tuple(counts)))
    for pair in terms:
        nested = tuple(kept for kept in terms if kept != pair)
        assert loglinear.fit(terms).loglik >= loglinear.fit(nested).loglik - 1e-7


@settings(deadline=None)
@given(SPARSE, SETS, st.permutations(range(4)))
def test_the_order_of_lists_changes_no_fit(counts: list[int], terms: tuple[Pair, ...], order: list[int]) -> None:
    overlaps = OverlapTable(tuple("ABCD"), tuple(counts))
    turned = overlaps.reorder(["ABCD"[i] for i in order])
    here = Loglinear(overlaps).fit(terms)
    there = Loglinear(turned).fit(
        tuple(sorted((min(p), max(p)) for p in ((order.index(a), order.index(b)) for a, b in terms)))
    )
    assert (here.refused, here.parameters) == (there.refused, there.parameters)
    assert here.loglik == pytest.approx(there.loglik, abs=1e-6)
    if here.refused is None:
        assert here.point == pytest.approx(there.point, rel=1e-6)


@pytest.mark.parametrize("name", ["uk_2013_5lists", "western_us_5lists", "neworleans_5lists_n185"])
def test_the_order_of_lists_changes_no_estimate_of_a_published_table(name: str) -> None:
    overlaps = table(name)
    turned = overlaps.reorder(tuple(reversed(overlaps.lists)))
    for here, there in zip(estimate(overlaps, MODELS), estimate(turned, MODELS), strict=True):
        assert here.point == pytest.approx(there.point, rel=1e-6)
        assert (here.lo, here.hi) == (pytest.approx(there.lo, rel=1e-4), pytest.approx(there.hi, rel=1e-4))
        assert {frozenset(term.split(":")) for term in here.terms} == {frozenset(t.split(":")) for t in there.terms}


@pytest.mark.parametrize("factor", [2, 10, 1000])
def test_ten_times_the_people_are_ten_times_everyone_in_a_relatively_narrower_interval(factor: int) -> None:
    overlaps = table("western_us_5lists")
    more = OverlapTable(overlaps.lists, tuple(count * factor for count in overlaps.counts))
    here, there = one(overlaps, "main-effects"), one(more, "main-effects")
    assert there.point == pytest.approx((here.point or 0) * factor, rel=1e-6)
    assert here.lo and here.hi and there.lo and there.hi
    assert (there.hi - there.lo) / factor < here.hi - here.lo


@given(st.lists(st.sets(st.sampled_from("ABCD"), min_size=1), min_size=1, max_size=40))
def test_people_on_merged_lists_are_tabulated_as_the_merged_table(people: list[set[str]]) -> None:
    def tabulated(lists: str, who: list[set[str]]) -> OverlapTable:
        found = Counter(tuple(int(label in on) for label in lists) for on in who)
        return OverlapTable.from_patterns(lists, found.items())

    merged = [{"M" if label in "BD" else label for label in on} for on in people]
    assert tabulated("ABCD", people).merge("BD", "M") == tabulated("AMC", merged)


def test_newton_and_the_trust_region_find_the_same_maximum() -> None:
    fit = Loglinear(table("uk_2013_5lists")).fit(pairs(table("uk_2013_5lists"), "LA:NG", "NG:GP"))
    start = np.zeros(fit.design.shape[1])
    start[0] = 5.0
    assert newton(fit.design, fit.counts, start)[0] == pytest.approx(fit.coefficients, abs=1e-8)
    assert trust_region(fit.design, fit.counts, start) == pytest.approx(fit.coefficients, abs=1e-4)


def test_stepwise_p_passes_over_a_pair_with_which_there_is_no_estimate() -> None:
    """A:B overlap far more than expected, but C with neither: only a model with A:C or B:C can have it."""
    counts = {(1, 0, 0): 40, (0, 1, 0): 30, (0, 0, 1): 200, (1, 1, 0): 60}
    made = one(OverlapTable.from_patterns("ABC", counts.items()), "stepwise-p")
    assert made.point is not None and made.terms and made.terms[0] != "A:B"
    assert any("stepwise-p: passed over A:B: with it, no maximum-likelihood" in note for note in made.notes)


@pytest.mark.parametrize(("models", "field"), [(["minimum-bic", "best"], "models[1]"), (["minimum-bic"], "models")])
def test_an_unknown_model_or_one_alone_is_refused(models: list[str], field: str) -> None:
    with pytest.raises(IsthmusError) as refusal:
        estimate(table("uk_2013_5lists"), models)
    assert (refusal.value.reason, refusal.value.field) == (Reason.INVALID_ARGUMENT, field)
    assert "stepwise-aic" in refusal.value.advice


def test_a_suppressed_cell_is_refused_by_its_name() -> None:
    with pytest.raises(IsthmusError, match="LA:NG"):
        OverlapTable(("LA", "NG"), (3, 4, None))  # type: ignore[arg-type]


def without_scipy(code: str) -> str:
    blocked = "import sys; sys.modules['scipy'] = None; " + code
    return subprocess.run(
        [sys.executable, "-c", blocked],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    ).stdout


def test_without_the_extra_the_error_names_it() -> None:
    said = without_scipy(
        "from gateway.client.estimates import *\n"
        "try: estimate(OverlapTable(('A', 'B'), (3, 4, 1)), MODELS)\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    assert said.startswith("IsthmusError") and "pip install 'isthmus[stats]'" in said


def test_importing_estimates_imports_neither_scipy_nor_numpy() -> None:
    said = without_scipy("import gateway.client.estimates; print('numpy' in sys.modules)")
    assert said.strip() == "False"
