"""A program that measures, in the place of `overlap`, so that real gateways and agents carry what it sends.

What is measured stands in the contract: the row's number, as the minimum cell. The figures are the result: as many
cells as five lists have patterns. Parties agree on the figures, so each "shares" them as constants.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from types import ModuleType

import numpy as np

from connectors.engine import programs
from connectors.engine.cost import Cost, Shape
from connectors.engine.field import Array
from connectors.engine.programs import overlap
from connectors.engine.rows import InputRows, Parameters, TokenBytes, Words
from connectors.engine.runtime import Engine
from connectors.engine.sharing import open_
from tests.bench.engine.measuring import Measured, measure, most
from tests.bench.engine.operations import ROWS, Row

NAME = "overlap"
VERSION = overlap.VERSION
LEAKAGE = "Everything: it computes on public numbers."
OPENS = None
LISTS = 5
CELLS = 2**LISTS - 1
BASE = 100  # added to a row's number: above every minimum that a policy asks for
# No cell may count more people than there are: figures are cut into digits of so many bits.
DIGIT, DIGITS = 11, 4
LARGEST = 1 << 22  # elements of one message


def install() -> None:
    """Make this process know it as `overlap`."""
    own: ModuleType = sys.modules[__name__]
    programs.PROGRAMS[NAME] = own


def words(parameters: Parameters) -> int:
    return 1


def outputs(parameters: Parameters) -> int:
    return 2 * CELLS


def encode(parameters: Parameters, rows: InputRows, bound: int, token_bytes: TokenBytes) -> Words:
    return np.zeros((1, bound), dtype=np.uint64)


def cost(parameters: Parameters, bounds: Sequence[int], shape: Shape) -> Cost:
    return Cost(1000, LARGEST, LARGEST)


async def run(rt: Engine, parameters: Parameters, inputs: Sequence[Array]) -> Array:
    await open_(rt, np.zeros(1, dtype=np.uint64), "bench: start")
    opened = time.monotonic_ns() // 1000
    figures = [await most(rt, opened)]
    number = int(str(parameters["minimum_cell"])) - BASE
    if number:
        row = ROWS[number - 1]
        measured = await measure(rt, row.operation, row.n, row.repeats)
        taken = min(measured.seconds), statistics.median(measured.seconds), max(measured.seconds)
        figures += [measured.rounds, measured.sent, int(measured.right), *(int(1e6 * one) for one in taken)]
    digits = [figure >> DIGIT * place & (1 << DIGIT) - 1 for figure in figures for place in range(DIGITS)]
    return np.array([*digits, *[0] * (CELLS - len(digits)), *[1] * CELLS], dtype=np.uint64)


def minimum_cell(row: Row | None) -> int:
    """What a contract says to have this row measured; None measures the start of a session alone."""
    return BASE + (0 if row is None else 1 + ROWS.index(row))


def read(cells: Sequence[int], row: Row | None) -> tuple[float, Measured | None]:
    """When the first value was open (seconds of the machine's running clock), and the row's figures: of all its runs
    the quickest, the median and the slowest."""
    opened, rounds, sent, right, *taken = (
        sum(digit << DIGIT * place for place, digit in enumerate(cells[start : start + DIGITS]))
        for start in range(0, CELLS - CELLS % DIGITS, DIGITS)
    )
    if row is None:
        return opened / 1e6, None
    return opened / 1e6, Measured(row.operation, row.n, [one / 1e6 for one in taken], rounds, sent, bool(right))
