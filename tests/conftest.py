"""One sandbox for all tests that want a running federation, started as a user would start it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.shell import Shell


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """`isthmus` with a sandbox that runs; every test finds it as the one before did."""
    with Shell.with_sandbox(tmp_path_factory.mktemp("user")) as shell:
        yield shell
