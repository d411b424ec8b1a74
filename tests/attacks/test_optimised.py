"""The engine's part of the attacks under `python -O`: no check of package code may be an `assert`.

pytest rewrites the assertions of test modules, so they hold there; the control shows it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.e2e.shell import ROOT

ROWS = (
    "tests/attacks/test_engine_rows.py",
    "tests/engine/test_wire.py",
    "tests/engine/test_session_keys.py",
    "tests/unit/test_seats.py",
    "tests/unit/test_roster.py",
    "tests/unit/test_tunnel.py",
    "tests/unit/test_blame.py",
)


def optimised(*files: object) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-O", "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *map(str, files))
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)


def test_20_25_26_28_30_hold_under_python_o() -> None:
    done = optimised(*ROWS)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_the_control_an_assertion_of_a_test_fails_under_python_o(tmp_path: Path) -> None:
    control = tmp_path / "test_control.py"
    control.write_text("import sys\ndef test_it():\n    assert sys.flags.optimize == 1\n    assert False\n")
    done = optimised(control)
    assert done.returncode == 1
    assert "assert False" in done.stdout
