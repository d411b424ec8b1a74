"""Each kind of statistic as a user asks it: its file in docs/queries, against the made-up people themselves."""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path
from statistics import fmean, variance

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binomtest, chi2, chi2_contingency, kruskal, mannwhitneyu, pearsonr, ttest_ind
from statsmodels.api import OLS, Logit
from statsmodels.duration.survfunc import SurvfuncRight, survdiff

from gateway.cli import exits
from gateway.sandbox.data import write_lists
from tests.e2e.shell import QUERIES, Shell
from tests.e2e.truth import (
    FORMS,
    MINIMUM,
    SEED,
    ages_and_days,
    ages_by_form,
    ages_by_gender,
    apart_by,
    by_period_and_gender,
    by_year_and_gender,
    cells,
    corridors,
    design,
    everyone,
    form_and_gender,
    form_by_region,
    funnel_by_gender,
    medians_of_records,
    quarters_by_gender,
    quartiles_by_gender,
    records_by_year_and_gender,
    times_to_referral,
)

# Millions, as docs/queries/rate.yaml has them.
UNITED_KINGDOM = {
    ("2012", "Feminine"): 32.4,
    ("2012", "Masculine"): 31.3,
    ("2013", "Feminine"): 32.6,
    ("2013", "Masculine"): 31.5,
    ("2014", "Feminine"): 32.8,
    ("2014", "Masculine"): 31.8,
}


def test_rates_by_year_and_sex(shell: Shell, tmp_path: Path) -> None:
    files = (tmp_path / "rates.csv", tmp_path / "rates.arrow")
    done = shell("run", QUERIES / "rate.yaml", "--json", "--csv", files[0], "--arrow", files[1])
    assert done.code == 0, done.err
    arrow = pa.ipc.open_file(pa.OSFile(str(files[1]))).read_all()
    assert arrow.column("count").to_pylist() == [row["count"] for row in done.json["rows"]]
    assert f'# contract: "{done.json["contract"]}"' in files[0].read_text()
    assert done.json["receipt"]["editions"]["spaces/care.example/datasets/ng"] == "2013-1"
    truth = by_year_and_gender(
        everyone(), {"care": {"NG"}, "police": {"PFNCA"}, "registry": {"GO"}}, {2012, 2013, 2014}
    )
    rows = {(row["year"], row["prs_Gender"]): row for row in done.json["rows"]}
    assert {cell: row["count"] for cell, row in rows.items()} == truth
    assert None in truth.values()
    for cell, row in rows.items():
        millions, count = UNITED_KINGDOM.get(cell), row["count"]
        if millions is None or count is None:
            assert row["per_100000"] is None and "per_100000" in row["suppressed"]
        else:
            assert row["per_100000"] == pytest.approx(count / millions / 10)
            assert row["low"] < row["per_100000"] < row["high"]
    shown = shell("run", QUERIES / "rate.yaml", COLUMNS="110")
    assert shown.code == 0 and "Per 100" in shown.out and "█" in shown.out


def test_records_where_nobody_is_recognised(shell: Shell) -> None:
    done = shell("run", QUERIES / "records.yaml", "--json")
    assert done.code == 0, done.err
    providers = {"care": {"NG"}, "police": {"PFNCA"}, "registry": {"GO"}}
    truth = records_by_year_and_gender(everyone(), providers, {2010, 2011})
    assert {(row["year"], row["prs_Gender"]): row["count"] for row in done.json["rows"]} == truth
    assert None in truth.values() and any(truth.values())
    shown = shell("run", QUERIES / "records.yaml", COLUMNS="110")
    assert shown.code == 0 and "Counted are records of 3 lists" in shown.out
    planned = shell("plan", QUERIES / "records.yaml")
    assert planned.code == 0 and "nobody is recognised across owners" in " ".join(planned.out.split())


def test_a_histogram_by_period_and_sex(shell: Shell) -> None:
    done = shell("run", QUERIES / "histogram.yaml", "--json")
    assert done.code == 0, done.err
    truth = by_period_and_gender(everyone(), {"care": {"NG"}, "police": {"PFNCA"}}, (2011, 2013, 2014))
    rows = {(row["cas_IncomingReferralDate"], row["prs_Gender"]): row["count"] for row in done.json["rows"]}
    assert rows == truth
    assert sum(count or 0 for count in rows.values()) > 1000


def test_a_cross_tab_of_what_two_sides_know(shell: Shell) -> None:
    done = shell("run", QUERIES / "cross_tab.yaml", "--json")
    assert done.code == 0, done.err
    assert done.json["columns"] == ["vic_TypeOfExploitation", "recruited_in", "count"]
    truth = form_by_region(everyone(), range(2011, 2015))
    assert cells(done.json) == truth
    assert None in truth.values() and any(truth.values())


def test_corridors_with_the_largest_first(shell: Shell) -> None:
    done = shell("run", QUERIES / "corridors.yaml", "--json")
    assert done.code == 0, done.err
    truth = corridors(everyone(), range(2011, 2014))
    assert cells(done.json) == truth
    shown = sorted((count for count in truth.values() if count), reverse=True)
    drawn = shell("run", QUERIES / "corridors.yaml", COLUMNS="100")
    assert drawn.code == 0, drawn.err
    lines = [line for line in drawn.out.splitlines() if "█" in line]
    assert [int(line.rstrip("█ ").split()[-1]) for line in lines] == shown
    assert " → " in lines[0] and "<11*" not in drawn.out.splitlines()[3]
    assert f"{sum(count is None for count in truth.values())} more are hidden" in drawn.out


def test_a_funnel_with_the_part_that_went_on(shell: Shell) -> None:
    done = shell("run", QUERIES / "funnel.yaml", "--json")
    assert done.code == 0, done.err
    truth = funnel_by_gender(everyone(), range(2010, 2015))
    rows = {(row["prs_Gender"], row["stage"]): row for row in done.json["rows"]}
    assert {cell: row["count"] for cell, row in rows.items()} == truth
    hidden = 0
    for gender in {gender for gender, _ in truth}:
        first, second = rows[gender, "ng or pfnca or gp"], rows[gender, "go"]
        assert first["of_stage_before"] is None
        if None in (first["count"], second["count"]):
            hidden += 1
            assert first["at_least"] is None and second["of_stage_before"] is None
            assert "of_stage_before" in second["suppressed"]
        elif first["count"] + second["count"]:
            assert first["at_least"] == first["count"] + second["count"]
            exact = binomtest(second["count"], first["at_least"]).proportion_ci(method="wilson")
            assert second["of_stage_before"] == pytest.approx(second["count"] / first["at_least"])
            assert (second["low"], second["high"]) == pytest.approx((exact.low, exact.high), abs=1e-6)
    assert 0 < hidden < 6
    drawn = shell("run", QUERIES / "funnel.yaml", COLUMNS="110")
    assert drawn.code == 0 and "Of the stage before" in drawn.out and " %" in drawn.out


def test_ages_by_form(shell: Shell) -> None:
    done = shell("run", QUERIES / "summary.yaml", "--json")
    assert done.code == 0, done.err
    forms = ("ForcedLabour", "SexualExploitation", "Servitude")
    people, ages = ages_by_form(everyone(), {"care": {"NG"}, "police": {"PFNCA"}, "registry": {"GO"}}, forms)
    rows = {(row["vic_TypeOfExploitation"],): row for row in done.json["rows"]}
    assert {cell: row["count"] for cell, row in rows.items()} == people
    for cell, row in rows.items():
        known = ages[cell]
        if known is None:
            assert [row[f"age_{name}"] for name in ("known", "sum", "mean", "variance")] == [None] * 4
            continue
        assert (row["age_known"], row["age_sum"]) == (len(known), sum(known))
        assert row["age_mean"] == (pytest.approx(fmean(known)) if known else None)
        assert row["age_variance"] == (pytest.approx(variance(known)) if known else None)
    assert None in ages.values() and any(ages.values())
    shown = shell("run", QUERIES / "summary.yaml", COLUMNS="100")
    assert shown.code == 0 and "Std. dev." in shown.out and "Servitude" in shown.out, shown.err


def test_people_recorded_again_elsewhere(shell: Shell, tmp_path: Path) -> None:
    done = shell("run", QUERIES / "repeats.yaml", "--json")
    assert done.code == 0, done.err
    write_lists(tmp_path, SEED)
    truth = apart_by(
        tmp_path, everyone(), {"police": "PFNCA", "registry": "GO"}, {2009, 2010, 2011, 2012, 2013}, (90, 180)
    )
    assert [row["count"] for row in done.json["rows"]] == truth
    assert None not in truth and 0 not in truth
    assert done.json["rows"][-1]["apart"] == "0 to 90 days"


def test_curves_of_time_to_referral_and_the_test_between_them(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "survival.csv"
    done = shell("run", QUERIES / "survival.yaml", "--json", "--csv", file)
    assert done.code == 0, done.err
    write_lists(tmp_path, SEED)
    people = times_to_referral(tmp_path)
    groups = np.array([sex for sex, *_ in people])
    time = np.minimum(np.array([days for _, days, *_ in people]) // 90, 11)
    event = np.array([came and days < 12 * 90 for _, days, came, _ in people])
    found = {(row["prs_Gender"], row["interval"]): row["survival"] for row in done.json["rows"]}
    assert len(found) == 24
    for sex in ("Feminine", "Masculine"):
        here = groups == sex
        oracle, left = SurvfuncRight(time[here], event[here]), 1.0
        parts = dict(zip(oracle.surv_times.tolist(), oracle.surv_prob.tolist(), strict=True))
        for k in range(12):
            left = parts.get(k, left)
            at_risk = [has for (_, _, _, has), mine, last in zip(people, here, time, strict=True) if mine and last >= k]
            rests = [sum(owner not in has for has in at_risk) for owner in ("care", "registry")]
            told = len(at_risk) >= MINIMUM and all(rest == 0 or rest >= MINIMUM for rest in rests)
            value = found[sex, f"days {90 * k} to {90 * k + 89}"]
            assert value == (pytest.approx(left, abs=0.0051) if told else None)
    assert None in found.values() and sum(value is not None for value in found.values()) > 12
    expected, _ = survdiff(time, event, groups)
    overall = done.json["overall"]
    assert overall["log_rank"] == pytest.approx(expected, rel=0.02, abs=0.05)
    assert overall["log_rank_p"] == pytest.approx(chi2.sf(overall["log_rank"], 1), rel=1e-6)
    assert overall["median_Feminine"] < overall["median_Masculine"]
    assert f'"log_rank": {overall["log_rank"]}' in file.read_text()
    drawn = shell("run", QUERIES / "survival.yaml", COLUMNS="110")
    assert drawn.code == 0 and "Log-rank test" in drawn.out and "█" in drawn.out


def test_whether_form_and_gender_go_together(shell: Shell) -> None:
    done = shell("run", QUERIES / "chi_square.yaml", "--json")
    assert done.code == 0, done.err
    assert done.json["columns"] == ["chi_square", "df", "p"]
    forms, genders = ("ForcedLabour", "SexualExploitation", "Servitude"), ("Feminine", "Masculine")
    truth = chi2_contingency(
        form_and_gender(everyone(), ("NG", "PFNCA", "GP"), (2012, 2013), forms, genders), correction=False
    )
    assert done.json["rows"] == [
        {
            "chi_square": pytest.approx(truth.statistic, rel=1e-4),
            "df": truth.dof,
            "p": pytest.approx(truth.pvalue, rel=1e-4),
            "suppressed": [],
        }
    ]
    shown = shell("run", QUERIES / "chi_square.yaml", COLUMNS="100")
    assert shown.code == 0, shown.err
    assert f"χ² of Type of Exploitation and Gender: {truth.statistic:.3g} with 2 degrees of freedom" in shown.out

    # To the ledger it is a table: these people are shown in no other one, and in this one again.
    head = (QUERIES / "chi_square.yaml").read_text().partition("statistic:")[0]
    counted = "statistic:\n  count_by: {columns: [vic_TypeOfExploitation, prs_Gender]}\n"
    turned = """statistic:
  chi_square:
    rows: {column: prs_Gender, codes: [Masculine, Feminine]}
    columns: {column: vic_TypeOfExploitation, codes: [Servitude, ForcedLabour, SexualExploitation]}
"""
    assert shell("run", shell.file("counted.yaml", head + counted)).code == exits.REFUSED
    again = shell("run", shell.file("turned.yaml", head + turned), "--json")
    assert again.json["rows"] == done.json["rows"] and again.json["receipt"]["redelivered"]


def test_whether_women_and_men_differ_in_age(shell: Shell) -> None:
    done = shell("run", QUERIES / "kruskal_wallis.yaml", "--json")
    assert done.code == 0, done.err
    ages = ages_by_gender(everyone(), ("NG", "PFNCA", "GO"), (2010, 2013, 2014), ("Feminine", "Masculine"))
    sorted_in = [[bisect_right((16, 18, 21, 25, 30, 40), age) for age in own] for own in ages]
    truth = mannwhitneyu(*sorted_in, use_continuity=False, method="asymptotic")
    (row,) = done.json["rows"]
    assert row["h"] == pytest.approx(kruskal(*sorted_in).statistic, rel=1e-4, abs=2**-16)
    assert (row["df"], row["suppressed"]) == (1, [])
    assert row["p"] == pytest.approx(truth.pvalue, rel=1e-3)
    shown = shell("run", QUERIES / "kruskal_wallis.yaml", COLUMNS="100")
    assert shown.code == 0 and f"H of Gender and Age: {row['h']:.3g} with 1 degree of freedom" in shown.out


def test_quartiles_of_age_by_gender(shell: Shell) -> None:
    done = shell("run", QUERIES / "quantiles.yaml", "--json")
    assert done.code == 0, done.err
    providers = {"care": {"NG"}, "police": {"PFNCA"}, "registry": {"GO"}}
    truth = quartiles_by_gender(everyone(), providers, (2009, 2011, 2012, 2014), (25, 50, 75), 2)
    found = {(row["prs_Gender"], row["at"]): (row["from"], row["to"]) for row in done.json["rows"]}
    assert found == {cell: (None, None) if ends is None else ends for cell, ends in truth.items()}
    assert None in truth.values() and None not in [truth["Feminine", at] for at in ("25", "50", "75")]
    shown = shell("run", QUERIES / "quantiles.yaml", COLUMNS="100")
    low, high = found["Feminine", "50"]
    assert shown.code == 0 and "Median" in shown.out and f"{low} – {high}" in shown.out, shown.err


def test_the_median_age_of_records(shell: Shell) -> None:
    done = shell("run", QUERIES / "median_of_records.yaml", "--json")
    assert done.code == 0, done.err
    providers = {"care": {"NG"}, "police": {"PFNCA"}, "registry": {"GO"}}
    truth = medians_of_records(everyone(), providers, (2012, 2014), 4)
    found = {(row["prs_Gender"], row["at"]): (row["from"], row["to"]) for row in done.json["rows"]}
    assert found == {cell: (None, None) if ends is None else ends for cell, ends in truth.items()}
    assert None in truth.values() and truth["Feminine", "50"]
    shown = shell("run", QUERIES / "median_of_records.yaml", COLUMNS="110")
    assert shown.code == 0 and "Counted are records of 3 lists" in shown.out and "Median" in shown.out, shown.err


def test_people_between_edges_that_nobody_learns(shell: Shell) -> None:
    done = shell("run", QUERIES / "private_edges.yaml", "--json")
    assert done.code == 0, done.err
    providers = {"care": {"NG"}, "police": {"PFNCA"}, "registry": {"GO"}}
    truth = quarters_by_gender(everyone(), providers, (2009, 2010, 2011, 2013))
    assert cells(done.json) == truth
    assert None in truth.values() and all(truth[bin, "Feminine"] for bin in ("0 to 25 %", "75 to 100 %"))
    shown = shell("run", QUERIES / "private_edges.yaml", COLUMNS="110")
    assert shown.code == 0 and "25 to 50 %" in shown.out, shown.err


def test_whether_women_and_men_differ_in_their_mean_age(shell: Shell) -> None:
    done = shell("run", QUERIES / "t_test.yaml", "--json")
    assert done.code == 0, done.err
    ages = ages_by_gender(everyone(), ("NG", "PFNCA", "GO"), (2009, 2010, 2012, 2013), ("Feminine", "Masculine"))
    truth = ttest_ind(*ages, equal_var=False)
    (row,) = done.json["rows"]
    assert row["t"] == pytest.approx(truth.statistic, rel=2**-7)
    assert 4096 / row["df"] == pytest.approx(4096 / truth.df, abs=0.51)
    assert row["p"] == pytest.approx(truth.pvalue, rel=0.02) and row["suppressed"] == []
    shown = shell("run", QUERIES / "t_test.yaml", COLUMNS="100")
    assert shown.code == 0 and f"t of Gender and Age: {row['t']:.3g} with" in shown.out

    # The groups in the other order are the same question, with the other sign.
    text = (QUERIES / "t_test.yaml").read_text().replace("[Feminine, Masculine]", "[Masculine, Feminine]")
    again = shell("run", shell.file("turned.yaml", text), "--json")
    assert again.json["rows"] == [{**row, "t": -row["t"]}] and again.json["receipt"]["redelivered"]


def test_whether_age_goes_together_with_the_day_of_referral(shell: Shell, tmp_path: Path) -> None:
    done = shell("run", QUERIES / "correlation.yaml", "--json")
    assert done.code == 0, done.err
    write_lists(tmp_path, SEED)
    people = ages_and_days(tmp_path, ("NG", "PFNCA", "GO"), (2010, 2011, 2012), "2009-01-01", 9)
    truth = pearsonr(*zip(*people, strict=True))
    (row,) = done.json["rows"]
    assert row["r"] == pytest.approx(truth.statistic, rel=2**-9)
    assert row["df"] == pytest.approx(len(people) - 2, rel=2**-7) and row["suppressed"] == []
    assert row["p"] == pytest.approx(truth.pvalue, rel=0.02)
    shown = shell("run", QUERIES / "correlation.yaml", COLUMNS="100")
    assert shown.code == 0 and f": {row['r']:.3g} with" in shown.out and "degrees of freedom, p =" in shown.out


def test_how_age_goes_with_gender_and_form(shell: Shell) -> None:
    done = shell("run", QUERIES / "linear_regression.yaml", "--json")
    assert done.code == 0, done.err
    x, known = design(
        everyone(), ("NG", "PFNCA", "GO"), (2011, 2012), "Masculine", ("SexualExploitation", "ForcedLabour")
    )
    truth = OLS([person.age for person in known], x).fit()
    assert [(row["covariate"], row["term"]) for row in done.json["rows"]] == [
        ("intercept", "intercept"),
        ("prs_Gender", "Masculine"),
        ("vic_TypeOfExploitation", "ForcedLabour"),
    ]
    for row, estimate, error, p in zip(done.json["rows"], truth.params, truth.bse, truth.pvalues, strict=True):
        assert row["standard_error"] == pytest.approx(error, rel=4e-5)
        assert row["estimate"] == pytest.approx(estimate, rel=4e-5, abs=1e-5 * error)
        assert row["p"] == pytest.approx(p, rel=1e-3, abs=1e-300)
    assert done.json["overall"] == {
        "people": len(known),
        "residual_standard_error": pytest.approx(truth.scale**0.5, rel=4e-5),
        "r_squared": pytest.approx(truth.rsquared, abs=4e-5),
    }
    shown = shell("run", QUERIES / "linear_regression.yaml", COLUMNS="80")
    assert shown.code == 0 and f"{len(known)} people; R² = {truth.rsquared:.3f}" in shown.out


def test_whether_form_goes_with_gender_and_age(shell: Shell) -> None:
    done = shell("run", QUERIES / "logistic_regression.yaml", "--json")
    assert done.code == 0, done.err
    x, known = design(everyone(), ("NG", "PFNCA", "GO"), (2011, 2013), "Masculine", FORMS)
    ages = [person.age or 0 for person in known]
    taken = [(line[:2], age, person) for line, age, person in zip(x, ages, known, strict=True) if 15 <= age <= 44]
    outcome = [float(person.form == "SexualExploitation") for *_, person in taken]
    truth = Logit(outcome, np.array([[*line, age - 15] for line, age, _ in taken])).fit(disp=0, tol=1e-12)
    rows = done.json["rows"]
    assert [(row["covariate"], row["term"]) for row in rows[1:]] == [("prs_Gender", "Masculine"), ("age", "number")]
    for row, estimate, error, p in zip(rows, truth.params, truth.bse, truth.pvalues, strict=True):
        assert row["standard_error"] == pytest.approx(error, rel=4e-5)
        assert row["estimate"] == pytest.approx(estimate, rel=4e-5, abs=1e-5 * error)
        assert row["odds_ratio"] == pytest.approx(np.exp(estimate), rel=1e-4)
        assert row["p"] == pytest.approx(p, rel=1e-3, abs=1e-300)
    assert done.json["overall"] == {
        "people": len(taken),
        "with_outcome": sum(outcome),
        "deviance": pytest.approx(-2 * truth.llf, rel=4e-5),
        "mcfadden_r_squared": pytest.approx(truth.prsquared, abs=4e-5),
    }
    shown = shell("run", QUERIES / "logistic_regression.yaml", COLUMNS="80")
    assert shown.code == 0 and f"{len(taken)} people, {sum(outcome):.0f} with the outcome" in shown.out


def test_a_test_with_a_code_that_few_people_have_tells_nothing(shell: Shell) -> None:
    few = (QUERIES / "chi_square.yaml").read_text().replace("Servitude]", "OrganRemoval]")
    few = few.replace('["2012", "2013"]', '["2009", "2010"]')
    query = shell.file("few.yaml", few)
    done = shell("run", query, "--json")
    assert done.code == exits.WITHHELD, done.err
    assert done.json["rows"] == [{"chi_square": None, "df": None, "p": None, "suppressed": ["chi_square", "df", "p"]}]
    shown = shell("run", query, COLUMNS="100")
    assert (
        shown.code == exits.WITHHELD
        and "some code or interval of Type of Exploitation and Gender has fewer" in shown.out
    )
