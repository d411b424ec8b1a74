"""`isthmus programs check`, in process: exit codes, what is printed, what it needs."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from connectors.engine import packages
from gateway.cli import exits
from gateway.cli.app import app

DISSIMILARITY = Path(__file__).parents[2] / "docs" / "programs" / "dissimilarity"


def check(folder: Path, *more: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["programs", "check", str(folder), *more])
    return done.exit_code, done.stdout, done.stderr


def test_a_package_that_holds_is_shown_with_its_digest_and_where_to_write_it() -> None:
    code, shown, _ = check(DISSIMILARITY)
    digest = packages.read(DISSIMILARITY).digest
    assert code == exits.OK and "✗" not in shown
    for line in ("[[programs]]", f'digest = "{digest}"', f'packages = ["{digest}"]'):
        assert line in shown


def test_a_package_that_does_not_hold_is_refused_and_nothing_says_how_to_admit_it(tmp_path: Path) -> None:
    shutil.copytree(DISSIMILARITY, tmp_path, dirs_exist_ok=True)
    module = (tmp_path / "program.py").read_text()
    (tmp_path / "program.py").write_text(module.replace("// (2 * both), 1]", "// (2 * both) + 1, 1]"))
    code, shown, _ = check(tmp_path)
    assert code == exits.REFUSED and "✗ no" in shown and "[[programs]]" not in shown
    code, said, _ = check(tmp_path, "--json")
    plain: dict[str, Any] = json.loads(said)
    assert code == exits.REFUSED
    assert next(item["what"] for item in plain["findings"] if not item["holds"]).startswith("run computes")


def test_a_folder_that_is_no_package_is_a_mistake_of_whoever_names_it(tmp_path: Path) -> None:
    code, said, error = check(tmp_path, "--json")
    assert code == exits.USAGE and json.loads(said)["error"]["field"] == "program.toml"
    assert error.count("\n") == 1


def test_without_the_engine_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "mpyc" else found(name, *more))
    code, _, error = check(DISSIMILARITY)
    assert code == exits.USAGE and "needs mpyc" in error and "pip install 'isthmus[agent]'" in error
