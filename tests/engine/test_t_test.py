"""Welch's t under MPC: against the clear-text twin, and the twin against SciPy."""

import json
import random
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from connectors.engine import job
from connectors.engine.cost import Shape
from connectors.engine.errors import InputRejected
from connectors.engine.limits import Limits
from connectors.engine.linking import OPENS as LINKING_OPENS
from connectors.engine.pipe import MAX_FRAME
from connectors.engine.programs import t_test
from connectors.engine.ratios import RATIO_BITS, ratios_clear
from connectors.engine.rows import MAX_ROWS, InputRows
from connectors.engine.runtime import Engine
from connectors.engine.welch import DF_BITS, MAX_LEVELS, UPPER_BITS, welch_clear
from connectors.engine.wire import ELEMENT_BYTES
from gateway.rules.statistics.correlation import same_digits
from tests.engine.harness import SHAPES, revealed
from tests.engine.relay import Federation
from tests.engine.relay import run as relayed
from tests.engine.stocked import compute
from tests.engine.test_chi_square import execute, nothing, parted, words_sent
from tests.engine.test_programs import Rows

LEVELS = 6
PARAMETERS: dict[str, Any] = {
    "test": "t_test",
    "columns": [{"name": "form", "codes": ["a", "b"]}],
    "grid": {"name": "age", "intervals": LEVELS},
    "minimum_cell": 2,
}
FIVE = PARAMETERS | {"minimum_cell": 5}
EMPTY = InputRows([], [], [])
ANY = Limits(0)
CUT = 2.0**-UPPER_BITS * 1.01  # what t is off by, for eight digits of a ratio
Levels = npt.NDArray[np.int64]


@st.composite
def providers(draw: st.DrawFn) -> Rows:
    """One to four providers whose people overlap; a code may be none of the question's, a number not known."""
    pool = draw(st.lists(st.integers(0, 2**60 - 1), min_size=12, max_size=20, unique=True))
    codes = st.tuples(st.integers(0, 2) | st.integers(0, 1), st.integers(0, LEVELS) | st.integers(1, 3))
    out = []
    for _ in range(draw(st.integers(1, 4))):
        keys = draw(st.lists(st.sampled_from(pool), min_size=4, max_size=16, unique=True))
        out.append(InputRows(keys, [], [draw(codes) for _ in keys]))
    return out


@pytest.mark.parametrize(("shape", "examples"), [(SHAPES[0], 10), (SHAPES[1], 2), (SHAPES[2], 1)])
def test_the_program_equals_its_twin(shape: Shape, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(rows=providers(), minimum=st.integers(0, 3), slack=st.integers(0, 2))
    def holds(rows: Rows, minimum: int, slack: int) -> None:
        parameters, bounds = PARAMETERS | {"minimum_cell": minimum}, [len(own.keys) + slack for own in rows]
        found = revealed(execute(parameters, rows, bounds, shape, program=t_test), shape.t)
        assert found == t_test.clear(parameters, rows, bounds=bounds)

    holds()


def counted(first: Levels, second: Levels, levels: int) -> npt.NDArray[np.object_]:
    return np.stack([np.bincount(own, minlength=levels) for own in (first, second)])[None].astype(object)


def t_of(opened: list[int]) -> float:
    less, more, below, _, told = opened
    assert told == 1 and 0 <= (1 << RATIO_BITS) + (1 << 9) - less - more <= 1 << RATIO_BITS - 6
    # Of the smaller one, the middle of what has its digits.
    part = min(less, more) + (same_digits(min(less, more), UPPER_BITS) - 1) / 2
    odds = part / ((1 << RATIO_BITS) - part)
    return float((1 - 2 * below) * np.sqrt(odds if less < more else 1 / odds))


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.tuples(*[st.sampled_from([2, 11, 300, 20_000])] * 2),
    levels=st.sampled_from([2, 3, 25, 121, MAX_LEVELS]),
    bound=st.sampled_from([0, MAX_ROWS]),
)
def test_the_twin_is_what_scipy_says_of_everybody_one_by_one(
    seed: int, sizes: tuple[int, int], levels: int, bound: int
) -> None:
    rng = np.random.default_rng(seed)
    middle, spread = rng.uniform(0, levels), rng.uniform(0.1, 0.5) * levels
    first, second = (
        np.clip(rng.normal(middle + rng.normal() * spread / 9, spread, n), 0, levels - 1).round().astype(int)
        for n in sizes
    )
    opened = welch_clear(counted(first, second, levels), bound or sum(sizes), ANY)
    if not opened[-1]:  # what hardly differs
        assert min(np.var(first), np.var(second)) < (levels / 200) ** 2
        return
    truth = ttest_ind(first, second, equal_var=False)
    assert t_of(opened) == pytest.approx(truth.statistic, rel=CUT, abs=1e-4)
    assert opened[3] == pytest.approx((1 << DF_BITS) / truth.df, rel=1e-3, abs=1)


@pytest.mark.parametrize(
    ("sizes", "levels"), [((11, 12), 121), ((1500, 1800), 121), ((5000, 9), 40), ((10**6, 10**6), 2)]
)
def test_of_people_as_there_are_t_is_off_by_some_millionths(sizes: tuple[int, int], levels: int) -> None:
    rng = np.random.default_rng(7)
    first, second = (rng.binomial(levels - 1, chance, n) for n, chance in zip(sizes, (0.2, 0.21), strict=True))
    opened = welch_clear(counted(first, second, levels), sum(sizes), ANY)
    assert t_of(opened) == pytest.approx(ttest_ind(first, second, equal_var=False).statistic, rel=CUT)


@pytest.mark.parametrize(
    "counts",
    [
        [[1, 2**21 - 2], [2**21 - 2, 1]],  # as far apart as groups can be, and hardly any variance
        [[2**20, 2**20], [2**20, 2**20]],  # as much variance as can be, and no difference
        [[1, 1], [2**21, 2**21 - 2]],
        [[1, 1], [1, 1]],
        [[2**21 - 2**14, 2**14], [2**14, 2**21 - 2**14]],
    ],
)
def test_the_largest_and_the_least_amounts_fit(counts: list[list[int]]) -> None:
    """For as many people and numbers as there may be: nothing on the way is beyond what is taken apart."""
    cells = np.zeros((1, 2, MAX_LEVELS), dtype=object)
    cells[0][:, [0, -1]] = counts
    opened = welch_clear(cells, MAX_ROWS, ANY)
    first, second = (np.repeat([0, MAX_LEVELS - 1], own) for own in counts)
    if min(np.var(first), np.var(second)) > 1 / 4:
        assert t_of(opened) == pytest.approx(ttest_ind(first, second, equal_var=False).statistic, rel=0.02, abs=1e-4)
    else:
        assert opened == [0] * 5
    rows = [InputRows(range(4), [], [(0, 0), (0, MAX_LEVELS - 1), (1, 0), (1, MAX_LEVELS - 1)])]
    wide = PARAMETERS | {"grid": {"name": "age", "intervals": MAX_LEVELS}, "minimum_cell": 0}
    assert t_test.clear(wide, rows, bounds=[MAX_ROWS])[-1] == 1


@given(st.lists(st.tuples(st.integers(0, 2**59 - 1), st.integers(1, 2**59 - 1)).map(sorted), min_size=1, max_size=9))
def test_a_ratio_is_off_by_a_unit_and_a_part_in_eight_million(pairs: list[list[int]]) -> None:
    pairs = [[part, max(whole, 1)] for part, whole in pairs]
    found = ratios_clear([part for part, _ in pairs], [whole for _, whole in pairs])
    for ratio, (part, whole) in zip(found, pairs, strict=True):
        exact = part / whole * 2**RATIO_BITS
        assert abs(ratio - exact) <= 1 + exact * 2**-23


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ([[[3, 2], [2, 3]], [[3, 2], [2, 3]]], 1),
        ([[[3, 2], [1, 3]], [[3, 2], [2, 3]]], 0),  # without the second provider, 4 people are left in a group
        ([[[6, 2], [2, 6]], [[1, 0], [0, 0]]], 0),  # the second one's share is all but known to the first
        ([[[6, 2], [2, 6]]], 1),  # a group is one provider's alone: nothing is left
        ([[[9, 9], [0, 0]], [[9, 9], [0, 0]]], 0),
        ([[[9, 0], [9, 9]]], 0),  # no variance in one group
        ([[[9, 9], [2, 2]]], 0),
    ],
)
def test_it_is_told_only_if_both_groups_have_enough_people_who_differ(own: list[list[list[int]]], told: int) -> None:
    rows = parted(own)
    bounds = [len(one.keys) for one in rows]
    expected = t_test.clear(FIVE, rows, bounds=bounds)
    assert expected[-1] == told
    assert revealed(execute(FIVE, rows, bounds, SHAPES[0], program=t_test), 1) == expected
    if told:
        first, second = (np.repeat([0, 1], counts) for counts in np.array(own).sum(axis=0))
        assert t_of(expected) == pytest.approx(ttest_ind(first, second, equal_var=False).statistic, rel=CUT)
    else:
        assert expected == [0] * 5


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"m{shape.m}")
@pytest.mark.parametrize(("levels", "minimum", "bounds"), [(2, 2, [9, 5, 7]), (121, 11, [70, 20]), (25, 0, [9])])
def test_what_is_sent_is_what_the_cost_says(shape: Shape, levels: int, minimum: int, bounds: list[int]) -> None:
    parameters = PARAMETERS | {"grid": {"name": "age", "intervals": levels}, "minimum_cell": minimum}
    rng = random.Random(5)
    rows = [
        InputRows(
            [rng.getrandbits(60) for _ in range(bound)],
            [],
            [(rng.randrange(3), rng.randrange(levels)) for _ in range(bound)],
        )
        for bound in bounds
    ]
    cost = t_test.cost(parameters, bounds, shape)
    parties = execute(parameters, rows, bounds, shape, ELEMENT_BYTES * cost.largest, t_test)
    words = words_sent(parties)
    assert parties[0].engine.rounds == 1 + cost.rounds
    assert sum(words) - sum(words_sent(compute(shape, nothing))) == cost.elements
    assert max(words) <= cost.largest


CROWDED = parted([[[3, 2], [2, 3]], [[3, 2], [2, 3]]])


def test_what_is_sent_depends_on_bounds_alone_and_holds_no_count(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: set[str] = set()
    allowed = Engine.opening

    def opening(rt: Engine, step: str) -> None:
        steps.add(step)
        allowed(rt, step)

    monkeypatch.setattr(Engine, "opening", opening)
    told, empty = (execute(FIVE, rows, [10, 10], SHAPES[0], program=t_test) for rows in (CROWDED, [EMPTY, EMPTY]))
    assert steps == set(LINKING_OPENS)
    assert [party.lengths for party in told] == [party.lengths for party in empty]
    for party in (*told, *empty):
        assert all(min(map(int, elements)) > 4096 for _, _, elements in party.seen)


async def test_processes_that_may_open_no_file_compute_what_the_twin_says() -> None:
    federation = Federation(t_test, FIVE, CROWDED, [10, 10])
    assert list(federation.result(await relayed(federation))) == t_test.clear(FIVE, CROWDED, bounds=[10, 10])


@pytest.mark.parametrize(("providers", "m"), [(1, 3), (12, 7)])
def test_a_job_of_as_many_rows_as_can_be_fits_into_frames(providers: int, m: int) -> None:
    parameters = FIVE | {"grid": {"name": "age", "intervals": MAX_LEVELS}}
    federation = Federation(t_test, parameters, [EMPTY] * providers, [MAX_ROWS // providers] * providers, m)
    taken = job.read(json.dumps(federation.job(0)).encode())
    assert ELEMENT_BYTES * taken.cost.largest < MAX_FRAME
    assert taken.cost.rounds < 800


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("test", {"test": "chi_square"}),
        ("columns", {"columns": [{"name": "form", "codes": ["a", "b", "c"]}]}),
        ("columns", {"columns": [{"name": "form", "codes": ["a", ""]}]}),
        ("grid.intervals", {"grid": {"name": "age", "intervals": MAX_LEVELS + 1}}),
        ("grid.name", {"grid": {"name": "form", "intervals": 9}}),
        ("rounding", {"rounding": 5}),
    ],
)
def test_parameters_that_cannot_be_are_refused_by_name(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(InputRejected) as refused:
        t_test.outputs(PARAMETERS | changes)
    assert refused.value.field == field
