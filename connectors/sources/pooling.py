"""One provider's people, added up at home: where nobody is recognised across providers, its totals are all it shares.

Invariants: a person is counted once, on its first list and there at its first row, as where rows are linked at home
(linking.py); grouping and adding up are the data engine's, over columns that the description typed; who a row is is
known here by a key under a salt of this process, which leaves it as little as any row does.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain

import numpy as np
import numpy.typing as npt

from connectors.engine.rows import InputCells
from connectors.sources.files import Opened, Row
from connectors.sources.linking import coder, normal
from connectors.sources.snapshot import KNOWN_CELLS
from connectors.vocabularies.linkage import Linkage
from gateway.domain.dataset import Column

Places = npt.NDArray[np.int64]
_LINKAGE = Linkage(secrets.token_bytes(32))


@dataclass(frozen=True, slots=True)
class Adding:
    """What is added up of the numbers or `days` in a column: how far they are above `least`, and the squares of that,
    where `squares` are asked for. A day is how many days it is after the first of 1970."""

    column: str
    least: int
    squares: bool = False
    days: bool = False

    @property
    def totals(self) -> int:
        """How many of each cell: how many people have a number, and the sums."""
        return 2 + self.squares

    def sql(self, name: str) -> list[str]:
        number = f"date_diff('day', DATE '1970-01-01', {name})" if self.days else name
        above = f"({number} - ({self.least}))"
        return [f"count({name})", f"sum({above})", f"sum({above} * {above})"][: self.totals]


@dataclass(frozen=True, slots=True)
class Persons:
    """Who rows are: a key for each, equal where it is the same person, and the row's number in its file, from 0.
    `different` says that no person is in the file twice."""

    keys: npt.NDArray[np.uint64]
    places: Places
    different: bool

    def at(self, places: Places) -> Persons:
        return Persons(self.keys[places], places, self.different)


def persons(rows: Iterable[Sequence[str | int | None]], columns: Sequence[Column]) -> Persons:
    """All rows of a file, by these cells of each. Raises SourceError for a cell that cannot be normalised."""
    known = [lru_cache(KNOWN_CELLS, typed=True)(partial(normal, column=column)) for column in columns]
    keys = (_LINKAGE.key([of_cell(cell) for of_cell, cell in zip(known, row, strict=True)]) for row in rows)
    found = np.fromiter(keys, dtype=np.uint64)
    return Persons(found, np.arange(len(found)), len(np.unique(found)) == len(found))


def again(lists: Sequence[Persons]) -> list[Places]:
    """For each list, the places of the rows of people who are on a list before, or on this one in a row before."""
    if len(lists) == 1 and lists[0].different:
        return [lists[0].places[:0]]
    _, first = np.unique(np.concatenate([one.keys for one in lists]), return_index=True)
    repeated = np.ones(sum(len(one.keys) for one in lists), dtype=bool)
    repeated[first] = False
    each = np.split(repeated, np.cumsum([len(one.keys) for one in lists])[:-1])
    return [one.places[here] for one, here in zip(lists, each, strict=True)]


def grouped(opened: Opened, cells: str, columns: int, measured: Sequence[Adding], without: Places) -> list[Row]:
    """Groups of the rows that `cells` selects: as `c0` and so on the columns to group by, as `m0` and so on those that
    are measured, as `kept` whether it counts, and as `place` its number; but for those at the places `without`."""
    groups = [f"c{number}" for number in range(columns)]
    sums = [sum_ for number, adding in enumerate(measured) for sum_ in adding.sql(f"m{number}")]
    others = " AND place NOT IN (SELECT unnest($1::BIGINT[]))" if len(without) else ""
    # Nothing in it but names of its own, whole numbers, and what ibis made of the description.
    wanted = ", ".join([*groups, "count(*)", *sums])
    statement = f"SELECT {wanted} FROM ({cells}) WHERE kept{others} GROUP BY ALL"  # noqa: S608
    rows: list[Row] = opened.engine.con.execute(statement, [without.tolist()] if len(without) else None).fetchall()
    return rows


def totals(
    lists: Sequence[Sequence[Row]],
    columns: Sequence[Column],
    edges: Sequence[Sequence[str | int]],
    chosen: Sequence[Sequence[str]],
    measured: Sequence[Adding],
) -> InputCells:
    """What comes of `grouped` of each list: totals of each combination of codes that anybody has, in the order of
    codes. These are those that rows have where they are linked at home (linking.py), by `edges` and `chosen` codes: one
    more for whoever has none of them, so that programs say of both alike who counts where. Raises SourceError for a
    code outside its list."""
    coders = [coder(column, bounds, codes) for column, bounds, codes in zip(columns, edges, chosen, strict=True)]
    made: dict[tuple[int, ...], list[int]] = {}
    for group in chain.from_iterable(lists):
        cells, amounts = group[: len(coders)], group[len(coders) :]
        codes = tuple([code(cell) for code, cell in zip(coders, cells, strict=True)])
        before = made.get(codes, [0] * len(amounts))
        made[codes] = [total + int(amount or 0) for total, amount in zip(before, amounts, strict=True)]
    rows = 1 + sum(adding.totals for adding in measured)
    own = sorted(made)
    return InputCells(own, np.array([made[codes] for codes in own], dtype=np.uint64).reshape(-1, rows).T)
