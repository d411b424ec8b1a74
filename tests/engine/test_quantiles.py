"""Quantiles under MPC: against the clear-text twin, and the twin against NumPy, person by person."""

import json
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.engine import job
from connectors.engine.cost import Shape
from connectors.engine.errors import InputRejected
from connectors.engine.pipe import MAX_FRAME
from connectors.engine.programs import quantiles
from connectors.engine.rows import MAX_ROWS, InputRows
from connectors.engine.runtime import Engine
from connectors.engine.wire import ELEMENT_BYTES
from tests.engine.harness import SHAPES, Party, revealed
from tests.engine.relay import Federation
from tests.engine.relay import run as relayed
from tests.engine.stocked import compute
from tests.engine.test_chi_square import execute, nothing, words_sent
from tests.engine.test_programs import Rows

INTERVALS = 7
PARAMETERS: dict[str, Any] = {
    "columns": [{"name": "form", "codes": ["a", "b"]}],
    "grid": {"name": "age", "intervals": INTERVALS},
    "at": [0, 25, 50, 93, 100],
    "minimum_cell": 2,
}
ALONE: dict[str, Any] = {**PARAMETERS, "columns": [], "at": [50], "minimum_cell": 5}
EMPTY = InputRows([], [], [])


@st.composite
def providers(draw: st.DrawFn) -> Rows:
    """One to four providers whose people overlap; of some nothing is known."""
    pool = draw(st.lists(st.integers(0, 2**60 - 1), min_size=12, max_size=20, unique=True))
    codes = st.tuples(st.integers(0, 1), st.integers(0, INTERVALS) | st.integers(2, 3))
    out = []
    for _ in range(draw(st.integers(1, 4))):
        keys = draw(st.lists(st.sampled_from(pool), min_size=0, max_size=16, unique=True))
        out.append(InputRows(keys, [], [draw(codes) for _ in keys]))
    return out


def ran(parameters: dict[str, Any], rows: Rows, bounds: list[int], shape: Shape) -> list[Party]:
    return execute(parameters, rows, bounds, shape, program=quantiles)


@pytest.mark.parametrize(("shape", "examples"), [(SHAPES[0], 10), (SHAPES[1], 2), (SHAPES[2], 1)])
def test_the_program_equals_its_twin(shape: Shape, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        rows=providers(),
        minimum=st.integers(0, 3),
        zero=st.booleans(),
        at=st.lists(st.integers(0, 100), min_size=1, max_size=9, unique=True).map(sorted),
        slack=st.integers(1, 2),
    )
    def holds(rows: Rows, minimum: int, zero: bool, at: list[int], slack: int) -> None:
        parameters = PARAMETERS | {"minimum_cell": minimum, "zero_is_small": zero, "at": at}
        found = revealed(ran(parameters, rows, [len(own.keys) + slack for own in rows], shape), shape.t)
        assert found == quantiles.clear(parameters, rows)

    holds()


def people(rows: Rows) -> dict[int, tuple[int, ...]]:
    """What the first provider that has a person says."""
    found: dict[int, tuple[int, ...]] = {}
    for own in reversed(rows):
        found |= dict(zip(own.keys, own.codes, strict=True))
    return found


@given(rows=providers(), at=st.lists(st.integers(0, 100), min_size=1, max_size=9, unique=True).map(sorted))
def test_without_limits_the_twin_is_what_numpy_says_of_everybody_one_by_one(rows: Rows, at: list[int]) -> None:
    found = quantiles.clear(PARAMETERS | {"minimum_cell": 0, "at": at}, rows)
    expected: list[int] = []
    for group in (0, 1):
        own = [interval for code, interval in people(rows).values() if code == group and interval < INTERVALS]
        # In hundredths of whole numbers, since 0.07 times a number is none that floats have.
        expected += [np.partition(own, k)[k] if own else -1 for k in (max(-(-p * len(own) // 100) - 1, 0) for p in at)]
        if own:
            halves = [place for place, p in enumerate(at) if p in (0, 25, 50, 75, 100)]
            said = np.quantile(own, [at[place] / 100 for place in halves], method="inverted_cdf") if halves else []
            assert [expected[group * len(at) + place] for place in halves] == list(said)
    assert found == [max(place, 0) for place in expected] + [int(place >= 0) for place in expected]


def parted(own: list[list[int]]) -> Rows:
    """Providers without common people, each with so many in each interval."""
    rows, key = [], 0
    for counts in own:
        codes = [(interval,) for interval, count in enumerate(counts) for _ in range(count)]
        rows.append(InputRows(list(range(key, key + len(codes))), [], codes))
        key += len(codes)
    return rows


@pytest.mark.parametrize(
    ("own", "at", "said"),
    [
        ([[0, 5, 6, 5, 0, 0, 0], [0, 5, 6, 5, 0, 0, 0]], 50, [2, 1]),
        ([[0, 5, 6, 5, 0, 0, 0], [0, 4, 6, 5, 0, 0, 0]], 50, [0, 0]),  # without the first, 4 are left below it
        ([[0, 5, 6, 5, 0, 0, 0], [0, 5, 6, 4, 0, 0, 0]], 50, [0, 0]),  # or above it
        ([[0, 5, 6, 5, 0, 0, 0], [0, 5, 4, 5, 0, 0, 0]], 50, [0, 0]),  # or in it
        ([[0, 5, 6, 5, 0, 0, 0]], 50, [2, 1]),  # one provider's alone: nothing is left
        ([[0, 0, 5, 9, 0, 0, 0]], 0, [2, 1]),  # nobody is below the least
        ([[0, 1, 5, 9, 0, 0, 0]], 0, [0, 0]),  # somebody is, and few
        ([[0, 0, 5, 9, 0, 0, 1]], 100, [0, 0]),  # the greatest is one person's
        ([[0, 0, 5, 9, 0, 0, 0]], 100, [3, 1]),
        ([[0, 0, 9, 9, 0, 0, 0]], 50, [2, 1]),  # half of them: the least x with F(x) >= 1/2
        ([[0, 0, 9, 10, 0, 0, 0]], 50, [3, 1]),
        ([[0] * 7, [0] * 7], 50, [0, 0]),
    ],
)
def test_it_is_told_only_where_a_histogram_of_three_intervals_would_be_shown(
    own: list[list[int]], at: int, said: list[int]
) -> None:
    rows, parameters = parted(own), ALONE | {"at": [at]}
    assert quantiles.clear(parameters, rows) == said
    assert revealed(ran(parameters, rows, [len(one.keys) + 1 for one in rows], SHAPES[0]), 1) == said


def test_where_zero_is_small_it_is_not_told_that_nobody_is_below() -> None:
    rows = parted([[0, 0, 5, 9, 0, 0, 0]])
    for at, told in ((0, 0), (100, 0)):
        parameters = ALONE | {"at": [at], "zero_is_small": True}
        assert quantiles.clear(parameters, rows)[-1] == told
        assert revealed(ran(parameters, rows, [15], SHAPES[0]), 1) == [0, 0]
    parameters = ALONE | {"at": [50], "zero_is_small": True}
    assert quantiles.clear(parameters, parted([[0, 5, 5, 5, 0, 0, 0]])) == [2, 1]


def test_who_lets_its_own_people_stand_where_the_quantile_turns_learns_of_nobody() -> None:
    """One person of another provider, v, below or not; the median turns on v, in an interval of the asker's alone."""
    asker = [0, 0, 0, 20, 20, 0, 0]
    below, above = parted([asker, [1, 0, 0, 0, 0, 0, 0]]), parted([asker, [0, 0, 0, 0, 0, 0, 1]])
    assert [quantiles.clear(ALONE, rows) for rows in (below, above)] == [[0, 0], [0, 0]]
    # Where enough others are on both sides, it tells which way they lean, as a histogram would.
    crowds = [[9, 0, 0, 0, 0, 0, 8], [8, 0, 0, 0, 0, 0, 9]]
    assert [quantiles.clear(ALONE, parted([asker, own])) for own in crowds] == [[3, 1], [4, 1]]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"m{shape.m}")
@pytest.mark.parametrize(
    ("codes", "intervals", "at", "minimum", "bounds"),
    [(2, 7, [0, 50, 100], 2, [9, 5, 7]), (1, 4096, [50], 11, [9]), (3, 70, [25, 50, 75], 0, [9, 8])],
)
def test_what_is_sent_is_what_the_cost_says(
    shape: Shape, codes: int, intervals: int, at: list[int], minimum: int, bounds: list[int]
) -> None:
    parameters = {
        "columns": [{"name": "form", "codes": [str(code) for code in range(codes)]}],
        "grid": {"name": "age", "intervals": intervals},
        "at": at,
        "minimum_cell": minimum,
    }
    rng = random.Random(5)
    rows = [
        InputRows(
            [rng.getrandbits(60) for _ in range(bound)],
            [],
            [(rng.randrange(codes), rng.randrange(intervals)) for _ in range(bound)],
        )
        for bound in bounds
    ]
    cost = quantiles.cost(parameters, bounds, shape)
    parties = execute(parameters, rows, bounds, shape, ELEMENT_BYTES * cost.largest, quantiles)
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
    crowded = parted([[0, 5, 6, 5, 0, 0, 0]] * 2)
    told, empty = (ran(ALONE, rows, [20, 20], SHAPES[0]) for rows in (crowded, [EMPTY, EMPTY]))
    assert steps == set(quantiles.OPENS)
    assert [party.lengths for party in told] == [party.lengths for party in empty]
    for party in (*told, *empty):
        assert all(min(map(int, elements)) > 4096 for _, _, elements in party.seen)


async def test_processes_that_may_open_no_file_compute_what_the_twin_says() -> None:
    rows = parted([[0, 5, 6, 5, 0, 0, 0]] * 2)
    federation = Federation(quantiles, ALONE, rows, [20, 20])
    assert list(federation.result(await relayed(federation))) == quantiles.clear(ALONE, rows) == [2, 1]


def test_many_rows_go_in_blocks() -> None:
    rng, bounds = random.Random(3), [25_000, 20_000]
    pool = [rng.getrandbits(60) for _ in range(30_000)]
    rows = [
        InputRows(
            rng.sample(pool, bound - 10),
            [],
            [(rng.randrange(2), min(int(rng.gammavariate(4, 5)), 50)) for _ in range(bound - 10)],
        )
        for bound in bounds
    ]
    parameters = PARAMETERS | {"grid": {"name": "age", "intervals": 50}, "minimum_cell": 11, "at": [0, 10, 50, 99]}
    found = revealed(ran(parameters, rows, bounds, SHAPES[0]), 1)
    assert found == quantiles.clear(parameters, rows)
    for group in (0, 1):
        own = [interval for code, interval in people(rows).values() if code == group and interval < 50]
        assert found[4 * group + 2] == np.quantile(own, 0.5, method="inverted_cdf")


@pytest.mark.parametrize(("providers", "m"), [(1, 3), (12, 7)])
def test_a_job_of_as_many_rows_as_can_be_fits_into_frames(providers: int, m: int) -> None:
    codes = [{"name": "form", "codes": list("abcd")}]
    parameters = {
        "columns": codes,
        "grid": {"name": "age", "intervals": 1024},
        "at": list(range(9)),
        "minimum_cell": 11,
    }
    federation = Federation(quantiles, parameters, [EMPTY] * providers, [MAX_ROWS // providers] * providers, m)
    taken = job.read(json.dumps(federation.job(0)).encode())
    assert ELEMENT_BYTES * taken.cost.largest < MAX_FRAME


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("at", {"at": [50, 25]}),
        ("at", {"at": [101]}),
        ("at", {"at": []}),
        ("at", {"at": [0.5]}),
        ("grid", {"grid": None}),
        ("grid.intervals", {"grid": {"name": "age", "intervals": 1}}),
        ("grid.intervals", {"grid": {"name": "age", "intervals": 4096}}),
        ("grid.name", {"grid": {"name": "form", "intervals": 9}}),
        ("dominance", {"dominance": 80}),
        ("rounding", {"rounding": 5}),
        ("noise", {"noise": ["0" * 16]}),
    ],
)
def test_parameters_that_cannot_be_are_refused_by_name(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(InputRejected) as refused:
        quantiles.outputs(PARAMETERS | changes)
    assert refused.value.field == field
