"""Policies: what their files may say, and what they refuse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.config import DatasetConfig, PolicyConfig
from connectors.explaining import explained
from connectors.policies import columns_of, terms_of
from connectors.rules.approval import OwnPart, check_draft
from connectors.rules.columns import ColumnRule, Use
from gateway.config import load
from gateway.domain.contract import Contract
from gateway.domain.dataset import Dataset, Privacy, Terms
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.offer import Offer, Operator
from gateway.domain.query import Filter, Query
from gateway.rules import codelists
from gateway.rules.dates import day_of
from tests import examples
from tests.examples import CARE, HOME, NOW, POLICE

SAMPLE = Path(__file__).parents[2] / "deploy" / "samples" / "policy.toml"
LEAST = 'version = 1\npurposes = ["trend-monitoring"]\nlegal_bases = ["led-8"]\nstatistics = ["overlap"]\n'
PLANNED = examples.contract()


def written(folder: Path, text: str) -> PolicyConfig:
    (folder / "list.policy.toml").write_text(text)
    return load(PolicyConfig, folder / "list.policy.toml")


def own(*columns: ColumnRule, **terms: Any) -> OwnPart:
    """The home space, its one dataset under its usual terms but for these."""
    dataset = examples.dataset(HOME)
    changed: Dataset = replace(dataset, terms=replace(dataset.terms, **terms))
    return OwnPart(
        HOME, Offer((changed,), examples.PROGRAMS, 1, "mpyc 0.11", 1), {changed.name: ("*",)}, {changed.name: columns}
    )


def operators(**jurisdictions: str) -> dict[str, Operator]:
    """Everybody, as their verified statements say where they are: `police="RO"`."""
    known = examples.operators()
    for name, where in jurisdictions.items():
        entity = f"https://{name}.example"
        known[entity] = replace(known[entity], jurisdiction=where)
    return known


def asked_by(entity: str) -> Contract:
    recipient = replace(PLANNED.recipients[0], name=f"gateway {entity}")
    return replace(PLANNED, initiator=entity, recipients=(recipient,))


def refusal(
    part: OwnPart, contract: Contract = PLANNED, now: int = NOW, known: dict[str, Operator] | None = None
) -> IsthmusError:
    with pytest.raises(IsthmusError) as caught:
        check_draft(contract, part, known or examples.operators(), now)
    assert caught.value.reason is Reason.POLICY_REFUSED and caught.value.advice
    return caught.value


def test_a_policy_that_says_the_least_closes_what_it_does_not_mention(tmp_path: Path) -> None:
    policy = written(tmp_path, LEAST)
    terms = Terms(("trend-monitoring",), ("led-8",), ("overlap",), 11)
    assert (terms_of(policy), policy.spaces, policy.questions) == (terms, ("*",), None)


def test_a_policy_is_offered_as_its_file_says(tmp_path: Path) -> None:
    more = 'version = 7\nexpires = 2027-01-01\nminimum_cell = 20\nexact_statistics = ["overlap"]\nminimum_seats = 5\n'
    terms = terms_of(written(tmp_path, LEAST.replace("version = 1\n", more) + "zero_is_small = true\n"))
    assert (terms.version, terms.expires, terms.minimum_seats) == (7, "2027-01-01", 5)
    assert (terms.minimum_cell, terms.exact_statistics, terms.zero_is_small) == (20, ("overlap",), True)


def test_noise_is_obligatory_and_has_a_budget_where_a_policy_names_epsilon(tmp_path: Path) -> None:
    policy = written(tmp_path, LEAST + '[privacy]\nepsilon = "0.50"\nbudget = "8"\n')
    assert terms_of(policy).privacy == Privacy("0.5", "8", None, required=True)
    (told,) = [what for topic, what in explained(policy, "2026-12-01") if topic == "Noise"]
    for said in ("every count has some", "epsilon of 0.50 at most", "off by at most 12", "cost at most 8"):
        assert said in told


@pytest.mark.parametrize(
    ("old", "new", "field", "nearest"),
    [
        ("trend-monitoring", "trend-monitor", "purposes", "Did you mean trend-monitoring?"),
        ("led-8", "gdpr-6-1-g", "legal_bases", "Did you mean gdpr-6-1-"),
        ("overlap", "overlaps", "statistics", "Did you mean overlap?"),
        ("led-8", "national-NL-wjsg", "legal_bases", "is not on the list"),
        ('["led-8"]', "[]", "legal_bases", "at least 1"),
        ("version = 1", 'version = 1\ntransfer = ["EL"]', "transfer", "is not on the list"),
        ("version = 1", "version = 1\nminimum_t = 0", "minimum_t", "greater"),
        ("version = 1", 'version = 1\nprograms = ["newest"]', "programs.0", "pattern"),
        ("version = 1", "version = 0", "version", "greater"),
        ("version = 1\n", "", "version", "required"),
        ("version = 1", "version = 1\nexpires = 2027-02-30", "", "not TOML"),
        ("version = 1", 'version = 1\nexpires = "soon"', "expires", "date"),
        ("version = 1", "version = 1\nminimal_cell = 5", "minimal_cell", "not permitted"),
        ("version = 1", 'version = 1\nprivacy = { epsilon = "1" }', "privacy.budget", "required"),
        ("version = 1", 'version = 1\nprivacy = { epsilon = 1.0, budget = "8" }', "privacy.epsilon", "string"),
        ("version = 1", 'version = 1\nprivacy = { epsilon = "11", budget = "80" }', "privacy.epsilon", "between"),
        ("version = 1", 'version = 1\nprivacy = { epsilon = "1", budget = "0.5" }', "privacy", "takes no question"),
    ],
)
def test_a_policy_with_what_nobody_knows_is_refused_with_the_nearest(
    tmp_path: Path, old: str, new: str, field: str, nearest: str
) -> None:
    assert old in LEAST
    with pytest.raises(IsthmusError) as caught:
        written(tmp_path, LEAST.replace(old, new))
    assert caught.value.reason is Reason.CONFIGURATION
    assert (caught.value.field, nearest in caught.value.public) == (field, True), caught.value.public


def test_national_law_is_accepted_where_the_policy_says_which(tmp_path: Path) -> None:
    text = LEAST.replace("led-8", "national-NL-wjsg-15")
    law = '[[national_law]]\ncode = "national-NL-wjsg-15"\nlaw = "Wjsg, article 15"\n'
    assert terms_of(written(tmp_path, text + law)).legal_bases == ("national-NL-wjsg-15",)
    for wrong in ("wjsg-15", "national-ZZ-wjsg-15", "national-NL-"):
        with pytest.raises(IsthmusError, match="national_law"):
            written(tmp_path, text + law.replace("national-NL-wjsg-15", wrong))


def test_a_policy_in_the_dataset_s_own_file_is_refused(tmp_path: Path) -> None:
    described = SAMPLE.with_name("dataset.toml").read_text()
    (tmp_path / "list.toml").write_text(described.replace('policy = "policy.toml"\n', "") + "\n[policy]\nversion = 1\n")
    with pytest.raises(IsthmusError, match="policy"):
        load(DatasetConfig, tmp_path / "list.toml")


def test_an_expired_policy_refuses_every_question_from_its_day_on() -> None:
    day = 24 * 3600
    expired = refusal(own(version=4, expires=day_of(NOW)))
    assert expired.field == "policy.expires" and "version 4" in expired.public and day_of(NOW) in expired.public
    check_draft(PLANNED, own(expires=day_of(NOW + day)), examples.operators(), NOW)
    refusal(own(expires=day_of(NOW + day)), now=NOW + day)
    check_draft(examples.contract(examples.question((CARE,))), own(expires="2020-01-01"), examples.operators(), NOW)


@pytest.mark.parametrize(
    ("transfer", "where", "goes"),
    [
        (("*",), "RU", True),
        (("*",), "", True),
        (("NL",), "NL", True),
        (("EU",), "RO", True),
        (("EU",), "GR", True),
        (("NL", "EU"), "GB", False),
        (("EU",), "CH", False),
        (("NL",), "EU", False),
        (("EU",), "EU", True),
        (("NL",), "", False),
        ((), "NL", False),
    ],
)
def test_29_results_go_where_the_policy_lets_them(transfer: tuple[str, ...], where: str, goes: bool) -> None:
    asked = asked_by(POLICE)
    part, known = own(transfer=transfer), operators(police=where)
    if goes:
        check_draft(asked, part, known, NOW)
        return
    refused = refusal(part, asked, known=known)
    assert refused.field == "initiator" and (where or "not known") in refused.public
    assert all(code in refused.advice for code in transfer)


def test_results_stay_at_home_whatever_is_said_of_others() -> None:
    check_draft(PLANNED, own(transfer=()), operators(home="GB"), NOW)
    check_draft(examples.contract(examples.question((CARE,))), own(transfer=()), operators(), NOW)


def test_29_who_says_nothing_of_where_it_is_gets_nothing_from_a_policy_that_asks() -> None:
    assert "not known" in refusal(own(transfer=("EU",)), asked_by("https://stranger.example")).public


def test_an_owner_says_how_many_seats_together_see_nothing() -> None:
    refused = refusal(own(minimum_t=2))
    assert (refused.field, refused.advice) == ("seats", "Ask for 5 seats")
    check_draft(PLANNED, own(minimum_t=1), examples.operators(), NOW)


def test_a_program_whose_digest_the_policy_does_not_accept_does_not_run() -> None:
    digest = PLANNED.program.digest
    check_draft(PLANNED, own(programs=("0" * 64, digest)), examples.operators(), NOW)
    refused = refusal(own(programs=("0" * 64,)))
    assert refused.field == "program" and digest in refused.public and "0" * 64 in refused.advice


BY_FORM = ColumnRule("form", (POLICE, HOME), ("count_by",), Use.GROUP)
FILTERED = Filter("form", equals="LABOUR")


def filtered(initiator: str, asked: Query, *filters: Filter) -> Contract:
    """The question with filters at the home space's list."""
    first, *rest = asked.sources
    draft = examples.contract(replace(asked, sources=(replace(first, filters=filters), *rest)))
    return replace(asked_by(initiator), query=draft.query, program=draft.program)


@pytest.mark.parametrize(
    ("rule", "draft", "field"),
    [
        (BY_FORM, filtered(POLICE, examples.question()), ""),
        (BY_FORM, filtered(CARE, examples.question()), "statistic.count_by.columns[0]"),
        (BY_FORM, filtered(POLICE, examples.question(), FILTERED), "sources[0].filters[0].column"),
        (BY_FORM, filtered(POLICE, examples.overlap(), FILTERED), "sources[0].filters[0].column"),
        (BY_FORM, filtered(CARE, examples.overlap()), ""),
        (ColumnRule("year", (CARE,)), filtered(POLICE, examples.question()), ""),
        (ColumnRule("form"), filtered(POLICE, examples.question(), FILTERED), ""),
        (ColumnRule("form", use=Use.FILTER), filtered(POLICE, examples.question()), "statistic.count_by.columns[0]"),
        (ColumnRule("form", statistics=("overlap",)), filtered(POLICE, examples.overlap(), FILTERED), ""),
        (ColumnRule("form", ()), filtered(POLICE, examples.question()), "statistic.count_by.columns[0]"),
    ],
)
def test_a_column_is_for_those_whom_its_rules_name(rule: ColumnRule, draft: Contract, field: str) -> None:
    if not field:
        check_draft(draft, own(rule), examples.operators(), NOW)
        return
    refused = refusal(own(rule), draft)
    assert (refused.field, refused.space) == (field, HOME)
    assert POLICE not in refused.advice, "nothing is told of what others may"
    assert rule.said() in refused.advice if rule.names(draft.initiator) else "Leave form out" in refused.advice


def test_of_several_rules_for_a_column_one_is_enough() -> None:
    rules = BY_FORM, ColumnRule("form", (CARE,), (), Use.FILTER)
    check_draft(filtered(POLICE, examples.question()), own(*rules), examples.operators(), NOW)
    check_draft(filtered(CARE, examples.overlap(), FILTERED), own(*rules), examples.operators(), NOW)
    refusal(own(*rules), filtered(CARE, examples.question()))


def test_rules_for_columns_are_read_and_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    text = LEAST + '[[columns]]\nname = "form"\nspaces = ["https://police.example"]\nas = "group"\n'
    described = examples.dataset(HOME).columns
    assert columns_of(written(tmp_path, text), described) == (ColumnRule("form", (POLICE,), (), Use.GROUP),)
    with pytest.raises(IsthmusError) as caught:
        columns_of(written(tmp_path, text.replace('"form"', '"from"')), described)
    assert (caught.value.field, caught.value.advice) == ("columns.0.name", "Did you mean form?")
    with pytest.raises(IsthmusError, match=r"columns\.0\.as"):
        written(tmp_path, text.replace('"group"', '"groups"'))


def test_code_lists_are_spelled_alike_and_none_looks_like_national_law() -> None:
    for code in (*codelists.PURPOSES, *codelists.LEGAL_BASES):
        assert codelists.NATIONAL_LAW.fullmatch(code) is None and code == code.lower().strip()
    assert len(codelists.COUNTRIES) == 249 and len(codelists.MEMBER_STATES) == 27
    assert codelists.MEMBER_STATES < codelists.COUNTRIES and codelists.UNION not in codelists.COUNTRIES
