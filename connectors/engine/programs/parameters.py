"""Reading a program's parameters. Invariant: unknown names, wrong types and values out of range are refused
by name.
"""

import re
from collections.abc import Sequence

from connectors.engine.errors import InputRejected
from connectors.engine.limits import ALL, Limits
from connectors.engine.rows import Parameters

MAX_CELLS = 4096
MAX_AT = 9
MAX_MINIMUM = 1 << 20
MAX_ROUNDING = 1000
MAX_COINS = 14
LIMITS = ("minimum_cell", "zero_is_small", "dominance", "rounding", "noise")
_COIN = re.compile("[0-9a-f]{16}")


def known(parameters: Parameters, names: Sequence[str]) -> None:
    for name in parameters:
        if name not in names:
            raise InputRejected(name, f"is no parameter of this program; it takes {', '.join(names)}")


def linked(parameters: Parameters) -> bool:
    """Whether people are recognised across providers, as they are where nothing is said of it."""
    value = parameters.get("linked", True)
    if not isinstance(value, bool):
        raise InputRejected("linked", "is neither true nor false")
    return value


def known_without_counts(parameters: Parameters, names: Sequence[str]) -> None:
    """For programs that put out no count: of the limits they take what says which counts are small."""
    for name in ("dominance", "rounding", "noise"):
        if name in parameters:
            raise InputRejected(name, "is for counts, and this program puts out none; leave it out")
    known(parameters, (*names, "minimum_cell", "zero_is_small"))


def known_of_test(parameters: Parameters, test: str, names: Sequence[str]) -> None:
    known_without_counts(parameters, ("test", *names))
    if parameters.get("test") != test:
        raise InputRejected("test", f"is not {test!r}, which is what this program computes")


def strings(value: object, name: str, most: int) -> tuple[str, ...]:
    """A list of 1 to `most` different strings."""
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise InputRejected(name, "is not a list of names")
    if not 1 <= len(value) <= most:
        raise InputRejected(name, f"has {len(value)} entries; 1 to {most} are possible")
    if len(set(value)) != len(value):
        raise InputRejected(name, "names an entry twice")
    return tuple(value)


def read_probabilities(value: object, name: str) -> tuple[int, ...]:
    """Hundredths, ascending. Raises InputRejected."""
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= MAX_AT:
        raise InputRejected(name, f"is not a list of 1 to {MAX_AT} probabilities")
    if not all(type(p) is int and 0 <= p <= 100 for p in value) or list(value) != sorted(set(value)):
        raise InputRejected(name, "are not whole hundredths from 0 to 100, ascending")
    return tuple(value)


def stages(value: object, most: int, lists: int) -> tuple[int, ...]:
    """Two to `most` stages as masks of lists, each a list of the numbers of lists below `lists`, no list twice."""
    if not isinstance(value, list | tuple) or not 2 <= len(value) <= most:
        raise InputRejected("stages", f"is not a list of 2 to {most} stages")
    if not all(isinstance(stage, list | tuple) and stage for stage in value):
        raise InputRejected("stages", "a stage is not a list of the numbers of lists")
    numbers = [number for stage in value for number in stage]
    if not all(type(number) is int and 0 <= number < lists for number in numbers):
        raise InputRejected("stages", f"a list's number is not from 0 to {lists - 1}")
    if len(set(numbers)) < len(numbers):
        raise InputRejected("stages", "names a list twice")
    return tuple(sum(1 << number for number in stage) for stage in value)


def limits(parameters: Parameters, cells: int) -> Limits:
    """Whatever limits cells; all but the minimum has a default that limits nothing, and a caller says the minimum."""
    minimum = parameters.get("minimum_cell")
    if type(minimum) is not int or not 0 <= minimum <= MAX_MINIMUM:
        raise InputRejected("minimum_cell", f"is not a whole number from 0 to {MAX_MINIMUM}")
    zero_is_small = parameters.get("zero_is_small", False)
    if not isinstance(zero_is_small, bool):
        raise InputRejected("zero_is_small", "is neither true nor false")
    structural = parameters.get("structural_zeros", [])
    if not isinstance(structural, list | tuple) or not all(type(c) is int and 0 <= c < cells for c in structural):
        raise InputRejected("structural_zeros", f"is not a list of cell numbers below {cells}")
    dominance = parameters.get("dominance", ALL)
    if type(dominance) is not int or not 1 <= dominance <= ALL:
        raise InputRejected("dominance", f"is not a whole number from 1 to {ALL}")
    rounding = parameters.get("rounding", 1)
    if type(rounding) is not int or not 1 <= rounding <= MAX_ROUNDING:
        raise InputRejected("rounding", f"is not a whole number from 1 to {MAX_ROUNDING}")
    coins = parameters.get("noise", ())
    if not isinstance(coins, list | tuple) or not all(isinstance(c, str) and _COIN.fullmatch(c) for c in coins):
        raise InputRejected("noise", "is not a list of texts of 16 hexadecimal digits")
    if len(coins) > MAX_COINS or ("noise" in parameters and not coins):
        raise InputRejected("noise", f"has {len(coins)} coins; 1 to {MAX_COINS} are possible")
    if coins and dominance < ALL:
        raise InputRejected("dominance", "does not go with noise")
    return Limits(
        minimum, zero_is_small, frozenset(structural), dominance, rounding, tuple(int(coin, 16) for coin in coins)
    )
