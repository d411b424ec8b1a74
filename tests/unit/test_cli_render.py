"""What a person sees: suppressed cells, widths, and text that cannot steer a terminal."""

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console, RenderableType

from gateway.cli import render, render_catalogue, shapes
from gateway.cli.ask import Answer, estimates
from gateway.cli.output import Output
from gateway.cli.render_tables import overlap_table, pivot_table
from gateway.client.messages import Catalogue, Listed
from gateway.client.summary import ApprovedBy, Summary
from gateway.domain.computation import Computation, Ending, Receipt, Role, SpaceStatus, State, View
from gateway.domain.contract import Contract, Deadlines, Limits, Program, Recipient, Seat
from gateway.domain.dataset import Code, Column, ColumnType, Dataset, Edition, OnePerson, Terms
from gateway.domain.plan import Decision, Forecast, Learns, Plan, Verdict
from gateway.domain.query import CountBy, Overlap, Query, Source, Statistic
from gateway.domain.result import Row, Table

LIMITS = Limits(11, False, True)
EXACT = Limits(0, False, False)
FORMS = Table(
    ("form", "year"),
    (
        Row(("labour", "2012"), 1234),
        Row(("labour", "2013"), None),
        Row(("sexual", "2012"), 0),
        Row(("sexual", "2013"), None),
    ),
)
LISTS = Table(("la", "ng"), (Row(("1", "0"), 54), Row(("0", "1"), 463), Row(("1", "1"), 15)))
DATASET = Dataset(
    "spaces/registry.example/datasets/go",
    "People known to government organisations",
    "Made up",
    "HTCDS v2",
    (Column("form", ColumnType.CODE, "Form of exploitation", "", (Code("labour", "Forced labour"),)),),
    ("first_name", "birth_date"),
    "United Kingdom, people referred 2009 to 2014",
    Terms(("trend-monitoring",), ("gdpr-6-1-e",), ("count_by", "overlap"), 11, ("overlap",)),
    Edition("2013-1", 1_396_310_400, "ab", 1280),
)
QUERY = Query(
    "Victims by form", "p", "l", (Source(DATASET.name),), ("name",), Statistic(count_by=CountBy(("form", "year")))
)
CONTRACT = Contract(
    session="5e",
    initiator="https://care.example",
    requester="analyst",
    requester_signed=False,
    query=QUERY,
    program=Program("group_count", 1, "00", "mpyc 0.11", 1, "{}"),
    field="7",
    m=3,
    t=1,
    seats=tuple(Seat(pid, f"https://s{pid}.example", f"Operator {pid}") for pid in range(3)),
    providers=(),
    recipients=(Recipient("client analyst", "client", "AA=="),),
    limits=LIMITS,
    deadlines=Deadlines(10, 5, 300),
    demo_view=True,
    not_before=0,
    expires=600,
)
SUMMARY = Summary(
    "ab" * 32,
    CONTRACT,
    (ApprovedBy("https://s0.example", "cd" * 32),),
    (Receipt("https://s0.example", "ab" * 32, ("ef" * 32,), 11, False, 4, "12" * 32, 18_100_000, 147, 2.5, ""),),
    2.5,
)
COMPUTATION = Computation(
    id="4f" * 16,
    role=Role.HOME,
    requester="analyst",
    request_id="",
    request_digest="",
    state=State.FAILED,
    query='{"title":"Victims by form"}',
    contract="",
    contract_digest="ab" * 32,
    created=1_396_310_400,
    updated=1_396_310_400,
    expires=0,
    spaces=(SpaceStatus("https://s0.example", "RUNNING", "sort", 0.5),),
    ending=Ending("PARTY_DIED", "https://s1.example", "sort", "party 1 died", "Ask its operator"),
)
PLAN = Plan(
    CONTRACT,
    ("Care Alliance", "Neutral Compute Foundation"),
    (Learns("client analyst", "people by form × year"),),
    Forecast(1.6, 13_400_000, 147),
    (
        Verdict("https://s0.example", Decision.ALLOWED),
        Verdict("https://s1.example", Decision.REFUSED, text="exact release is not allowed", advice="Ask for 11"),
        Verdict("https://s2.example", Decision.UNREACHABLE, text="did not answer in time"),
    ),
)


def shown(renderable: RenderableType, width: int = 80) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, highlight=False, markup=False, emoji=False).print(renderable)
    return stream.getvalue().replace("\N{NO-BREAK SPACE}", " ")


def line_with(text: str, start: str) -> list[str]:
    return next(line for line in text.splitlines() if line.startswith(start)).split()


def test_a_suppressed_cell_is_marked_and_explained() -> None:
    text = shown(pivot_table(FORMS, LIMITS, {"form": {"labour": "Forced labour"}}))
    assert line_with(text, "Forced labour") == ["Forced", "labour", "1", "234", "<11*", "1", "234"]
    assert line_with(text, "sexual") == ["sexual", "0", "<11*", "0"]
    assert line_with(text, "Sum shown") == ["Sum", "shown", "1", "234", "–", "1", "234"]
    assert "<11* not shown: fewer than 11 people, or fewer than 11 once one provider" in text


def test_what_counts_were_rounded_to_is_said_under_the_table() -> None:
    rounded = replace(LIMITS, rounding=5)
    assert "Counts are rounded to multiples of 5." in shown(pivot_table(FORMS, rounded), 500)
    assert "Counts are rounded to multiples of 5." in shown(overlap_table(LISTS, rounded))


def test_how_far_counts_with_noise_are_off_is_said_under_the_table_in_the_receipt_and_in_json() -> None:
    noised = replace(LIMITS, epsilon="0.5", provider_subtraction=False)
    said = "ith noise (ε = 0.5): counts are off by at most 12 with 95 %"
    assert f"W{said}." in shown(pivot_table(FORMS, noised), 500)
    listed = shown(overlap_table(LISTS, replace(noised, minimum_cell=0)), 500)
    assert f"W{said}." in listed and "The rows shown add up to 532 people." in listed
    short = replace(SUMMARY, contract=replace(SUMMARY.contract, limits=noised))
    assert f"w{said}" in shown(render.receipt(short), 500)
    run = shapes.of_run(replace(COMPUTATION, state=State.RELEASED, ending=None), FORMS, None, short)
    assert run["receipt"]["noise"] == {"epsilon": "0.5", "off_by_95": 12}
    assert run["receipt"]["limits"]["epsilon"] == "0.5"


@pytest.mark.parametrize(("changed", "said"), [("noised", "has noise"), ("rounded", "is rounded")])
def test_models_are_not_fitted_to_counts_with_noise_or_rounded(changed: str, said: str) -> None:
    (found,) = estimates(LISTS, ["main-effects"], **{changed: True})
    assert found.point is None and found.refused is not None and said in found.refused


def test_a_percentage_is_among_the_reasons_for_a_suppressed_cell() -> None:
    text = shown(pivot_table(FORMS, replace(LIMITS, dominance=80)), 500)
    assert "or one provider has over 80 percent of them" in text


def test_nothing_is_explained_where_nothing_is_suppressed() -> None:
    assert "not shown" not in shown(overlap_table(LISTS, EXACT))


def test_overlap_says_which_lists_in_signs() -> None:
    text = shown(overlap_table(LISTS, EXACT))
    assert [line.split() for line in text.splitlines()[2:5]] == [["●", "·", "54"], ["·", "●", "463"], ["●", "●", "15"]]
    assert "532 people stand on at least one list" in text


def test_overlap_with_suppressed_cells_does_not_claim_a_total() -> None:
    table = replace(LISTS, rows=(*LISTS.rows[:2], Row(("1", "1"), None)))
    text = shown(overlap_table(table, LIMITS))
    assert "The rows shown add up to 517 people" in text and "at least one list" not in text


def test_a_wide_pivot_is_turned_or_listed_never_cut() -> None:
    years = [str(year) for year in range(1990, 2020)]
    wide = Table(("form", "year"), tuple(Row((form, year), 7) for form in ("a", "b") for year in years))
    text = shown(pivot_table(wide, LIMITS))
    assert all(year in text for year in years) and "…" not in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    "renderable",
    [
        render_catalogue.catalogue(Catalogue((Listed(DATASET, 100),), ("https://s2.example",)), 160),
        render_catalogue.dataset(Listed(DATASET, 100), 160),
        render.plan(PLAN),
        render.result(Answer(COMPUTATION, SUMMARY, FORMS)),
        render.receipt(SUMMARY),
        render.computations([COMPUTATION]),
        render.computation(COMPUTATION),
        render.view([View(1, "https://s1.example", "sort: reveal", 256, ("123456789012345678",) * 5)]),
        render.estimates(estimates(replace(LISTS, rows=(Row(("1", "0"), None),)), ("stepwise-aic", "minimum-bic"))),
    ],
    ids=["catalogue", "dataset", "plan", "result", "receipt", "computations", "computation", "view", "estimates"],
)
def test_everything_fits_eighty_columns_uncut(renderable: RenderableType) -> None:
    text = shown(renderable)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text


def test_a_plan_says_who_what_and_why_not() -> None:
    text = shown(render.plan(PLAN))
    for said in ("Operator 2", "Care Alliance + Neutral Compute Foundation", "✓ yes", "✗ no", "? no answer",
                 "exact release is not allowed. Ask for 11", "13.4 MB", "147 rounds", "Cells under 11"):  # fmt: skip
        assert said in text


def test_a_catalogue_and_a_dataset_say_which_edition_of_which_day_is_offered() -> None:
    listed = Listed(DATASET, 100)
    assert "edition 2013-1 of 2014-04-01" in shown(render_catalogue.catalogue(Catalogue((listed,), ()), 160))
    assert "2013-1 of 2014-04-01" in shown(render_catalogue.dataset(listed, 160))


def test_text_from_elsewhere_neither_steers_the_terminal_nor_is_markup() -> None:
    nasty = replace(DATASET, title="\x1b[2J[red]Harmless[/red]\nsecond line\u202e")
    text = shown(render_catalogue.catalogue(Catalogue((Listed(nasty, 0),), ()), 0))
    assert "\x1b" not in text and "\u202e" not in text
    assert "[red]Harmless[/red]" in text.replace("\n", "")


def test_json_steers_no_terminal_either(capsys: pytest.CaptureFixture[str]) -> None:
    """U+009B begins a control sequence in one character; JSON takes it for a letter."""
    Output(as_json=True).give(lambda: {"label": "Zorg é \x9b31m \x7f \u202e"})
    said = capsys.readouterr().out.rstrip("\n")
    assert said.isprintable() and json.loads(said) == {"label": "Zorg é \x9b31m \x7f \u202e"}
    Output(as_json=True).give(lambda: {"label": "é"})
    assert capsys.readouterr().out == '{"label": "é"}\n'


def test_the_json_row_of_a_suppressed_cell_is_null_and_named() -> None:
    assert shapes.of_rows(FORMS)[:2] == [
        {"form": "labour", "year": "2012", "count": 1234, "suppressed": []},
        {"form": "labour", "year": "2013", "count": None, "suppressed": ["count"]},
    ]


def test_a_column_called_count_is_not_lost() -> None:
    rows = shapes.of_rows(Table(("count",), (Row(("many",), 12),)))
    assert rows == [{"count_code": "many", "count": 12, "suppressed": []}]


def test_the_json_of_a_run_has_its_fields() -> None:
    made = shapes.of_run(replace(COMPUTATION, state=State.RELEASED, ending=None), FORMS, None, SUMMARY)
    assert set(made) == {"computation", "state", "contract", "columns", "rows", "receipt"}
    assert made["columns"] == ["form", "year", "count"]
    receipt = made["receipt"]
    assert receipt["contract"] == "ab" * 32 and receipt["limits"]["minimum_cell"] == 11
    assert receipt["approvals"] == [{"entity": "https://s0.example", "digest": "cd" * 32}]
    assert receipt["audit_heads"] == [{"entity": "https://s0.example", "size": 4, "root": "12" * 32}]
    assert receipt["outputs"] == [{"entity": "https://s0.example", "digests": ["ef" * 32]}]


def test_the_json_of_a_failure_says_why_and_has_no_rows() -> None:
    made = shapes.of_run(COMPUTATION, None, [], None)
    assert made["rows"] == [] and made["estimates"] == [] and made["ending"]["reason"] == "PARTY_DIED"


def test_no_number_is_estimated_from_a_table_with_suppressed_cells() -> None:
    table = replace(LISTS, rows=(*LISTS.rows[:2], Row(("1", "1"), None)))
    assert all(item.point is None and item.refused for item in estimates(table, ("stepwise-aic", "minimum-bic")))


def test_estimates_are_made_from_the_released_table() -> None:
    found = estimates(replace(LISTS), ("main-effects", "minimum-bic"))
    # Two lists, independent: 69 · 478 / 15 (Petersen).
    assert found[0].point == pytest.approx(69 * 478 / 15, rel=1e-3)
    text = shown(render.estimates(found))
    assert "2 199" in text and "main-effects" in text and "minimum-bic" in text


def test_an_overlap_result_is_shown_as_rows() -> None:
    query = replace(QUERY, statistic=Statistic(overlap=Overlap()))
    summary = replace(SUMMARY, contract=replace(CONTRACT, query=query, limits=EXACT))
    assert "532 people" in shown(render.result(Answer(COMPUTATION, summary, LISTS)))


def test_a_dataset_says_on_which_terms_it_answers_about_one_person() -> None:
    terms = OnePerson(("led-10-a",), ("investigator",), 1000, 1, 10, "case")
    words = {
        case: " ".join(shown(render_catalogue.dataset(Listed(replace(DATASET, terms=with_terms), 100), 160)).split())
        for case, with_terms in {
            "": DATASET.terms,
            "case": replace(DATASET.terms, one_person=terms),
            "searched": replace(DATASET.terms, one_person=replace(terms, case="", quota_per_case=3)),
        }.items()
    }
    assert "One person" not in words[""]
    assert "asks about its own people by case" in words["case"] and "1 answer about a case" in words["case"]
    assert "searched for others'" in words["searched"] and "3 answers about a case and 10 a day" in words["searched"]
    assert all("1 000 people or more; on the basis of led-10-a" in words[name] for name in ("case", "searched"))
