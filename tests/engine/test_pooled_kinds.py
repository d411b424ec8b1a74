"""What is computed of totals that providers make at home is what is computed of rows, where nobody is on two lists; and
totals that no records have end a session."""

import asyncio
import itertools
import random
import secrets
from typing import Any

import numpy as np
import pytest

from connectors.engine.cost import Shape
from connectors.engine.errors import Abort, InputRejected, SessionAborted
from connectors.engine.programs import PROGRAMS
from connectors.engine.rows import MAX_ROWS, InputCells, InputRows
from connectors.engine.runtime import Engine
from gateway.rules.sharing import P
from tests.engine.harness import SHAPES, engines, revealed
from tests.engine.packed import shared_words
from tests.engine.stocked import compute
from tests.engine.test_chi_square import execute, words_sent
from tests.engine.test_pooled import at_home

Codes = tuple[int, ...]
SEX = {"name": "sex", "codes": ["F", "M"]}
FORM = {"name": "form", "codes": ["a", "b"]}
OUTCOME = {"name": "age", "least": 10, "most": 40, "squares": True}
GRID = {"name": "age", "intervals": 8}
# Of each kind the parameters, how many codes rows have in each column, with one more for whoever counts nowhere, and
# the outcome, if there is one.
KINDS: dict[str, tuple[dict[str, Any], tuple[int, ...], dict[str, Any] | None]] = {
    "quantiles": ({"columns": [SEX], "grid": GRID, "at": [0, 25, 50, 100], "minimum_cell": 2}, (2, 9), None),
    "group_count": (
        {
            "columns": [{"name": "age", "codes": ["low", "mid", "high", "none"]}, SEX],
            "grid": GRID,
            "edges_at": [30, 60],
            "minimum_cell": 3,
        },
        (9, 2),
        None,
    ),
    "t_test": ({"test": "t_test", "columns": [SEX], "grid": GRID, "minimum_cell": 3}, (3, 9), None),
    "chi_square": ({"test": "chi_square", "columns": [SEX, FORM], "minimum_cell": 3}, (3, 3), None),
    "linear_regression": (
        {"test": "linear_regression", "columns": [SEX, FORM], "measures": [OUTCOME], "minimum_cell": 3},
        (3, 3),
        OUTCOME,
    ),
    "logistic_regression": (
        {
            "test": "logistic_regression",
            "columns": [SEX, FORM, {"name": "found", "codes": ["no", "yes"], "events": [1]}],
            "minimum_cell": 3,
        },
        (3, 3, 3),
        None,
    ),
}
# Those whose last digits are not exact in MPC, or not in the twin.
CLOSE = {"chi_square": 2, "linear_regression": 2, "logistic_regression": 2}
kinds = pytest.mark.parametrize("kind", KINDS)


def strangers(kind: str, seed: int, *people: int) -> list[InputRows]:
    """Providers with so many people each, of whom they have nobody in common."""
    rng, (_, sizes, outcome) = random.Random(seed), KINDS[kind]
    out, key = [], itertools.count()
    for count in people:
        codes = [tuple(rng.randrange(size) for size in sizes) for _ in range(count)]
        values = [(rng.choice([None, *range(10, 41)]),) for _ in codes] if outcome else ()
        out.append(InputRows([next(key) for _ in codes], [], codes, values))
    return out


def summed(kind: str, rows: InputRows) -> InputCells:
    outcome = KINDS[kind][2]
    return at_home(rows, [outcome] if outcome else ())


def unlinked(kind: str) -> dict[str, Any]:
    return {**KINDS[kind][0], "linked": False}


@kinds
@pytest.mark.parametrize("minimum", [0, 3, 9])
def test_of_strangers_totals_say_what_rows_say(kind: str, minimum: int) -> None:
    program, told = PROGRAMS[kind], 0
    for seed in range(12):
        rows = strangers(kind, seed, *random.Random(seed).choices([5, 60, 400], k=1 + seed % 3))
        parameters = {**KINDS[kind][0], "minimum_cell": minimum}
        found = program.clear({**parameters, "linked": False}, [summed(kind, own) for own in rows])
        assert found == program.clear(parameters, rows)
        told += any(found)
    assert told


@kinds
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bounds", [[330, 200, 255], [MAX_ROWS // 2] * 2], ids=["few", "many"])
def test_a_session_on_totals_comes_to_what_its_twin_says_at_the_cost_that_is_said(
    kind: str, bounds: list[int], shape: Shape
) -> None:
    program = PROGRAMS[kind]
    given = [summed(kind, own) for own in strangers(kind, 3, *(320, 200, 250)[: len(bounds)])]
    parties = execute(unlinked(kind), given, bounds, shape, program=program)
    result = revealed(parties, shape.t)
    more = {"bounds": bounds} if kind == "t_test" else {}
    expected = program.clear(unlinked(kind), given, **more)
    assert any(expected) and len(result) == program.outputs(unlinked(kind))
    assert result[-1:] == expected[-1:]
    off = max(abs(a - b) for a, b in zip(signed(result), signed(expected), strict=True))
    assert off <= CLOSE.get(kind, 0)
    said, idle = program.cost(unlinked(kind), bounds, shape), compute(shape, nothing)
    assert parties[0].engine.rounds == 1 + said.rounds
    assert sum(words_sent(parties)) - sum(words_sent(idle)) == said.elements
    assert max(words_sent(parties)) <= said.largest


async def nothing(rt: Engine) -> None:
    return None


def signed(values: list[int]) -> list[int]:
    return [value - P if value > P // 2 else value for value in values]


def ended(kind: str, put_in: list[list[Any]]) -> list[SessionAborted]:
    """How a session ends at those parties that see why; `put_in` has each provider's shares for each of them."""

    async def all_run() -> list[object]:
        parties = engines(SHAPES[0])

        async def one(party: Any) -> object:
            await party.engine.start()
            try:
                return await PROGRAMS[kind].run(party.engine, unlinked(kind), [own[party.engine.pid] for own in put_in])
            except SessionAborted:  # then its agent ends the session everywhere
                for other in parties:
                    other.engine.fail(SessionAborted(Abort.DEADLINE, "the test's"))
                raise

        return await asyncio.gather(*(one(party) for party in parties), return_exceptions=True)

    found = asyncio.run(all_run())
    assert all(isinstance(one, SessionAborted) for one in found), found
    return [one for one in found if isinstance(one, SessionAborted) and one.reason is not Abort.DEADLINE]


@kinds
def test_totals_that_no_records_within_the_bound_have_end_the_session(kind: str) -> None:
    """Each cell could be one provider's, but not all of them: limits on what cells add up to would not hold."""
    program, bound = PROGRAMS[kind], 31
    honest = program.encode(unlinked(kind), summed(kind, strangers(kind, 1, 20)[0]), bound, secrets.token_bytes)
    pooled, ones = program.pooled(unlinked(kind)), np.uint64((1 << 64) - 1)
    cells = np.packbits(np.arange(64) < pooled.cells, bitorder="little").view("<u8").astype(np.uint64)
    most = np.zeros_like(honest)
    most[: bound.bit_length()] = ones & cells
    failures = ended(kind, [shared_words(SHAPES[0], words) for words in (honest, most)])
    assert {(failure.reason, failure.culprit) for failure in failures} == {(Abort.BAD_INPUT, None)}
    assert all("provider 1 " in failure.detail for failure in failures)


def test_a_sum_that_the_records_of_its_cell_cannot_have_ends_the_session() -> None:
    program, kind = PROGRAMS["linear_regression"], "linear_regression"
    totals = np.array([[3, 3, 3, 0], [3, 3, 3, 0], [9, 9, 90, 0], [27, 27, 2700, 0]], dtype=np.uint64)
    given = InputCells([(0, 0), (0, 1), (1, 0), (1, 1)], totals)
    honest = program.encode(unlinked(kind), given, 15, secrets.token_bytes)
    for cell, bit in ((3, 0), (2, 8)):  # of nobody, and of three people 256 more than the 90 that they can have
        false = honest.copy()
        false[4 + bit] |= np.uint64(1 << cell)
        failures = ended(kind, [shared_words(SHAPES[0], words) for words in (honest, false)])
        assert {failure.reason for failure in failures} == {Abort.BAD_INPUT}
    given.totals[2, 2] += np.uint64(1)
    with pytest.raises(InputRejected, match="more than 30 for a record"):
        program.encode(unlinked(kind), given, 15, secrets.token_bytes)


@kinds
def test_shares_of_totals_that_differ_within_a_group_end_the_session(kind: str) -> None:
    program = PROGRAMS[kind]
    words = program.encode(unlinked(kind), summed(kind, strangers(kind, 1, 20)[0]), 31, secrets.token_bytes)
    put_in = [shared_words(SHAPES[0], words) for _ in range(2)]
    put_in[1][2][-1, 0, 0] ^= np.uint64(1)
    failures = ended(kind, put_in)
    assert {(failure.reason, failure.culprit) for failure in failures} == {(Abort.INCONSISTENT_SHARES, None)}
