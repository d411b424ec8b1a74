"""One sandbox for all tests that want a running federation, started as a user would start it; and one folder
of compiled kernels, so that they are compiled once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import groupby

import pytest

from connectors.engine.kernelcache import OF_THE_PACKAGE, VARIABLE, checked
from tests.e2e.shell import Shell

os.environ[VARIABLE] = str(checked(OF_THE_PACKAGE))  # before anything imports numba


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """`isthmus` with a sandbox that runs; every test finds it as the one before did."""
    with Shell.with_sandbox(tmp_path_factory.mktemp("user")) as shell:
        yield shell


# Tests here start processes and wait for them; the others keep a core busy.
_WAITING = ("attacks", "e2e", "faults")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that wait stand evenly among those that compute, so that workers seldom start federations side by side."""
    files = [list(of_one) for _, of_one in groupby(items, key=lambda item: item.path)]
    waiting = [file for file in files if file[0].path.parent.name in _WAITING]
    computing = [file for file in files if file[0].path.parent.name not in _WAITING]
    at = [(place / len(some), file) for some in (waiting, computing) for place, file in enumerate(some)]
    items[:] = [item for _, file in sorted(at, key=lambda entry: entry[0]) for item in file]
