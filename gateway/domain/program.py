"""What a package of a program says of itself: the manifest that its operator reads, as typed data.

Invariant: the digest of a program covers its descriptor, so two spaces with one digest mean the same by it.
"""

from __future__ import annotations

from typing import Literal

from gateway.domain.records import record


@record
class Slot:
    """An input, which a question fills with a column. Of `codes` between `fewest` and `most` are compared; an `integer`
    or a `day` lies between bounds that the question names."""

    name: str
    use: Literal["codes", "integer", "day"]
    says: str
    fewest: int = 1
    most: int = 32


@record
class Setting:
    """A whole number that a question may choose."""

    name: str
    says: str
    least: int
    most: int
    default: int


@record
class Output:
    """A number that comes out: whole, between `least` and `most`, and shown as that many times 1 / `per`. `most` and
    `per` are numbers or the name of a setting."""

    name: str
    says: str
    most: int | str
    least: int = 0
    per: int | str = 1


@record
class Opened:
    """A step in which parties open values beyond what linking people opens, and why these may be known."""

    step: str
    why: str


@record
class Descriptor:
    """`rows` are slots of codes: each output comes once for each combination of their codes; none: once. Behind the
    outputs stands whether `all` of them are told, or which row (`each`). `limits` are those that it applies beside the
    minimum and provider subtraction, which every program applies. `formula` says what its cost consists of."""

    name: str
    version: int
    title: str
    leakage: str
    formula: str
    inputs: tuple[Slot, ...]
    outputs: tuple[Output, ...]
    settings: tuple[Setting, ...] = ()
    rows: tuple[str, ...] = ()
    told: Literal["all", "each"] = "all"
    opens: tuple[Opened, ...] = ()
    limits: tuple[str, ...] = ()
