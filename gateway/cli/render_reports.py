"""A report in the terminal.

Invariant: what strangers chose is shown as text, without markup and control characters.
"""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table

from gateway.cli.typeset import table, words
from gateway.domain.document import Block, Document, Facts, Grid


def document(made: Document) -> RenderableType:
    parts: list[RenderableType] = [words(made.title, "bold"), words(made.subtitle)]
    for section in made.sections:
        parts += ["", words(section.title.upper(), "bold")]
        for block in section.blocks:
            parts += ["", _block(block)]
    return Group(*parts, "", words(made.note))


def _block(block: Block) -> RenderableType:
    match block:
        case Facts(caption, pairs):
            facts = Table.grid(padding=(0, 2))
            for name, said in pairs:
                facts.add_row(words(name, "bold"), words(said))
            return Group(words(caption, "bold"), facts)
        case Grid(caption, heads, rows, numbers):
            made = table(*heads, title=caption, numbers=[heads[place] for place in numbers])
            for row in rows:
                made.add_row(*map(words, row))
            return made
    return words(block)
