"""By which rules the texts of key columns are compared when people are linked. Pure.

Invariants: all owners of a question compare a column as one type and by the same rules, or the same person would have
different keys; the contract says by which, so that a link by others is another question and another table. What a rule
does is declared at the owners (connectors/vocabularies/linkage.py): here rules are names, and the usual ones are left
out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.domain.contract import Contract, KeyRule
from gateway.domain.dataset import Column, ColumnType, Dataset
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.query import Query

# What holds where an owner declares nothing.
USUAL = ("accents", "case")
MAX_RULES = 8
_RULE = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")


def well_formed(rules: Sequence[str] | None) -> bool:
    """Whether these are rules in the one way to write them: sorted, each once, and None for the usual ones."""
    return rules is None or (
        1 <= len(rules) <= MAX_RULES
        and list(rules) == sorted(set(rules))
        and all(_RULE.fullmatch(rule) for rule in rules)
        and tuple(rules) != USUAL
    )


def settle(asked: Query, datasets: Sequence[Dataset]) -> tuple[KeyRule, ...] | None:
    """The rules of each column of `link_on`, as all datasets declare them. Raises IsthmusError(UNKNOWN_COLUMN) with
    what each source declares."""
    found = []
    for number, name in enumerate(asked.link_on):
        declared = [(dataset, column) for dataset in datasets if (column := dataset.column(name)) is not None]
        how = [(column.type, column.normalise) for _, column in declared]
        if len(set(how)) > 1:
            other = next(dataset for dataset, column in declared if (column.type, column.normalise) != how[0])
            said = "; ".join(f"{dataset.name} as {_compared(column)}" for dataset, column in declared)
            raise IsthmusError(
                Reason.UNKNOWN_COLUMN,
                f"the sources compare {name} in different ways, and would not find the same person: {said}",
                field=f"link_on[{number}]",
                space=f"https://{other.space_host}",
                advice="Their owners declare one type and the same normalise; until then, leave a source out",
            )
        if how and how[0][1] is not None:
            found.append(KeyRule(name, how[0][1]))
    return tuple(found) or None


def are_of(read: Contract) -> bool:
    """Whether a contract's rules are such, each of a column that it links on, in their order."""
    rules = read.key_rules
    named = [] if rules is None else [rule.column for rule in rules]
    return rules is None or (
        bool(rules)
        and named == [column for column in read.query.link_on if column in named]
        and all(well_formed(rule.normalise) for rule in rules)
    )


def told(rules: Sequence[KeyRule] | None) -> str:
    """A contract's rules as the end of a sentence; nothing where all are the usual ones."""
    return "".join(f"; {rule.column} by the rules {said_of(rule.normalise)}" for rule in rules or ())


def said_of(rules: Sequence[str] | None) -> str:
    return ", ".join(USUAL if rules is None else rules)


def _compared(column: Column) -> str:
    return f"text by {said_of(column.normalise)}" if column.type is ColumnType.TEXT else column.type.value
