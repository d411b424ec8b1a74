"""A document that people read: sections of sentences, facts and tables. How it looks is the renderer's affair."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and what is said of them; `caption` says of what."""

    caption: str
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table; `numbers` are the places of columns whose cells are numbers. The first column names its row."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[int, ...] = ()


# A sentence, or several of one paragraph, stands as plain text.
Block = str | Facts | Grid


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """`note` stands at the end of each printed page's content: who may read it."""

    title: str
    subtitle: str
    sections: tuple[Section, ...]
    note: str
