"""Query files: what is read, and what is said about those that are not good."""

import json
from pathlib import Path

import pytest

from gateway.client.queries import load_query, parse_query
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.query import Between, CountBy

GOOD = """\
title: Victims by form
purpose: trend-monitoring
legal_basis: gdpr-6-1-e
sources:
  - dataset: spaces/care.example/datasets/la
    filters:
      - column: country
        one_of: [NO, NL]
      - column: referred
        between: {low: 2013-01-01, high: 2013-12-31}
      - {column: age, equals: 17}
link_on: [first_name, birth_date]
statistic:
  count_by:
    columns: [form]
"""
OVERLAP = """\
title: Overlap
purpose: prevalence-estimation
legal_basis: gdpr-6-1-e
sources: [{dataset: spaces/a.example/datasets/x}, {dataset: spaces/b.example/datasets/y}]
link_on: [name]
statistic: {overlap: {}}
"""
DOCS = Path(__file__).parents[2] / "docs" / "queries"


def test_values_mean_what_the_text_says() -> None:
    asked = parse_query(GOOD).query
    country, referred, age = asked.sources[0].filters
    assert country.one_of == ("NO", "NL")  # YAML 1.1 would read Norway as false
    assert referred.between == Between("2013-01-01", "2013-12-31")
    assert age.equals == 17
    assert asked.statistic.count_by == CountBy(("form",))


def test_json_is_read_alike(tmp_path: Path) -> None:
    plain = {
        "title": "Overlap \t of two",
        "purpose": "p",
        "legal_basis": "l",
        "sources": [{"dataset": f"spaces/a.example/datasets/{name}"} for name in "xy"],
        "link_on": ["name"],
        "statistic": {"overlap": {}},
    }
    plain["title"] = "Overlap of two"
    path = tmp_path / "query.json"
    path.write_text(json.dumps(plain, indent="\t"))
    assert load_query(path).query.title == "Overlap of two"


def test_models_are_for_the_client_alone() -> None:
    asked, models = parse_query(OVERLAP + "estimates: [stepwise-aic, minimum-bic]\n")
    assert models == ("stepwise-aic", "minimum-bic")
    assert asked == parse_query(OVERLAP).query


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_published_query_is_read(path: Path) -> None:
    assert load_query(path).query.title


@pytest.mark.parametrize(
    ("text", "line", "field"),
    [
        ("title: a\ntitle: b\n", 2, "title"),
        (GOOD.replace("column: country", "colunm: country"), 7, "sources[0].filters[0]"),
        (GOOD.replace("spaces/care", "care"), 5, "sources[0].dataset"),
        (GOOD.replace("equals: 17", "equals: 17, one_of: [1]"), 11, "sources[0].filters[2]"),
        (GOOD + "seats:\n  count: three\n", 17, "seats.count"),
        (GOOD + "limits: {minimum_cell: -1}\n", 16, "limits.minimum_cell"),
        (GOOD + "estimates: [stepwise-aic, minimum-bic]\n", 16, "estimates"),
        (OVERLAP + "estimates: [stepwise-aic]\n", 7, "estimates"),
        (OVERLAP + "estimates: [stepwise-aic, guess]\n", 7, "estimates[1]"),
        ("a: &x [1]\nb: *x\n", 2, ""),
        ("title: [\n", 2, ""),
        ("a: !!python/object:os.system {}\n", 1, "title"),
    ],
)
def test_a_bad_file_is_refused_with_line_and_field(text: str, line: int, field: str) -> None:
    with pytest.raises(IsthmusError) as refused:
        parse_query(text, "bad.yaml")
    assert refused.value.reason is Reason.MALFORMED_QUERY
    assert refused.value.field.startswith(field)
    assert refused.value.public.startswith("bad.yaml")
    if field != "title" or line != 1:
        assert f"bad.yaml, line {line}: " in refused.value.public
    assert refused.value.advice


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(IsthmusError, match="cannot be read"):
        load_query(tmp_path / "none.yaml")


def test_nesting_is_bounded() -> None:
    with pytest.raises(IsthmusError, match="nested deeper"):
        parse_query("a: " + "[" * 40 + "]" * 40)
