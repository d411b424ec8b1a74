"""What a party is told, and whom a failure names."""

from __future__ import annotations

import json

import pytest

from connectors.engine import programs
from connectors.engine.errors import Abort, SessionAborted
from connectors.engine.job import Keeper, read
from connectors.rules.party_job import REASONS, blame, failure, keeper, party_job
from gateway.domain.approval import SignedContract
from gateway.domain.errors import Reason
from gateway.domain.session import PROVIDER_BASE, UNDETERMINED
from gateway.rules import sealing
from gateway.rules.canonical import question
from gateway.rules.roster import Roster
from tests import examples


def roster_of(contract: object) -> tuple[Roster, dict[int, bytes]]:
    seats = {seat.pid: sealing.fresh_key() for seat in contract.seats}  # type: ignore[attr-defined]
    providers = {provider.entity: sealing.fresh_key()[1] for provider in contract.providers}  # type: ignore[attr-defined]
    made = Roster(bytes(32), {pid: public for pid, (_, public) in seats.items()}, providers)
    return made, {pid: private for pid, (private, _) in seats.items()}


def test_a_party_takes_the_job_as_it_is_made() -> None:
    contract = examples.contract()
    roster, private = roster_of(contract)
    for seat in contract.seats:
        told = party_job(contract, roster, private[seat.pid], seat.pid)
        told["program"]["digest"] = programs.digest(contract.program.name)
        job = read(json.dumps(told).encode())
        assert (job.pid, job.shape.m, job.shape.t) == (seat.pid, contract.m, contract.t)
        assert [provider.bound for provider in job.providers] == [p.row_bound for p in contract.providers]


def test_a_party_seals_to_its_agent_under_the_digests_of_contract_and_question() -> None:
    contract = examples.contract()
    roster, private = roster_of(contract)
    to = sealing.fresh_key()[1]
    kept_by = keeper(SignedContract(contract, "c" * 64, ""), to)
    told = party_job(contract, roster, private[0], 0, kept_by)
    told["program"]["digest"] = programs.digest(contract.program.name)
    job = read(json.dumps(told).encode())
    assert job.keeper == Keeper(to, "c" * 64, question(contract))
    assert keeper(SignedContract(contract, "c" * 64, ""), b"") is None
    for wrong in ({}, {**told["keeper"], "key": "AAAA"}, {**told["keeper"], "contract": ""}, "somebody"):
        with pytest.raises(SessionAborted):
            read(json.dumps({**told, "keeper": wrong}).encode())


@pytest.mark.parametrize("abort", [abort for abort in Abort if abort not in (Abort.BAD_JOB, Abort.INTERNAL)])
def test_every_abort_that_is_not_our_own_fault_has_a_reason_that_others_know(abort: Abort) -> None:
    assert abort.value in REASONS


def test_a_culprit_is_named_as_the_contract_seats_it() -> None:
    contract = examples.contract()
    by_pid = blame(
        contract, examples.HOME, 0, {"culprit": {"pid": 1}, "reason": "BAD_FRAME", "phase": "p", "detail": "d"}
    )
    assert (by_pid.culprit, by_pid.reason) == (contract.seats[1].entity, Reason.FRAME_UNREADABLE)
    said = {"culprit": {"provider": 1}, "reason": "BAD_INPUT", "phase": "p", "detail": "d"}
    assert blame(contract, examples.HOME, 0, said).culprit == contract.providers[1].entity
    own = {"culprit": None, "reason": "INTERNAL", "phase": "p", "detail": "d"}
    assert blame(contract, examples.HOME, 0, own).culprit == examples.HOME
    late = {"culprit": None, "reason": "DEADLINE", "phase": "p", "detail": "d"}
    assert blame(contract, examples.HOME, 0, late).culprit == UNDETERMINED


def test_an_address_is_a_pid_or_a_provider_and_nothing_else() -> None:
    contract = examples.contract()
    assert [contract.entity_at(seat.pid) for seat in contract.seats] == [seat.entity for seat in contract.seats]
    assert contract.entity_at(PROVIDER_BASE) == contract.providers[0].entity
    for address in (-1, contract.m, PROVIDER_BASE - 1, PROVIDER_BASE + len(contract.providers), 1 << 31):
        assert contract.entity_at(address) is None


def test_a_failure_says_whose_turn_it_is() -> None:
    assert examples.POLICE in failure(Reason.PARTY_DIED, examples.POLICE, "p", "t").action
    assert failure(Reason.DEADLINE_EXCEEDED, UNDETERMINED, "p", "t").action == "Ask again"
