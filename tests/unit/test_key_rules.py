"""Rules by which key texts are compared: declared by owners, alike at all of a question, pinned in the contract."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from connectors.config import ColumnConfig, DatasetConfig
from connectors.rules.approval import OwnPart, check_proposal
from connectors.vocabularies import linkage
from connectors.vocabularies.linkage import TRANSLITERATE, compared
from gateway.cli import render_catalogue
from gateway.client.messages import Listed, dataset_from
from gateway.config import load
from gateway.domain.contract import KeyRule
from gateway.domain.dataset import ColumnType, Dataset
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.offer import Space
from gateway.edges.grpc.convert import dataset_to
from gateway.rules import canonical, key_rules, planning, wording
from gateway.rules.contract import check_whole
from gateway.rules.offers import check_offer
from tests import examples
from tests.examples import CARE, HOME, NOW, POLICE

PLAIN = ("accents", "case", "punctuation")
SAMPLE = Path(__file__).parents[2] / "deploy" / "samples" / "dataset.toml"


def by(rules: Sequence[str] | None, dataset: Dataset) -> Dataset:
    columns = tuple(replace(column, normalise=rules) if column.name == "name" else column for column in dataset.columns)
    return replace(dataset, columns=columns)


def declaring(**rules: Sequence[str]) -> dict[str, Space]:
    """The spaces, of which those named declare these rules for names."""
    known = examples.spaces()
    for short, told in rules.items():
        entity = f"https://{short}.example"
        datasets = (by(told, examples.dataset(entity)),)
        known[entity] = replace(known[entity], offer=replace(known[entity].offer, datasets=datasets))
    return known


EVERYBODY = declaring(home=PLAIN, police=PLAIN, care=PLAIN)
PLANNED = examples.contract(known=EVERYBODY)


def test_a_contract_says_by_which_rules_people_are_linked_where_they_are_not_the_usual_ones() -> None:
    assert PLANNED.key_rules == (KeyRule("name", PLAIN),)
    assert examples.contract().key_rules is None
    assert examples.contract(examples.question(link_on=("born",)), EVERYBODY).key_rules is None


def test_owners_who_compare_by_different_rules_are_not_linked_and_each_is_named() -> None:
    for known, space in ((declaring(care=PLAIN), CARE), (declaring(home=PLAIN, police=PLAIN), CARE)):
        with pytest.raises(IsthmusError) as caught:
            examples.contract(known=known)
        problem = caught.value
        assert (problem.reason, problem.field, problem.space) == (Reason.UNKNOWN_COLUMN, "link_on[0]", space)
        for short in ("home", "police", "care"):
            dataset = known[f"https://{short}.example"].offer.datasets[0]
            declared = dataset.columns[0].normalise or key_rules.USUAL
            assert f"{dataset.name} as text by {', '.join(declared)}" in problem.public
        assert "normalise" in problem.advice
    assert examples.contract(examples.question((HOME, POLICE)), declaring(care=PLAIN)).key_rules is None


def test_a_day_is_not_linked_with_a_text() -> None:
    """Their keys would all differ, and nobody would be found."""
    known, dataset = examples.spaces(), examples.dataset(CARE)
    columns = tuple(
        replace(column, type=ColumnType.TEXT) if column.name == "born" else column for column in dataset.columns
    )
    offer = replace(known[CARE].offer, datasets=(replace(dataset, columns=columns),))
    known[CARE] = replace(known[CARE], offer=offer)
    with pytest.raises(IsthmusError) as caught:
        examples.contract(known=known)
    assert (caught.value.field, caught.value.space) == ("link_on[1]", CARE)
    assert "police.example/datasets/list as date; " in caught.value.public
    assert "care.example/datasets/list as text by accents, case" in caught.value.public


def test_a_link_by_other_rules_is_another_question_and_another_table() -> None:
    others = tuple(replace(PLANNED, key_rules=rules) for rules in (None, (KeyRule("name", ("case",)),)))
    assert len({canonical.question(one) for one in (PLANNED, *others)}) == 3
    assert len({canonical.table(one) for one in (PLANNED, *others)}) == 3


@pytest.mark.parametrize(
    "rules",
    [
        (),
        (KeyRule("form", PLAIN),),
        (KeyRule("name", ()),),
        (KeyRule("name", key_rules.USUAL),),
        (KeyRule("name", PLAIN[::-1]),),
        (KeyRule("name", ("case", "case")),),
        (KeyRule("name", ("Case",)),),
        (KeyRule("name", tuple(f"rule-{number}" for number in range(9))),),
        (KeyRule("name", PLAIN), KeyRule("name", PLAIN)),
        (KeyRule("born", PLAIN), KeyRule("name", PLAIN)),
    ],
)
def test_rules_are_written_in_one_way_and_of_columns_that_are_linked_on(rules: tuple[KeyRule, ...]) -> None:
    with pytest.raises(IsthmusError) as caught:
        check_whole(replace(PLANNED, key_rules=rules))
    assert caught.value.field == "key_rules"


def owner(dataset: Dataset) -> OwnPart:
    offer = replace(examples.spaces()[POLICE].offer, datasets=(dataset,))
    return OwnPart(POLICE, offer, {dataset.name: ("*",)})


def test_the_catalogue_says_by_which_rules(capsys: pytest.CaptureFixture[str]) -> None:
    for dataset in (by(PLAIN, examples.dataset(POLICE)), examples.dataset(POLICE)):
        assert dataset_from(dataset_to(dataset, NOW)).dataset == dataset
        Console(width=200).print(render_catalogue.dataset(Listed(dataset, NOW), NOW))
    shown = capsys.readouterr().out
    assert shown.count("name by accents, case, punctuation") == shown.count("Compared") == 1


def test_an_owner_approves_links_by_the_rules_that_it_declares_and_no_others() -> None:
    declared = examples.dataset(POLICE)
    check_proposal(PLANNED, owner(by(PLAIN, declared)), examples.operators(), NOW)
    for rules in (None, ("case",)):
        with pytest.raises(IsthmusError) as caught:
            check_proposal(PLANNED, owner(by(rules, declared)), examples.operators(), NOW)
        assert (caught.value.reason, caught.value.field) == (Reason.CONTRACT_INVALID, "key_rules")
    with pytest.raises(IsthmusError, match="other rules"):
        check_proposal(examples.contract(), owner(by(PLAIN, declared)), examples.operators(), NOW)


def test_two_lists_of_one_owner_tell_people_apart_by_the_same_rules_where_nobody_else_is_asked() -> None:
    here, there = examples.dataset(HOME), by(PLAIN, examples.dataset(HOME, "other"))
    asked = examples.question(link_on=())
    with pytest.raises(IsthmusError, match="different columns or rules"):
        planning.check_lists(asked, (here, there))
    planning.check_lists(asked, (by(PLAIN, here), there))


def test_who_decides_reads_by_which_rules() -> None:
    told = wording.statistic(PLANNED.query, rules=PLANNED.key_rules)
    assert "name by the rules accents, case, punctuation" in told
    assert "punctuation" in planning.plan(PLANNED, EVERYBODY, ()).learns[0].what
    assert "by the rules" not in wording.statistic(PLANNED.query)


@pytest.mark.parametrize("rules", [(), ("case", "accents"), key_rules.USUAL, ("no rule",)])
def test_an_offer_has_rules_in_the_one_way_to_write_them(rules: tuple[str, ...]) -> None:
    offer = owner(by(PLAIN, examples.dataset(POLICE))).offer
    assert check_offer(offer, POLICE) == offer
    with pytest.raises(IsthmusError, match="rules"):
        check_offer(replace(offer, datasets=(by(rules, offer.datasets[0]),)), POLICE)


@pytest.mark.parametrize(
    ("declared", "rules"),
    [
        ((), None),
        (("case", "accents"), None),
        (("punctuation", "case", "accents"), PLAIN),
        (("accents",), ("accents",)),
        ((TRANSLITERATE, "case", "accents"), ("case", TRANSLITERATE)),
        ((TRANSLITERATE,), (TRANSLITERATE,)),
    ],
)
def test_what_is_declared_has_one_way_to_be_offered(declared: tuple[str, ...], rules: tuple[str, ...] | None) -> None:
    assert compared(declared) == rules and key_rules.well_formed(rules)


def described(folder: Path, old: str, new: str) -> DatasetConfig:
    text = SAMPLE.read_text()
    assert old in text
    (folder / "list.toml").write_text(text.replace(old, new, 1))
    return load(DatasetConfig, folder / "list.toml")


NAME, GENDER, AGE = (f'name = "{name}"\n' for name in ("prs_FirstName", "prs_Gender", "age"))


def test_rules_are_declared_for_texts_that_people_are_linked_on(tmp_path: Path) -> None:
    rules = f'normalise = ["case", "{TRANSLITERATE}"]\n'
    (column, *_) = described(tmp_path, NAME, NAME + rules).columns
    assert column.normalise == ("case", TRANSLITERATE)
    for old, new, why in (
        (GENDER, GENDER + rules, "normalise is for text"),
        (NAME, NAME + 'normalise = ["case", "acents"]\n', "Did you mean accents"),
        (AGE, f'name = "note"\ntype = "text"\n{rules}\n[[columns]]\n{AGE}', "normalise is for key_columns"),
    ):
        with pytest.raises(IsthmusError, match=why):
            described(tmp_path, old, new)


def test_an_agent_with_another_library_describes_nothing_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linkage, "version", lambda _: "0.3.2")
    with pytest.raises(ValueError, match=r"anyascii 0\.3\.3, and here is 0\.3\.2"):
        ColumnConfig(name="name", type=ColumnType.TEXT, normalise=(TRANSLITERATE,))
    ColumnConfig(name="name", type=ColumnType.TEXT, normalise=("case",))


def test_the_release_brings_the_library_that_the_rule_names() -> None:
    linkage.check_library()
    project = tomllib.loads((SAMPLE.parents[2] / "pyproject.toml").read_text())
    assert f"anyascii=={linkage.ANYASCII}" in project["project"]["optional-dependencies"]["agent"]
