"""Each program against its clear-text twin, at m = 3, 5 and 7; what it sends depends on bounds alone."""

import random
import secrets
from collections.abc import Sequence
from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.engine.cost import Shape
from connectors.engine.errors import InputRejected, SessionAborted
from connectors.engine.linking import OPENS as LINKING_OPENS
from connectors.engine.programs import PROGRAMS, crosstab, digest, group_count, group_sum, overlap, repeats
from connectors.engine.rows import MAX_ROWS, InputRows
from connectors.engine.runtime import Engine
from tests.engine.harness import SHAPES, Party, revealed, run
from tests.engine.packed import shared_words

Rows = list[InputRows]
LISTS = {"lists": ["LA", "NG", "PF"], "minimum_cell": 2, "zero_is_small": False}
GROUPS = {
    "columns": [{"name": "form", "codes": ["a", "b"]}, {"name": "year", "codes": ["1", "2", "3"]}],
    "minimum_cell": 2,
}
CROSSED = {**GROUPS, "stages": [[0], [1], [2]]}
SUMMED = {**GROUPS, "measures": [{"name": "age", "least": 0, "most": 90, "squares": True}]}
REPEATED = {**GROUPS, "day": {"name": "seen", "least": 0, "most": 90}, "within": [7, 30]}
EMPTY = InputRows([], [], [])
# Each program with parameters for the same rows.
EVERY = [(overlap, LISTS), (group_count, GROUPS), (crosstab, CROSSED), (group_sum, SUMMED), (repeats, REPEATED)]


def execute(program: ModuleType, parameters: dict, providers: Rows, bounds: list[int], shape: Shape) -> list[Party]:
    shares = [
        shared_words(shape, program.encode(parameters, rows, bound, secrets.token_bytes))
        for rows, bound in zip(providers, bounds, strict=True)
    ]
    return run(shape, lambda rt: program.run(rt, parameters, [s[rt.pid] for s in shares]))


@st.composite
def providers(draw: st.DrawFn, most: int = 3, lists: int = 3, sizes: Sequence[int] = (2, 3)) -> Rows:
    """One to `most` providers whose people come from a small pool, so that they overlap."""
    pool = draw(st.lists(st.integers(0, 2**60 - 1), min_size=4, max_size=6, unique=True))
    out = []
    for _ in range(draw(st.integers(1, most))):
        keys = draw(st.lists(st.sampled_from(pool), max_size=6, unique=True))
        masks = [draw(st.integers(1, 2**lists - 1)) for _ in keys]
        codes = [tuple(draw(st.integers(0, size - 1)) for size in sizes) for _ in keys]
        values = [(draw(st.none() | st.integers(0, 90)),) for _ in keys]
        out.append(InputRows(keys, masks, codes, values))
    return out


def options(parameters: dict, minimum: int, zero_is_small: bool) -> dict:
    return {**parameters, "minimum_cell": minimum, "zero_is_small": zero_is_small}


@pytest.mark.parametrize(("shape", "examples"), [(SHAPES[0], 20), (SHAPES[1], 4), (SHAPES[2], 2)])
@pytest.mark.parametrize(("program", "base"), EVERY)
def test_a_program_equals_its_twin(program: ModuleType, base: dict, shape: Shape, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        rows=providers(),
        minimum=st.integers(0, 4),
        zero_is_small=st.booleans(),
        more=st.sampled_from([{}, {"dominance": 60}, {"rounding": 3}, {"dominance": 100, "rounding": 2}]),
        slack=st.integers(0, 2),
    )
    def holds(rows: Rows, minimum: int, zero_is_small: bool, more: dict, slack: int) -> None:
        parameters = options(base, minimum, zero_is_small) | more
        if program is not overlap:
            parameters["structural_zeros"] = [0, 4]
        bounds = [max(1, len(r.keys)) + slack for r in rows]
        parties = execute(program, parameters, rows, bounds, shape)
        result = revealed(parties, shape.t)
        assert result == program.clear(parameters, rows)
        assert len(result) == program.outputs(parameters)

    holds()


MANY_LISTS = {"lists": list("abcdefgh"), "minimum_cell": 2}
ODD_COLUMNS = {
    "columns": [{"name": name, "codes": list("abcde")[:size]} for name, size in (("x", 3), ("y", 1), ("z", 5))],
    "minimum_cell": 2,
}


@pytest.mark.parametrize(
    ("program", "base"),
    [(overlap, MANY_LISTS), (group_count, ODD_COLUMNS), (crosstab, {**ODD_COLUMNS, "stages": [[i] for i in range(8)]})],
)
@settings(max_examples=10, deadline=None)
@given(rows=providers(most=6, lists=8, sizes=(3, 1, 5)), minimum=st.integers(0, 3))
def test_many_providers_lists_and_codes(program: ModuleType, base: dict, rows: Rows, minimum: int) -> None:
    parameters = options(base, minimum, False)
    parties = execute(program, parameters, rows, [max(1, len(r.keys)) for r in rows], SHAPES[0])
    assert revealed(parties, 1) == program.clear(parameters, rows)


SOME = [
    InputRows([5, 7, 9, 2**60 - 1], [1, 1, 1, 1], [(0, 0), (0, 0), (1, 2), (0, 1)], [(30,), (0,), (90,), (None,)]),
    InputRows([7, 9, 1, 0], [2, 2, 2, 2], [(0, 0), (1, 2), (0, 0), (1, 1)], [(7,), (60,), (None,), (45,)]),
    InputRows([9, 3], [4, 4], [(1, 2), (0, 0)], [(52,), (33,)]),
]
BOUNDS = [5, 4, 3]


def test_the_twin_of_overlap_counts_exact_patterns() -> None:
    exact = overlap.clear(options(LISTS, 0, False), SOME)
    # 1: {5, 2^60-1}, 2: {1, 0}, 1|2: {7}, 4: {3}, 1|2|4: {9}
    assert exact[:7] == [2, 2, 1, 1, 0, 0, 1]
    assert exact[7:] == [1] * 7


def test_the_twin_of_group_count_counts_people_once() -> None:
    exact = group_count.clear(options(GROUPS, 0, False), SOME)
    # people 5, 7, 1, 3 are (a, 1); 2^60-1 is (a, 2); 0 is (b, 2); 9 is (b, 3)
    assert exact[:6] == [4, 1, 0, 0, 1, 1]


def test_a_rest_below_the_minimum_suppresses_what_the_count_alone_would_not() -> None:
    """4 people in (a, 1), of whom the first provider has 2, the second 2: the rests meet 2 and not 3."""
    kept = group_count.clear(options(GROUPS, 2, False), SOME)
    assert (kept[0], kept[6]) == (4, 1)
    lost = group_count.clear(options(GROUPS, 3, False), SOME)
    assert (lost[0], lost[6]) == (0, 0)
    assert revealed(execute(group_count, options(GROUPS, 3, False), SOME, BOUNDS, SHAPES[0]), 1) == lost


def test_a_structural_zero_is_shown_where_zero_counts_as_small() -> None:
    parameters = {**options(GROUPS, 2, True), "structural_zeros": [2]}
    result = revealed(execute(group_count, parameters, SOME, BOUNDS, SHAPES[0]), 1)
    assert (result[2], result[6 + 2]) == (0, 1)
    assert (result[3], result[6 + 3]) == (0, 0)


def test_nobody_anywhere_is_a_table_of_zeros() -> None:
    assert revealed(execute(overlap, LISTS, [EMPTY], [1], SHAPES[0]), 1) == [0] * 7 + [1] * 7
    assert revealed(execute(group_count, GROUPS, [EMPTY, EMPTY], [1, 1], SHAPES[0]), 1) == [0] * 6 + [1] * 6


@pytest.mark.parametrize(("program", "parameters"), EVERY)
def test_transcripts_of_two_inputs_within_the_same_bounds_are_of_equal_lengths(
    program: ModuleType, parameters: dict
) -> None:
    crowded = execute(program, parameters, SOME, BOUNDS, SHAPES[0])
    empty = execute(program, parameters, [EMPTY] * 3, BOUNDS, SHAPES[0])
    assert [party.lengths for party in crowded] == [party.lengths for party in empty]
    assert [[(s, p, e.size) for s, p, e in party.seen] for party in crowded] == [
        [(s, p, e.size) for s, p, e in party.seen] for party in empty
    ]


@pytest.mark.parametrize("shape", SHAPES[:2])
@pytest.mark.parametrize(("minimum", "more"), [(0, {}), (2, {}), (2, {"dominance": 60, "rounding": 5})])
@pytest.mark.parametrize(("program", "base"), EVERY)
def test_the_cost_model_is_exact(program: ModuleType, base: dict, minimum: int, more: dict, shape: Shape) -> None:
    parameters = options(base, minimum, False) | more
    parties = execute(program, parameters, SOME, BOUNDS, shape)
    cost = program.cost(parameters, BOUNDS, shape)
    received = [elements.size for party in parties for _, _, elements in party.seen]
    assert parties[0].engine.rounds == 1 + cost.rounds
    assert sum(received) == cost.elements
    assert max(received) <= cost.largest


def test_what_parties_receive_holds_no_count() -> None:
    """Counts, flags and keys here are small numbers; shares, masked openings and shuffled positions' shares
    are not.
    """
    people = InputRows(list(range(60)), [1] * 60, [(0, 0)] * 60, [(50,)] * 60)
    for program, parameters in EVERY:
        for party in execute(program, parameters, [people, people], [60, 60], SHAPES[0]):
            assert all(int(np.min(elements)) > 4096 for _, _, elements in party.seen)


@pytest.mark.parametrize(
    ("program", "parameters", "rows", "bound", "field"),
    [
        (overlap, LISTS, InputRows([1, 2], [1, 1], []), 1, "rows"),
        (overlap, LISTS, InputRows([], [], []), 0, "rows"),
        (overlap, LISTS, InputRows([], [], []), MAX_ROWS + 1, "rows"),
        (overlap, LISTS, InputRows([2**60], [1], []), 3, "keys"),
        (overlap, LISTS, InputRows([-1], [1], []), 3, "keys"),
        (overlap, LISTS, InputRows([1, 1], [1, 2], []), 3, "keys"),
        (overlap, LISTS, InputRows([1], [8], []), 3, "lists"),
        (overlap, LISTS, InputRows([1], [0], []), 3, "lists"),
        (overlap, LISTS, InputRows([1], [], []), 3, "lists"),
        (overlap, {**LISTS, "minimum_cell": -1}, EMPTY, 3, "minimum_cell"),
        (overlap, {**LISTS, "minimum_cell": True}, EMPTY, 3, "minimum_cell"),
        (overlap, {**LISTS, "dominance": 0}, EMPTY, 3, "dominance"),
        (overlap, {**LISTS, "dominance": 101}, EMPTY, 3, "dominance"),
        (overlap, {**LISTS, "rounding": 0}, EMPTY, 3, "rounding"),
        (overlap, {**LISTS, "rounding": 1001}, EMPTY, 3, "rounding"),
        (overlap, {**LISTS, "rounding": 2.5}, EMPTY, 3, "rounding"),
        (overlap, {"lists": ["a"]}, EMPTY, 3, "minimum_cell"),
        (overlap, {**LISTS, "zero_is_small": 1}, EMPTY, 3, "zero_is_small"),
        (overlap, {**LISTS, "lists": ["a", "a"]}, EMPTY, 3, "lists"),
        (overlap, {**LISTS, "lists": list("abcdefghi")}, EMPTY, 3, "lists"),
        (overlap, {**LISTS, "extra": 1}, EMPTY, 3, "extra"),
        (group_count, GROUPS, InputRows([1], [1], [(0, 3)]), 3, "year"),
        (group_count, GROUPS, InputRows([1], [1], [(-1, 0)]), 3, "form"),
        (group_count, GROUPS, InputRows([1], [1], [(0,)]), 3, "codes"),
        (group_count, GROUPS, InputRows([1], [1], []), 3, "codes"),
        (group_count, {**GROUPS, "structural_zeros": [6]}, EMPTY, 3, "structural_zeros"),
        (group_count, {**GROUPS, "columns": []}, EMPTY, 3, "columns"),
        (group_count, {**GROUPS, "columns": [{"name": "x", "codes": []}]}, EMPTY, 3, "columns.x.codes"),
    ],
)
def test_bad_rows_and_parameters_are_refused_by_name(
    program: ModuleType, parameters: dict, rows: InputRows, bound: int, field: str
) -> None:
    with pytest.raises(InputRejected) as refused:
        program.encode(parameters, rows, bound, secrets.token_bytes)
    assert refused.value.field == field


def test_programs_have_different_digests_and_say_what_they_leak() -> None:
    assert len({digest(name) for name in PROGRAMS}) == len(PROGRAMS)
    assert all(len(bytes.fromhex(digest(name))) == 32 for name in PROGRAMS)
    assert all("Recipients learn" in program.LEAKAGE for program in PROGRAMS.values())


@pytest.mark.parametrize(("program", "parameters"), EVERY)
def test_a_program_opens_in_the_steps_that_it_declares_and_is_stopped_in_any_other(
    program: ModuleType, parameters: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: set[str] = set()
    allowed = Engine.opening

    def opening(rt: Engine, step: str) -> None:
        steps.add(step)
        allowed(rt, step)

    monkeypatch.setattr(Engine, "opening", opening)
    rows = [InputRows([5, 7], [1, 2], [(0, 1), (1, 0)], [(5,), (None,)])] * 2
    execute(program, parameters, rows, [2, 2], SHAPES[0])
    assert steps == set(LINKING_OPENS)
    assert all(program.OPENS.values())

    def undeclared(rt: Engine, step: str) -> None:
        rt._opens = set(program.OPENS) - {step}
        allowed(rt, step)

    monkeypatch.setattr(Engine, "opening", undeclared)
    with pytest.raises(SessionAborted, match="does not declare"):
        execute(program, parameters, rows, [2, 2], SHAPES[0])


@pytest.mark.parametrize(("program", "parameters"), EVERY)
def test_many_rows_go_in_blocks_within_the_cost_and_come_out_as_the_twin_says(
    program: ModuleType, parameters: dict
) -> None:
    rng, bounds = random.Random(3), [25_000, 20_000, 30_000]
    pool = [rng.getrandbits(60) for _ in range(50_000)]
    rows = [
        InputRows(
            rng.sample(pool, bound - 10),
            [rng.randrange(1, 8) for _ in range(bound - 10)],
            [(rng.randrange(2), rng.randrange(3)) for _ in range(bound - 10)],
            [(rng.choice([None, rng.randrange(91)]),) for _ in range(bound - 10)],
        )
        for bound in bounds
    ]
    parties = execute(program, parameters, rows, bounds, SHAPES[0])
    assert revealed(parties, 1) == program.clear(parameters, rows)
    cost = program.cost(parameters, bounds, SHAPES[0])
    received = [elements.size for party in parties for _, _, elements in party.seen]
    assert parties[0].engine.rounds == 1 + cost.rounds
    assert max(received) <= cost.largest
    assert abs(sum(received) / cost.elements - 1) < 0.1
