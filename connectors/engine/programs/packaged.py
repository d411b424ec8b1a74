"""The parameters of a packaged program: what a question filled its inputs with, its settings, and the limits.

Invariant: parameters are made from the package's descriptor (gateway/rules/statistics/program.py); what does not read
as such is refused by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from connectors.engine.errors import InputRejected
from connectors.engine.limits import Limits
from connectors.engine.programs.cells import Columns, read_columns
from connectors.engine.programs.measures import read_measures
from connectors.engine.programs.parameters import known
from connectors.engine.programs.parameters import limits as read_limits
from connectors.engine.rows import Parameters
from connectors.engine.sums import Measure

_KNOWN = ("program", "columns", "measures", "settings", "minimum_cell", "zero_is_small", "dominance", "rounding")


@dataclass(frozen=True, slots=True)
class Asked:
    """`columns` in the order of the descriptor's inputs of codes, `measures` in that of its numbers and days."""

    columns: Columns
    measures: tuple[Measure, ...]
    settings: Mapping[str, int]
    limits: Limits


def read(parameters: Parameters, name: str) -> Asked:
    """Of the program `name`. Raises InputRejected."""
    known(parameters, _KNOWN)
    if parameters.get("program") != name:
        raise InputRejected("program", f"is not {name!r}, which is what this program computes")
    columns = read_columns(parameters)
    measures = read_measures(parameters) if parameters.get("measures") else ()
    settings = parameters.get("settings", {})
    if not isinstance(settings, dict) or not all(type(value) is int for value in settings.values()):
        raise InputRejected("settings", "are not whole numbers by name")
    return Asked(columns, measures, settings, read_limits(parameters, columns.cells))
