"""`isthmus doctor` in a federation that runs: all well, both ways; and who may ask, about whom."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from gateway.client import Client
from gateway.domain.diagnosis import LINE, Actor, Cause, Outcome, Step, Way
from gateway.domain.errors import IsthmusError, Reason
from tests.e2e.shell import Shell


@pytest.fixture(scope="module")
def shell(apart: Shell) -> Shell:
    """Apart: attacks with stolen keys leave newer statements behind than their spaces have."""
    return apart


def profile(shell: Shell, client: str = "operator") -> Path:
    return shell.sandbox.profile("care", client)


@pytest.mark.parametrize("peer", ["police.example", "https://neutral.example"])
def test_a_healthy_line_is_well_both_ways(shell: Shell, peer: str) -> None:
    done = shell("doctor", peer, "--profile", profile(shell), "--json")
    assert done.code == 0, done
    told = done.json
    assert (told["peer"].removeprefix("https://"), told["act"]) == (peer.removeprefix("https://"), ""), told
    for way in Way:
        findings = [item for item in told["findings"] if item["way"] == way]
        assert [item["step"] for item in findings] == list(LINE)
        assert {item["outcome"] for item in findings} == {"ok"}, findings
    measured = {(item["way"], item["step"]): item["measured"] for item in told["findings"]}
    for way in Way:
        assert abs(float(measured[way, Step.CLOCK].partition(" s")[0])) < 1.0
        assert measured[way, Step.SIZES] == "largest 4.94 MiB"
        assert "bit/s there" in measured[way, Step.BANDWIDTH]
        assert measured[way, Step.ROUND_TRIP].endswith(" ms")


def test_a_person_reads_a_list_for_each_way(shell: Shell) -> None:
    done = shell("doctor", "registry.example", "--profile", profile(shell), COLUMNS="80")
    assert done.code == 0, done
    lines = done.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "From your gateway to registry.example"
    assert "From registry.example to your gateway, as it says" in lines
    assert sum(line.startswith("✓") for line in lines) == 2 * len(LINE)
    assert "3 of 3 open: go" in done.out
    assert lines[-1] == "All is well, both ways."
    assert done.err == ""


def test_the_sdk_yields_findings_as_they_come(shell: Shell) -> None:
    with Client(shell.profile("care", "operator")) as client:
        found = list(client.diagnose("police.example"))
    assert [item.finding.step for item in found if item.way is Way.THERE] == list(LINE)
    assert {item.peer for item in found} == {"https://police.example"}
    assert {item.finding.actor for item in found} == {Actor.NOBODY}


def test_a_peer_that_nobody_knows_is_a_usage_error(shell: Shell) -> None:
    done = shell("doctor", "nobody.example", "--profile", profile(shell))
    assert (done.code, done.is_one_line()) == (2, True), done
    assert "https://police.example" in done.err


def test_an_analyst_may_not_ask(shell: Shell) -> None:
    done = shell("doctor", "police.example", "--profile", profile(shell, "analyst"))
    assert (done.code, done.is_one_line()) == (3, True), done
    with Client(shell.profile("care", "analyst")) as client, pytest.raises(IsthmusError) as caught:
        list(client.diagnose("police.example"))
    assert caught.value.reason is Reason.PERMISSION_DENIED


def test_an_own_gateway_that_does_not_answer_is_the_first_finding(shell: Shell) -> None:
    users = shell.sandbox.profile("care", "operator").parent
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        text = (users / "care-operator.toml").read_text()
        own = shell.sandbox.addresses["care"]
        assert own in text
        lost = users / f"lost-{os.getpid()}.toml"
        lost.write_text(text.replace(own, f"127.0.0.1:{taken.getsockname()[1]}"))
        done = shell("doctor", "police.example", "--profile", lost, "--json")
        lost.unlink()
    assert done.code == 5, done
    (finding,) = done.json["findings"]
    assert (finding["step"], finding["outcome"]) == (Step.GATEWAY, Outcome.FAILED)
    assert (finding["cause"], finding["act"]) == (Cause.GATEWAY_UNREACHABLE, Actor.OWN)
