"""The port that attacks go to, and the rogue gateway's world, once per test module."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.attacks import rogue
from tests.attacks.port import Port
from tests.e2e.shell import Shell


def _stricter(home: Path) -> None:
    """What the published sandbox leaves open: two datasets get terms that can be broken."""
    ng = home / "datasets" / "ng.policy.toml"
    text = ng.read_text().replace("demo_view = true", "demo_view = false\nzero_is_small = true")
    ng.write_text(text + 'spaces = ["https://care.example", "https://police.example"]\n')
    la = home / "datasets" / "la.policy.toml"
    la.write_text(re.sub(r"(?m)^statistics = .*$", 'statistics = ["count_by"]', la.read_text()))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[rogue.World]:
    async with rogue.running(tmp_path_factory.mktemp("rogue") / "federation", _stricter) as running:
        yield running


@pytest.fixture
def port(shell: Shell) -> Iterator[Port]:
    """The port; it has to serve after whatever a test did to it."""
    port = Port(shell)
    yield port
    assert port.still_serves()
