"""The ledger's rule: which questions about a dataset may not be answered after those that were."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from connectors.rules.ledger import Answer, Ledger, Objection, Terms

TERMS = Terms(least=11)
A, B, C = "spaces/a.example/datasets/a", "spaces/b.example/datasets/b", "spaces/c.example/datasets/c"


def answer(
    question: str, rows: Iterable[int], *, sources: Iterable[str] = (A, B), edition: str = "2024-1", table: str = "t"
) -> Answer:
    return Answer(question, edition, frozenset(sources), BitMap(rows), table)


def ledger(*answers: Answer) -> Ledger:
    return Ledger(answers)


def picking(question: str, rows: Iterable[int], counted: Iterable[int], table: str = "t") -> Answer:
    """Asked of these rows, it takes the codes of some of them."""
    return replace(answer(question, rows, table=table), counted=BitMap(counted))


def test_codes_that_a_question_takes_pick_people_as_a_filter_does() -> None:
    chosen, filtered = picking("chosen", range(200), range(100)), answer("filtered", range(100), table="u")
    near, apart = answer("near", range(95), table="u"), answer("apart", range(80), table="u")
    for first, second, objection in (
        (chosen, filtered, Objection.TABLE),
        (chosen, near, Objection.DIFFERENCE),
        (chosen, apart, None),
        (chosen, answer("whole", range(200), table="u"), Objection.TABLE),
        (chosen, picking("others", range(300), range(95), "u"), Objection.DIFFERENCE),
    ):
        assert ledger(first).objection(second, TERMS) is objection
        assert ledger(second).objection(first, TERMS) is objection
        assert ledger().objection(first, TERMS, [second]) is objection
    assert ledger().objection(picking("few", range(200), range(5)), TERMS) is Objection.SINGLED_OUT


def test_the_first_question_is_answered() -> None:
    assert ledger().objection(answer("first", range(100)), TERMS) is None


def test_the_same_question_is_answered_again_whatever_else_was() -> None:
    known = ledger(answer("first", range(100)), answer("close", range(5)))
    assert known.objection(answer("first", range(100)), Terms(11, questions=1)) is None


@pytest.mark.parametrize(("more", "objection"), [(1, Objection.DIFFERENCE), (10, Objection.DIFFERENCE), (11, None)])
def test_a_few_rows_more_or_less_are_a_difference(more: int, objection: Objection | None) -> None:
    assert ledger(answer("first", range(100))).objection(answer("second", range(100 + more)), TERMS) is objection
    assert ledger(answer("first", range(100 + more))).objection(answer("second", range(100)), TERMS) is objection


def test_rows_exchanged_for_others_are_a_difference_in_sets_of_one_size() -> None:
    known = ledger(answer("first", range(100)))
    assert known.objection(answer("second", range(5, 105)), TERMS) is Objection.DIFFERENCE
    assert known.objection(answer("second", range(11, 111)), TERMS) is None


@pytest.mark.parametrize("start", [0, (1 << 16) - 8, 1 << 16, 1 << 20])
def test_it_does_not_matter_where_among_all_rows_the_difference_lies(start: int) -> None:
    some = {*range(0, 1 << 17, 64), *range(start, start + 100)}
    known = ledger(answer("first", some))
    for few, objection in ((10, Objection.DIFFERENCE), (11, None)):
        gone = some - set([row for row in range(start, start + 100) if row % 64][:few])
        assert known.objection(answer("second", gone), TERMS) is objection
        assert known.objection(answer("second", gone | set(range(2 << 20, (2 << 20) + few))), TERMS) is objection


def test_a_corrected_record_is_one_person_and_not_two() -> None:
    """Ten records were corrected between two editions: ten rows gone, ten come, and a difference of ten people."""
    known = ledger(answer("first", range(100)))
    corrected = answer("second", range(10, 110), edition="2024-2")
    assert known.objection(corrected, TERMS) is Objection.DIFFERENCE
    assert ledger().objection(corrected, TERMS, [answer("first", range(100))]) is Objection.DIFFERENCE


def test_rows_that_were_shown_in_one_table_are_shown_in_no_other() -> None:
    known = ledger(answer("by form", range(100), table="form"))
    by_year = answer("by year", range(100), table="year")
    assert known.objection(by_year, TERMS) is Objection.TABLE
    assert ledger().objection(by_year, TERMS, [answer("by form", range(100), table="form")]) is Objection.TABLE
    assert known.objection(answer("by form, elsewhere filtered", range(100), table="form"), TERMS) is None
    assert known.objection(answer("by year", range(150), table="year"), TERMS) is None


def test_a_table_that_hides_no_cell_stands_beside_others() -> None:
    exact = answer("exact", range(100), table="")
    assert ledger(answer("by form", range(100))).objection(exact, TERMS) is None
    assert ledger(exact).objection(answer("by form", range(100)), TERMS) is None


def test_a_difference_is_one_in_another_edition_too() -> None:
    known = ledger(answer("first", range(100)))
    assert known.objection(answer("second", range(103), edition="2024-2"), TERMS) is Objection.DIFFERENCE


@pytest.mark.parametrize("sources", [(A,), (A, B, C)])
def test_a_source_left_out_or_added_is_a_difference(sources: tuple[str, ...]) -> None:
    known = ledger(answer("first", range(100)))
    assert known.objection(answer("second", range(100), sources=sources), TERMS) is Objection.SOURCE


def test_another_source_in_place_of_one_is_none() -> None:
    known = ledger(answer("first", range(100)))
    assert known.objection(answer("second", range(100), sources=(A, C)), TERMS) is None


@pytest.mark.parametrize(
    ("rows", "zero_is_small", "objection"),
    [
        (0, False, None),
        (0, True, Objection.SINGLED_OUT),
        (1, False, Objection.SINGLED_OUT),
        (10, False, Objection.SINGLED_OUT),
        (11, True, None),
    ],
)
def test_a_few_rows_alone_single_people_out(rows: int, zero_is_small: bool, objection: Objection | None) -> None:
    assert ledger().objection(answer("first", range(rows)), Terms(11, zero_is_small)) is objection


@pytest.mark.parametrize("least", [0, 1])
def test_where_all_cells_may_be_shown_a_person_is_not_singled_out_all_the_same(least: int) -> None:
    assert ledger().objection(answer("first", [7]), Terms(least)) is Objection.SINGLED_OUT
    known = ledger(answer("first", range(100)))
    assert known.objection(answer("second", range(101)), Terms(least)) is Objection.DIFFERENCE
    assert known.objection(answer("second", range(102)), Terms(least)) is None


def test_an_edition_answers_as_many_questions_as_its_policy_says() -> None:
    known, terms = (
        ledger(answer("first", range(100)), answer("old", range(200), edition="2023-1")),
        Terms(11, questions=2),
    )
    assert known.objection(answer("second", range(50)), terms) is None
    known.add(answer("second", range(50)))
    assert known.objection(answer("third", range(300)), terms) is Objection.QUESTIONS
    assert known.objection(answer("third", range(300), edition="2024-2"), terms) is None


def test_what_is_agreed_on_counts_as_answered() -> None:
    held = [answer("first", range(100))]
    assert ledger().objection(answer("second", range(103)), TERMS, held) is Objection.DIFFERENCE
    assert ledger().objection(answer("second", range(200)), Terms(11, questions=1), held) is Objection.QUESTIONS
    assert ledger().objection(answer("first", range(100)), Terms(11, questions=1), held) is None


rows = st.frozensets(st.integers(0, 12))


@given(st.lists(rows), rows, st.integers(0, 6))
def test_no_answer_is_closer_than_the_least_cell_unless_it_has_the_same_rows(
    before: list[frozenset[int]], asked: frozenset[int], least: int
) -> None:
    """Against the plain reading of the rule, over all earlier answers."""
    known = ledger(*(answer(str(n), kept) for n, kept in enumerate(before)))
    small = max(least, 2)
    if 0 < len(asked) < small:
        expected = Objection.SINGLED_OUT
    elif any(0 < max(len(asked - kept), len(kept - asked)) < small for kept in before):
        expected = Objection.DIFFERENCE
    else:
        expected = None
    assert known.objection(answer("asked", asked), Terms(least)) is expected
