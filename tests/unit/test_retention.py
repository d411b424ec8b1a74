"""Bounds of what may be kept for how long, and what the job does when the store fails."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import cast

import pytest

from connectors.config import AgentConfig
from gateway.cli import render, shapes
from gateway.cli.exits import BY_REASON, FAILED
from gateway.cli.output import console_of
from gateway.client import AsyncClient, Profile
from gateway.config import GatewayConfig, load
from gateway.domain.computation import Computation, Deletion, Role, State
from gateway.domain.errors import IsthmusError, Reason
from gateway.edges import retaining
from gateway.edges.retaining import Retaining
from gateway.ports import Clock, Retention
from gateway.rules.retention import DAY, LEAST_DAYS, MOST_DAYS, Kept, Rule, deletion, moment
from tests.fakes import FakeClock

SAMPLES = Path(__file__).parents[2] / "deploy" / "samples"


def with_retention(folder: Path, sample: str, lines: str) -> Path:
    path = folder / sample
    head, found, tail = (SAMPLES / sample).read_text().partition("[retention]")
    rest = tail.partition("\n[")
    path.write_text(f"{head}[retention]\n{lines}\n{rest[1]}{rest[2]}" if found else f"{head}\n[retention]\n{lines}\n")
    return path


@pytest.mark.parametrize(
    ("lines", "field"),
    [
        ("results_days = 0", "results_days"),
        ("computations_days = 29", "computations_days"),
        ("sign_ins_days = 6", "sign_ins_days"),
        (f"results_days = {MOST_DAYS + 1}", "results_days"),
        ("results_days = 400\ncomputations_days = 399", "retention"),
        ("audit_days = 10", "audit_days"),
        ("results_days = -1", "results_days"),
    ],
)
def test_a_gateway_does_not_start_with_a_time_out_of_bounds(tmp_path: Path, lines: str, field: str) -> None:
    with pytest.raises(IsthmusError) as refused:
        load(GatewayConfig, with_retention(tmp_path, "gateway.toml", lines))
    assert refused.value.reason is Reason.CONFIGURATION
    assert field in refused.value.field


@pytest.mark.parametrize("lines", ["contracts_days = 29", "ledger_days = 100", "results_days = 90"])
def test_an_agent_does_not_start_with_a_time_out_of_bounds(tmp_path: Path, lines: str) -> None:
    with pytest.raises(IsthmusError) as refused:
        load(AgentConfig, with_retention(tmp_path, "agent.toml", lines))
    assert refused.value.reason is Reason.CONFIGURATION


def test_the_bounds_themselves_are_allowed(tmp_path: Path) -> None:
    for days in (30, MOST_DAYS):
        lines = f"results_days = {days}\ncomputations_days = {days}\nsign_ins_days = {days}"
        rules = load(GatewayConfig, with_retention(tmp_path, "gateway.toml", lines)).retention.rules
        assert [(rule.kept, rule.days) for rule in rules] == [
            (Kept.RESULTS, days), (Kept.COMPUTATIONS, days), (Kept.SIGN_INS, days),
        ]  # fmt: skip
        plans = max(days, LEAST_DAYS[Kept.PLANS])
        lines = f"contracts_days = {days}\nplans_days = {plans}"
        agent = load(AgentConfig, with_retention(tmp_path, "agent.toml", lines))
        assert agent.retention.rules == (Rule(Kept.CONTRACTS, days), Rule(Kept.PLANS, plans))


def test_a_contract_is_kept_for_longer_than_it_can_be_proposed_or_run() -> None:
    from gateway.rules.planning import LONGEST_SESSION, STARTS_WITHIN

    for kept in (Kept.COMPUTATIONS, Kept.CONTRACTS):
        assert LEAST_DAYS[kept] * DAY > 100 * (STARTS_WITHIN + LONGEST_SESSION)


def test_a_deletion_says_kind_number_and_time_and_its_key() -> None:
    fact = deletion(Rule(Kept.SIGN_INS, 180), "https://care.example", 7, 1_800_000_000)
    assert fact.detail == f"7 of before {moment(1_800_000_000 - 180 * DAY)}, by sign_ins_days = 180"
    assert moment(0) == "1970-01-01 00:00 UTC" and moment(86_399) == "1970-01-01 23:59 UTC"


async def test_the_client_says_that_a_result_is_gone_without_asking_for_it() -> None:
    profile = Profile.model_construct(gateway="127.0.0.1:1", token=None)
    with pytest.raises(IsthmusError) as gone:
        await AsyncClient(profile).result(GONE)
    assert gone.value.reason is Reason.RESULT_DELETED
    assert BY_REASON[gone.value.reason] == FAILED
    assert "deleted on 2027-01-15" in str(gone.value)


def test_show_says_that_a_result_is_gone_and_when() -> None:
    out = io.StringIO()
    console_of(out).print(render.computation(GONE))
    assert "Its result was deleted on 2027-01-15: results are kept for 90 days here." in out.getvalue()
    assert shapes.of_computation(GONE)["deletions"] == [{"kind": "results", "at": 1_800_000_000, "days": 90}]


GONE = Computation(
    "a" * 32, Role.HOME, "analyst", "", "", State.RELEASED, '{"title":"x"}', "", "", 1_790_000_000, 1_790_000_001, 0,
    deletions=(Deletion("results", 1_800_000_000, 90),),
)  # fmt: skip


class _Store:
    """Fails at first, and then is read by somebody."""

    def __init__(self) -> None:
        self.deletes = self.scrubs = 0
        self.done = asyncio.Event()

    async def delete(self, rule: Rule, entity: str, now: int, limit: int) -> int:
        self.deletes += 1
        if self.deletes == 1:
            raise IsthmusError(Reason.INTERNAL, "the store is away")
        return 0

    async def scrub(self) -> bool:
        self.scrubs += 1
        if self.scrubs == 3:
            self.done.set()
        return self.scrubs >= 3


async def test_the_job_goes_on_after_a_failure_and_scrubs_until_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retaining, "LOOK_EVERY", 0)
    monkeypatch.setattr(retaining, "SCRUB_AGAIN", 0)
    store = _Store()
    job = Retaining("https://care.example", [Rule(Kept.RESULTS, 90)], cast(Retention, store), cast(Clock, FakeClock()))
    task = asyncio.create_task(job.for_ever())
    try:
        await asyncio.wait_for(store.done.wait(), 5)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert store.deletes >= 2
