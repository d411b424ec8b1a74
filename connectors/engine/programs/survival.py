"""How long it takes until something happens to people, each once across all providers, where of some it is known only
that it had not happened yet: the curve of those who are left, by groups, and whether two groups differ.

Owners sort each person at home into one of K intervals of time, and whether it ends with the event or without (who is
*censored* in an interval was at risk in all of it). Whoever has no place in the question is dropped there, before
anything is shared. An owner's row is the place ((group K + interval) 2 + event), the event 1, in binary.

Route: link rows by key (linking.py); a person is counted at its first row; places are counted for all people and for
those of each provider; who is at risk in an interval is the sum over it and all later ones; limits on the numbers at
risk (tables.py); curve and test (life_tables.py). Nothing is opened but what linking opens.

Output: for each cell, row-major by group and interval, the part S that is left after the interval, in steps; then for
each whether it is told: while somebody is at risk, and the numbers at risk pass the limits on counts of people. With
`log_rank`, for two groups, then the statistic of the test in units of 1 / 64 and whether it is told: if both groups'
numbers at risk at the start pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.arithmetic import multiply
from connectors.engine.compare import zero_field, zero_field_cost
from connectors.engine.convert import to_field, to_field_cost
from connectors.engine.cost import Cost, Shape, levels
from connectors.engine.counting import count_first_rows, count_first_rows_cost, parts_of, parts_with
from connectors.engine.errors import InputRejected
from connectors.engine.field import Array, add, sub
from connectors.engine.life_tables import (
    MAX_INTERVALS,
    curves,
    curves_clear,
    curves_cost,
    log_rank,
    log_rank_clear,
    log_rank_cost,
)
from connectors.engine.limits import Limits, limited, limited_clear, limited_cost
from connectors.engine.linking import OPENS as LINKING_OPENS
from connectors.engine.linking import link, link_clear, link_cost
from connectors.engine.programs.about import About
from connectors.engine.programs.cells import Columns, read_columns
from connectors.engine.programs.noiseless import noise_words as noise_words
from connectors.engine.programs.noiseless import own_noise as own_noise
from connectors.engine.programs.parameters import known
from connectors.engine.programs.parameters import limits as read_limits
from connectors.engine.rows import InputRows, Parameters, TokenBytes, Words, check_rows, pack, words_per_row
from connectors.engine.sharing import reshare, reshare_cost

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

NAME = "survival"
VERSION = 1
OPENS = LINKING_OPENS
LEAKAGE = (
    "Parties learn the row bounds of the providers and the parameters, nothing of the rows. "
    "Recipients learn, for each group and interval, what part of the people in the question has come through it "
    "without the event, in public steps, or that it is not told, which says that few are still at risk, or few of them "
    "without one provider's own people; with two groups, how strongly their curves differ. Two parts after each other "
    "say what part of those at risk had the event in an interval: where few are at risk, one person's event moves the "
    "part by more than a step and is seen."
)
ABOUT = About(
    title="Time until an event, with people of whom only a part of it is known",
    inputs="A row for each person who has a place in the question: a linkage key of 60 bits and the index of group, "
    "interval and whether the event ends it; padded to a public bound.",
    outputs="For each group and interval, row-major, what part is left, in steps; then for each whether it is told; "
    "with two groups, if asked for, the log-rank statistic in units of 1 / 64 and whether it is told.",
    takes=f"up to four groups and {MAX_INTERVALS} intervals",
    formula="For n rows of P providers: what group_count costs for twice as many cells, up to the limits; then "
    "three steps of Newton for a reciprocal of each number at risk, ceil(log2 intervals) products of pairs and a "
    "rounding; for the test three reciprocals for each interval and one more, in the number of cells alone.",
    sampled="2 groups, 12 intervals, the test, least cell 11",
    sample={
        "columns": [{"name": "g", "codes": ["a", "b"]}, {"name": "i", "codes": [str(k) for k in range(12)]}],
        "log_rank": True,
        "minimum_cell": 11,
    },
)
MAX_GROUPS, MAX_STEPS = 4, 1000


@dataclass(frozen=True, slots=True)
class _Query:
    """`steps`: the curve is told in whole parts of so many. Where nobody is at risk nothing is told: zero is small."""

    columns: Columns
    log_rank: bool
    steps: int
    limits: Limits

    @property
    def intervals(self) -> int:
        return self.columns.sizes[-1]

    @property
    def groups(self) -> int:
        return self.columns.cells // self.intervals

    @property
    def cells(self) -> int:
        return self.columns.cells

    @property
    def places(self) -> range:
        return range(2 * self.cells)

    @property
    def bits(self) -> int:
        """Of a row's payload."""
        return levels(2 * self.cells)


def _read(parameters: Parameters) -> _Query:
    known(parameters, ("columns", "log_rank", "steps", "minimum_cell", "zero_is_small"))
    columns = read_columns(parameters)
    *groups, intervals = columns.sizes
    if len(groups) > 1 or intervals > MAX_INTERVALS or (groups and groups[0] > MAX_GROUPS):
        raise InputRejected(
            "columns",
            f"are not one of at most {MAX_INTERVALS} intervals, and before it one of at most {MAX_GROUPS} groups",
        )
    test = parameters.get("log_rank", False)
    if not isinstance(test, bool) or (test and groups != [2]):
        raise InputRejected("log_rank", "is neither true, with two groups, nor false")
    steps = parameters.get("steps", 100)
    if type(steps) is not int or not 1 <= steps <= MAX_STEPS:
        raise InputRejected("steps", f"is not a whole number from 1 to {MAX_STEPS}")
    limits = read_limits(parameters, columns.cells)
    return _Query(columns, test, steps, replace(limits, zero_is_small=True))


def words(parameters: Parameters) -> int:
    """Words of bits per input row."""
    return words_per_row(_read(parameters).bits)


def outputs(parameters: Parameters) -> int:
    query = _read(parameters)
    return 2 * query.cells + 2 * query.log_rank


def encode(parameters: Parameters, rows: InputRows, bound: int, token_bytes: TokenBytes) -> Words:
    """A provider's rows as [C, bound] words of bits, those without a place left out. Raises InputRejected, naming the
    field.
    """
    query = _read(parameters)
    check_rows(rows, bound)
    if len(rows.codes) != len(rows.keys):
        raise InputRejected("codes", "does not have one entry per row")
    if any(len(codes) != 1 or not -1 <= codes[0] < 2 * query.cells for codes in rows.codes):
        raise InputRejected("codes", f"a row does not have one place below {2 * query.cells}, or -1 for none")
    placed = _placed(rows)
    payload = np.array([place for (place,) in placed.codes], dtype=np.uint64)
    return pack(placed.keys, payload, query.bits, bound, token_bytes)


def _placed(rows: InputRows) -> InputRows:
    """Those who have a place in the question."""
    here = [i for i, (place,) in enumerate(rows.codes) if place >= 0]
    return InputRows([rows.keys[i] for i in here], [], [rows.codes[i] for i in here])


async def run(rt: "Engine", parameters: Parameters, inputs: Sequence[Array], uniform: Sequence[Array] = ()) -> Array:
    """Output shares from the providers' input shares, in the contract's order."""
    query, rows = _read(parameters), sum(shares.shape[-1] for shares in inputs)
    people = await link(rt, inputs, query.bits, query.limits, uniform)
    counts = await count_first_rows(rt, people, query.places, query.limits, len(inputs), "survival")
    table = counts.reshape(len(counts), query.groups, query.intervals, 2)
    events, at_risk = table[0, ..., 1], _at_risk(add(table[..., 0], table[..., 1]))
    tested = [at_risk[0].reshape(-1)]
    if query.log_rank:
        everybody = add(*at_risk[0])
        tested += [everybody, sub(everybody, 1)]
    empty, none, one = np.split(await _zeros(rt, np.concatenate(tested), rows), _ends(query))
    empty = empty.reshape(at_risk.shape[1:])
    told = sub(1, empty).reshape(-1)
    if not query.limits.exact:
        told = (await limited(rt, at_risk.reshape(len(at_risk), -1), rows, query.limits))[query.cells :]
    width = _width(rows)
    values, flags = (await curves(rt, at_risk[0], events, empty, width, query.steps)).reshape(-1), told
    if query.log_rank:
        test = await log_rank(rt, at_risk[0], events, none, one, width)
        first = told[:: query.intervals]
        started = await multiply(rt, first[:1], first[1:], "survival: both groups")
        values, flags = np.concatenate([values, test]), np.concatenate([flags, started])
    values = await multiply(rt, values, flags, "survival: suppress")
    flags = await reshare(rt, flags, "survival: fresh shares")
    cells = query.cells
    return np.concatenate([values[:cells], flags[:cells], values[cells:], flags[cells:]])


def _at_risk(ending: Array) -> Array:
    """Sums [..., K] over each interval and all later ones; local."""
    out = ending.copy()
    for interval in reversed(range(out.shape[-1] - 1)):
        out[..., interval] = add(out[..., interval], out[..., interval + 1])
    return out


def _ends(query: _Query) -> list[int]:
    """Where numbers that are tested for zero end: of cells, and twice of intervals where groups are tested."""
    return [query.cells, query.cells + query.intervals * query.log_rank]


async def _zeros(rt: "Engine", x: Array, rows: int) -> Array:
    """Field shares of whether each number is 0."""
    plane = await zero_field(rt, x, _width(rows), "survival: nobody")
    (found,) = await to_field(rt, plane[:, None], x.size, "survival: nobody")
    return np.asarray(found)


def _width(rows: int) -> int:
    """Bits of a number of people."""
    return max(2, rows.bit_length())


def clear(
    parameters: Parameters, providers: Sequence[InputRows], uniform: Sequence[Words] = (), bounds: Sequence[int] = ()
) -> list[int]:
    """Clear-text twin of `run`. The contract's row `bounds` say how finely it computes, which shows in a last place
    alone; without them there are as many rows as people.
    """
    query = _read(parameters)
    placed = [_placed(rows) for rows in providers]
    counts = np.zeros((2 * len(placed), query.groups, query.intervals, 2), dtype=np.int64)
    flat = counts.reshape(len(counts), -1)
    for person in link_clear(placed):
        first, row = next(iter(person.items()))
        flat[[0, *(1 + part for part in parts_with(person, len(placed)))], placed[first].codes[row][0]] += 1
    at_risk = counts.sum(axis=-1)[..., ::-1].cumsum(axis=-1)[..., ::-1]
    numbers: list[list[list[int]]] = at_risk.reshape(len(at_risk), query.groups, -1).tolist()
    events: list[list[int]] = counts[0, ..., 1].tolist()
    told = [int(n > 0) for row in numbers[0] for n in row]
    if not query.limits.exact:
        every, *parts = at_risk.reshape(len(at_risk), -1).tolist()
        told = limited_clear(every, parts, query.limits)[query.cells :]
    width = _width(sum(bounds or [max(1, len(rows.keys)) for rows in providers]))
    out = [s * flag for s, flag in zip(curves_clear(numbers[0], events, width, query.steps), told, strict=True)] + told
    if query.log_rank:
        started = told[0] * told[query.intervals]
        out += [log_rank_clear(numbers[0], events, width) * started, started]
    return out


def cost(parameters: Parameters, bounds: Sequence[int], shape: Shape) -> Cost:
    """What `run` costs for providers with these row bounds."""
    query, n, providers = _read(parameters), sum(bounds), len(bounds)
    cells, test = query.cells, query.log_rank
    out = link_cost(shape, n, query.bits, providers, query.limits)
    out += count_first_rows_cost(shape, n, query.bits, query.places, query.limits, providers)
    tested = cells + 2 * query.intervals * test
    out += zero_field_cost(shape, _width(n), tested) + to_field_cost(shape, 1, tested)
    if not query.limits.exact:
        out += limited_cost(shape, n, cells, parts_of(providers, query.limits), query.limits)
    out += curves_cost(shape, query.groups, query.intervals, _width(n), query.steps)
    if test:
        out += log_rank_cost(shape, query.intervals, _width(n)) + reshare_cost(shape, 1)
    return out + reshare_cost(shape, cells + test).times(2)
