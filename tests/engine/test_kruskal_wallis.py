"""Kruskal and Wallis's H under MPC: against the clear-text twin, and the twin against SciPy."""

import json
import random
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import kruskal, mannwhitneyu

from connectors.engine import job
from connectors.engine.cost import Shape
from connectors.engine.errors import InputRejected
from connectors.engine.limits import Limits
from connectors.engine.linking import OPENS as LINKING_OPENS
from connectors.engine.pipe import MAX_FRAME
from connectors.engine.programs import kruskal_wallis
from connectors.engine.programs.two_columns import width_of
from connectors.engine.rows import MAX_ROWS, InputRows
from connectors.engine.runtime import Engine
from connectors.engine.wire import ELEMENT_BYTES
from tests.engine.harness import SHAPES, revealed
from tests.engine.relay import Federation
from tests.engine.relay import run as relayed
from tests.engine.stocked import compute
from tests.engine.test_chi_square import COLUMNS, CROWDED, EMPTY, TWO, execute, nothing, providers, table, words_sent
from tests.engine.test_programs import Rows

UNIT = 2**-kruskal_wallis.UNIT_BITS
OFF = 2**-13.9
TEST = {"test": "kruskal_wallis"}
PARAMETERS: dict[str, Any] = {**TEST, "columns": COLUMNS, "minimum_cell": 2}
EXACT = Limits(1, zero_is_small=True)
Table = npt.NDArray[np.int64]


@pytest.mark.parametrize(("shape", "examples"), [(SHAPES[0], 6), (SHAPES[1], 1), (SHAPES[2], 1)])
def test_the_program_equals_its_twin_to_a_unit(shape: Shape, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(rows=providers(), minimum=st.integers(0, 2), slack=st.integers(0, 2))
    def holds(rows: Rows, minimum: int, slack: int) -> None:
        parameters, bounds = PARAMETERS | {"minimum_cell": minimum}, [len(own.keys) + slack for own in rows]
        value, told = revealed(execute(parameters, rows, bounds, shape, program=kruskal_wallis), shape.t)
        expected, kept = kruskal_wallis.clear(parameters, rows)
        assert told == kept
        assert value - expected in (0, kept)

    holds()


def exactly(counts: Table) -> float:
    """H of a table of groups and intervals, by the formula of the ranks' variances, in fractions."""
    cells = counts.astype(object)
    groups, intervals, everyone = cells.sum(axis=1), cells.sum(axis=0), cells.sum()
    ranks = np.cumsum(intervals) - intervals + Fraction(1, 2) * (intervals + 1)
    middle = Fraction(everyone + 1, 2)
    between = sum(
        n * (Fraction((row * ranks).sum(), 1) / n - middle) ** 2 for n, row in zip(groups, cells, strict=True)
    )
    return float((everyone - 1) * between / (intervals * (ranks - middle) ** 2).sum())


def drawn(seed: int, shape: tuple[int, int], people: int) -> Table:
    """A table of about that many people, every code of which occurs."""
    rng = np.random.default_rng(seed)
    row, column = (rng.dirichlet(np.full(size, 0.5)) for size in shape)
    cells = np.outer(row, column) * np.exp(rng.normal(0, rng.choice([0.001, 0.1, 1.0]), shape))
    counts: Table = rng.multinomial(people - sum(shape), (cells / cells.sum()).ravel()).reshape(shape)
    counts[:, 0] += 1
    counts[0] += 1
    return counts


@pytest.mark.parametrize("shape", [(2, 2), (3, 5), (8, 8)])
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), people=st.sampled_from([40, 300, 2000]))
def test_the_twin_is_what_scipy_says_of_everybody_one_by_one(shape: tuple[int, int], seed: int, people: int) -> None:
    counts = drawn(seed, shape, people)
    value, told = kruskal_wallis.kruskal_wallis_clear(counts[None].astype(object), EXACT)
    groups = [np.repeat(np.arange(shape[1]), row) for row in counts]
    expected = kruskal(*groups)
    assert told and abs(value * UNIT - expected.statistic) <= UNIT + OFF * expected.statistic
    assert exactly(counts) == pytest.approx(expected.statistic, rel=1e-9, abs=1e-9)
    if shape[0] == 2:  # then it is Mann and Whitney's test
        both = mannwhitneyu(*groups, use_continuity=False, method="asymptotic")
        assert both.pvalue == pytest.approx(expected.pvalue, rel=1e-6)


@pytest.mark.parametrize("shape", [(2, 2), (2, 32), (32, 2), (8, 8)])
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), people=st.sampled_from([80, 40_000, 4 * 10**6, MAX_ROWS]))
def test_the_error_is_within_what_is_stated_for_as_many_people_as_there_may_be(
    shape: tuple[int, int], seed: int, people: int
) -> None:
    counts = drawn(seed, shape, people)
    value, told = kruskal_wallis.kruskal_wallis_clear(counts[None].astype(object), EXACT)
    assert told and abs(value * UNIT - exactly(counts)) <= UNIT + OFF * exactly(counts)


@pytest.mark.parametrize("counts", [np.eye(8), np.eye(2), np.ones((8, 8)), np.array([[1, 0], [1, 2**22 - 2]])])
def test_the_largest_and_the_least_tables_fit(counts: npt.NDArray[np.float64]) -> None:
    people = (counts * (MAX_ROWS / counts.sum())).astype(np.int64)
    people[0, 0] += MAX_ROWS - people.sum()
    value, told = kruskal_wallis.kruskal_wallis_clear(people[None].astype(object), EXACT)
    assert told and value * UNIT == pytest.approx(exactly(people), rel=1.1 * OFF, abs=1.1 * UNIT)
    width, length = width_of(MAX_ROWS), kruskal_wallis._length(MAX_ROWS)
    assert value + 1 << kruskal_wallis._below(width, length) < 1 << kruskal_wallis.INTEGER_BITS - 1
    assert length + 2 <= 61  # as many as can be taken apart into bits


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"m{shape.m}")
@pytest.mark.parametrize(
    ("codes", "minimum", "bounds"), [((2, 3), 2, [9, 5, 7]), ((2, 3), 0, [9]), ((8, 8), 11, [70, 20])]
)
def test_what_is_sent_is_what_the_cost_says(
    shape: Shape, codes: tuple[int, int], minimum: int, bounds: list[int]
) -> None:
    columns = [{"name": f"c{i}", "codes": [str(code) for code in range(size)]} for i, size in enumerate(codes)]
    parameters, rng = {**TEST, "columns": columns, "minimum_cell": minimum}, random.Random(5)
    rows = [
        InputRows(
            [rng.getrandbits(60) for _ in range(bound)],
            [],
            [tuple(rng.randrange(size) for size in codes) for _ in range(bound)],
        )
        for bound in bounds
    ]
    cost = kruskal_wallis.cost(parameters, bounds, shape)
    parties = execute(parameters, rows, bounds, shape, ELEMENT_BYTES * cost.largest, kruskal_wallis)
    words = words_sent(parties)
    assert parties[0].engine.rounds == 1 + cost.rounds
    assert sum(words) - sum(words_sent(compute(shape, nothing))) == cost.elements
    assert max(words) <= cost.largest


def test_what_is_sent_depends_on_bounds_alone_and_holds_no_count(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: set[str] = set()
    allowed = Engine.opening

    def opening(rt: Engine, step: str) -> None:
        steps.add(step)
        allowed(rt, step)

    monkeypatch.setattr(Engine, "opening", opening)
    told, empty = (
        execute({**TWO, **TEST}, rows, [10, 10], SHAPES[0], program=kruskal_wallis)
        for rows in (CROWDED, [EMPTY, EMPTY])
    )
    assert steps == set(LINKING_OPENS)
    assert [party.lengths for party in told] == [party.lengths for party in empty]
    for party in (*told, *empty):
        assert all(min(map(int, elements)) > 4096 for _, _, elements in party.seen)


async def test_processes_that_may_open_no_file_compute_what_the_twin_says() -> None:
    parameters = {**TWO, **TEST}
    federation = Federation(kruskal_wallis, parameters, CROWDED, [10, 10])
    value, told = federation.result(await relayed(federation))
    expected = kruskal_wallis.clear(parameters, CROWDED)
    assert told == expected[1] == 1 and value - expected[0] in (0, 1)


def test_many_rows_go_in_blocks_and_come_out_as_scipy_says() -> None:
    rng, bounds = random.Random(3), [25_000, 20_000]
    pool = [rng.getrandbits(60) for _ in range(30_000)]
    rows = [
        InputRows(
            rng.sample(pool, bound - 10),
            [],
            [(rng.randrange(3), rng.choice([0, 0, 1, 2, 3])) for _ in range(bound - 10)],
        )
        for bound in bounds
    ]
    value, told = revealed(execute(PARAMETERS, rows, bounds, SHAPES[0], program=kruskal_wallis), 1)
    expected = kruskal(*(np.repeat(np.arange(3), row) for row in table(rows, (2, 3)))).statistic
    assert told and abs(value * UNIT - expected) <= UNIT + OFF * expected


@pytest.mark.parametrize(("providers", "m"), [(1, 3), (12, 7)])
def test_a_job_of_as_many_rows_as_can_be_fits_into_frames(providers: int, m: int) -> None:
    codes = [{"name": name, "codes": [str(code) for code in range(8)]} for name in "xy"]
    parameters, bounds = {**TEST, "columns": codes, "minimum_cell": 11}, [MAX_ROWS // providers] * providers
    federation = Federation(kruskal_wallis, parameters, [EMPTY] * providers, bounds, m)
    taken = job.read(json.dumps(federation.job(0)).encode())
    assert ELEMENT_BYTES * taken.cost.largest < MAX_FRAME
    assert taken.cost.rounds < 600


def test_the_parameters_of_another_test_are_refused() -> None:
    with pytest.raises(InputRejected) as refused:
        kruskal_wallis.outputs(TWO)
    assert refused.value.field == "test"
