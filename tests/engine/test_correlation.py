"""Pearson's r under MPC: against the clear-text twin, and the twin against SciPy."""

import json
import random
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr

from connectors.engine import job
from connectors.engine.correlations import FREEDOM_BITS, MAX_LEVELS, SQUARE_BITS, UPPER_BITS, correlation_clear
from connectors.engine.cost import Shape
from connectors.engine.errors import InputRejected
from connectors.engine.limits import Limits
from connectors.engine.pipe import MAX_FRAME
from connectors.engine.programs import correlation
from connectors.engine.rows import MAX_ROWS, InputRows
from connectors.engine.runtime import Engine
from connectors.engine.wire import ELEMENT_BYTES
from tests.engine.harness import SHAPES, revealed
from tests.engine.relay import Federation
from tests.engine.relay import run as relayed
from tests.engine.stocked import compute
from tests.engine.test_chi_square import execute, nothing, words_sent
from tests.engine.test_programs import Rows

PARAMETERS: dict[str, Any] = {
    "test": "correlation",
    "columns": [],
    "measures": [
        {"name": "age", "least": 0, "most": 120, "step": 1},
        {"name": "stay", "least": -5, "most": 40, "step": 3},
    ],
    "minimum_cell": 3,
}
FIVE = PARAMETERS | {"minimum_cell": 5}
EMPTY = InputRows([], [], [])
ANY = Limits(0)
CUT = 2.0 ** (1 - UPPER_BITS)
Numbers = npt.NDArray[np.int64]
STRAIGHT = [(10 * k, 3 * k - 5) for k in range(12)]


@st.composite
def providers(draw: st.DrawFn) -> Rows:
    """One to four providers whose people overlap; of some a number is not known."""
    pool = draw(st.lists(st.integers(0, 2**60 - 1), min_size=12, max_size=20, unique=True))
    values = st.tuples(st.none() | st.integers(0, 120) | st.just(7), st.none() | st.integers(-5, 40) | st.just(0))
    out = []
    for _ in range(draw(st.integers(1, 4))):
        keys = draw(st.lists(st.sampled_from(pool), min_size=2, max_size=16, unique=True))
        out.append(InputRows(keys, [], [()] * len(keys), [draw(values) for _ in keys]))
    return out


@pytest.mark.parametrize(("shape", "examples"), [(SHAPES[0], 10), (SHAPES[1], 2), (SHAPES[2], 1)])
def test_the_program_equals_its_twin(shape: Shape, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(rows=providers(), minimum=st.integers(0, 4), slack=st.integers(0, 2))
    def holds(rows: Rows, minimum: int, slack: int) -> None:
        parameters, bounds = PARAMETERS | {"minimum_cell": minimum}, [len(own.keys) + slack for own in rows]
        found = revealed(execute(parameters, rows, bounds, shape, program=correlation), shape.t)
        assert found == correlation.clear(parameters, rows)

    holds()


def r_of(opened: list[int]) -> float:
    square, below, _, told = opened
    assert told == 1
    return float((1 - 2 * below) * np.sqrt(square / 2**SQUARE_BITS))


@given(rows=providers())
def test_without_limits_the_twin_is_what_scipy_says_of_the_pooled_people(rows: Rows) -> None:
    people: dict[int, tuple[int | None, ...]] = {}
    for own in reversed(rows):
        people |= dict(zip(own.keys, own.values, strict=True))
    known = [(x, (y + 5) // 3) for x, y in people.values() if x is not None and y is not None]
    opened = correlation.clear(PARAMETERS | {"minimum_cell": 0}, rows)
    if len(known) < 3 or any(len(set(own)) < 2 for own in zip(*known, strict=True)):
        assert opened == [0] * 4
        return
    truth = pearsonr(*zip(*known, strict=True)).statistic
    assert r_of(opened) ** 2 == pytest.approx(truth**2, abs=2**-25 + truth**2 * CUT)
    assert opened[1] == (truth < 0) or abs(truth) < 1e-9
    assert opened[2] == len(known) - 2


def summed(x: Numbers, y: Numbers) -> list[int]:
    both = [int((own.astype(object) ** 2).sum()) for own in (x, y, x + y)]
    return correlation_clear([len(x)], [int(x.sum()), int(y.sum())], both, ANY)


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    people=st.sampled_from([3, 11, 400, 50_000]),
    levels=st.tuples(*[st.sampled_from([2, 5, 121, MAX_LEVELS])] * 2),
    together=st.sampled_from([0.0, 0.01, 0.3, 0.999, 1.0, -0.7]),
)
def test_the_error_is_within_what_is_stated(seed: int, people: int, levels: tuple[int, int], together: float) -> None:
    rng = np.random.default_rng(seed)
    first, other = rng.normal(size=people), rng.normal(size=people)
    second = together * first + np.sqrt(1 - together**2) * other
    x, y = (
        np.clip((own / 5 + 0.5) * size, 0, size - 1).astype(np.int64)
        for own, size in zip((first, second), levels, strict=True)
    )
    opened = summed(x, y)
    if min(np.ptp(x), np.ptp(y)) == 0:
        assert opened == [0] * 4
        return
    truth = pearsonr(x, y).statistic
    assert r_of(opened) ** 2 == pytest.approx(truth**2, abs=2**-25 + truth**2 * (CUT + 2**-22))
    freedom = people - 2
    assert opened[2] <= freedom < opened[2] * (1 + 2.0 ** (1 - FREEDOM_BITS)) + (freedom < 1 << FREEDOM_BITS)


def test_what_is_told_is_no_table_of_few_people() -> None:
    """Of a hundred people with two numbers that are 0 or 1, r to its last bit would be that of one table alone."""
    tables = [
        (n11, n10, n01)
        for n11 in range(1, 20)
        for n10 in range(1, 40)
        for n01 in range(n10, 40)
        if _binary(n11, n10, n01) == _binary(1, 14, 25)
    ]
    assert {1, 2, 4, 7, 8} <= {n11 for n11, _, _ in tables}


def _binary(n11: int, n10: int, n01: int, people: int = 100) -> list[int]:
    squares = [n11 + n10, n11 + n01, 4 * n11 + n10 + n01]
    return correlation_clear([people], squares[:2], squares, ANY)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("people", [4, MAX_ROWS])
def test_the_largest_sums_fit(people: int, sign: int) -> None:
    """Of as many people as there may be, as far apart as they can be, all on one line."""
    half, top = people // 2, MAX_LEVELS - 1
    cells = [(0, 0, half), (top, top, half)] if sign > 0 else [(0, top, half), (top, 0, half)]
    squares = [sum(n * z(x, y) ** 2 for x, y, n in cells) for z in (lambda x, y: x, lambda x, y: y, lambda x, y: x + y)]
    opened = correlation_clear([people], [half * top] * 2, squares, ANY)
    assert r_of(opened) == pytest.approx(sign, abs=CUT) and opened[2] <= people - 2


def parted(own: list[list[tuple[int | None, int | None]]]) -> Rows:
    """Providers without common people."""
    starts = np.cumsum([0, *map(len, own)])
    return [
        InputRows(list(range(start, start + len(values))), [], [()] * len(values), values)
        for start, values in zip(starts.tolist(), own, strict=False)
    ]


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ([STRAIGHT[:6], STRAIGHT[6:]], 1),
        ([STRAIGHT[:4], STRAIGHT[4:]], 0),  # without the second provider 4 people are left
        ([STRAIGHT[:6], [*STRAIGHT[6:10], (3, None), (None, 3)]], 0),  # who lacks a number is none of them
        ([STRAIGHT], 1),  # one provider's alone: nothing is left
        ([STRAIGHT[:4]], 0),
        ([[(x, 7) for x, _ in STRAIGHT]], 0),  # all have one number
        ([[(4, y) for _, y in STRAIGHT]], 0),
    ],
)
def test_it_is_told_only_of_enough_people_who_differ(own: list[list[tuple[int | None, int | None]]], told: int) -> None:
    rows = parted(own)
    expected = correlation.clear(FIVE, rows)
    assert expected[-1] == told
    found = revealed(execute(FIVE, rows, [len(one.keys) for one in rows], SHAPES[0], program=correlation), 1)
    assert found == expected
    if told:
        assert r_of(found) == pytest.approx(1, abs=CUT) and found[1:3] == [0, 10]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"m{shape.m}")
@pytest.mark.parametrize(("most", "minimum", "bounds"), [(1, 2, [9, 5, 7]), (120, 11, [70, 20]), (255, 0, [9])])
def test_what_is_sent_is_what_the_cost_says(shape: Shape, most: int, minimum: int, bounds: list[int]) -> None:
    measures = [{"name": name, "least": 0, "most": most, "step": 1} for name in "xy"]
    parameters, rng = PARAMETERS | {"measures": measures, "minimum_cell": minimum}, random.Random(5)
    rows = [
        InputRows(
            [rng.getrandbits(60) for _ in range(bound)],
            [],
            [()] * bound,
            [(rng.randint(0, most), rng.choice([None, rng.randint(0, most)])) for _ in range(bound)],
        )
        for bound in bounds
    ]
    cost = correlation.cost(parameters, bounds, shape)
    parties = execute(parameters, rows, bounds, shape, ELEMENT_BYTES * cost.largest, correlation)
    words = words_sent(parties)
    assert parties[0].engine.rounds == 1 + cost.rounds
    assert sum(words) - sum(words_sent(compute(shape, nothing))) == cost.elements
    assert max(words) <= cost.largest


CROWDED = parted([STRAIGHT[:6], STRAIGHT[6:]])


def test_what_is_sent_depends_on_bounds_alone_and_holds_no_count(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: set[str] = set()
    allowed = Engine.opening

    def opening(rt: Engine, step: str) -> None:
        steps.add(step)
        allowed(rt, step)

    monkeypatch.setattr(Engine, "opening", opening)
    told, empty = (execute(FIVE, rows, [10, 10], SHAPES[0], program=correlation) for rows in (CROWDED, [EMPTY, EMPTY]))
    assert steps == set(correlation.OPENS)
    assert [party.lengths for party in told] == [party.lengths for party in empty]
    for party in (*told, *empty):
        assert all(min(map(int, elements)) > 4096 for _, _, elements in party.seen)


async def test_processes_that_may_open_no_file_compute_what_the_twin_says() -> None:
    federation = Federation(correlation, FIVE, CROWDED, [10, 10])
    assert list(federation.result(await relayed(federation))) == correlation.clear(FIVE, CROWDED)


@pytest.mark.parametrize(("providers", "m"), [(1, 3), (12, 7)])
def test_a_job_of_as_many_rows_as_can_be_fits_into_frames(providers: int, m: int) -> None:
    federation = Federation(correlation, FIVE, [EMPTY] * providers, [MAX_ROWS // providers] * providers, m)
    taken = job.read(json.dumps(federation.job(0)).encode())
    assert ELEMENT_BYTES * taken.cost.largest < MAX_FRAME
    assert taken.cost.rounds < 800


AGE, STAY = PARAMETERS["measures"]


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("test", {"test": "t_test"}),
        ("columns", {"columns": [{"name": "form", "codes": ["a", "b"]}]}),
        ("measures", {"measures": [AGE]}),
        ("measures", {"measures": [AGE, AGE]}),
        ("measures", {"measures": "age"}),
        ("measures.age.step", {"measures": [AGE | {"step": 0}, STAY]}),
        ("measures.age.step", {"measures": [AGE | {"most": 256}, STAY]}),
        ("measures.age.most", {"measures": [AGE | {"most": 0}, STAY]}),
        ("rounding", {"rounding": 5}),
    ],
)
def test_parameters_that_cannot_be_are_refused_by_name(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(InputRejected) as refused:
        correlation.outputs(PARAMETERS | changes)
    assert refused.value.field == field


def test_a_number_beyond_its_bounds_is_refused_before_it_is_sorted() -> None:
    for values in ((121, 0), (0, -6)):
        with pytest.raises(InputRejected, match="nothing is cut to fit"):
            correlation.encode(PARAMETERS, InputRows([1], [], [()], [values]), 4, random.Random(1).randbytes)
