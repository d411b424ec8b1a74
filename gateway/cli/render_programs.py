"""Programs for people: which there are, and one in full with what it costs.

Invariants as in `gateway.cli.render`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table

from gateway.cli.typeset import DIGEST_SHOWN, host, number, size, table, words

if TYPE_CHECKING:
    from gateway.client.messages import ListedProgram


def programs(found: Sequence[ListedProgram]) -> RenderableType:
    made = table("Program", "What", "Answers", "At", "Digest", fixed=("Program",))
    for item in found:
        program = item.program
        made.add_row(
            words(f"{program.name} {program.version}"),
            words(program.title),
            words(", ".join(item.statistics)),
            words(", ".join(map(host, item.spaces))),
            words(program.digest[:DIGEST_SHOWN]),
        )
    return made


def program(found: Sequence[ListedProgram]) -> RenderableType:
    """Each version and digest of one program under the other."""
    parts: list[RenderableType] = []
    for item in found:
        parts += [_one(item), ""]
    return Group(*parts[:-1])


def _one(item: ListedProgram) -> RenderableType:
    program = item.program
    facts = Table.grid(padding=(0, 2))
    for topic, text in (
        ("Program", f"{program.name}, version {program.version}"),
        ("Digest", program.digest),
        ("Run by", ", ".join(map(host, item.spaces))),
        ("Answers", ", ".join(item.statistics)),
        ("Takes", program.takes),
        ("Goes in", program.inputs),
        ("Comes out", program.outputs),
        ("Leaks", program.leakage),
        *(("Opens", f"{opening.step}: {opening.why}") for opening in program.opens),
        ("Costs", program.formula),
    ):
        facts.add_row(words(topic, "bold"), words(text))
    headings = ("Parties", "Providers", "Rows in all", "Rounds", "A party sends")
    costs = table(*headings, title=f"What that is for {program.sample}", numbers=headings)
    for cost in program.costs:
        costs.add_row(
            str(cost.m), str(cost.providers), number(cost.rows), number(cost.rounds), size(cost.bytes_per_party)
        )
    return Group(words(program.title, "bold"), "", facts, "", costs)
