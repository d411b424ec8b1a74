"""Compiled kernels are read from a folder that nobody else could have written."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.engine import kernelcache
from connectors.engine.kernelcache import checked, filling, kernel_folder
from gateway.domain.errors import IsthmusError, Reason


def test_a_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    folder = checked(tmp_path / "state" / "kernels")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def open_to_all(folder: Path) -> None:
    folder.chmod(0o777)


def file_open_to_its_group(folder: Path) -> None:
    (folder / "x.nbi").write_bytes(b"")
    (folder / "x.nbi").chmod(0o620)


def link_to_elsewhere(folder: Path) -> None:
    (folder / "x.nbi").symlink_to("/tmp/x.nbi")


def parent_open_to_all(folder: Path) -> None:
    folder.parent.chmod(0o777)


def parent_open_to_its_group(folder: Path) -> None:
    folder.parent.chmod(0o770)


@pytest.mark.parametrize(
    "spoil",
    [open_to_all, file_open_to_its_group, link_to_elsewhere, parent_open_to_all, parent_open_to_its_group],
)
def test_a_folder_that_others_could_have_written_is_refused(spoil: Callable[[Path], None], tmp_path: Path) -> None:
    folder = checked(tmp_path / "kernels")
    spoil(folder)
    with pytest.raises(IsthmusError, match="compiled kernels are not loaded from") as refused:
        checked(folder)
    assert (refused.value.reason, refused.value.field) == (Reason.CONFIGURATION, "kernels")
    tmp_path.chmod(0o700)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(IsthmusError, match="cannot be used: Not a directory"):
        checked(tmp_path / "file" / "kernels")


def test_without_a_configured_folder_it_is_the_packages_own_or_lies_beside_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kernel_folder(tmp_path / "mine", tmp_path) == tmp_path / "mine"
    assert kernel_folder(None, tmp_path) == kernelcache.OF_THE_PACKAGE
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(kernelcache, "OF_THE_PACKAGE", tmp_path / "file" / "kernels")
    assert kernel_folder(None, tmp_path) == tmp_path / "kernels"


SECOND = """
import sys
from pathlib import Path
from connectors.engine.kernelcache import filling
print("waits", flush=True)
with filling(Path(sys.argv[1])):
    print(Path(sys.argv[1], "compiled").exists(), flush=True)
"""


def test_one_process_compiles_and_the_others_wait_for_it(tmp_path: Path) -> None:
    folder = checked(tmp_path / "kernels")
    with filling(folder):
        second = subprocess.Popen(
            [sys.executable, "-c", SECOND, str(folder)], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
        )
        assert second.stdout is not None
        assert second.stdout.readline() == "waits\n"
        (folder / "compiled").touch()
    assert second.communicate(timeout=60)[0] == "True\n"
