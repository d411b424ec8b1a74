"""Logistic regression under MPC: against the clear-text twin, and the twin against statsmodels."""

import json
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
from connectors.engine.programs import logistic_regression
from connectors.engine.rows import MAX_ROWS, InputRows
from connectors.engine.runtime import Engine
from connectors.engine.wire import ELEMENT_BYTES
from gateway.rules.regression import Likely, logistic
from gateway.rules.sharing import P
from tests.engine.harness import SHAPES, Party, revealed
from tests.engine.relay import Federation
from tests.engine.relay import run as relayed
from tests.engine.stocked import compute
from tests.engine.test_chi_square import EMPTY, execute, nothing, words_sent
from tests.engine.test_linear_regression import BINARY, FORM, FOUR_DIGITS, SCALED, TWO, YEAR
from tests.engine.test_programs import Rows

OUTCOME = {"name": "found", "codes": ["no", "perhaps", "yes"], "events": [2]}
PARAMETERS: dict[str, Any] = {
    "test": "logistic_regression",
    "columns": [FORM, YEAR, OUTCOME],
    "minimum_cell": 4,
}


def people(seed: int, parameters: dict[str, Any], count: int, base: float = -1.0, spread: float = 1.0) -> Rows:
    """Two providers' people, some of them common; some have an outcome or a value that is not asked for."""
    rng = np.random.default_rng(seed)
    sizes = [len(column["codes"]) for column in parameters["columns"][:-1]]
    effects = [rng.normal(0, spread, size) / len(sizes) ** 0.5 for size in sizes]
    keys = rng.permutation(10 * count)[:count].tolist()
    codes = {
        key: tuple(int(rng.integers(size + 1)) if rng.random() < 0.01 else int(rng.integers(size)) for size in sizes)
        for key in keys
    }
    rows = []
    for mine in (keys[: count * 6 // 10], keys[count * 4 // 10 :]):
        own = []
        for key in mine:
            eta = base + sum(e[min(c, len(e) - 1)] for e, c in zip(effects, codes[key], strict=True))
            happened = 2 if rng.random() < 1 / (1 + np.exp(-eta)) else int(rng.integers(2))
            own.append((*codes[key], 3 if rng.random() < 0.02 else happened))
        rows.append(InputRows(mine, [], own))
    return rows


def pooled(parameters: dict[str, Any], rows: Rows) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The design matrix of everybody, one by one, and whether they have the outcome, without the engine's design."""
    seen: dict[int, tuple[int, ...]] = {}
    for provider in reversed(rows):
        seen |= dict(zip(provider.keys, provider.codes, strict=True))
    x, y = [], []
    for *codes, outcome in seen.values():
        line: list[float] = [1.0]
        for column, code in zip(parameters["columns"][:-1], codes, strict=True):
            values = column.get("values", [0] * len(column["codes"]))
            value = values[code] if code < len(values) else None
            if "values" in column:
                line.append(np.nan if value is None else value - min(v for v in values if v is not None))
            else:
                line += [np.nan if value is None else float(code == other) for other in range(1, len(values))]
        if outcome < 3 and not np.isnan(line).any():
            x.append(line)
            y.append(float(outcome == 2))
    return np.array(x), np.array(y)


def read(parameters: dict[str, Any], opened: list[int]) -> Likely | None:
    return logistic(json.dumps(parameters), [number % P for number in opened], MAX_ROWS)


def agrees(found: Likely | None, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> None:
    largest = x.max(axis=0)  # statsmodels' own iteration wants numbers of one size
    expected = sm.Logit(y, x / largest).fit(disp=0, tol=1e-14, maxiter=100)
    assert found is not None and (found.people, found.events) == (len(y), y.sum())
    for own, estimate, error in zip(found.coefficients, expected.params / largest, expected.bse / largest, strict=True):
        assert own.error == pytest.approx(error, rel=FOUR_DIGITS)
        assert own.estimate == pytest.approx(estimate, rel=FOUR_DIGITS, abs=1e-5 * error)
    assert found.deviance == pytest.approx(-2 * expected.llf, rel=FOUR_DIGITS)
    assert found.pseudo_r_squared == pytest.approx(expected.prsquared, abs=FOUR_DIGITS)


def alike(found: list[int], expected: list[int], parameters: dict[str, Any]) -> None:
    """To one in the last digit."""
    own, other = read(parameters, found), read(parameters, expected)
    assert (own is None) == (other is None) and found[-3:] == expected[-3:]
    if own is not None and other is not None:
        for one, two in zip(own.coefficients, other.coefficients, strict=True):
            assert one.estimate == pytest.approx(two.estimate, rel=2**-14, abs=1e-6 * two.error)
            assert one.error == pytest.approx(two.error, rel=2**-14)
        assert own.deviance == pytest.approx(other.deviance, rel=2**-14)


SHAPED: list[tuple[dict[str, Any], float]] = [
    (PARAMETERS, -1.0),
    (PARAMETERS, 2.5),
    ({**PARAMETERS, "columns": [FORM, OUTCOME]}, -1.0),
    ({**PARAMETERS, "columns": [*BINARY[:6], OUTCOME], "minimum_cell": 11}, -1.0),
    ({**PARAMETERS, "columns": [SCALED, FORM, OUTCOME], "minimum_cell": 0}, 0.0),
    ({**PARAMETERS, "columns": [TWO, OUTCOME], "minimum_cell": 0}, -4.2),
]
NAMES = ["codes and years", "frequent", "one column", "six", "badly scaled", "rare"]


@pytest.mark.parametrize(("parameters", "base"), SHAPED, ids=NAMES)
@pytest.mark.parametrize("seed", range(3))
def test_the_twin_is_what_statsmodels_says_of_everybody_one_by_one(
    parameters: dict[str, Any], base: float, seed: int
) -> None:
    rows = people(seed, parameters, 4000, base)
    agrees(read(parameters, logistic_regression.clear(parameters, rows)), *pooled(parameters, rows))


@pytest.mark.parametrize(("parameters", "base"), SHAPED, ids=NAMES)
def test_the_program_is_what_statsmodels_says(parameters: dict[str, Any], base: float) -> None:
    rows = people(7, parameters, 3000, base)
    bounds = [len(own.keys) for own in rows]
    opened = revealed(execute(parameters, rows, bounds, SHAPES[0], program=logistic_regression), 1)
    agrees(read(parameters, opened), *pooled(parameters, rows))


def counted(counts: dict[tuple[int, ...], tuple[int, int]], providers: int = 1) -> Rows:
    """For codes, so many people without and with the outcome, dealt out to providers."""
    each = [(*codes, 2 * had) for codes, both in counts.items() for had in (0, 1) for _ in range(both[had])]
    keys = iter(range(10**6))
    return [InputRows([next(keys) for _ in each[p::providers]], [], each[p::providers]) for p in range(providers)]


CROSSED = {**PARAMETERS, "columns": [TWO, {"name": "other", "codes": ["x", "y"]}, OUTCOME], "minimum_cell": 5}
FULL = {(0, 0): (20, 10), (0, 1): (14, 12), (1, 0): (10, 20), (1, 1): (12, 16)}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"m{shape.m}")
def test_the_program_equals_its_twin(shape: Shape) -> None:
    rows = counted(FULL, 2)
    opened = revealed(execute(CROSSED, rows, [60, 57], shape, program=logistic_regression), shape.t)
    alike(opened, logistic_regression.clear(CROSSED, rows), CROSSED)
    assert opened[-1] == 1


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1), minimum=st.sampled_from([0, 4]), base=st.sampled_from([-2.0, 0.0]))
def test_so_it_does_whoever_the_people_are(seed: int, minimum: int, base: float) -> None:
    parameters = CROSSED | {"minimum_cell": minimum}
    rows = people(seed, parameters, 150, base)
    bounds = [len(own.keys) + 1 for own in rows]
    opened = revealed(execute(parameters, rows, bounds, SHAPES[0], program=logistic_regression), 1)
    alike(opened, logistic_regression.clear(parameters, rows), parameters)


@pytest.mark.parametrize(
    ("counts", "providers", "minimum", "told"),
    [
        (FULL | {(1, 1): (12, 4)}, 1, 5, 0),  # two codes together have few people with the outcome
        (FULL | {(1, 1): (4, 16)}, 1, 5, 0),  # or without it
        (FULL | {(1, 1): (12, 0)}, 1, 5, 1),  # or nobody
        (FULL | {(1, 1): (12, 8)}, 2, 5, 0),  # and few without one provider
        (dict.fromkeys(FULL, (7, 7)), 1, 5, 0),  # 28 with the outcome, and 30 are wanted for three terms
        ({(0, 0): (40, 30), (1, 1): (30, 40)}, 1, 5, 0),  # collinear
        ({(0, 0): (50, 0), (0, 1): (50, 0), (1, 0): (0, 50), (1, 1): (0, 50)}, 1, 0, 0),  # one column says it all
        ({(0, 0): (50, 0), (0, 1): (50, 0), (1, 0): (20, 30), (1, 1): (30, 20)}, 1, 0, 0),  # nobody of a code has it
    ],
)
def test_it_is_told_only_of_many_people_and_where_there_is_a_maximum(
    counts: dict[tuple[int, ...], tuple[int, int]], providers: int, minimum: int, told: int
) -> None:
    parameters = CROSSED | {"minimum_cell": minimum}
    rows = counted(counts, providers)
    bounds = [len(own.keys) for own in rows]
    expected = logistic_regression.clear(parameters, rows)
    opened = revealed(execute(parameters, rows, bounds, SHAPES[0], program=logistic_regression), 1)
    assert expected[-1] == opened[-1] == told
    alike(opened, expected, parameters)
    assert told or not any(opened)


@pytest.mark.parametrize("shape", SHAPES[:2], ids=lambda shape: f"m{shape.m}")
def test_what_is_sent_is_what_the_cost_says(shape: Shape) -> None:
    for columns, minimum, bounds in (([FORM, TWO], 4, [9, 5, 7]), ([TWO], 0, [40])):
        parameters = PARAMETERS | {"columns": [*columns, OUTCOME], "minimum_cell": minimum}
        rows = [people(3, parameters, bound)[0] for bound in bounds]
        cost = logistic_regression.cost(parameters, bounds, shape)
        parties = execute(parameters, rows, bounds, shape, ELEMENT_BYTES * cost.largest, logistic_regression)
        words = words_sent(parties)
        assert parties[0].engine.rounds == 1 + cost.rounds
        assert sum(words) - sum(words_sent(compute(shape, nothing))) == cost.elements
        assert max(words) <= cost.largest


def test_what_is_sent_depends_on_bounds_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: set[str] = set()
    allowed = Engine.opening

    def opening(rt: Engine, step: str) -> None:
        steps.add(step)
        allowed(rt, step)

    monkeypatch.setattr(Engine, "opening", opening)

    def ran(rows: Rows) -> list[Party]:
        return execute(CROSSED, rows, [60, 60], SHAPES[0], program=logistic_regression)

    told, empty = ran(counted(FULL, 2)), ran([EMPTY, EMPTY])
    assert revealed(told, 1)[-1] == 1 and not any(revealed(empty, 1))
    assert steps == set(logistic_regression.OPENS)
    assert [party.lengths for party in told] == [party.lengths for party in empty]


async def test_processes_that_may_open_no_file_compute_what_the_twin_says() -> None:
    rows = counted(FULL, 2)
    federation = Federation(logistic_regression, CROSSED, rows, [60, 60])
    alike(federation.result(await relayed(federation)), logistic_regression.clear(CROSSED, rows), CROSSED)


@pytest.mark.parametrize(("providers", "m"), [(1, 3), (12, 7)])
def test_a_job_of_as_many_rows_as_can_be_fits_into_frames(providers: int, m: int) -> None:
    columns = [{"name": name, "codes": [str(code) for code in range(size)]} for name, size in (("x", 16), ("y", 8))]
    columns.append({"name": "z", "codes": [str(code) for code in range(16)], "values": [*range(15), 2**16]})
    parameters = {**PARAMETERS, "columns": [*columns, OUTCOME], "minimum_cell": 0}
    bounds = [MAX_ROWS // providers] * providers
    federation = Federation(logistic_regression, parameters, [EMPTY] * providers, bounds, m)
    taken = job.read(json.dumps(federation.job(0)).encode())
    assert ELEMENT_BYTES * taken.cost.largest < MAX_FRAME
    assert taken.cost.rounds < 2500


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"test": "linear_regression"}, "test"),
        ({"rounding": 5}, "rounding"),
        ({"measures": []}, "measures"),
        ({"columns": OUTCOME}, "columns"),
        ({"columns": [OUTCOME]}, "columns"),
        ({"columns": [OUTCOME, FORM]}, "events"),
        ({"columns": [FORM, FORM]}, "columns"),
        ({"columns": [FORM, {**OUTCOME, "codes": []}]}, "columns.found.codes"),
        ({"columns": [FORM, {**OUTCOME, "events": [3]}]}, "columns.found.events"),
        ({"columns": [FORM, {**OUTCOME, "events": []}]}, "columns.found.events"),
        ({"columns": [FORM, {**OUTCOME, "events": [0, 1, 2]}]}, "columns.found.events"),
        ({"columns": [*({"name": f"{i}", "codes": list("abcdefg")} for i in range(4)), OUTCOME]}, "columns"),
    ],
)
def test_bad_parameters_are_refused_by_name(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InputRejected) as refused:
        logistic_regression.outputs(PARAMETERS | changes)
    assert refused.value.field == field


def test_bad_rows_are_refused_by_name() -> None:
    for codes, field in (((4, 0, 0), "form"), ((0, 0, 4), "outcome")):
        with pytest.raises(InputRejected) as refused:
            logistic_regression.encode(PARAMETERS, InputRows([1], [], [codes]), 2, secrets.token_bytes)
        assert refused.value.field == field
