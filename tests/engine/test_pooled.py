"""Totals that providers make at home, against the clear-text twin, and the twin against a linked one of strangers."""

import itertools
import random
import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.engine.cost import Shape
from connectors.engine.errors import InputRejected
from connectors.engine.pooled import Pooled
from connectors.engine.programs import PROGRAMS, group_count, group_sum
from connectors.engine.programs.cells import Columns
from connectors.engine.rows import MAX_ROWS, InputCells, InputRows
from gateway.rules import noise
from tests.engine.harness import SHAPES, revealed, run
from tests.engine.packed import sent, shared_words
from tests.engine.relay import Federation
from tests.engine.relay import run as run_processes
from tests.engine.test_programs import EVERY, execute

COLUMNS = [{"name": "form", "codes": ["a", "b"]}, {"name": "year", "codes": ["1", "2", "3"]}]
AGE = {"name": "age", "least": 0, "most": 120, "squares": True}
PROFIT = {"name": "profit", "least": -30, "most": 33}
COUNTED: dict[str, Any] = {"columns": COLUMNS, "minimum_cell": 3, "linked": False}
SUMMED: dict[str, Any] = {**COUNTED, "measures": [AGE, PROFIT]}
LIMITS: list[dict[str, Any]] = [
    {},
    {"dominance": 60},
    {"dominance": 99, "rounding": 3},
    {"zero_is_small": True, "structural_zeros": [0, 4]},
]


@st.composite
def strangers(draw: st.DrawFn, most: int = 4) -> list[InputRows]:
    """Providers that have nobody in common, so that linked and pooled have to come to the same."""
    key, out = 0, []
    for _ in range(draw(st.integers(1, most))):
        cells = draw(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2)), max_size=9))
        ages, profits = st.none() | st.integers(0, 120), st.none() | st.integers(-30, 33)
        values = [(draw(ages), draw(profits)) for _ in cells]
        out.append(InputRows(range(key, key + len(cells)), [], cells, values))
        key += len(cells)
    return out


def at_home(rows: InputRows, measures: Sequence[dict[str, Any]] = ()) -> InputCells:
    """What a provider adds up of its rows."""
    found: dict[tuple[int, ...], list[int]] = {}
    for number, codes in enumerate(rows.codes):
        own = [1]
        for measure, value in zip(measures, rows.values[number] if measures else (), strict=True):
            above = 0 if value is None else value - measure["least"]
            own += [int(value is not None), above, *[above**2] * measure.get("squares", False)]
        found[codes] = [a + b for a, b in zip(found.get(codes, [0] * len(own)), own, strict=True)]
    totals = np.array(list(found.values()), dtype=np.uint64)
    return InputCells(list(found), totals.T if found else totals.reshape(1 + 5 * (len(measures) > 1), 0))


@pytest.mark.parametrize(("shape", "examples"), [(SHAPES[0], 25), (SHAPES[1], 5), (SHAPES[2], 3)])
@pytest.mark.parametrize("summed", [False, True])
def test_the_program_equals_its_twin_and_that_one_the_linked_one_of_strangers(
    summed: bool, shape: Shape, examples: int
) -> None:
    program, base = (group_sum, SUMMED) if summed else (group_count, COUNTED)

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(rows=strangers(), minimum=st.integers(0, 4), more=st.sampled_from(LIMITS), slack=st.integers(0, 9))
    def holds(rows: list[InputRows], minimum: int, more: dict[str, Any], slack: int) -> None:
        parameters = base | {"minimum_cell": minimum} | more
        totals = [at_home(one, [AGE, PROFIT] if summed else ()) for one in rows]
        parties = execute(program, parameters, totals, [max(1, len(one.keys)) + slack for one in rows], shape)
        result = revealed(parties, shape.t)
        assert result == program.clear(parameters, totals)
        assert result == program.clear({**parameters, "linked": True}, rows)
        assert len(result) == program.outputs(parameters)

    holds()


CODES = list(itertools.product(range(2), range(3)))


def cells(*counts: int) -> InputCells:
    return InputCells(CODES[: len(counts)], np.array([counts], dtype=np.uint64))


def test_what_is_left_without_a_provider_is_held_to_the_minimum() -> None:
    given = [cells(9, 3, 3, 0, 2, 4), cells(2, 0, 3, 0, 0, 4), cells(0, 0, 0, 0, 0, 4)]
    result = revealed(execute(group_count, COUNTED, given, [30, 12, 9], SHAPES[0]), 1)
    # the second cell is one provider's alone; the first leaves 2 without the largest, the fifth is small
    assert result == [0, 3, 6, 0, 0, 12, 0, 1, 1, 1, 0, 1]


def test_with_noise_it_is_one_path_with_the_linked_one() -> None:
    parameters = {**COUNTED, "minimum_cell": 0, "noise": noise.table("1")}
    given = [cells(9, 0, 3, 0, 2, 4), cells(2, 0, 3, 0, 0, 4)]
    bits = [group_count.own_noise(parameters, bytes([i]) * 32) for i in range(2)]
    inputs = [shared_words(SHAPES[0], group_count.encode(parameters, one, 20, secrets.token_bytes)) for one in given]
    uniform = [shared_words(SHAPES[0], one) for one in bits]
    parties = run(
        SHAPES[0],
        lambda rt: group_count.run(rt, parameters, [s[rt.pid] for s in inputs], [s[rt.pid] for s in uniform]),
    )
    assert revealed(parties, 1) == group_count.clear(parameters, given, bits)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("more", [*LIMITS, {"minimum_cell": 0}])
@pytest.mark.parametrize(("program", "base"), [(group_count, COUNTED), (group_sum, SUMMED)])
def test_the_cost_is_what_is_sent_and_says_nothing_of_the_totals(
    program: Any, base: dict[str, Any], more: dict[str, Any], shape: Shape
) -> None:
    parameters, bounds = base | more, [40, 7, 700]
    rng = random.Random(7)
    for most in (0, 1):
        size = (6 if program is group_sum else 1, 6)
        totals = [InputCells(CODES, np.full(size, rng.randint(0, most), dtype=np.uint64)) for _ in bounds]
        parties = execute(program, parameters, totals, bounds, shape)
        spent, said = sent(parties), program.cost(parameters, bounds, shape)
        assert (spent.rounds, spent.elements) == (said.rounds, said.elements)


@given(bound=st.integers(1, MAX_ROWS), data=st.data())
@settings(max_examples=30, deadline=None)
def test_totals_come_back_out_of_their_planes(bound: int, data: st.DataObject) -> None:
    of = Pooled(70, (0, 5))
    first = data.draw(st.lists(st.integers(0, bound // 70), min_size=70, max_size=70))
    second = data.draw(st.lists(st.integers(0, (1 << bound.bit_length() + 5) - 1), min_size=70, max_size=70))
    placing = Columns(("place",), (tuple(map(str, range(70))),))
    given = InputCells([(place,) for place in range(70)], np.array([first, second], dtype=np.uint64))
    planes = of.encode(given, bound, placing)
    assert planes.shape == of.size(bound)
    shares = shared_words(SHAPES[0], planes)
    parties = run(SHAPES[0], lambda rt: of.totals(rt, [shares[rt.pid]], (), "totals"))
    assert revealed(parties, 1) == first + second
    assert sum(first) <= bound <= of.rows([shares[0]]) == of.rows_of([bound])


@pytest.mark.parametrize(
    ("given", "bound", "field"),
    [
        (InputCells(CODES, np.ones((2, 6), dtype=np.uint64)), 9, "totals"),
        (InputCells([(2, 0)], np.ones((1, 1), dtype=np.uint64)), 9, "form"),
        (InputRows([], [], []), 9, "totals"),
        (cells(0, 0, 16, 0, 0, 0), 9, "totals"),
        (cells(5, 5, 0, 0, 0, 0), 9, "rows"),
        (cells(0, 0, 0, 0, 0, 0), MAX_ROWS + 1, "rows"),
    ],
)
def test_totals_that_do_not_fit_are_refused(given: Any, bound: int, field: str) -> None:
    with pytest.raises(InputRejected) as refused:
        group_count.encode(COUNTED, given, bound, secrets.token_bytes)
    assert refused.value.field == field


def test_programs_that_need_people_linked_refuse_the_parameter() -> None:
    for program, base in [*EVERY, *((PROGRAMS[name], {}) for name in ("survival", "chi_square", "kruskal_wallis"))]:
        if not hasattr(program, "pooled"):
            with pytest.raises(InputRejected) as refused:
                program.words({**base, "linked": False})
            assert refused.value.field in ("linked", "test", "groups"), program.NAME
    with pytest.raises(InputRejected):
        group_count.words({**COUNTED, "linked": 0})


async def test_party_processes_compute_totals() -> None:
    given = [cells(9, 0, 3, 0, 2, 4), cells(2, 7, 3, 0, 0, 4)]
    federation = Federation(group_count, COUNTED, given, [30, 20])
    assert federation.result(await run_processes(federation)) == group_count.clear(COUNTED, given)
