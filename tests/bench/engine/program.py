"""A program that measures, in the place of `overlap`, so that real gateways and agents carry what it sends.

What is measured stands in the contract: the row's number, as the minimum cell. The figures are the result: as many
cells as lists have patterns. Five lists have enough for a row's figures, three for when a session had begun. Parties
agree on the figures, so each "shares" them as constants.
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
from tests.bench.engine.operations import ROWS, START, Row

NAME = "overlap"
VERSION = overlap.VERSION
LEAKAGE = "Everything: it computes on public numbers."
BASE = 100  # added to a row's number: above every minimum that a policy asks for
# No cell may count more people than there are: figures are cut into digits of so many bits.
DIGIT, DIGITS = 10, 5
LARGEST = 1 << 22  # elements of one message


class Anything:
    """What it declares to open: a measured operation may be any."""

    def __contains__(self, step: object) -> bool:
        return True

    def items(self) -> tuple[tuple[str, str], ...]:
        """What an offer says of it."""
        return ()


OPENS = Anything()
ABOUT = overlap.ABOUT  # in whose place it stands


def install() -> None:
    """Make this process know it as `overlap`."""
    own: ModuleType = sys.modules[__name__]
    programs.PROGRAMS[NAME] = own


def words(parameters: Parameters) -> int:
    return 1


def outputs(parameters: Parameters) -> int:
    lists = parameters["lists"]
    return 2 * (2 ** len(lists) - 1) if isinstance(lists, list | tuple) else 0


def encode(parameters: Parameters, rows: InputRows, bound: int, token_bytes: TokenBytes) -> Words:
    return np.zeros((1, bound), dtype=np.uint64)


def cost(parameters: Parameters, bounds: Sequence[int], shape: Shape) -> Cost:
    return Cost(1000, LARGEST, LARGEST)


def noise_words(parameters: Parameters) -> int:
    return 0


async def run(rt: Engine, parameters: Parameters, inputs: Sequence[Array], uniform: Sequence[Array] = ()) -> Array:
    await open_(rt, np.zeros(1, dtype=np.uint64), "bench: start")
    opened = time.monotonic_ns() // 1000
    figures = [await most(rt, opened)]
    row = ROWS[int(str(parameters["minimum_cell"])) - BASE]
    if row is not START:
        found = await measure(rt, row.operation, row.n, row.repeats)
        taken = min(found.seconds), statistics.median(found.seconds), max(found.seconds)
        figures += [2 * found.rounds + found.right, found.sent, *(int(1e6 * one) for one in taken)]
    digits = [figure >> DIGIT * place & (1 << DIGIT) - 1 for figure in figures for place in range(DIGITS)]
    cells = outputs(parameters) // 2
    return np.array([*digits, *[0] * (cells - len(digits)), *[1] * cells], dtype=np.uint64)


def minimum_cell(row: Row) -> int:
    """What a contract says to have this row measured."""
    return BASE + ROWS.index(row)


def started(cells: Sequence[int]) -> float:
    """When the first value was open, in seconds of the machine's running clock."""
    return _figures(cells)[0] / 1e6


def measured(cells: Sequence[int], row: Row) -> Measured:
    """The row's figures: of all its runs the quickest, the median and the slowest."""
    _, rounds, sent, *taken = _figures(cells)
    return Measured(row.operation, row.n, [one / 1e6 for one in taken], rounds // 2, sent, bool(rounds % 2))


def _figures(cells: Sequence[int]) -> list[int]:
    return [
        sum(digit << DIGIT * place for place, digit in enumerate(cells[start : start + DIGITS]))
        for start in range(0, len(cells) - len(cells) % DIGITS, DIGITS)
    ]
