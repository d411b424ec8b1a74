"""What a contract asks, apart from who asks it, why, and in which words: the canonical query of DESIGN section 3.

Invariant: two contracts that ask for the same numbers of the same rows have one digest, in whatever order their lists
stand and however their filters are written; any other two have different ones.
"""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785

from gateway.domain.contract import Contract
from gateway.domain.query import Filter
from gateway.rules import common_codes, statistics
from gateway.rules.records import to_plain


def question(contract: Contract) -> str:
    """The digest (SHA-256, hex) of the canonical query over the editions that the contract names.

    Left out are title, purpose, legal basis, requester, recipients and seats: they change no number. The limits are
    those that the contract settled on, asked for or not. Code lists are in it, in any order: an owner may change them
    over the same rows, and the table that comes of it is another one, with other noise.
    """
    asked = contract.query
    editions = {item.dataset: item for provider in contract.providers for item in provider.inputs}
    sources = [
        {
            "dataset": source.dataset,
            "edition": editions[source.dataset].edition,
            "snapshot": editions[source.dataset].snapshot,
            "filters": _sorted(_filter(item) for item in common_codes.filters(contract, index)),
        }
        for index, source in enumerate(asked.sources)
    ]
    named = sorted(sources, key=lambda source: str(source["dataset"]))
    return _digest({**_counted(contract), "codes": _codes(contract), "sources": named})


def table(contract: Contract) -> str:
    """The digest of the table that people are counted into and of its limits, whoever the people are; empty where no
    cell may be hidden."""
    return _digest({**_counted(contract), **_chosen(contract)}) if contract.limits.minimum_cell > 1 else ""


def _counted(contract: Contract) -> dict[str, Any]:
    asked = contract.query
    return {
        **statistics.of(asked).canonical(asked),
        "link_on": sorted(asked.link_on),
        "limits": to_plain(contract.limits),
        **_rules(contract),
    }


def _rules(contract: Contract) -> dict[str, Any]:
    """The rules of key columns that are not the usual ones: by others, other people are linked."""
    return {} if contract.key_rules is None else {"rules": {one.column: one.normalise for one in contract.key_rules}}


def _chosen(contract: Contract) -> dict[str, Any]:
    """The codes that the query itself takes, of columns of which it leaves people out."""
    uses = statistics.of(contract.query).uses(contract.query)
    chosen = {used.column: _sorted(used.codes) for used in uses if used.codes}
    return {"chosen": chosen} if chosen else {}


def _codes(contract: Contract) -> dict[str, list[str]]:
    """The codes that make the cells, by column."""
    told = statistics.code_lists(contract.program.parameters)
    return {name: _sorted(codes) for name, codes in told.items()}


def _digest(said: dict[str, Any]) -> str:
    return hashlib.sha256(rfc8785.dumps(said)).hexdigest()


def _filter(item: Filter) -> dict[str, Any]:
    """A value, several of which one suffices, or two ends: one way to write each."""
    if item.between is not None and item.between.low != item.between.high:
        return {"column": item.column, "between": [item.between.low, item.between.high]}
    if item.between is not None:
        return {"column": item.column, "one_of": [item.between.low]}
    values = item.one_of or ((item.equals,) if item.equals is not None else ())
    return {"column": item.column, "one_of": _sorted(set(values))}


def _sorted(items: Any) -> list[Any]:
    return sorted(items, key=rfc8785.dumps)
