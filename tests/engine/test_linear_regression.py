"""Linear regression under MPC: against the clear-text twin, and the twin against statsmodels."""

import json
import random
import secrets
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import statsmodels.api as sm
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.engine import job
from connectors.engine.cost import Shape
from connectors.engine.errors import InputRejected
from connectors.engine.pipe import MAX_FRAME
from connectors.engine.programs import linear_regression
from connectors.engine.programs.design import read_design
from connectors.engine.rows import MAX_ROWS, InputRows
from connectors.engine.runtime import Engine
from connectors.engine.wire import ELEMENT_BYTES
from gateway.rules.regression import Fitted, linear
from tests.engine.harness import SHAPES, Party, revealed
from tests.engine.relay import Federation
from tests.engine.relay import run as relayed
from tests.engine.stocked import compute
from tests.engine.test_chi_square import execute, nothing, words_sent
from tests.engine.test_programs import Rows

FORM = {"name": "form", "codes": ["a", "b", "c"]}
YEAR = {"name": "year", "codes": ["before", *map(str, range(2010, 2021)), "after"]}
YEAR["values"] = [None, *range(2010, 2021), None]
AGE = {"name": "age", "least": 0, "most": 120, "squares": True}
PARAMETERS: dict[str, Any] = {
    "test": "linear_regression",
    "columns": [FORM, YEAR],
    "measures": [AGE],
    "minimum_cell": 4,
}
EMPTY = InputRows([], [], [], [])
FOUR_DIGITS = 4e-5


def people(seed: int, parameters: dict[str, Any], count: int, providers: int = 2, overlap: float = 0.2) -> Rows:
    """Providers' people, some of them common; who has no outcome, or a value that is not asked for, is among them."""
    rng = np.random.default_rng(seed)
    (outcome,) = parameters["measures"]
    sizes = [len(column["codes"]) for column in parameters["columns"]]
    effects = [rng.normal(0, 1, size) for size in sizes]
    weights = [rng.dirichlet(np.full(size, 4.0)) for size in sizes]
    spread = (outcome["most"] - outcome["least"]) / 8
    keys = rng.permutation(10 * count)[:count].tolist()
    rows = []
    for part in np.array_split(np.array(keys), providers):
        mine = [*part.tolist(), *rng.choice(keys, int(overlap * len(part)), replace=False).tolist()]
        mine = list(dict.fromkeys(mine))
        codes = [tuple(int(rng.choice(size, p=w)) for size, w in zip(sizes, weights, strict=True)) for _ in mine]
        values: list[tuple[int | None, ...]] = []
        for own in codes:
            middle = (outcome["least"] + outcome["most"]) / 2 + spread * sum(
                e[c] for e, c in zip(effects, own, strict=True)
            ) / len(own)
            drawn = int(np.clip(rng.normal(middle, spread), outcome["least"], outcome["most"]))
            values.append((None if rng.random() < 0.03 else drawn,))
        rows.append(InputRows(mine, [], codes, values))
    return rows


def pooled(parameters: dict[str, Any], rows: Rows) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The design matrix of everybody, one by one, and outcomes, made from codes without the engine's design."""
    seen: dict[int, tuple[tuple[int, ...], int | None]] = {}
    for provider in reversed(rows):
        seen |= {
            key: (codes, own[0]) for key, codes, own in zip(provider.keys, provider.codes, provider.values, strict=True)
        }
    x, y = [], []
    for codes, outcome in seen.values():
        line: list[float] = [1.0]
        for column, code in zip(parameters["columns"], codes, strict=True):
            if "values" in column:
                known = [value for value in column["values"] if value is not None]
                value = column["values"][code] if code < len(column["values"]) else None
                line.append(np.nan if value is None else value - min(known))
            elif code < len(column["codes"]):
                line += [float(code == other) for other in range(1, len(column["codes"]))]
            else:
                line.append(np.nan)
        if outcome is not None and not np.isnan(line).any():
            x.append(line)
            y.append(outcome)
    return np.array(x), np.array(y, dtype=float)


def agrees(found: Fitted | None, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> None:
    expected = sm.OLS(y, x).fit()
    assert found is not None and found.people == len(y)
    for own, estimate, error in zip(found.coefficients, expected.params, expected.bse, strict=True):
        assert own.error == pytest.approx(error, rel=FOUR_DIGITS)
        assert own.estimate == pytest.approx(estimate, rel=FOUR_DIGITS, abs=1e-5 * error)
    assert found.residual == pytest.approx(np.sqrt(expected.scale), rel=FOUR_DIGITS)
    assert found.r_squared == pytest.approx(expected.rsquared, abs=FOUR_DIGITS)


def read(parameters: dict[str, Any], opened: list[int]) -> Fitted | None:
    return linear(json.dumps(parameters), opened, MAX_ROWS)


def alike(found: list[int], expected: list[int], parameters: dict[str, Any]) -> None:
    """To one in the last digit."""
    own, other = read(parameters, found), read(parameters, [number % ((1 << 61) - 1) for number in expected])
    assert (own is None) == (other is None) and found[-2:] == expected[-2:]
    if own is not None and other is not None:
        for one, two in zip(own.coefficients, other.coefficients, strict=True):
            assert one.estimate == pytest.approx(two.estimate, rel=2**-14) or abs(one.estimate - two.estimate) < (
                1e-6 * two.error
            )
            assert one.error == pytest.approx(two.error, rel=2**-14)
        assert own.residual == pytest.approx(other.residual, rel=2**-14)


BINARY = [{"name": f"x{i}", "codes": ["no", "yes"]} for i in range(10)]
SCALED = {"name": "scaled", "codes": [str(i) for i in range(40)], "values": [1_000_000 + 1500 * i for i in range(40)]}
SHAPED: list[dict[str, Any]] = [
    PARAMETERS,
    {**PARAMETERS, "columns": [FORM]},
    {**PARAMETERS, "columns": [YEAR], "measures": [{**AGE, "least": -(2**17), "most": 2**17 - 1}]},
    {**PARAMETERS, "columns": [FORM], "measures": [{**AGE, "least": 2**18, "most": 2**18 + 3}]},
    {**PARAMETERS, "columns": BINARY, "minimum_cell": 11},
    {**PARAMETERS, "columns": [SCALED, FORM, YEAR], "minimum_cell": 0},
]


NAMES = ["codes and years", "one column", "years", "far", "ten", "badly scaled"]


@pytest.mark.parametrize("parameters", SHAPED, ids=NAMES)
@pytest.mark.parametrize("seed", range(3))
def test_the_twin_is_what_statsmodels_says_of_everybody_one_by_one(parameters: dict[str, Any], seed: int) -> None:
    rows = people(seed, parameters, 3000)
    agrees(
        read(parameters, [n % ((1 << 61) - 1) for n in linear_regression.clear(parameters, rows)]),
        *pooled(parameters, rows),
    )


@pytest.mark.parametrize("parameters", SHAPED, ids=NAMES)
def test_the_program_is_what_statsmodels_says(parameters: dict[str, Any]) -> None:
    rows = people(7, parameters, 2000)
    opened = revealed(execute(parameters, rows, [1300, 1400], SHAPES[0], program=linear_regression), 1)
    agrees(read(parameters, opened), *pooled(parameters, rows))


@pytest.mark.parametrize(("shape", "examples"), [(SHAPES[0], 4), (SHAPES[1], 1), (SHAPES[2], 1)])
def test_the_program_equals_its_twin(shape: Shape, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(seed=st.integers(0, 2**32 - 1), minimum=st.sampled_from([0, 4, 12]), providers=st.integers(1, 3))
    def holds(seed: int, minimum: int, providers: int) -> None:
        parameters = PARAMETERS | {"minimum_cell": minimum}
        rows = people(seed, parameters, 90, providers)
        bounds = [len(own.keys) + 1 for own in rows]
        opened = revealed(execute(parameters, rows, bounds, shape, program=linear_regression), shape.t)
        alike(opened, linear_regression.clear(parameters, rows), parameters)

    holds()


def tabled(parameters: dict[str, Any], counts: dict[tuple[int, ...], int], providers: int = 1) -> Rows:
    """So many people of each combination of codes, dealt out to providers, with outcomes that differ."""
    rng = random.Random(4)
    all_codes = [codes for codes, count in counts.items() for _ in range(count)]
    parts = [all_codes[p::providers] for p in range(providers)]
    keys = iter(range(10**6))
    return [
        InputRows([next(keys) for _ in part], [], part, [(rng.randrange(20, 60) + 3 * codes[0],) for codes in part])
        for part in parts
    ]


TWO = {"name": "sex", "codes": ["f", "m"]}
CROSSED = {**PARAMETERS, "columns": [FORM, TWO], "minimum_cell": 5}
FULL = {(form, sex): 10 for form in range(3) for sex in range(2)}


@pytest.mark.parametrize(
    ("counts", "providers", "told"),
    [
        (FULL, 1, 1),
        (FULL, 2, 1),  # what is left of each pair without one provider is five people
        (FULL, 3, 1),
        (FULL | {(2, 1): 4}, 1, 0),  # a pair of codes has fewer than the minimum
        (FULL | {(2, 1): 0}, 1, 1),  # or nobody
        (FULL | {(2, 1): 8}, 2, 0),  # and four without one provider
        (FULL | {(2, 1): 0, (2, 0): 0}, 1, 0),  # nobody has a code
        (dict.fromkeys(FULL, 5), 1, 0),  # thirty people, and forty are wanted for four terms
        ({(0, 0): 30, (1, 1): 30, (2, 1): 30}, 1, 0),  # collinear: sex follows from form
    ],
)
def test_it_is_told_only_of_many_people_whoever_takes_its_own_away(
    counts: dict[tuple[int, ...], int], providers: int, told: int
) -> None:
    rows = tabled(CROSSED, counts, providers)
    expected = linear_regression.clear(CROSSED, rows)
    assert expected[-1] == told
    opened = revealed(execute(CROSSED, rows, [len(own.keys) for own in rows], SHAPES[0], program=linear_regression), 1)
    alike(opened, expected, CROSSED)
    assert told or not any(opened)


def test_an_outcome_that_the_columns_say_is_not_told() -> None:
    rows = [InputRows(range(60), [], [(i % 3, i % 2) for i in range(60)], [(20 + i % 3,) for i in range(60)])]
    assert not any(linear_regression.clear(CROSSED, rows))
    assert not any(revealed(execute(CROSSED, rows, [60], SHAPES[0], program=linear_regression), 1))


@pytest.mark.parametrize(("between", "told"), [(3, 0), (60, 1)])
def test_values_that_nearly_follow_from_codes_are_not_told(between: int, told: int) -> None:
    """No code is of few people, but what is left to tell the columns apart is less than one person's whole range."""
    value = {"name": "value", "codes": ["0", "5", "10"], "values": [0, 5, 10]}
    parameters = CROSSED | {"columns": [TWO, value], "minimum_cell": 11}
    near = tabled(parameters, {(0, 0): 100, (0, 1): between, (1, 2): 100})
    expected = linear_regression.clear(parameters, near)
    opened = revealed(execute(parameters, near, [len(near[0].keys)], SHAPES[0], program=linear_regression), 1)
    assert expected[-1] == told
    alike(opened, expected, parameters)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"m{shape.m}")
@pytest.mark.parametrize(("columns", "minimum", "bounds"), [([FORM, YEAR], 4, [9, 5, 7]), ([TWO], 0, [70])])
def test_what_is_sent_is_what_the_cost_says(
    shape: Shape, columns: list[dict[str, Any]], minimum: int, bounds: list[int]
) -> None:
    parameters = PARAMETERS | {"columns": columns, "minimum_cell": minimum}
    rows = [people(3, parameters, bound, 1)[0] for bound in bounds]
    cost = linear_regression.cost(parameters, bounds, shape)
    parties = execute(parameters, rows, bounds, shape, ELEMENT_BYTES * cost.largest, linear_regression)
    words = words_sent(parties)
    assert parties[0].engine.rounds == 1 + cost.rounds
    assert sum(words) - sum(words_sent(compute(shape, nothing))) == cost.elements
    assert max(words) <= cost.largest


def test_what_is_sent_depends_on_bounds_alone_and_holds_no_total(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: set[str] = set()
    allowed = Engine.opening

    def opening(rt: Engine, step: str) -> None:
        steps.add(step)
        allowed(rt, step)

    monkeypatch.setattr(Engine, "opening", opening)
    full = tabled(CROSSED, FULL, 2)

    def ran(rows: Rows) -> list[Party]:
        return execute(CROSSED, rows, [30, 30], SHAPES[0], program=linear_regression)

    told, empty = ran(full), ran([EMPTY, EMPTY])
    assert revealed(told, 1)[-1] == 1 and not any(revealed(empty, 1))
    assert steps == set(linear_regression.OPENS)
    assert [party.lengths for party in told] == [party.lengths for party in empty]


async def test_processes_that_may_open_no_file_compute_what_the_twin_says() -> None:
    rows = tabled(CROSSED, FULL, 2)
    federation = Federation(linear_regression, CROSSED, rows, [30, 30])
    alike(federation.result(await relayed(federation)), linear_regression.clear(CROSSED, rows), CROSSED)


@pytest.mark.parametrize(("providers", "m"), [(1, 3), (12, 7)])
def test_a_job_of_as_many_rows_as_can_be_fits_into_frames(providers: int, m: int) -> None:
    values = list(range(0, 2**16, 2**8))
    columns = [
        {"name": "x", "codes": [str(code) for code in range(16)]},
        {"name": "y", "codes": [str(code) for code in range(256)], "values": [*values[:255], 2**16]},
    ]
    widest = {**AGE, "least": 0, "most": 2**18 - 1}
    parameters = {**PARAMETERS, "columns": columns, "measures": [widest], "minimum_cell": 0}
    bounds = [MAX_ROWS // providers] * providers
    federation = Federation(linear_regression, parameters, [EMPTY] * providers, bounds, m)
    taken = job.read(json.dumps(federation.job(0)).encode())
    assert ELEMENT_BYTES * taken.cost.largest < MAX_FRAME
    assert taken.cost.rounds < 600


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"test": "chi_square"}, "test"),
        ({"rounding": 5}, "rounding"),
        ({"noise": ["0" * 16]}, "noise"),
        ({"columns": []}, "columns"),
        ({"columns": "form"}, "columns"),
        ({"columns": [{"name": "form", "codes": ["a"]}]}, "columns.form"),
        ({"columns": [{**FORM, "values": [1, 2]}]}, "columns.form.values"),
        ({"columns": [{**FORM, "values": [1, 2, 2]}]}, "columns.form.values"),
        ({"columns": [{**FORM, "values": [1, 2, "3"]}]}, "columns.form.values"),
        ({"columns": [{**FORM, "values": [1, None, None]}]}, "columns.form"),
        ({"columns": [{**FORM, "values": [0, 1, 2**17]}]}, "columns"),
        ({"columns": [{"name": "form", "codes": [str(i) for i in range(40)]}]}, "columns"),
        ({"columns": [{"name": f"{i}", "codes": list("abcdefgh")} for i in range(5)]}, "columns"),
        ({"measures": [AGE, {**AGE, "name": "other"}]}, "measures"),
        ({"measures": [{**AGE, "squares": False}]}, "measures"),
        ({"measures": [{**AGE, "least": -(2**18), "most": 2**18 - 1}]}, "measures"),
    ],
)
def test_bad_parameters_are_refused_by_name(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InputRejected) as refused:
        linear_regression.outputs(PARAMETERS | changes)
    assert refused.value.field == field


def test_bad_rows_are_refused_by_name() -> None:
    for codes, values, field in (((3, 0), 5, None), ((4, 0), 5, "form"), ((0, 0), 121, "age")):
        rows = InputRows([1], [], [codes], [(values,)])
        if field is None:
            linear_regression.encode(PARAMETERS, rows, 2, secrets.token_bytes)
            continue
        with pytest.raises(InputRejected) as refused:
            linear_regression.encode(PARAMETERS, rows, 2, secrets.token_bytes)
        assert refused.value.field == field


def test_the_design_has_an_intercept_indicators_and_values_from_the_least_one() -> None:
    design = read_design(PARAMETERS | {"columns": [TWO, {**FORM, "values": [14, None, 10]}]})
    assert design.matrix.tolist() == [[1, 0, 1], [1, 0, 0], [1, 1, 1], [1, 1, 0]]
    assert design.cells == 4 and design.ranges == [1, 1, 1]
