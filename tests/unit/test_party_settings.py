"""An agent whose machine cannot start its parties as configured says so before it serves."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from connectors.config import AgentConfig
from connectors.engine import confinement, kernelcache
from connectors.launch import settings
from connectors.launch.settings import party_settings
from gateway.config import load
from gateway.domain.errors import IsthmusError, Reason

SAMPLE = Path(__file__).parents[2] / "deploy" / "samples" / "agent.toml"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kernelcache.VARIABLE, os.environ[kernelcache.VARIABLE])  # put back afterwards


def config(**changes: Any) -> AgentConfig:
    return load(AgentConfig, SAMPLE).model_copy(update=changes)


def test_what_is_configured_is_what_every_party_gets(tmp_path: Path) -> None:
    made = party_settings(config(party_memory=64, kernels=tmp_path / "kernels"), tmp_path)
    assert (made.memory, made.confinement, made.kernels) == (64 << 20, "required", str(tmp_path / "kernels"))
    assert made.from_text(made.as_text()) == made
    # What this process itself loads comes from there too.
    assert os.environ[kernelcache.VARIABLE] == made.kernels


def test_full_confinement_that_the_kernel_does_not_offer_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confinement, "_landlock_version", lambda: 0)
    with pytest.raises(IsthmusError, match="its kernel offers no files") as refused:
        party_settings(config(), tmp_path)
    assert (refused.value.reason, refused.value.field) == (Reason.CONFIGURATION, "confinement")
    assert party_settings(config(confinement="best effort"), tmp_path).confinement == "best effort"
    assert party_settings(config(seats=0), tmp_path).confinement == "required"


def test_there_are_no_parties_but_on_linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(IsthmusError, match="on Linux alone") as refused:
        party_settings(config(), tmp_path)
    assert refused.value.field == "seats"
    monkeypatch.setattr(settings, "offered", set)
    assert party_settings(config(seats=0), tmp_path).memory > 0
