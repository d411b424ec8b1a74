"""Where a test or a benchmark asks the same again and wants a session each time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gateway.domain.query import Query
from gateway.sandbox.toml import toml

KEPT_UNDER = toml({"storage": "agent/storage.pem"})


def keeping_nothing(folder: Path) -> None:
    """The agents of a laid out federation keep no output shares."""
    for config in folder.glob("spaces/*/agent.toml"):
        text = config.read_text()
        if KEPT_UNDER not in text:
            raise AssertionError(f"{config} names no storage key")
        config.write_text(text.replace(KEPT_UNDER, ""))


def shown(query: Query) -> Query:
    """The same question with a look into a receive buffer, which only a session has."""
    return replace(query, demo_view=True)
