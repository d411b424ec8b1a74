"""What can be asked, and of whom: datasets and spaces.

Invariants as in `gateway.cli.render`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gateway.cli.typeset import age, day, host, hours, lines, number, table, words
from gateway.cli.typeset import now as clock
from gateway.rules import key_rules
from gateway.rules.statistics import STATISTICS

if TYPE_CHECKING:
    from gateway.client.messages import Catalogue, Listed
    from gateway.domain.dataset import Dataset, Terms
    from gateway.domain.offer import Space


def catalogue(found: Catalogue, now: int | None = None) -> RenderableType:
    """One row per dataset: whose, what, which statistics, how small a cell may be, padded to what, how old."""
    at = clock() if now is None else now
    made = table("Dataset", "Answers", "Cells from", "Padded to", "Seen", numbers=_RIGHT)
    for number_of, listed in enumerate(found.datasets):
        item = listed.dataset
        if number_of:
            made.add_row()
        made.add_row(
            lines(
                f"{item.short_name} at {item.space_host}",
                item.title,
                item.coverage or item.vocabulary,
                f"edition {item.edition.id} of {day(item.edition.created)}",
            ),
            _first_statistics(item),
            str(item.terms.minimum_cell),
            number(item.edition.row_bound),
            age(at - listed.seen),
        )
    note = (
        "Cells from: counts of fewer people are never shown, but for what may be exact. Padded to: the public "
        "size; how many people there are stays with their owner. Seen: so long ago."
    )
    return Group(made, "", words(note), *_unanswered(found.unreachable))


MOST_LISTED = 3
_RIGHT = ("Cells from", "Padded to", "Seen")


def _statistics(item: Dataset) -> list[str]:
    return [
        (STATISTICS[name].LABEL if name in STATISTICS else name)
        + (" (exact)" if name in item.terms.exact_statistics else "")
        for name in item.terms.statistics
    ]


def _first_statistics(item: Dataset) -> Text:
    """Some of them; the page of a dataset has all."""
    said = _statistics(item)
    if len(said) > MOST_LISTED + 1:
        said = [*said[:MOST_LISTED], f"and {len(said) - MOST_LISTED} more"]
    return Text("\n").join(words(text) for text in said)


def _unanswered(entities: Sequence[str]) -> list[RenderableType]:
    hosts = ", ".join(host(entity) for entity in entities)
    return ["", words(f"No answer from {hosts}: what is listed of them is as old as it says.")] if hosts else []


def dataset(listed: Listed, now: int | None = None) -> RenderableType:
    """One dataset with its terms, columns and codes."""
    item, terms = listed.dataset, listed.dataset.terms
    at = clock() if now is None else now
    facts = Table.grid(padding=(0, 2))
    rows = (
        ("Dataset", item.name),
        ("Describes", item.description or item.title),
        ("Coverage", item.coverage),
        ("Edition", f"{item.edition.id} of {day(item.edition.created)}, seen {age(at - listed.seen)} ago"),
        ("Padded to", f"{number(item.edition.row_bound)} people, whatever their real number"),
        ("Answers", "; ".join(_statistics(item))),
        ("Answers as", "" if "*" in terms.roles else f"requesters in the role of {' or '.join(terms.roles)}"),
        ("For", ", ".join(terms.purposes)),
        ("On the basis of", ", ".join(terms.legal_bases)),
        ("Limits", _limits(terms)),
        ("Results go to", "" if terms.transfer == ("*",) else ", ".join(terms.transfer) or "nobody else"),
        ("People", _people(terms)),
        ("One person", _one_person(terms)),
        ("Policy", f"version {terms.version}" + (f", expires {terms.expires}" if terms.expires else "")),
        ("People linked on", ", ".join(item.key_columns)),
        ("Compared", "; ".join(_compared(item))),
    )
    for name, value in rows:
        if str(value):
            facts.add_row(words(name, "bold"), words(value))
    columns = table("Column", "Type", "Meaning", "Codes")
    for column in item.columns:
        codes = ", ".join(code.value if code.label in ("", code.value) else f"{code.value} ({code.label})"
                          for code in column.codes)  # fmt: skip
        if column.least is not None:
            codes = f"{column.least} to {column.most}"
        columns.add_row(words(column.name), column.type.value, words(column.label), words(codes))
    return Group(words(item.title, "bold"), "", facts, "", columns)


def _compared(item: Dataset) -> list[str]:
    """By which rules key texts are, where these are not the usual ones."""
    return [f"{one.name} by {key_rules.said_of(one.normalise)}" for one in item.columns if one.normalise is not None]


def _limits(terms: Terms) -> str:
    said = [f"no cell under {terms.minimum_cell}"]
    if terms.dominance is not None:
        said.append(f"none of which one provider has over {terms.dominance} percent")
    if terms.rounding is not None:
        said.append(f"counts to multiples of {terms.rounding}")
    if terms.privacy is not None:
        when = "noise" if terms.privacy.required else "noise where it is asked for"
        said.append(f"{when} (ε up to {terms.privacy.epsilon}, {terms.privacy.budget} per operator)")
    parties = max(terms.minimum_seats, 2 * terms.minimum_t + 1)
    return f"{', '.join(said)}; at least {parties} parties compute"


def _people(terms: Terms) -> str:
    if not terms.persons:
        return ""
    stewards = "1 steward approves" if terms.persons == 1 else f"{terms.persons} stewards approve"
    what = ", ".join(terms.person_statistics) or "every question"
    return f"{stewards} {what}, within {hours(terms.decide_within)}"


def _one_person(terms: Terms) -> str:
    """Empty where nothing is answered about one person."""
    if (given := terms.one_person) is None:
        return ""
    whose = f"asks about its own people by {given.case}, and is searched" if given.case else "is searched for others'"
    answers = "1 answer" if given.quota_per_case == 1 else f"{given.quota_per_case} answers"
    return (
        f"{whose}, among lists of {number(given.least_list)} people or more; on the basis of "
        f"{', '.join(given.legal_bases)}, in the role of {' or '.join(given.roles)}; {answers} about a case and "
        f"{given.quota_per_day} a day for one operator; two stewards or more decide on each"
    )


def spaces(found: Sequence[Space], now: int | None = None) -> RenderableType:
    at = clock() if now is None else now
    made = table("Space", "Run by", "Country", "Seats", "Programs", "Answers", numbers=("Seats",))
    for space in found:
        operator = space.operator
        made.add_row(
            words(host(operator.entity)),
            words(operator.name),
            words(operator.jurisdiction),
            str(space.offer.seats),
            words(", ".join(f"{program.name} {program.version}" for program in space.offer.programs)),
            words(_answers(space, at)),
        )
    return made


def _answers(space: Space, at: int) -> str:
    if space.objection is not None:
        return space.objection.text
    said = "yes" if space.reachable else f"no, since {age(at - space.seen)}"
    return f"{said}; accepts version {space.rulebook} of the rulebook" if space.rulebook else said
