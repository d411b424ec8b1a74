"""What can still be inferred from a ledger: each kind is found where it is, and only there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from pyroaring import BitMap

from connectors.rules.inference import COMPARED, FEW, SHOWN, Inference, Kind, Pair, Taken, inferences

LEAST = 11


def taken(name: str, rows: Iterable[int], **changes: Any) -> Taken:
    values: dict[str, Any] = {
        "question": f"q-{name}", "contract": name, "at": 1, "edition": "1", "sources": frozenset({"a", "b"}),
        "table": "t", "rows": BitMap(rows),
    }  # fmt: skip
    return Taken(**{**values, **changes})


def found(*answers: Taken, left: int | None = 7) -> dict[str, Inference]:
    return {item.kind: item for item in inferences(answers, LEAST, left)}


def test_every_kind_is_said_also_where_nothing_is_found() -> None:
    told = found()
    assert set(told) == {kind.value for kind in Kind}
    assert all(item.found == 0 and not item.pairs and item.said.startswith("None is found") for item in told.values())
    assert all(item.cost for item in told.values())


def test_answers_with_noise_stand_beside_none_and_are_summed_up() -> None:
    plain, noised = taken("plain", range(100)), [taken(name, range(97), charge=6_000) for name in ("one", "two")]
    told = found(plain, *noised)
    assert {kind for kind, item in told.items() if item.found} == {Kind.NOISE}
    assert "epsilon of 1.2 together" in told[Kind.NOISE].said


def test_an_exact_release_beside_a_table_of_the_same_rows_and_sources_is_one() -> None:
    table, exact = taken("table", range(100)), taken("exact", range(100), table="")
    assert found(table, exact)[Kind.EXACT].pairs == (Pair("table", "exact", 0, 0),)
    for other in (
        taken("exact", range(99), table=""),
        taken("exact", range(100), table="", sources=frozenset({"a"})),
        taken("exact", range(100), table="another"),
        taken("exact", range(100), table="", question=table.question),
    ):
        assert found(table, other)[Kind.EXACT].found == 0


@pytest.mark.parametrize(("apart", "count"), [(0, 0), (1, 1), (LEAST, 1), (FEW - 1, 1), (FEW, 0)])
def test_answers_that_differ_by_few_rows_are_told_with_how_many(apart: int, count: int) -> None:
    told = found(taken("all", range(1000)), taken("less", range(apart, 1000)))[Kind.DIFFERENCE]
    assert told.found == count
    assert told.pairs == ((Pair("all", "less", apart, 0),) if count else ())


def test_the_closest_pairs_come_first_and_all_are_counted() -> None:
    told = found(*(taken(f"{n:02}", range(n * n, 2000)) for n in range(2 * SHOWN)))[Kind.DIFFERENCE]
    apart = [pair.apart for pair in told.pairs]
    assert len(apart) == SHOWN and apart == sorted(apart) and apart[0] == 1
    pairs = [(i, j) for i in range(2 * SHOWN) for j in range(i) if 0 < i * i - j * j < FEW]
    assert told.found == len(pairs)


def test_answers_without_a_row_in_common_tell_nothing_of_each_other() -> None:
    told = found(taken("a", range(5)), taken("b", range(5, 10)), taken("c", range(10, 15)))
    assert {item.found for item in told.values()} == {0}


def test_a_filter_on_a_column_that_another_answer_counts_by_is_a_margin() -> None:
    cube = taken("cube", range(1000), counted=frozenset({"form", "year"}), filtered=frozenset())
    year = taken("year", range(500), counted=frozenset({"form"}), filtered=frozenset({"year"}))
    assert found(cube, year)[Kind.MARGIN].pairs == (Pair("cube", "year", 500, 0),)
    sex = taken("sex", range(500), counted=frozenset({"form"}), filtered=frozenset({"sex"}))
    assert found(cube, sex)[Kind.MARGIN].found == 0
    unknown = taken("old", range(500))
    assert found(cube, unknown)[Kind.MARGIN].found == 0


def test_the_same_rows_beside_other_sources_are_told_unless_one_choice_holds_the_other() -> None:
    one = taken("one", range(100))
    assert found(one, taken("two", range(100), sources=frozenset({"a", "c"})))[Kind.SOURCES].found == 1
    assert found(one, taken("two", range(100), sources=frozenset({"a"})))[Kind.SOURCES].found == 0


def test_three_tables_over_rows_in_common_can_be_combined_and_two_are_no_combination() -> None:
    answers = [taken(name, range(start, 1000)) for name, start in (("a", 0), ("b", 400), ("c", 800))]
    assert found(*answers[:2])[Kind.COMBINATION].said.startswith("None")
    told = found(*answers)[Kind.COMBINATION]
    assert told.found == 3 and told.said.startswith("3 of the 3 newest answers")


def test_what_is_left_of_the_questions_is_the_price() -> None:
    assert found(left=3)[Kind.COMBINATION].cost.endswith(": 3.")
    assert "costs nothing" in found(left=None)[Kind.COMBINATION].cost


def test_of_very_many_answers_the_newest_are_compared() -> None:
    old = [taken(f"old-{n}", [n], at=0) for n in range(3)]
    new = [taken(f"new-{n}", [10 + 2 * n], at=1) for n in range(COMPARED - 2)]
    told = found(*old, *new, taken("last", range(3), at=2), taken("same", range(3), at=2, table=""))
    assert told[Kind.EXACT].pairs == (Pair("last", "same", 0, 0),)
    assert told[Kind.DIFFERENCE].found == 0
