"""Pearson's chi-square under MPC: against the clear-text twin, and the twin against SciPy."""

import json
import random
import secrets
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency

from connectors.engine import job
from connectors.engine.cost import Shape
from connectors.engine.errors import InputRejected, SessionAborted
from connectors.engine.limits import Limits
from connectors.engine.linking import OPENS as LINKING_OPENS
from connectors.engine.pipe import MAX_FRAME
from connectors.engine.programs import chi_square
from connectors.engine.programs.two_columns import width_of
from connectors.engine.rows import MAX_ROWS, InputRows
from connectors.engine.runtime import Engine
from connectors.engine.wire import COUNTER_BYTES, ELEMENT_BYTES
from connectors.rules.session_keys import TAG_BYTES
from tests.engine.harness import SHAPES, Party, revealed
from tests.engine.packed import shared_words
from tests.engine.relay import Federation
from tests.engine.relay import run as relayed
from tests.engine.stocked import compute
from tests.engine.test_programs import Rows

UNIT = 2**-chi_square.UNIT_BITS
EMPTY = InputRows([], [], [])
COLUMNS = [{"name": "form", "codes": ["a", "b"]}, {"name": "year", "codes": ["1", "2", "3"]}]
PARAMETERS: dict[str, Any] = {"test": "chi_square", "columns": COLUMNS, "minimum_cell": 2}


def execute(
    parameters: dict[str, Any],
    rows: Rows,
    bounds: list[int],
    shape: Shape,
    cap: int = 1 << 26,
    program: ModuleType = chi_square,
) -> list[Party]:
    shares = [
        shared_words(shape, program.encode(parameters, own, bound, secrets.token_bytes))
        for own, bound in zip(rows, bounds, strict=True)
    ]
    return compute(shape, lambda rt: program.run(rt, parameters, [s[rt.pid] for s in shares]), cap)


@st.composite
def providers(draw: st.DrawFn) -> Rows:
    """One to four providers whose people overlap; a code may be none of the question's."""
    pool = draw(st.lists(st.integers(0, 2**60 - 1), min_size=12, max_size=20, unique=True))
    codes = st.tuples(st.integers(0, 2) | st.integers(0, 1), st.integers(0, 3) | st.integers(0, 2))
    out = []
    for _ in range(draw(st.integers(1, 4))):
        keys = draw(st.lists(st.sampled_from(pool), min_size=6, max_size=16, unique=True))
        out.append(InputRows(keys, [], [draw(codes) for _ in keys]))
    return out


@pytest.mark.parametrize(("shape", "examples"), [(SHAPES[0], 6), (SHAPES[1], 1), (SHAPES[2], 1)])
def test_the_program_equals_its_twin_to_a_unit(shape: Shape, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(rows=providers(), minimum=st.integers(0, 2), zero_is_small=st.booleans(), slack=st.integers(0, 2))
    def holds(rows: Rows, minimum: int, zero_is_small: bool, slack: int) -> None:
        parameters = PARAMETERS | {"minimum_cell": minimum, "zero_is_small": zero_is_small}
        value, told = revealed(execute(parameters, rows, [len(own.keys) + slack for own in rows], shape), shape.t)
        expected, kept = chi_square.clear(parameters, rows)
        assert told == kept
        assert value - expected in (0, kept)

    holds()


def table(rows: Rows, shape: tuple[int, int]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """People by both columns, as the first provider that has the person tells them."""
    people: dict[int, tuple[int, ...]] = {}
    for own in reversed(rows):
        people |= dict(zip(own.keys, own.codes, strict=True))
    made = np.zeros(shape, dtype=np.int64)
    for codes in people.values():
        if codes[0] < shape[0] and codes[1] < shape[1]:
            made[codes] += 1
    return made


@given(rows=providers())
def test_without_limits_the_twin_is_what_scipy_says_of_a_pooled_table(rows: Rows) -> None:
    value, told = chi_square.clear(PARAMETERS | {"minimum_cell": 0}, rows)
    counts = table(rows, (2, 3))
    if counts.sum(axis=0).min() and counts.sum(axis=1).min():
        assert told
        assert value * UNIT == pytest.approx(
            chi2_contingency(counts, correction=False).statistic, rel=1e-6, abs=1.1 * UNIT
        )
    else:
        assert (value, told) == (0, 0)


def large(rng: np.random.Generator, shape: tuple[int, int], people: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """A table with that many people at most, of codes as rare as they come, that go together a little."""
    row, column = (rng.dirichlet(np.full(size, 0.5)) for size in shape)
    cells = np.outer(row, column) * np.exp(rng.normal(0, rng.choice([0.001, 0.1, 1.0]), shape))
    counts: np.ndarray[Any, np.dtype[np.int64]] = rng.multinomial(
        people - 12 * sum(shape), (cells / cells.sum()).ravel()
    )
    counts = counts.reshape(shape)
    counts[:, 0] += 12
    counts[0] += 12
    return counts


@pytest.mark.parametrize("shape", [(2, 2), (2, 32), (32, 2), (3, 4), (8, 8)])
@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), people=st.sampled_from([2000, 40_000, 10**6, 4 * 10**6, MAX_ROWS]))
def test_the_error_is_within_what_is_stated_for_as_many_people_as_there_may_be(
    shape: tuple[int, int], seed: int, people: int
) -> None:
    counts = large(np.random.default_rng(seed), shape, people)
    value, told = chi_square.chi_square_clear(counts[None].astype(object), Limits(1, zero_is_small=True))
    expected = chi2_contingency(counts, correction=False).statistic
    assert told
    assert abs(value * UNIT - expected) <= UNIT + expected * 2**-22
    assert abs(value * UNIT - expected) <= 1e-4 * expected or expected < 0.2


@pytest.mark.parametrize("counts", [np.eye(8), np.eye(2), np.ones((8, 8)), np.array([[1, 0], [1, 2]])])
def test_the_largest_and_the_least_tables_fit(counts: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    """All that is computed on shares after counting, for as many people as a session takes."""
    people = (counts * (MAX_ROWS / counts.sum())).astype(np.int64)
    people[0, 0] += MAX_ROWS - people.sum()
    cells = people.astype(object)
    value, told = chi_square.chi_square_clear(cells[None], Limits(1, zero_is_small=True))
    assert told and value * UNIT == pytest.approx(chi2_contingency(people, correction=False).statistic, rel=1e-6)
    width = width_of(MAX_ROWS)
    assert value + 1 << chi_square._cut(width) < 1 << chi_square.INTEGER_BITS - 1
    assert value < chi_square._bound(width)


def parted(own: list[list[list[int]]]) -> Rows:
    """Providers without common people, each with these counts."""
    rows, key = [], 0
    for counts in own:
        codes = [(i, j) for i, line in enumerate(counts) for j, count in enumerate(line) for _ in range(count)]
        rows.append(InputRows(list(range(key, key + len(codes))), [], codes))
        key += len(codes)
    return rows


TWO = PARAMETERS | {"columns": [COLUMNS[0], {"name": "sex", "codes": ["f", "m"]}], "minimum_cell": 5}


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ([[[3, 2], [2, 3]], [[3, 2], [2, 3]]], 1),
        ([[[3, 2], [1, 3]], [[3, 2], [2, 3]]], 0),  # without the second provider, 4 people are left in a row
        ([[[6, 2], [2, 6]], [[1, 0], [0, 0]]], 0),  # the second one's share is all but known to the first
        ([[[6, 2], [2, 6]]], 1),  # a total is one provider's alone: nothing is left
        ([[[9, 9], [0, 0]], [[9, 9], [0, 0]]], 0),
        ([[[9, 0], [9, 0]], [[9, 0], [9, 0]]], 0),
        ([[[9, 9], [2, 2]]], 0),
    ],
)
def test_it_is_told_only_if_no_total_is_small_whoever_takes_its_people_away(
    own: list[list[list[int]]], told: int
) -> None:
    rows = parted(own)
    expected = chi_square.clear(TWO, rows)
    assert expected[1] == told
    value, flag = revealed(execute(TWO, rows, [len(one.keys) for one in rows], SHAPES[0]), 1)
    assert flag == told and value - expected[0] in (0, told)
    if told:
        counts = np.array(own).sum(axis=0)
        assert value * UNIT == pytest.approx(chi2_contingency(counts, correction=False).statistic, abs=2 * UNIT)


def test_a_provider_may_have_more_than_all_others_as_long_as_none_of_them_is_laid_bare() -> None:
    rows = parted([[[50, 40], [30, 60]], [[5, 4], [5, 6]]])
    assert chi_square.clear(TWO | {"minimum_cell": 4}, rows)[1] == 1
    assert chi_square.clear(TWO | {"minimum_cell": 10}, rows)[1] == 0


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"m{shape.m}")
@pytest.mark.parametrize(
    ("codes", "minimum", "bounds"), [((2, 3), 2, [9, 5, 7]), ((2, 3), 0, [9]), ((8, 8), 11, [70, 20])]
)
def test_what_is_sent_is_what_the_cost_says(
    shape: Shape, codes: tuple[int, int], minimum: int, bounds: list[int]
) -> None:
    columns = [{"name": f"c{i}", "codes": [str(code) for code in range(size)]} for i, size in enumerate(codes)]
    parameters = {"test": "chi_square", "columns": columns, "minimum_cell": minimum}
    rng = random.Random(5)
    rows = [
        InputRows(
            [rng.getrandbits(60) for _ in range(bound)],
            [],
            [tuple(rng.randrange(size) for size in codes) for _ in range(bound)],
        )
        for bound in bounds
    ]
    parties = execute(parameters, rows, bounds, shape)
    cost = chi_square.cost(parameters, bounds, shape)
    words = words_sent(parties)
    assert parties[0].engine.rounds == 1 + cost.rounds
    assert sum(words) - sum(words_sent(compute(shape, nothing))) == cost.elements
    assert max(words) <= cost.largest
    # With no more room than the cost asks for, rounds are the same.
    assert (
        execute(parameters, rows, bounds, shape, cap=ELEMENT_BYTES * cost.largest)[0].engine.rounds == 1 + cost.rounds
    )


async def nothing(rt: Engine) -> object:
    return None


def words_sent(parties: list[Party]) -> list[float]:
    """What each frame held, in elements."""
    return [(length - COUNTER_BYTES - TAG_BYTES) / ELEMENT_BYTES for party in parties for _, length in party.lengths]


CROWDED = parted([[[3, 2], [2, 3]], [[3, 2], [2, 3]]])


def test_it_opens_in_the_steps_that_it_declares_and_is_stopped_in_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: set[str] = set()
    allowed = Engine.opening

    def opening(rt: Engine, step: str) -> None:
        steps.add(step)
        allowed(rt, step)

    monkeypatch.setattr(Engine, "opening", opening)
    execute(TWO, CROWDED, [10, 10], SHAPES[0])
    assert steps == set(LINKING_OPENS)

    def undeclared(rt: Engine, step: str) -> None:
        rt._opens = set(chi_square.OPENS) - {step}
        allowed(rt, step)

    monkeypatch.setattr(Engine, "opening", undeclared)
    with pytest.raises(SessionAborted, match="does not declare"):
        execute(TWO, CROWDED, [10, 10], SHAPES[0])


def test_what_is_sent_depends_on_bounds_alone_and_holds_no_count() -> None:
    """Whether it is told or not, and whoever is there."""
    told, empty = (execute(TWO, rows, [10, 10], SHAPES[0]) for rows in (CROWDED, [EMPTY, EMPTY]))
    assert [party.lengths for party in told] == [party.lengths for party in empty]
    assert [[(s, p, e.size) for s, p, e in party.seen] for party in told] == [
        [(s, p, e.size) for s, p, e in party.seen] for party in empty
    ]
    for party in (*told, *empty):
        assert all(min(map(int, elements)) > 4096 for _, _, elements in party.seen)


async def test_processes_that_may_open_no_file_compute_what_the_twin_says() -> None:
    federation = Federation(chi_square, TWO, CROWDED, [10, 10])
    seats = await relayed(federation)
    value, told = federation.result(seats)
    expected = chi_square.clear(TWO, CROWDED)
    assert told == expected[1] == 1 and value - expected[0] in (0, 1)
    for seat in seats:
        assert seat.ended["rounds"] == 1 + chi_square.cost(TWO, [10, 10], Shape(3, 1)).rounds
        assert seat.ending == "with exit code 0"


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
    parties = execute(PARAMETERS, rows, bounds, SHAPES[0])
    value, told = revealed(parties, 1)
    expected = chi2_contingency(table(rows, (2, 3)), correction=False).statistic
    assert told and abs(value * UNIT - expected) <= UNIT + expected * 2**-22
    cost = chi_square.cost(PARAMETERS, bounds, SHAPES[0])
    assert parties[0].engine.rounds == 1 + cost.rounds
    assert max(words_sent(parties)) <= cost.largest


@pytest.mark.parametrize(("providers", "m"), [(1, 3), (12, 3), (12, 7)])
def test_a_job_of_as_many_rows_as_can_be_fits_into_frames(providers: int, m: int) -> None:
    bounds = [MAX_ROWS // providers] * providers
    codes = [{"name": name, "codes": [str(code) for code in range(8)]} for name in "xy"]
    federation = Federation(chi_square, TWO | {"columns": codes, "minimum_cell": 11}, [EMPTY] * providers, bounds, m)
    taken = job.read(json.dumps(federation.job(0)).encode())
    assert ELEMENT_BYTES * taken.cost.largest < MAX_FRAME
    assert taken.cost.rounds < 500


@pytest.mark.parametrize(
    ("parameters", "rows", "field"),
    [
        (PARAMETERS | {"columns": COLUMNS[:1]}, EMPTY, "columns"),
        (PARAMETERS | {"columns": [*COLUMNS, {"name": "x", "codes": ["1", "2"]}]}, EMPTY, "columns"),
        (PARAMETERS | {"columns": [COLUMNS[0], {"name": "x", "codes": ["1"]}]}, EMPTY, "columns"),
        (PARAMETERS | {"columns": [COLUMNS[0], {"name": "x", "codes": ["1", ""]}]}, EMPTY, "columns"),
        (PARAMETERS | {"columns": [COLUMNS[0], {"name": "x", "codes": list(map(str, range(33)))}]}, EMPTY, "columns"),
        (PARAMETERS | {"columns": [COLUMNS[0], COLUMNS[0]]}, EMPTY, "columns"),
        (PARAMETERS | {"dominance": 90}, EMPTY, "dominance"),
        (PARAMETERS | {"rounding": 5}, EMPTY, "rounding"),
        (PARAMETERS | {"noise": ["0" * 16]}, EMPTY, "noise"),
        (PARAMETERS | {"structural_zeros": []}, EMPTY, "structural_zeros"),
        (PARAMETERS | {"test": "t"}, EMPTY, "test"),
        ({"test": "chi_square", "columns": COLUMNS}, EMPTY, "minimum_cell"),
        (PARAMETERS, InputRows([1], [], [(0, 4)]), "year"),
        (PARAMETERS, InputRows([1], [], [(-1, 0)]), "form"),
        (PARAMETERS, InputRows([1], [], [(0,)]), "codes"),
        (PARAMETERS, InputRows([1], [], []), "codes"),
        (PARAMETERS, InputRows([1, 1], [], [(0, 0), (0, 0)]), "keys"),
    ],
)
def test_bad_rows_and_parameters_are_refused_by_name(parameters: dict[str, Any], rows: InputRows, field: str) -> None:
    with pytest.raises(InputRejected) as refused:
        chi_square.encode(parameters, rows, 3, secrets.token_bytes)
    assert refused.value.field == field


def test_the_modulus_of_the_integers_is_as_long_as_the_cost_has_it() -> None:
    async def program(rt: Engine) -> object:
        return rt.SecInt(chi_square.INTEGER_BITS).field.modulus.bit_length()

    (length,) = {party.result for party in compute(SHAPES[0], program)}
    assert length == chi_square._MODULUS.bit_length()
