"""Queries, limits and codes in plain words, for people who decide on them or look back at them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.domain import contract
from gateway.domain.dataset import Dataset
from gateway.domain.query import Filter, Query
from gateway.rules import common_codes, key_rules, statistics
from gateway.rules.codelists import LEGAL_BASES, MEMBER_STATES, PURPOSES

# The other states of the Agreement on the European Economic Area, where the GDPR applies (Joint Committee 154/2018).
_EEA = frozenset({"IS", "LI", "NO"})


def purpose(code: str) -> str:
    """What a purpose means; empty for one that no list has."""
    return PURPOSES.get(code, "")


def legal_basis(code: str) -> str:
    return LEGAL_BASES.get(code, "")


def coded(code: str, means: str) -> str:
    return f"{means} ({code})" if means else code


def statistic(asked: Query, described: Dataset | None = None, rules: Sequence[contract.KeyRule] | None = None) -> str:
    """What is counted; columns by their labels where the dataset is known. `rules` are the contract's key rules."""
    said = statistics.of(asked).said(asked, lambda name: _column(name, described))
    if asked.common_codes:
        said = f"{said}; {common_codes.SAID}"
    if not asked.link_on:
        return f"{said}; each owner counts its own people once, and shares its totals alone"
    linked = ", ".join(_column(name, described) for name in asked.link_on)
    return f"{said}; people are told apart by {linked}, compared under MPC{key_rules.told(rules)}"


def filtered(item: Filter, described: Dataset | None = None) -> str:
    name = _column(item.column, described)
    if item.between is not None:
        return f"{name} from {item.between.low} to {item.between.high}"
    if item.one_of is not None:
        return f"{name} is one of {', '.join(map(str, item.one_of))}"
    return f"{name} is {item.equals}"


def limits(body: contract.Contract) -> str:
    given = body.limits
    if statistics.about_one_person(body.query):
        return "none on cells: the answer is about one person, and has none"
    if given.minimum_cell <= 1:
        return f"none: every count is released {'exactly' if given.epsilon is None else 'with its noise'}"
    said = [f"counts under {given.minimum_cell} are hidden"]
    if given.zero_is_small:
        said.append("zero like them")
    if given.provider_subtraction:
        said.append("so are those that one provider could get by taking its own people away")
    if given.dominance is not None:
        said.append(f"and those of which one provider has over {given.dominance} percent")
    if given.rounding is not None:
        said.append(f"the others are multiples of {given.rounding}")
    return ", ".join(said)


def noise(given: contract.Limits) -> str:
    """What is added to counts before they are limited."""
    return "none" if given.epsilon is None else f"counts have noise, for an epsilon of {given.epsilon}"


def place(jurisdiction: str) -> str:
    """Where a recipient is, as far as data-protection law asks."""
    if not jurisdiction:
        return "jurisdiction not known here any more"
    if jurisdiction in MEMBER_STATES or jurisdiction == "EU":
        return f"{jurisdiction}, in the European Union"
    if jurisdiction in _EEA:
        return f"{jurisdiction}, in the European Economic Area"
    return f"{jurisdiction}, a third country (GDPR Chapter V, Directive (EU) 2016/680 Chapter V)"


def _column(name: str, described: Dataset | None) -> str:
    column = None if described is None else described.column(name)
    return f"{column.label} ({name})" if column is not None and column.label else name
