"""The design of a regression: what its parameters say of covariates, which are columns with few values.

Invariants: everybody knows the design, so all that a fit takes from people are totals of its cells, the combinations of
values; who has no value in some column is in no cell. A column of codes makes an indicator for each code but the
first, the reference; one with `values` makes one term, its value less the least one. The intercept comes first: it is
of whoever has references and least values.

What of the design counts people is limited: everybody, each code, and each pair of codes of two columns, which are the
numbers in X'X. Each code has the minimum; each pair nobody or the minimum; and for every provider what is left without
that provider's people does (limits.py). Otherwise somebody who solves for X'X would get the people of a small cell.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, product
from math import gcd, prod
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from connectors.engine.cost import Cost, Shape, levels
from connectors.engine.errors import InputRejected
from connectors.engine.field import Array, inner_products
from connectors.engine.limits import Limits, kept, kept_clear, kept_cost
from connectors.engine.programs.cells import Columns
from connectors.engine.programs.parameters import MAX_CELLS, known, strings
from connectors.engine.rows import InputRows, Parameters

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

MAX_COVARIATES = 12
MAX_COEFFICIENTS = 32
MAX_RANGE = 1 << 16  # of a column's values, in their greatest common step
Counts = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Design:
    """Names and codes of the columns; of each, no values, or that of each code (None: whoever has it is left out)."""

    columns: Columns
    values: tuple[tuple[int | None, ...] | None, ...]

    @cached_property
    def taken(self) -> tuple[tuple[int, ...], ...]:
        """Of each column the codes of the design."""
        return tuple(
            tuple(range(size)) if values is None else tuple(i for i, value in enumerate(values) if value is not None)
            for size, values in zip(self.columns.sizes, self.values, strict=True)
        )

    @property
    def cells(self) -> int:
        return prod(map(len, self.taken))

    @property
    def bits(self) -> int:
        """Of a cell's number, or of `cells`, for whoever is in none."""
        return levels(self.cells + 1)

    @cached_property
    def numbers(self) -> dict[tuple[int, ...], int]:
        """Of each cell, by its codes' indices."""
        return {codes: number for number, codes in enumerate(product(*self.taken))}

    @cached_property
    def matrix(self) -> npt.NDArray[np.int64]:
        """[C, k]: the design matrix, over cells, the least value of each column being 0."""
        grid = np.array(list(self.numbers), dtype=np.int64)
        terms = [np.ones(self.cells, dtype=np.int64)]
        for column, (codes, values) in enumerate(zip(self.taken, self.values, strict=True)):
            if values is None:
                terms += [(grid[:, column] == code).astype(np.int64) for code in codes[1:]]
            else:
                least, step = self.scale(column)
                terms.append(np.array([((values[code] or 0) - least) // step for code in grid[:, column]]))
        return np.stack(terms, axis=1)

    def scale(self, column: int) -> tuple[int, int]:
        """The least value of a column that has values, and their greatest common step."""
        known_values = sorted(value for value in self.values[column] or () if value is not None)
        return known_values[0], gcd(*(value - known_values[0] for value in known_values))

    @property
    def ranges(self) -> list[int]:
        """Of each term, its largest value."""
        return [int(largest) for largest in self.matrix.max(axis=0)]

    @property
    def coded(self) -> list[bool]:
        """Of each term, whether it is an indicator."""
        out = [False]
        for codes, values in zip(self.taken, self.values, strict=True):
            out += [True] * (len(codes) - 1) if values is None else [False]
        return out

    @cached_property
    def margins(self) -> tuple[npt.NDArray[np.uint64], int]:
        """[G, C]: which cells make everybody, each code, and each pair of codes; and how many of the G are pairs."""
        grid = np.array(list(self.numbers), dtype=np.int64)
        each = [
            [grid[:, column] == code for code in codes]
            for column, (codes, values) in enumerate(zip(self.taken, self.values, strict=True))
            if values is None
        ]
        ones = [np.ones(self.cells, dtype=bool), *(code for column in each for code in column)]
        pairs = [one & other for left, right in combinations(each, 2) for one in left for other in right]
        return np.stack([*ones, *pairs]).astype(np.uint64), len(pairs)

    def check(self, rows: InputRows) -> None:
        """That each row has a code of each column, or the number after its last. Raises InputRejected."""
        replace(self.columns, codes=tuple((*codes, "") for codes in self.columns.codes)).check(rows)


def read_design(parameters: Parameters) -> Design:
    """Raises InputRejected."""
    described = parameters.get("columns")
    if not isinstance(described, list | tuple) or not all(isinstance(column, dict) for column in described):
        raise InputRejected("columns", "is not a list of columns, each with a name and its codes")
    names = strings([column.get("name") for column in described], "columns", MAX_COVARIATES)
    codes, values = [], []
    for name, column in zip(names, described, strict=True):
        known(column, ("name", "codes", "values"))
        codes.append(strings(column.get("codes"), f"columns.{name}.codes", MAX_CELLS))
        values.append(_values(column["values"], name, len(codes[-1])) if "values" in column else None)
    design = Design(Columns(names, tuple(codes)), tuple(values))
    for name, taken in zip(names, design.taken, strict=True):
        if len(taken) < 2:
            raise InputRejected(f"columns.{name}", "has fewer than two codes or values, and nothing goes with that")
    if design.cells > MAX_CELLS:
        raise InputRejected("columns", f"make {design.cells} cells; at most {MAX_CELLS} are possible")
    if len(design.coded) > MAX_COEFFICIENTS:
        raise InputRejected("columns", f"make {len(design.coded)} terms; at most {MAX_COEFFICIENTS} are possible")
    if max(design.ranges) > MAX_RANGE:
        raise InputRejected("columns", f"have values more than {MAX_RANGE} steps apart; take a larger unit")
    return design


def _values(given: object, name: str, size: int) -> tuple[int | None, ...]:
    field = f"columns.{name}.values"
    if not isinstance(given, list | tuple) or len(given) != size:
        raise InputRejected(field, "does not have one entry for each code")
    if not all(value is None or (type(value) is int and abs(value) < 1 << 31) for value in given):
        raise InputRejected(field, "a value is not a whole number within 31 bits, or null")
    if len({value for value in given if value is not None}) < sum(value is not None for value in given):
        raise InputRejected(field, "names a value twice")
    return tuple(given)


async def margins_kept(rt: "Engine", design: Design, people: Array, rows: int, limits: Limits) -> Array:
    """Planes [S, G, 1], of each margin whether it is kept, in its first row; for people [1 + P, C] and, where it
    matters, of each of P parts that somebody may take away."""
    which, pairs = design.margins
    totals = inner_products(people, which)  # [1 + P, G]
    strict = _strict(limits)
    met, _ = await kept(rt, totals.T[:, :, None], rows, strict, lenient=0 if limits.zero_is_small else pairs)
    return met


def margins_kept_clear(design: Design, people: Counts, limits: Limits) -> bool:
    """Clear-text twin of `margins_kept`: whether all are."""
    which, pairs = design.margins
    totals = people @ which.T.astype(object)
    ends = {False: slice(0, len(which) - pairs), True: slice(len(which) - pairs, None)}
    return all(
        all(kept_clear(totals[0, own].tolist(), totals[1:, own].tolist(), _strict(limits), lenient=lenient))
        and (lenient or all(totals[0, own]))
        for lenient, own in ends.items()
        if totals[0, own].size
    ) and (not limits.zero_is_small or all(totals[0]))


def margins_kept_cost(shape: Shape, design: Design, parts: int, rows: int, limits: Limits) -> Cost:
    return kept_cost(shape, rows, 1, parts, _strict(limits), len(design.margins[0]))


def _strict(limits: Limits) -> Limits:
    """A code that nobody has says no more than a small one, and has no coefficient."""
    return replace(limits, minimum=max(limits.minimum, 1), zero_is_small=True)
