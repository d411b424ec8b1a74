"""A provider that shares what no honest one would is found before anything is computed on it."""

import asyncio
import secrets
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from connectors.engine.cost import Shape
from connectors.engine.errors import Abort, Culprit, SessionAborted
from connectors.engine.field import Array
from connectors.engine.programs import group_count, overlap
from connectors.engine.rows import KEY_COLUMNS, InputRows
from connectors.engine.wellformed import STEP
from gateway.rules.sharing import P
from tests.engine.harness import SHAPES, Party, engines, shared
from tests.engine.test_programs import GROUPS, LISTS

ROWS = InputRows([8, 9, 10], [1, 2, 3], [(0, 1), (1, 0), (0, 0)])
DUMMY = 3  # the row behind the three


def failures(
    program: ModuleType, parameters: dict[str, object], inputs: list[list[Array]], shape: Shape
) -> tuple[list[object], list[Party]]:
    async def all_run() -> tuple[list[object], list[Party]]:
        parties = engines(shape)

        async def one(rt: Party) -> object:
            await rt.engine.start()
            return await program.run(rt.engine, parameters, [shares[rt.engine.pid] for shares in inputs])

        return await asyncio.gather(*(one(party) for party in parties), return_exceptions=True), parties

    return asyncio.run(all_run())


def weighted_digit(matrix: Array) -> None:
    matrix[3, 0] = 5  # its position would be a weighted count of others' rows


def two_digits(matrix: Array) -> None:
    matrix[0:2, 0] = 1


def negative(matrix: Array) -> None:
    matrix[KEY_COLUMNS, 1] = P - 1


def somebody_in_a_dummy(matrix: Array) -> None:
    matrix[KEY_COLUMNS, DUMMY] = 1  # counted, and belonging to no provider


def real_twice(matrix: Array) -> None:
    matrix[-1, 0] = 2


def two_codes(matrix: Array) -> None:
    matrix[KEY_COLUMNS : KEY_COLUMNS + 2, 0] = 1


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"m{shape.m}")
@pytest.mark.parametrize(
    ("program", "parameters", "spoil"),
    [
        (program, parameters, spoil)
        for program, parameters in ((overlap, LISTS), (group_count, GROUPS))
        for spoil in (weighted_digit, two_digits, negative, somebody_in_a_dummy, real_twice, two_codes)
        if program is group_count or spoil is not two_codes
    ],
)
def test_rows_that_no_program_takes_end_the_session_and_name_the_provider(
    program: ModuleType, parameters: dict[str, object], spoil: Callable[[Array], None], shape: Shape
) -> None:
    matrices = [program.encode(parameters, ROWS, 5, secrets.token_bytes) for _ in range(2)]
    spoil(matrices[1])
    ended, parties = failures(program, parameters, [shared(shape, matrix) for matrix in matrices], shape)
    for failure, party in zip(ended, parties, strict=True):
        assert isinstance(failure, SessionAborted)
        assert (failure.reason, failure.culprit) == (Abort.BAD_INPUT, Culprit("provider", 1))
        assert {step for step, _, _ in party.seen} == {STEP}  # nothing was computed


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"m{shape.m}")
def test_shares_on_no_polynomial_of_degree_t_end_the_session(shape: Shape) -> None:
    inputs = [shared(shape, overlap.encode(LISTS, ROWS, 5, secrets.token_bytes)) for _ in range(2)]
    inputs[0][shape.m - 1][7, 2] ^= np.uint64(1)
    ended, _ = failures(overlap, LISTS, inputs, shape)
    assert all(isinstance(f, SessionAborted) and f.reason is Abort.INCONSISTENT_SHARES for f in ended)
