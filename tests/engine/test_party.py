"""Party processes on pipes: results, what they tell, and how they end."""

import base64
import json
import pickle
import random
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from connectors.engine.cost import Shape
from connectors.engine.pipe import MAX_FRAME, Frames, FromParty, PipeBroken, ToParty, frame
from connectors.engine.programs import group_count, overlap
from connectors.engine.rows import InputRows
from connectors.launch.subprocesses import Party
from connectors.rules.session_keys import pair_keys
from gateway.domain.errors import Reason
from gateway.rules import noise
from gateway.rules.sealing import SealBroken, fresh_key, open_kept
from gateway.rules.sharing import reconstruct
from tests.engine.relay import Federation, Seat, forked, run
from tests.engine.test_programs import BOUNDS, EVERY, GROUPS, LISTS, SOME
from tests.engine.test_wire import Canary


def small(m: int = 3) -> Federation:
    return Federation(overlap, dict(LISTS), SOME, BOUNDS, m)


def failures(seats: list[Seat]) -> list[dict[str, Any]]:
    return [body for seat in seats for kind, body in seat.events if kind is FromParty.FAILED]


@pytest.mark.parametrize(("program", "parameters"), EVERY)
async def test_processes_compute_what_the_twin_says(program: ModuleType, parameters: dict) -> None:
    federation = Federation(program, parameters, SOME, BOUNDS)
    seats = await run(federation)
    assert federation.result(seats) == program.clear(parameters, SOME)
    for seat in seats:
        kinds = [kind for kind, _ in seat.events]
        assert kinds[-3:] == [FromParty.OUTPUT_READY, FromParty.OUTPUT, FromParty.DONE]
        progress = [body for kind, body in seat.events if kind is FromParty.PROGRESS]
        assert progress[0]["phase"] == "start"
        assert progress[-1]["phase"] == "limits"
        assert [p["fraction"] for p in progress] == sorted(p["fraction"] for p in progress)
        assert seat.ended["rounds"] == 1 + program.cost(parameters, BOUNDS, Shape(3, 1)).rounds
        assert seat.ending == "with exit code 0"
        seen = [entry for entry in seat.ended["view"] if entry["step"].startswith("linking")]
        assert seen
        assert all(int(value) > 4096 for entry in seen for value in entry["elements"])


async def test_processes_add_the_noise_that_all_providers_bits_make() -> None:
    parameters = {**GROUPS, "minimum_cell": 0, "noise": noise.table("0.5")}
    federation = Federation(group_count, parameters, SOME, BOUNDS)
    uniform = [group_count.own_noise(parameters, seed) for seed in federation.noise_seeds]
    assert federation.result(await run(federation)) == group_count.clear(parameters, SOME, uniform)


async def test_a_party_seals_its_output_once_more_for_its_own_agent_to_keep() -> None:
    federation, agents = small(), [fresh_key() for _ in range(3)]

    def kept(pid: int, job: dict[str, Any]) -> None:
        key = base64.b64encode(agents[pid][1]).decode()
        job["keeper"] = {"key": key, "contract": "c" * 64, "question": "q" * 64}

    seats = await run(federation, edit_job=kept)
    shares = {}
    for pid, seat in enumerate(seats):
        assert list(seat.outputs) == ["analyst"]
        sealed = base64.b64decode(seat.ended["kept"])
        of = federation.seat_keys[pid][1], federation.transcript, pid
        shares[pid] = open_kept(agents[pid][0], *of, "c" * 64, "q" * 64, sealed)
        for wrong in (("d" * 64, "q" * 64), ("c" * 64, "r" * 64)):
            with pytest.raises(SealBroken):
                open_kept(agents[pid][0], *of, *wrong, sealed)
        with pytest.raises(SealBroken):
            open_kept(agents[(pid + 1) % 3][0], *of, "c" * 64, "q" * 64, sealed)
    assert reconstruct(shares, 1) == federation.result(seats)


async def test_five_processes_and_the_real_size_of_a_table() -> None:
    rng = random.Random(5)
    pool = [rng.getrandbits(60) for _ in range(90)]
    providers = [InputRows(keys := rng.sample(pool, n), [rng.randrange(1, 32) for _ in keys], []) for n in (40, 60, 50)]
    parameters: dict[str, object] = {"lists": list("abcde"), "minimum_cell": 3}
    federation = Federation(overlap, parameters, providers, [64, 64, 64], 5)
    assert federation.result(await run(federation)) == overlap.clear(parameters, providers)


def on_first(origin: int, peer: int, change: Callable[[bytes], Sequence[tuple[int, bytes]]]) -> Any:
    """Changes the first frame from origin to peer."""
    seen = [0]

    def tamper(sender: int, receiver: int, sealed: bytes) -> Sequence[tuple[int, bytes]]:
        if (sender, receiver) == (origin, peer):
            seen[0] += 1
            if seen[0] == 1:
                return change(sealed)
        return [(sender, sealed)]

    return tamper


@pytest.mark.parametrize(
    ("change", "reason", "culprit"),
    [
        (lambda sealed: [(1, sealed), (1, sealed)], "BAD_FRAME", 1),
        (lambda sealed: [(0, sealed)], "BAD_FRAME", 0),
        (lambda sealed: [(2, sealed)], "BAD_FRAME", 2),
        (lambda sealed: [(1, bytes(1 << 22))], "BAD_FRAME", 1),
    ],
    ids=["replayed", "claimed by another party", "claimed by itself", "oversize and not sealed"],
)
async def test_a_bad_frame_ends_the_process_and_names_the_party(
    change: Callable[[bytes], Sequence[tuple[int, bytes]]], reason: str, culprit: int
) -> None:
    seats = await run(small(), tamper=on_first(1, 2, change))
    assert [(f["reason"], f["culprit"]) for f in failures(seats)[:1]] == [(reason, {"pid": culprit})]
    assert not any(seat.outputs for seat in seats)


async def test_a_canary_pickle_correctly_sealed_is_not_run(tmp_path: Path) -> None:
    federation, canary = small(), tmp_path / "canary"
    seats = {pid: key[1] for pid, key in enumerate(federation.seat_keys)}
    sealer = pair_keys(federation.seat_keys[1][0], 1, federation.transcript, seats)[2].sealer
    evil = sealer.seal(struct.pack("<q", 1) + pickle.dumps(Canary(canary)))
    ended = await run(federation, tamper=on_first(1, 2, lambda sealed: [(1, evil)]))
    assert [(f["reason"], f["culprit"]) for f in failures(ended)[:1]] == [("WRONG_LENGTH", {"pid": 1})]
    assert not canary.exists()


def bad_program(pid: int, job: dict[str, Any]) -> None:
    job["program"]["digest"] = "0" * 64


def bad_threshold(pid: int, job: dict[str, Any]) -> None:
    job["t"] = 0


def even_parties(pid: int, job: dict[str, Any]) -> None:
    job["m"] = 4


def bad_seat(pid: int, job: dict[str, Any]) -> None:
    job["pid"] = (pid + 1) % 3


def bad_parameters(pid: int, job: dict[str, Any]) -> None:
    job["parameters"]["minimum_cell"] = "many"


@pytest.mark.parametrize("flags", [(), ("-O",)], ids=["plain", "optimised"])
async def test_a_job_that_does_not_hold_together_is_refused(flags: Sequence[str]) -> None:
    edits = {bad_program: "PROGRAM_MISMATCH", bad_threshold: "BAD_JOB", even_parties: "BAD_JOB", bad_seat: "BAD_JOB"}
    async with forked(len(edits), flags) as (_, parties):
        for party, (edit, reason) in zip(parties, edits.items(), strict=True):
            job = small().job(0)
            edit(0, job)
            assert (await refusal(party, job))["reason"] == reason


async def test_bad_parameters_are_named() -> None:
    job = small().job(0)
    bad_parameters(0, job)
    async with forked(1) as (_, (party,)):
        assert "parameters.minimum_cell" in (await refusal(party, job))["detail"]


async def refusal(party: Party, job: dict[str, Any]) -> dict[str, Any]:
    """What a party says to a job."""
    party.send(ToParty.JOB, json.dumps(job).encode())
    frames = dict([message async for message in party.messages()])
    assert await party.ending() == (Reason.PARTY_DIED, "with exit code 1")
    return dict(json.loads(bytes(frames[FromParty.FAILED])))


def swap(inputs: list[dict[int, list[bytes]]]) -> None:
    inputs[0], inputs[1] = inputs[1], inputs[0]


def cut(inputs: list[dict[int, list[bytes]]]) -> None:
    inputs[1][0] = [inputs[1][0][0][:-1]]


@pytest.mark.parametrize(("edit", "provider"), [(swap, 0), (cut, 1)])
async def test_inputs_of_another_provider_or_altered_are_refused(edit: Callable[..., None], provider: int) -> None:
    seats = await run(small(), edit_inputs=edit)
    first = failures(seats)[0]
    assert (first["reason"], first["culprit"], first["phase"]) == (
        "BAD_INPUT",
        {"provider": provider},
        "input",
    )


async def test_a_party_that_waits_too_long_names_who_is_missing() -> None:
    def impatient(pid: int, job: dict[str, Any]) -> None:
        job["deadline_seconds"] = 1 if pid == 1 else 60

    seats = await run(
        small(), tamper=lambda a, b, sealed: [] if (a, b) == (0, 1) else [(a, sealed)], edit_job=impatient
    )
    (late,) = failures(seats)
    assert (late["reason"], late["culprit"], late["phase"]) == ("DEADLINE", {"pid": 0}, "start")


async def test_a_party_dies_when_its_agent_lets_go_of_its_pipe_and_says_nothing_until_it_is_told_to() -> None:
    async with forked(1) as (_, (party,)):
        party.let_go()
        assert [kind async for kind, _ in party.messages()] == []
        assert await party.ending() == (Reason.PARTY_DIED, "with exit code 2")


@pytest.mark.parametrize("arguments", [(), ("{}",)])
def test_a_fork_server_without_an_agent_says_so_and_ends(arguments: Sequence[str]) -> None:
    command = [sys.executable, "-m", "connectors.engine.forkserver", *arguments]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert ended.returncode == 1
    assert b"started by its agent" in ended.stderr


def test_importing_the_engine_leaves_argv_logging_and_environment_alone() -> None:
    script = """
import asyncio, logging, os, sys
before = (list(sys.argv), dict(os.environ), list(logging.root.handlers), logging.root.level)
import connectors.engine.runtime
assert before == (sys.argv, dict(os.environ), logging.root.handlers, logging.root.level)
assert type(asyncio.get_event_loop_policy()) is asyncio.DefaultEventLoopPolicy
assert not hasattr(sys.modules["mpyc.runtime"], "mpc")
"""
    command = [sys.executable, "-c", script, "-M3", "--help", "-V", "-I1"]
    assert subprocess.run(command, check=True, capture_output=True, timeout=60).stdout == b""


def test_what_agents_and_launchers_import_does_not_import_mpyc() -> None:
    script = """
import sys
from connectors.engine import forking, inputs, job, kernelcache, pipe, programs
from connectors.launch import subprocesses
raise SystemExit("mpyc" in sys.modules or "numba" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_a_pipe_frame_over_the_cap_or_empty_is_refused() -> None:
    for length in (0, MAX_FRAME + 1):
        with pytest.raises(PipeBroken):
            Frames().feed(struct.pack("<I", length))
    message = frame(ToParty.GO) + frame(ToParty.JOB, b"{}")
    frames = Frames()
    assert [f for byte in message for f in frames.feed(bytes([byte]))] == [
        (ToParty.GO, b""),
        (ToParty.JOB, b"{}"),
    ]


def test_pipe_frames_come_out_alike_however_reads_cut_them() -> None:
    sent = [(ToParty.PEER, bytes([n]) * n) for n in range(12)]
    message = b"".join(frame(*one) for one in sent)
    for size in range(1, len(message) + 1):
        frames = Frames()
        reads = [message[start : start + size] for start in range(0, len(message), size)]
        assert [one for read in reads for one in frames.feed(read)] == sent
