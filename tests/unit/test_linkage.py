"""Linkage keys: what is the same person, and what is not."""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Sequence
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sources.errors import SourceError
from connectors.sources.linking import link_locally
from connectors.vocabularies.linkage import RULES, TRANSLITERATE, Linkage, normalise, part
from gateway.domain.dataset import Code, Column, ColumnType
from gateway.domain.errors import Reason

SALT = bytes(range(32))
NAME = Column("prs_FirstName", ColumnType.TEXT)
BORN = Column("prs_Birthdate", ColumnType.DATE)
FORM = Column("form", ColumnType.CODE, codes=(Code("Labour", ""), Code("Sexual", ""), Code("Other", "")))


def linkage_key(values: Sequence[str], salt: bytes) -> int:
    return Linkage(salt).key(map(part, values))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("José", "JOSE"),
        ("  Nguyễn   Thị ", "nguyen thi"),
        ("Weiß", "WEISS"),
        ("İpek", "ipek"),
        ("Ａnna", "anna"),
        ("Άννα", "ΑΝΝΑ"),
        ("Zoe\u0308", "Zoë"),
        ("Ana\u00a0Maria", "ana\tmaria"),
    ],
)
def test_spellings_of_one_name_are_one(one: str, other: str) -> None:
    assert normalise(one, ColumnType.TEXT) == normalise(other, ColumnType.TEXT)


@pytest.mark.parametrize(("one", "other"), [("Jon", "John"), ("कि", "का"), ("Łukasz", "Zukasz"), ("ab", "a b")])
def test_different_names_stay_different(one: str, other: str) -> None:
    assert normalise(one, ColumnType.TEXT) != normalise(other, ColumnType.TEXT)


@given(st.text())
def test_a_normalised_name_is_normal(name: str) -> None:
    try:
        normal = normalise(name, ColumnType.TEXT)
    except ValueError:
        return
    assert normalise(normal, ColumnType.TEXT) == normal


@given(st.text(st.characters(max_codepoint=127)))
def test_a_plain_name_is_normalised_like_any_other(name: str) -> None:
    beside = normalise(f"{name} é", ColumnType.TEXT)
    try:
        normal = normalise(name, ColumnType.TEXT)
    except ValueError:
        assert beside == "e"
    else:
        assert beside == f"{normal} e"


CLEAN = ("case", "punctuation", TRANSLITERATE)
EVERY_CHOICE = [rules for size in range(1, len(RULES) + 1) for rules in combinations(RULES, size)]
# What meets in names, and what is odd in Unicode: marks in any order, joiners, ligatures, folding that makes letters.
LETTERS = st.one_of(
    st.characters(),
    st.sampled_from("aAéßİıΆςЙйёЬъЩ'’ʼ-_.·ﬁ\u0301\u0315\u0323\u0334\u034f\u0345\u05b0\u200d\u00ad\u00a0محمد李さ"),
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Анна", "Anna"),
        ("Татьяна", "Tatyana"),
        ("ЮЛИЯ", "Yuliya"),
        ("Наталʼя", "Natalya"),
        ("Андрій", "Andriy"),
        ("Άννα Μαρία", "anna maria"),
        ("Łukasz", "LUKASZ"),
        ("Ø'Brien", "obrien"),
        ("Jean-Pierre", "jean pierre"),
        ("Nguyễn, Thị", "nguyen thi"),
        ("محمد", "MHMD"),
        ("И\u0306", "Й"),
    ],
)
def test_by_transliteration_a_name_in_another_script_is_the_same(one: str, other: str) -> None:
    assert normalise(one, ColumnType.TEXT, CLEAN) == normalise(other, ColumnType.TEXT, CLEAN)


def test_each_rule_does_what_it_says_and_nothing_else() -> None:
    name = " d’Élan-Ķ  "
    assert {rule: normalise(name, ColumnType.TEXT, (rule,)) for rule in RULES} == {
        "accents": "d’Elan-K",
        "case": "d’e\u0301lan-k\u0327",
        "punctuation": "dE\u0301lan K\u0327",
        TRANSLITERATE: "d'Elan-K",
    }


@pytest.mark.parametrize(("one", "other"), [("Анна", "Ана"), ("Иван", "Yvan"), ("O Brien", "OBrien")])
def test_names_that_differ_after_transliteration_stay_different(one: str, other: str) -> None:
    assert normalise(one, ColumnType.TEXT, CLEAN) != normalise(other, ColumnType.TEXT, CLEAN)


@pytest.mark.parametrize("rules", EVERY_CHOICE)
@given(name=st.text(LETTERS, max_size=12))
def test_by_any_rules_a_normalised_name_is_normal_and_never_empty(rules: tuple[str, ...], name: str) -> None:
    try:
        normal = normalise(name, ColumnType.TEXT, rules)
    except ValueError as refusal:
        assert str(refusal) == "a key value is empty"
        return
    assert normal and normalise(normal, ColumnType.TEXT, rules) == normal
    if TRANSLITERATE in rules:
        assert normal.isascii()


@given(st.text(LETTERS, max_size=12))
def test_the_usual_rules_are_case_and_accents(name: str) -> None:
    try:
        usual = normalise(name, ColumnType.TEXT)
    except ValueError:
        with pytest.raises(ValueError, match="empty"):
            normalise(name, ColumnType.TEXT, ("accents", "case"))
    else:
        assert normalise(name, ColumnType.TEXT, ("accents", "case")) == usual


@pytest.mark.parametrize("day", ["2013-2-01", "01-02-2013", "2013-02-30", "20130201", "2013-02-01 ", "", "٢٠١٣-02-01"])
def test_what_is_no_iso_day_is_refused_without_quoting_it(day: str) -> None:
    with pytest.raises(ValueError) as refusal:
        normalise(day, ColumnType.DATE)
    assert not day or day not in str(refusal.value)


@pytest.mark.parametrize("name", ["", "   ", "\u0301"])
def test_an_empty_name_links_nobody(name: str) -> None:
    with pytest.raises(ValueError, match="empty"):
        normalise(name, ColumnType.TEXT)


def test_a_key_is_the_first_60_bits_of_the_hmac_over_length_prefixed_values() -> None:
    message = struct.pack(">I", 3) + b"ann" + struct.pack(">I", 5) + "koça".encode()
    digest = hmac.new(SALT, message, hashlib.sha256).hexdigest()
    assert linkage_key(["ann", "koça"], SALT) == int(digest[:15], 16)


def test_moving_a_letter_between_values_or_another_salt_gives_another_key() -> None:
    keys = {
        linkage_key(["ab", "c"], SALT),
        linkage_key(["a", "bc"], SALT),
        linkage_key(["ab", "c"], SALT[1:]),
    }
    assert len(keys) == 3 and max(keys) < 2**60
    with pytest.raises(ValueError, match="salt"):
        linkage_key(["ab"], b"short")


def test_a_person_is_one_row_with_all_their_lists() -> None:
    first = [
        ("Ana", "1990-01-01", "Labour"),
        ("Bo", "1991-01-01", "Sexual"),
        ("ANA ", "1990-01-01", "Labour"),
    ]
    third = [("ána", "1990-01-01", "Labour")]
    linked = link_locally([(0, first), (2, third)], [NAME, BORN], [FORM], SALT)
    ana, bo = linkage_key(["ana", "1990-01-01"], SALT), linkage_key(["bo", "1991-01-01"], SALT)
    rows = dict(zip(linked.keys, zip(linked.lists, linked.codes, strict=True), strict=True))
    assert rows == {ana: (0b101, (0,)), bo: (0b001, (1,))}
    assert linked.keys == sorted(linked.keys) and linked.conflicts == 0


def test_the_first_list_s_code_wins_and_the_conflict_is_counted_once_per_person() -> None:
    first = [("Ana", "1990-01-01", "Sexual")]
    second = [("Ana", "1990-01-01", "Labour"), ("Ana", "1990-01-01", "Other")]
    linked = link_locally([(0, first), (1, second)], [NAME, BORN], [FORM], SALT)
    assert (linked.lists, linked.codes, linked.conflicts) == ([0b11], [(1,)], 1)


def test_measured_numbers_and_days_are_those_of_the_first_list_or_of_none() -> None:
    measured = [Column("age", ColumnType.INTEGER), Column("seen", ColumnType.DATE)]
    first = [("Ana", "1990-01-01", "Sexual", None, "1970-01-02"), ("Bo", "1991-01-01", "Other", 7, "1969-12-31")]
    second = [("Ana", "1990-01-01", "Sexual", 9, "1970-01-02")]
    linked = link_locally([(0, first), (1, second)], [NAME, BORN], [FORM], SALT, measured=measured)
    ana, bo = linkage_key(["ana", "1990-01-01"], SALT), linkage_key(["bo", "1991-01-01"], SALT)
    assert dict(zip(linked.keys, linked.values, strict=True)) == {ana: (None, 1), bo: (7, -1)}
    assert linked.conflicts == 1
    with pytest.raises(SourceError, match="age") as refusal:
        link_locally(
            [(0, [("Ana", "1990-01-01", "Other", "old", None)])], [NAME, BORN], [FORM], SALT, measured=measured
        )
    assert refusal.value.reason is Reason.INPUT_OUT_OF_RANGE


def test_of_chosen_codes_another_one_has_the_number_after_the_last_and_still_comes_first() -> None:
    """A person whose first list has a code that is not chosen is not counted by a later list's."""
    chosen = {"form": ("Other", "Labour")}
    first = [("Ana", "1990-01-01", "Sexual"), ("Bo", "1990-01-01", "Labour"), ("Cy", "1990-01-01", "Other")]
    second = [("Ana", "1990-01-01", "Labour"), ("Bo", "1990-01-01", "Sexual")]
    linked = link_locally([(0, first), (1, second)], [NAME, BORN], [FORM], SALT, chosen=chosen)
    assert sorted(linked.codes) == [(0,), (1,), (2,)] and linked.conflicts == 2
    with pytest.raises(SourceError, match="code not in list"):
        link_locally([(0, [("Ana", "1990-01-01", "Unheard")])], [NAME, BORN], [FORM], SALT, chosen=chosen)


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (("", "1990-01-01", "Other"), "prs_FirstName"),
        ((None, "1990-01-01", "Other"), "prs_FirstName"),
        (("Zuzanna", "1990-13-01", "Other"), "prs_Birthdate"),
        (("Zuzanna", "1990-01-01", "Misc"), "form"),
        (("Zuzanna", "1990-01-01", None), "form"),
    ],
)
def test_a_row_that_breaks_the_description_stops_linking_and_is_not_quoted(
    row: tuple[str | None, ...], field: str
) -> None:
    with pytest.raises(SourceError) as refusal:
        link_locally([(0, [row])], [NAME, BORN], [FORM], SALT)
    assert (refusal.value.reason, refusal.value.field) == (Reason.INPUT_OUT_OF_RANGE, field)
    said = str(refusal.value) + refusal.value.private
    assert "Zuzanna" not in said and "1990" not in said and "Misc" not in said
