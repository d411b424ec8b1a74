"""The numbers of people that a program adds up: what its parameters say, and whether an owner's rows keep to it.

Invariants: a number is whole and between public bounds; whatever may be in a session's rows, no sum of numbers, and of
squares where they are asked for, is beyond the field.
"""

from connectors.engine.errors import InputRejected
from connectors.engine.programs.parameters import known, strings
from connectors.engine.rows import MAX_ROWS, InputRows, Parameters
from connectors.engine.sums import Measure
from gateway.rules.sharing import P

MAX_MEASURES = 4
MAX_APART = 1 << 24
FARTHEST = 1 << 31  # from zero, so that no sum of MAX_ROWS, lifted above zero, has more than 55 bits
MAX_STEP = 1000


def read_measures(parameters: Parameters) -> tuple[Measure, ...]:
    """One to four measures. Raises InputRejected, naming the measure and what of it does not fit."""
    described = parameters.get("measures")
    if not isinstance(described, list | tuple) or not all(isinstance(measure, dict) for measure in described):
        raise InputRejected("measures", "is not a list of measures, each with a name and its bounds")
    names = strings([measure.get("name") for measure in described], "measures", MAX_MEASURES)
    return tuple(_measure(name, measure) for name, measure in zip(names, described, strict=True))


def read_bounds(described: Parameters, field: str) -> tuple[int, int]:
    """`least` and `most`. Raises InputRejected, naming the field below `field`."""
    least, most = (_bound(described, field, which) for which in ("least", "most"))
    if not least < most <= least + MAX_APART:
        raise InputRejected(f"{field}.most", f"is not above {least} by 1 to {MAX_APART}")
    return least, most


def _measure(name: str, described: Parameters) -> Measure:
    field = f"measures.{name}"
    known(described, ("name", "least", "most", "squares", "step"))
    least, most = read_bounds(described, field)
    squares = described.get("squares", False)
    if not isinstance(squares, bool):
        raise InputRejected(f"{field}.squares", "is neither true nor false")
    step = described.get("step", 0)
    if type(step) is not int or not 0 <= step <= MAX_STEP or ("step" in described and not step):
        raise InputRejected(f"{field}.step", f"is not a whole number from 1 to {MAX_STEP}")
    measure = Measure(name, least, most, squares, step)
    if squares and step:
        raise InputRejected(f"{field}.step", "does not go with squares, which are not rounded; leave one of them out")
    farthest = max(abs(least), abs(least + measure.largest))
    if squares and MAX_ROWS * farthest**2 >= P:
        raise InputRejected(
            f"{field}.squares",
            f"of up to {farthest}, of {MAX_ROWS} people, add up to more than {P - 1}; take a larger unit",
        )
    return measure


def _bound(described: Parameters, field: str, which: str) -> int:
    value = described.get(which)
    if type(value) is not int or abs(value) > FARTHEST:
        raise InputRejected(f"{field}.{which}", f"is not a whole number from -{FARTHEST} to {FARTHEST}")
    return value


def check_values(measures: tuple[Measure, ...], rows: InputRows) -> None:
    """That every row has a number within its bounds, or None, for each measure. Raises InputRejected naming it."""
    if len(rows.values) != len(rows.keys):
        raise InputRejected("values", "does not have one entry per row")
    if any(len(values) != len(measures) for values in rows.values):
        names = ", ".join(measure.name for measure in measures)
        raise InputRejected("values", f"a row does not have one number, or none, for each of {names}")
    for m, measure in enumerate(measures):
        if not all(_fits(measure, values[m]) for values in rows.values):
            raise InputRejected(
                measure.name, f"a row has no whole number from {measure.least} to {measure.most}; nothing is cut to fit"
            )


def _fits(measure: Measure, value: object) -> bool:
    return value is None or (type(value) is int and measure.least <= value <= measure.most)
