"""What is interrupted leaves nothing behind: no process, no folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event

import pytest

from gateway.sandbox import processes

ISTHMUS = (sys.executable, "-m", "gateway")


def until(holds: object, within: float) -> None:
    """Wait for a condition of another process; fail when it does not come."""
    deadline = time.monotonic() + within
    while not holds():  # type: ignore[operator]
        if time.monotonic() > deadline:
            pytest.fail("the condition did not come in time")
        Event().wait(0.05)  # another process says nothing: looked at twenty times a second


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_demo_that_is_told_to_stop_leaves_no_process_and_no_folder(tmp_path: Path, number: signal.Signals) -> None:
    demo = subprocess.Popen(
        (*ISTHMUS, "demo"),
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    until(lambda: any(tmp_path.glob("isthmus-demo-*/federation/spaces/neutral/agent.db")), 60)
    demo.send_signal(number)
    assert demo.wait(30) == 5
    assert list(tmp_path.iterdir()) == []
    assert [process for process in processes.table() if str(tmp_path) in process.command] == []


def test_what_a_killed_sandbox_leaves_is_cleared_away_by_down(tmp_path: Path) -> None:
    place = tmp_path / "sandbox"
    place.mkdir()
    (place / "ports.json").write_text("{}")
    (place / "sandbox.json").write_text('{"supervisor": 4194304}')
    down = subprocess.run((*ISTHMUS, "sandbox", "down", "--folder", str(place)), capture_output=True, text=True)
    assert (down.returncode, place.exists()) == (0, False), down.stderr
    again = subprocess.run((*ISTHMUS, "sandbox", "down", "--folder", str(place)), capture_output=True, text=True)
    assert again.returncode == 2


def test_a_folder_with_something_else_in_it_is_never_taken_for_a_sandbox(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    for command in ("up", "down"):
        done = subprocess.run((*ISTHMUS, "sandbox", command, "--folder", str(tmp_path)), capture_output=True, text=True)
        assert done.returncode == 2, done
        assert done.stderr.count("\n") == 1
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
