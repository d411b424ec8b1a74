"""Counts between quantiles that nobody sees: against the clear-text twin, and the twin against NumPy."""

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.engine.cost import Shape
from connectors.engine.errors import InputRejected
from connectors.engine.programs import group_count
from connectors.engine.rows import InputRows
from connectors.engine.runtime import Engine
from connectors.engine.wire import ELEMENT_BYTES
from tests.engine.harness import SHAPES, revealed
from tests.engine.stocked import compute
from tests.engine.test_chi_square import execute, nothing, words_sent
from tests.engine.test_programs import Rows
from tests.engine.test_quantiles import INTERVALS, people, providers

BINS = ["0 to 25 %", "25 to 60 %", "60 to 100 %", "not known"]
PARAMETERS: dict[str, Any] = {
    "columns": [{"name": "age", "codes": BINS}, {"name": "form", "codes": ["a", "b"]}],
    "grid": {"name": "age", "intervals": INTERVALS},
    "edges_at": [25, 60],
    "minimum_cell": 2,
}


def turned(rows: Rows) -> Rows:
    """The interval first, then the group."""
    return [InputRows(own.keys, [], [(interval, code) for code, interval in own.codes]) for own in rows]


@pytest.mark.parametrize(("shape", "examples"), [(SHAPES[0], 8), (SHAPES[1], 2), (SHAPES[2], 1)])
def test_the_program_equals_its_twin(shape: Shape, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(rows=providers(), minimum=st.integers(0, 3), rounding=st.sampled_from([1, 5]), slack=st.integers(1, 2))
    def holds(rows: Rows, minimum: int, rounding: int, slack: int) -> None:
        parameters, bounds = (
            PARAMETERS | {"minimum_cell": minimum, "rounding": rounding},
            [len(own.keys) + slack for own in rows],
        )
        found = revealed(execute(parameters, turned(rows), bounds, shape, program=group_count), shape.t)
        assert found == group_count.clear(parameters, turned(rows))

    holds()


@given(rows=providers(), at=st.lists(st.sampled_from([25, 50, 75]), min_size=1, max_size=3, unique=True).map(sorted))
def test_without_limits_the_twin_is_a_cut_at_numpys_quantiles(rows: Rows, at: list[int]) -> None:
    bins = [str(number) for number in range(len(at) + 2)]
    columns = [{"name": "age", "codes": bins}, PARAMETERS["columns"][1]]
    found = group_count.clear(PARAMETERS | {"columns": columns, "edges_at": at, "minimum_cell": 0}, turned(rows))
    known = [interval for _, interval in people(rows).values() if interval < INTERVALS]
    edges = np.quantile(known, [p / 100 for p in at], method="inverted_cdf") if known else [0] * len(at)
    expected = np.zeros((len(bins), 2), dtype=int)
    for code, interval in people(rows).values():
        expected[-1 if interval == INTERVALS else np.searchsorted(edges, interval), code] += 1
    assert found == [*expected.ravel().tolist(), *[1] * expected.size]


def test_a_bin_of_few_people_of_a_group_is_hidden_and_so_is_what_one_provider_leaves_of_it() -> None:
    """20 people in intervals 1 and 3; of group b few are above the median."""
    rows = [
        InputRows(range(12), [], [(1, 0)] * 6 + [(3, 0)] * 6),
        InputRows(range(20, 30), [], [(1, 0)] * 5 + [(3, 0)] * 4 + [(3, 1)]),
    ]
    columns = [{"name": "age", "codes": ["low", "high", "none"]}, PARAMETERS["columns"][1]]
    parameters = PARAMETERS | {"columns": columns, "edges_at": [50], "minimum_cell": 5}
    expected = [11, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1]  # without the first, 4 are left of group a above
    assert group_count.clear(parameters, rows) == expected
    assert revealed(execute(parameters, rows, [12, 10], SHAPES[0], program=group_count), 1) == expected


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"m{shape.m}")
@pytest.mark.parametrize(("intervals", "minimum", "bounds"), [(7, 2, [9, 5, 7]), (1000, 11, [9]), (70, 0, [9, 8])])
def test_what_is_sent_is_what_the_cost_says(
    shape: Shape, intervals: int, minimum: int, bounds: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: set[str] = set()
    allowed = Engine.opening

    def opening(rt: Engine, step: str) -> None:
        steps.add(step)
        allowed(rt, step)

    monkeypatch.setattr(Engine, "opening", opening)
    parameters = PARAMETERS | {"grid": {"name": "age", "intervals": intervals}, "minimum_cell": minimum}
    rng = random.Random(5)
    rows = [
        InputRows(
            [rng.getrandbits(60) for _ in range(bound)],
            [],
            [(rng.randrange(intervals), rng.randrange(2)) for _ in range(bound)],
        )
        for bound in bounds
    ]
    cost = group_count.cost(parameters, bounds, shape)
    parties = execute(parameters, rows, bounds, shape, ELEMENT_BYTES * cost.largest, group_count)
    words = words_sent(parties)
    assert parties[0].engine.rounds == 1 + cost.rounds
    assert sum(words) - sum(words_sent(compute(shape, nothing))) == cost.elements
    assert max(words) <= cost.largest
    assert steps == set(group_count.OPENS)  # no edge


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("edges_at", {"edges_at": [0, 50]}),
        ("edges_at", {"edges_at": [50, 25]}),
        ("edges_at", {"edges_at": None}),
        ("grid", {"grid": None}),
        ("grid.intervals", {"grid": {"name": "age", "intervals": 2048}}),
        ("columns", {"edges_at": [25]}),
        ("columns", {"grid": {"name": "stay", "intervals": 7}}),
        ("noise", {"noise": ["0" * 16]}),
    ],
)
def test_parameters_that_cannot_be_are_refused_by_name(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(InputRejected) as refused:
        group_count.outputs(PARAMETERS | changes)
    assert refused.value.field == field
