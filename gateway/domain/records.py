"""How a noun is declared: a frozen dataclass that knows no wire.

Invariant: a record refuses unknown fields and wrong types when it is read from bytes
(`gateway.rules.records` does the reading, with pydantic; nothing here imports it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=False)
def record(cls: type[T]) -> type[T]:
    """Make `cls` a frozen, slotted dataclass that is strict when parsed."""
    frozen = dataclass(frozen=True, slots=True)(cls)
    frozen.__pydantic_config__ = {"extra": "forbid", "strict": True}  # type: ignore[attr-defined]
    return frozen
