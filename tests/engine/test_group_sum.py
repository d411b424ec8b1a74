"""Sums of people's numbers by cells, against the clear-text twin, and the twin against a pooled table."""

import json
import random
import secrets
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.engine import job
from connectors.engine.cost import Shape
from connectors.engine.errors import InputRejected
from connectors.engine.pipe import MAX_FRAME
from connectors.engine.programs import group_sum
from connectors.engine.rows import MAX_ROWS, InputRows
from gateway.rules.sharing import P
from tests.engine.harness import SHAPES, revealed, run
from tests.engine.packed import shared_words
from tests.engine.relay import Federation
from tests.engine.test_programs import BOUNDS, EMPTY, Rows, execute

AGE = {"name": "age", "least": 0, "most": 120, "squares": True}
PROFIT = {"name": "profit", "least": -30, "most": 33}
COLUMNS = [{"name": "form", "codes": ["a", "b"]}, {"name": "year", "codes": ["1", "2", "3"]}]
PARAMETERS: dict[str, Any] = {"columns": COLUMNS, "measures": [AGE, PROFIT], "minimum_cell": 2}
SOME = [
    InputRows([5, 7, 9, 11], [], [(0, 0), (0, 0), (1, 2), (0, 1)], [(30, 5), (31, None), (None, -30), (120, 33)]),
    InputRows([7, 9, 1, 0], [], [(0, 0), (1, 2), (0, 0), (1, 1)], [(99, 9), (50, 9), (32, -7), (18, 0)]),
    InputRows([9, 3], [], [(1, 2), (0, 0)], [(60, 1), (33, 2)]),
]


@st.composite
def providers(draw: st.DrawFn, sizes: tuple[int, ...] = (2, 3), most: int = 4) -> Rows:
    """One to `most` providers whose people come from a small pool; their numbers differ, or are missing."""
    pool = draw(st.lists(st.integers(0, 2**60 - 1), min_size=4, max_size=7, unique=True))
    ages = st.none() | st.sampled_from([0, 1, 119, 120]) | st.integers(0, 120)
    profits = st.none() | st.sampled_from([-30, -1, 0, 33]) | st.integers(-30, 33)
    out = []
    for _ in range(draw(st.integers(1, most))):
        keys = draw(st.lists(st.sampled_from(pool), max_size=7, unique=True))
        codes = [tuple(draw(st.integers(0, size - 1)) for size in sizes) for _ in keys]
        out.append(InputRows(keys, [], codes, [(draw(ages), draw(profits)) for _ in keys]))
    return out


LIMITS = [
    {},
    {"dominance": 60},
    {"dominance": 99, "rounding": 3},
    {"rounding": 7, "measures": [{"name": "age", "least": 0, "most": 120, "step": 1}, {**PROFIT, "step": 10}]},
    {"zero_is_small": True, "structural_zeros": [0, 4], "measures": [AGE, {**PROFIT, "squares": True}]},
]


@pytest.mark.parametrize(("shape", "examples"), [(SHAPES[0], 25), (SHAPES[1], 5), (SHAPES[2], 3)])
def test_the_program_equals_its_twin(shape: Shape, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(rows=providers(), minimum=st.integers(0, 4), more=st.sampled_from(LIMITS), slack=st.integers(0, 2))
    def holds(rows: Rows, minimum: int, more: dict[str, Any], slack: int) -> None:
        parameters = PARAMETERS | {"minimum_cell": minimum} | more
        parties = execute(group_sum, parameters, rows, [max(1, len(r.keys)) + slack for r in rows], shape)
        result = revealed(parties, shape.t)
        assert result == group_sum.clear(parameters, rows)
        assert len(result) == group_sum.outputs(parameters)

    holds()


@pytest.mark.parametrize("columns", [[], [{"name": "x", "codes": ["only"]}], [{"name": "x", "codes": list("abcde")}]])
@settings(max_examples=8, deadline=None)
@given(data=st.data(), minimum=st.integers(0, 3))
def test_no_column_is_one_cell_and_odd_numbers_of_codes_are_as_any(
    columns: list[dict[str, Any]], data: st.DataObject, minimum: int
) -> None:
    rows = data.draw(providers(sizes=tuple(len(column["codes"]) for column in columns)))
    parameters = PARAMETERS | {"columns": columns, "minimum_cell": minimum}
    parties = execute(group_sum, parameters, rows, [max(1, len(r.keys)) for r in rows], SHAPES[0])
    assert revealed(parties, 1) == group_sum.clear(parameters, rows)


def pooled(rows: Rows) -> dict[int, tuple[tuple[int, ...], tuple[int | None, ...]]]:
    """Each person's codes and numbers, as the first provider that has the person tells them."""
    table: dict[int, tuple[tuple[int, ...], tuple[int | None, ...]]] = {}
    for provider in reversed(rows):
        table |= {
            key: (codes, values)
            for key, codes, values in zip(provider.keys, provider.codes, provider.values, strict=True)
        }
    return table


@given(rows=providers())
def test_without_limits_the_twin_is_what_a_pooled_table_says(rows: Rows) -> None:
    table = pooled(rows).values()
    expected: list[list[int]] = [[] for _ in range(6)]
    for cell in np.ndindex(2, 3):
        people = [values for codes, values in table if codes == cell]
        ages = np.array([age for age, _ in people if age is not None], dtype=np.int64)
        profits = np.array([profit for _, profit in people if profit is not None], dtype=np.int64)
        of_cell = [len(people), len(ages), ages.sum(), (ages**2).sum(), len(profits), profits.sum() % P]
        for part, number in zip(expected, of_cell, strict=True):
            part.append(int(number))
    assert group_sum.clear(PARAMETERS | {"minimum_cell": 0}, rows) == [*np.ravel(expected).tolist(), *[1] * 18]


def test_what_the_first_row_of_a_person_does_not_know_is_not_known() -> None:
    result = group_sum.clear(PARAMETERS | {"minimum_cell": 0}, SOME)
    count, known, ages, squares, known_profits, profits = (result[start : start + 6] for start in range(0, 36, 6))
    # people 5, 7, 1, 3 are (a, 1), and nobody's second row counts; 9 is (b, 3), whose first row has no age
    assert (count[0], known[0], ages[0], squares[0]) == (4, 4, 30 + 31 + 32 + 33, 30**2 + 31**2 + 32**2 + 33**2)
    assert (known_profits[0], profits[0]) == (3, 0)
    assert (count[5], known[5], ages[5], known_profits[5], profits[5]) == (1, 0, 0, 1, P - 30)


ONE = {"columns": [], "measures": [AGE], "minimum_cell": 3}


def one_cell(parameters: dict[str, Any], *ages: list[int | None]) -> list[int]:
    """Of providers without common people: what comes out, after it has come out of a session as well."""
    rows, start = [], 100
    for own in ages:
        rows.append(InputRows(list(range(start, start + len(own))), [], [()] * len(own), [(age,) for age in own]))
        start += len(own)
    result = group_sum.clear(parameters, rows)
    assert revealed(execute(group_sum, parameters, rows, [8] * len(rows), SHAPES[0]), 1) == result
    return result


def test_a_sum_of_few_known_numbers_is_suppressed_alone() -> None:
    assert one_cell(ONE, [10, 20, None, None], [30, 40, 50]) == [7, 0, 0, 0, 1, 0]  # 2 and 3: a rest of 2
    assert one_cell(ONE, [10, 20, 30], [30, 40, 50]) == [6, 6, 180, 6400, 1, 1]


def test_a_sum_beside_which_few_numbers_are_unknown_is_suppressed_alone() -> None:
    """People less those who are known are a cell as well, and it is not shown."""
    assert one_cell(ONE, [10, 20, 30, None], [30, 40, 50]) == [7, 0, 0, 0, 1, 0]
    assert one_cell(ONE, [10, 20, 30, None, None, None], [30, 40, 50]) == [9, 6, 180, 6400, 1, 1]
    assert one_cell({**ONE, "zero_is_small": True}, [10, 20, 30], [30, 40, 50])[4:] == [1, 1]


def test_a_number_that_another_provider_said_of_ones_own_person_is_not_left_alone() -> None:
    """All people are on the second one's list; of one of them the first provider has the number that counts."""
    first = InputRows([1], [], [()], [(41,)])
    second = InputRows([1, 2, 3, 4], [], [()] * 4, [(30,), (20,), (20,), (20,)])
    result = group_sum.clear(ONE, [first, second])
    assert result == [0] * 6  # 41 would be 101 less what the second one knows
    assert revealed(execute(group_sum, ONE, [first, second], [8] * 2, SHAPES[0]), 1) == result
    many = InputRows([1, 2, 3], [], [()] * 3, [(41,), (42,), (43,)])
    six = InputRows([1, 2, 3, 4, 5, 6], [], [()] * 6, [(20,)] * 6)
    assert group_sum.clear(ONE, [many, six])[4:] == [1, 1]


def test_a_sum_of_a_suppressed_cell_is_suppressed() -> None:
    assert one_cell(ONE, [10, 20]) == [0, 0, 0, 0, 0, 0]


def test_an_empty_cell_has_an_empty_sum_where_zero_may_be_shown() -> None:
    assert one_cell(ONE, []) == [0, 0, 0, 0, 1, 1]
    assert one_cell({**ONE, "dominance": 50}, []) == [0, 0, 0, 0, 1, 1]
    assert one_cell({**ONE, "zero_is_small": True}, []) == [0] * 6
    assert one_cell({**ONE, "dominance": 90}, [None] * 3, [None] * 3) == [6, 0, 0, 0, 1, 1]


def test_no_provider_dominates_a_sum_though_it_has_few_of_the_people() -> None:
    even, heavy = [1, 2, 3, 4], [100, 110, 120]
    dominated = {**ONE, "dominance": 60}
    assert one_cell(dominated, even, heavy)[4:] == [1, 0]
    assert one_cell({**ONE, "dominance": 98}, even, heavy)[4:] == [1, 1]  # 330 of 340


def test_what_counts_for_dominance_is_how_far_numbers_are_above_the_lowest() -> None:
    low, high = [100, 101, 102, 103], [110, 110, 110]
    parameters = {**ONE, "measures": [{"name": "age", "least": 100, "most": 110}], "dominance": 80}
    assert one_cell(parameters, low, high)[3:] == [1, 0]  # 30 of 36
    assert one_cell({**parameters, "dominance": 84}, low, high)[3:] == [1, 1]


def test_no_person_could_have_more_of_a_sum_than_dominance_allows() -> None:
    parameters = {**ONE, "dominance": 80}
    assert one_cell(parameters, [25, 25, 25], [25, 25, 24])[4:] == [1, 0]  # 149: of 120 they are 80.5 %
    assert one_cell(parameters, [25, 25, 25], [25, 25, 25])[4:] == [1, 1]  # 150


def test_sums_are_rounded_to_multiples_of_the_step_times_the_base() -> None:
    measure = {"name": "profit", "least": -50, "most": 50, "step": 10}
    parameters = {"columns": [], "measures": [measure], "minimum_cell": 2, "rounding": 4}
    assert one_cell(parameters, [20, 21, 18]) == [4, 4, 40, 1, 1]  # 3, 3 and 59, to multiples of 4 and 40
    assert one_cell(parameters, [20, 20, 20])[2] == 80  # halves go up
    assert one_cell(parameters, [-20, -20, -20])[2] == P - 40
    assert one_cell(parameters, [-20, -20, -21])[2] == P - 80
    assert one_cell({**parameters, "minimum_cell": 0}, [-20, -20, -21]) == [3, 3, P - 61, 1, 1]


def test_four_wide_numbers_take_three_words_of_a_row() -> None:
    measures = [{"name": name, "least": -(2**23), "most": 2**23 - 1} for name in "abcd"]
    parameters = {"columns": COLUMNS, "measures": measures, "minimum_cell": 2}
    assert group_sum.words(parameters) == 3
    rng = random.Random(1)

    def number() -> int | None:
        return rng.choice([None, -(2**23), 2**23 - 1, rng.randrange(-(2**23), 2**23)])

    rows = [
        InputRows(
            list(range(start, start + 40)),
            [],
            [(rng.randrange(2), rng.randrange(3)) for _ in range(40)],
            [tuple(number() for _ in measures) for _ in range(40)],
        )
        for start in (0, 20)
    ]
    parties = execute(group_sum, parameters, rows, [40, 41], SHAPES[0])
    assert revealed(parties, 1) == group_sum.clear(parameters, rows)


@pytest.mark.parametrize("shape", SHAPES[:2])
@pytest.mark.parametrize(
    ("minimum", "more"),
    [(0, {}), (2, {}), (2, {"dominance": 60, "rounding": 5, "measures": [{**PROFIT, "step": 3}, AGE]})],
)
def test_the_cost_model_is_exact(minimum: int, more: dict[str, Any], shape: Shape) -> None:
    parameters = PARAMETERS | {"minimum_cell": minimum} | more
    rows = [replace(r, values=[v[::-1] for v in r.values]) for r in SOME] if "measures" in more else SOME
    parties = execute(group_sum, parameters, rows, BOUNDS, shape)
    cost = group_sum.cost(parameters, BOUNDS, shape)
    received = [elements.size for party in parties for _, _, elements in party.seen]
    assert parties[0].engine.rounds == 1 + cost.rounds
    assert sum(received) == cost.elements
    assert max(received) <= cost.largest


def changed(words: np.ndarray, bit: int) -> np.ndarray:
    """The same rows, with one bit of each set."""
    out = words.copy()
    out[(61 + bit) // 64] |= np.uint64(1 << (61 + bit) % 64)
    return out


@pytest.mark.parametrize("bit", range(8, 15))
def test_a_number_that_a_row_does_not_know_adds_nothing_whatever_its_bits_say(bit: int) -> None:
    """Owners that lie: bits 0 .. 7 of the payload are known and the age, 8 is whether the profit is."""
    rows = InputRows([1, 2, 3], [], [()] * 3, [(20, None), (30, None), (40, None)])
    parameters = {"columns": [], "measures": [AGE, PROFIT], "minimum_cell": 0}
    words = changed(group_sum.encode(parameters, rows, 3, secrets.token_bytes), bit)
    shares = shared_words(SHAPES[0], words)
    parties = run(SHAPES[0], lambda rt: group_sum.run(rt, parameters, [shares[rt.pid]]))
    result = revealed(parties, 1)
    if bit == 8:  # it says that it is known, and what is carried is 0
        assert result[4:6] == [3, P - 90]
    else:
        assert result == group_sum.clear(parameters, [rows])


@pytest.mark.parametrize(
    ("parameters", "rows", "field"),
    [
        (PARAMETERS, replace(SOME[2], values=[(121, 0), (0, 0)]), "age"),
        (PARAMETERS, replace(SOME[2], values=[(1, 0), (-1, 0)]), "age"),
        (PARAMETERS, replace(SOME[2], values=[(1, 34), (1, 0)]), "profit"),
        (PARAMETERS, replace(SOME[2], values=[(1.0, 3), (1, 0)]), "age"),
        (PARAMETERS, replace(SOME[2], values=[(True, 3), (1, 0)]), "age"),
        (PARAMETERS, replace(SOME[2], values=[(1, 3)]), "values"),
        (PARAMETERS, replace(SOME[2], values=[(1, 3), (1,)]), "values"),
        (PARAMETERS, replace(SOME[2], codes=[(1, 3), (1, 1)]), "year"),
        (PARAMETERS, replace(SOME[2], keys=[1, 1]), "keys"),
        (PARAMETERS | {"noise": ["0" * 16]}, EMPTY, "noise"),
        (PARAMETERS | {"measures": []}, EMPTY, "measures"),
        (PARAMETERS | {"measures": [AGE, AGE]}, EMPTY, "measures"),
        (PARAMETERS | {"measures": [{**AGE, "name": n} for n in "abcde"]}, EMPTY, "measures"),
        (PARAMETERS | {"measures": "age"}, EMPTY, "measures"),
        (PARAMETERS | {"measures": ["age"]}, EMPTY, "measures"),
        (PARAMETERS | {"measures": [{**AGE, "mean": True}]}, EMPTY, "mean"),
        (PARAMETERS | {"measures": [{**AGE, "most": 0}]}, EMPTY, "measures.age.most"),
        (PARAMETERS | {"measures": [{**AGE, "most": 2**24 + 1}]}, EMPTY, "measures.age.most"),
        (PARAMETERS | {"measures": [{**AGE, "least": None}]}, EMPTY, "measures.age.least"),
        (PARAMETERS | {"measures": [{**AGE, "least": -(2**31) - 1}]}, EMPTY, "measures.age.least"),
        (PARAMETERS | {"measures": [{**AGE, "most": 120.5}]}, EMPTY, "measures.age.most"),
        (PARAMETERS | {"measures": [{**AGE, "squares": 1}]}, EMPTY, "measures.age.squares"),
        (PARAMETERS | {"measures": [{**AGE, "most": 2**20}]}, EMPTY, "measures.age.squares"),
        (PARAMETERS | {"measures": [{**AGE, "least": -(2**20), "most": 0}]}, EMPTY, "measures.age.squares"),
        (PARAMETERS | {"measures": [{**AGE, "step": 5}]}, EMPTY, "measures.age.step"),
        (PARAMETERS | {"measures": [{**PROFIT, "step": 0}]}, EMPTY, "measures.profit.step"),
        (PARAMETERS | {"measures": [{**PROFIT, "step": 1001}]}, EMPTY, "measures.profit.step"),
        (PARAMETERS | {"structural_zeros": [6]}, EMPTY, "structural_zeros"),
        (PARAMETERS | {"columns": None}, EMPTY, "columns"),
        (PARAMETERS | {"lists": ["a"]}, EMPTY, "lists"),
    ],
)
def test_bad_rows_and_parameters_are_refused_by_name(parameters: dict[str, Any], rows: InputRows, field: str) -> None:
    with pytest.raises(InputRejected) as refused:
        group_sum.encode(parameters, rows, 4, secrets.token_bytes)
    assert refused.value.field == field


@pytest.mark.parametrize("m", [3, 7])
@pytest.mark.parametrize("providers", [1, 3, 60])
def test_a_job_of_as_many_rows_as_can_be_fits_into_frames(providers: int, m: int) -> None:
    measures = [{"name": name, "least": -(2**20), "most": 2**23, "step": 9} for name in "abcd"]
    codes = [str(i) for i in range(64)]
    columns = [{"name": "x", "codes": codes}, {"name": "y", "codes": codes}]
    parameters = {"columns": columns, "measures": measures, "minimum_cell": 11, "dominance": 80, "rounding": 5}
    bounds = [MAX_ROWS // providers] * providers
    federation = Federation(group_sum, parameters, [EMPTY] * providers, bounds, m)
    taken = job.read(json.dumps(federation.job(0)).encode())
    assert 8 * taken.cost.largest < MAX_FRAME
    assert taken.cost.rounds < 500
