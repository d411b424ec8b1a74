"""One sandbox for all tests that want a running federation, started as a user would start it; and one folder
of compiled kernels, so that they are compiled once."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from connectors.engine.kernelcache import OF_THE_PACKAGE, VARIABLE, checked
from tests.e2e.shell import Shell

os.environ[VARIABLE] = str(checked(OF_THE_PACKAGE))  # before anything imports numba


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """`isthmus` with a sandbox that runs; every test finds it as the one before did."""
    with Shell.with_sandbox(tmp_path_factory.mktemp("user")) as shell:
        yield shell
