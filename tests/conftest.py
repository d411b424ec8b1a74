"""One sandbox for all tests that want a running federation, started as a user would start it; and one folder
of compiled kernels, so that they are compiled once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from connectors.engine.kernelcache import OF_THE_PACKAGE, VARIABLE, checked
from tests.e2e.shell import Shell

os.environ[VARIABLE] = str(checked(OF_THE_PACKAGE))  # before anything imports numba


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """`isthmus` with a sandbox that runs; every test finds it as the one before did."""
    with Shell.with_sandbox(tmp_path_factory.mktemp("user")) as shell:
        yield shell


# Files that share a sandbox apart from the others, in the order in which they use it: the first ones leave it as they
# found it, what the last one breaks is not mended.
_SHARING = (
    ("e2e/test_doctor.py", "attacks/test_41_audit_log.py"),
    ("faults/test_parties.py", "faults/test_processes.py"),
    ("e2e/test_programs.py", "attacks/test_12_running_sessions.py"),
)


def _share(path: str) -> str:
    """The name of what is run together and in order: the file by itself, or those with which it shares a sandbox."""
    return next((" ".join(files) for files in _SHARING if path.endswith(files)), path)


def _place(path: str) -> int:
    """Of a file among those with which it shares a sandbox."""
    return next((files.index(file) for files in _SHARING for file in files if path.endswith(file)), 0)


@pytest.fixture(scope="session")
def _apart() -> Iterator[dict[str, tuple[ExitStack, Shell]]]:
    started: dict[str, tuple[ExitStack, Shell]] = {}
    yield started
    for stack, _ in started.values():  # where a run was broken off
        stack.close()


@pytest.fixture(scope="module")
def apart(
    request: pytest.FixtureRequest, _apart: dict[str, tuple[ExitStack, Shell]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shell]:
    """A sandbox that this file has to itself, or with those before and after it in `_SHARING`."""
    share = _share(str(request.path))
    if share not in _apart:
        stack = ExitStack()
        _apart[share] = (stack, stack.enter_context(Shell.with_sandbox(tmp_path_factory.mktemp("apart"))))
    stack, shell = _apart[share]
    yield shell
    if request.path == [item.path for item in request.session.items if _share(str(item.path)) == share][-1]:
        stack.close()


class _Together(LoadFileScheduling):
    """One worker takes what shares a sandbox."""

    def _split_scope(self, nodeid: str) -> str:
        return _share(nodeid.partition("::")[0])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    return _Together(config, log) if config.getoption("dist") == "loadfile" else None


# Tests here start processes and wait for them; the others keep a core busy.
_WAITING = ("attacks", "e2e", "faults")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that wait stand evenly among those that compute, so that workers seldom start federations side by side."""
    together: dict[str, list[pytest.Item]] = {}
    for item in items:
        together.setdefault(_share(str(item.path)), []).append(item)
    files = [sorted(some, key=lambda item: _place(str(item.path))) for some in together.values()]
    waiting = [file for file in files if file[0].path.parent.name in _WAITING]
    computing = [file for file in files if file[0].path.parent.name not in _WAITING]
    at = [(place / len(some), file) for some in (waiting, computing) for place, file in enumerate(some)]
    items[:] = [item for _, file in sorted(at, key=lambda entry: entry[0]) for item in file]
