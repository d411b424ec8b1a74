"""Pearson's r: whether two numbers of the same people go together, in a line.

Output: r^2 in units of 2^-28 with zeros for all but its upper 8 bits, whether r is below zero, the degrees of freedom
n - 2 with zeros for all but their upper 7 bits, then whether it is told. 0 where it is not. No sum is put out.

Route: an owner works out at home, of each person of whom it knows both numbers, in which intervals of public grids they
lie, x and y, and x + y; whoever lacks one counts nowhere; what linked people add up to (summed.py); then all on these
sums (correlations.py). Nothing is opened but what linking opens: how many rows of a provider are out of order, and
comparisons of shuffled rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from connectors.engine.correlations import (
    MAX_LEVELS,
    OUTPUTS,
    correlation,
    correlation_clear,
    correlation_cost,
)
from connectors.engine.cost import Cost, Shape
from connectors.engine.errors import InputRejected
from connectors.engine.field import Array
from connectors.engine.linking import OPENS as LINKING_OPENS
from connectors.engine.programs.about import About
from connectors.engine.programs.cells import Columns
from connectors.engine.programs.measures import check_values, read_bounds
from connectors.engine.programs.noiseless import noise_words as noise_words
from connectors.engine.programs.noiseless import own_noise as own_noise
from connectors.engine.programs.parameters import known, known_of_test, strings
from connectors.engine.programs.parameters import limits as read_limits
from connectors.engine.programs.summed import (
    Summed,
    summed_people,
    summed_people_clear,
    summed_people_cost,
)
from connectors.engine.rows import InputRows, Parameters, TokenBytes, Words
from connectors.engine.sums import Measure

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

NAME = "correlation"
VERSION = 1
OPENS = LINKING_OPENS
LEAKAGE = (
    "Parties learn the row bounds of the providers and the parameters, nothing of the rows. "
    "Recipients learn Pearson's r of two numbers within a 256th of it, and its degrees of freedom, exact up to 127 and "
    "within a 64th beyond, "
    "or that it is not told, which says that few people have both, or few without one provider's own, or that all have "
    "one and the same. "
    "r of 1 or -1 says that all people are on one line."
)
ABOUT = About(
    title="Whether two numbers go together: Pearson's r",
    inputs="A row for each person: a linkage key of 60 bits, and whether both numbers are known, the intervals that "
    "they lie in, and the sum of these; padded to a public bound.",
    outputs="r^2 in units of 2^-28, its upper 8 bits; whether r is below zero; n - 2, its upper 7 bits; then whether "
    "it is told.",
    takes=f"two numbers between public bounds, each in up to {MAX_LEVELS} intervals; no dominance, rounding or noise",
    formula="For n rows of P providers, what group_sum costs for three measures and their squares in one cell, up to "
    "the limits; then, whatever n is, two ratios, one after the other.",
    sampled="two ages from 0 to 120, least number of people 11",
    sample={
        "test": NAME,
        "columns": [],
        "measures": [{"name": name, "least": 0, "most": 120, "step": 1} for name in ("first", "second")],
        "minimum_cell": 11,
    },
)


@dataclass(frozen=True, slots=True)
class _Query:
    """`given` is what owners know of people, between its bounds; `steps` the widths of the intervals."""

    given: tuple[Measure, ...]
    steps: tuple[int, ...]
    summed: Summed

    def worked_out(self, rows: InputRows) -> InputRows:
        """What an owner shares of its people: x, y and x + y, or none of them. Raises InputRejected."""
        if len(rows.values) == len(rows.keys):
            check_values(self.given, rows)
        return replace(rows, codes=[()] * len(rows.keys), values=list(map(self._worked_out, rows.values)))

    def _worked_out(self, values: Sequence[int | None]) -> tuple[int | None, ...]:
        whole = [value for value in values if value is not None]
        if len(whole) < len(values):
            return None, None, None
        x, y = ((v - m.least) // step for v, m, step in zip(whole, self.given, self.steps, strict=True))
        return x, y, x + y


def _read(parameters: Parameters) -> _Query:
    known_of_test(parameters, NAME, ("columns", "measures"))
    if parameters.get("columns") not in ([], ()):
        raise InputRejected("columns", "is not an empty list: people are taken together")
    described = parameters.get("measures")
    if not isinstance(described, list | tuple) or not all(isinstance(measure, dict) for measure in described):
        raise InputRejected("measures", "is not a list of two measures, each with a name, its bounds and a step")
    names = strings([measure.get("name") for measure in described], "measures", 2)
    if len(names) != 2:
        raise InputRejected("measures", "are not two")
    given, steps, levels = [], [], []
    for name, measure in zip(names, described, strict=True):
        known(measure, ("name", "least", "most", "step"))
        least, most = read_bounds(measure, f"measures.{name}")
        step = measure.get("step")
        if type(step) is not int or step < 1 or not 2 <= (size := (most - least) // step + 1) <= MAX_LEVELS:
            raise InputRejected(f"measures.{name}.step", f"does not make 2 to {MAX_LEVELS} intervals")
        given.append(Measure(name, least, most))
        steps.append(step)
        levels.append(Measure(name, 0, size - 1, squares=True))
    added = Measure(" + ".join(names), 0, sum(level.most for level in levels), squares=True)
    summed = Summed(Columns((), ()), (*levels, added), read_limits(parameters, 1))
    return _Query(tuple(given), tuple(steps), summed)


def words(parameters: Parameters) -> int:
    """Words of bits per input row."""
    return _read(parameters).summed.words


def outputs(parameters: Parameters) -> int:
    _read(parameters)
    return OUTPUTS


def encode(parameters: Parameters, rows: InputRows, bound: int, token_bytes: TokenBytes) -> Words:
    """A provider's rows as [C, bound] words of bits. Raises InputRejected, naming the field."""
    query = _read(parameters)
    return query.summed.encoded(query.worked_out(rows), bound, token_bytes)


async def run(rt: "Engine", parameters: Parameters, inputs: Sequence[Array], uniform: Sequence[Array] = ()) -> Array:
    """Output shares from the providers' input shares, in the contract's order."""
    query, rows = _read(parameters).summed, sum(shares.shape[-1] for shares in inputs)
    sums = await summed_people(rt, query, inputs, uniform, NAME)
    return await correlation(rt, sums, rows, query.limits)


def clear(parameters: Parameters, providers: Sequence[InputRows], uniform: Sequence[Words] = ()) -> list[int]:
    """Clear-text twin of `run`."""
    query = _read(parameters)
    _, have, totals, squares = summed_people_clear(query.summed, list(map(query.worked_out, providers)))
    known_, sums = [part[0] for part in have[0]], [total[0][0] for total in totals[:2]]
    return correlation_clear(known_, sums, [own[0] for own in squares], query.summed.limits)


def cost(parameters: Parameters, bounds: Sequence[int], shape: Shape) -> Cost:
    """What `run` costs for providers with these row bounds."""
    query = _read(parameters).summed
    parts = query.owners(len(bounds))
    return summed_people_cost(query, bounds, shape) + correlation_cost(shape, sum(bounds), parts, query.limits)
