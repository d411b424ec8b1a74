"""Rows 20, 25, 26, 28 and 30 inside the engine: what a party does with what other parties and recipients are sent.

All of it again under `python -O`, where no `assert` of package code would hold: `test_optimised.py`.
"""

from __future__ import annotations

import asyncio
import pickle
import struct
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from random import Random

import numpy as np
import pytest

from connectors.engine.cost import Shape
from connectors.engine.errors import Abort, Culprit, SessionAborted
from connectors.engine.runtime import Engine
from connectors.engine.sharing import open_
from connectors.engine.wire import Channel
from connectors.rules.session_keys import PairKeys, pair_keys
from gateway.domain.errors import IsthmusError, Reason
from gateway.rules import release, seats
from gateway.rules.sealing import fresh_key
from gateway.rules.sharing import InconsistentShares, P, lagrange, reconstruct
from tests import examples
from tests.engine.harness import SESSION, SHAPES, engines, shared
from tests.engine.test_wire import CAP, Canary

LIARS = [
    pytest.param(shape, liars, id=f"m={shape.m} {'+'.join(map(str, liars))}")
    for shape in SHAPES
    for count in range(1, shape.t + 1)
    for liars in combinations(range(shape.m), count)
]


class Seats:
    """The keys of one session of three parties, and those of a party that has no seat in it."""

    def __init__(self, session: bytes = SESSION) -> None:
        self.private, public = zip(*(fresh_key() for _ in range(3)), strict=True)
        self.public, self.session = dict(enumerate(public)), session

    def of(self, pid: int) -> dict[int, PairKeys]:
        return pair_keys(self.private[pid], pid, self.session, self.public)

    def intruder(self, pid: int) -> dict[int, PairKeys]:
        """A party that is not in the contract, and says that it is `pid`."""
        private, public = fresh_key()
        return pair_keys(private, pid, self.session, {**self.public, pid: public})

    def channel(self) -> tuple[Channel, list[SessionAborted]]:
        """Party 1's channel with party 0."""
        failures: list[SessionAborted] = []
        mine = self.of(1)[0]
        return Channel(0, mine.sealer, mine.opener, CAP, lambda peer, sealed: None, failures.append), failures


def labelled(counter: int, payload: bytes) -> bytes:
    return struct.pack("<q", counter) + payload


def _of_another_session(all_of: Seats) -> bytes:
    other = Seats(b"x" * 32)
    other.private, other.public = all_of.private, all_of.public
    return other.of(0)[1].sealer.seal(labelled(1, b"12345678"))


FORGED: dict[str, Callable[[Seats], bytes]] = {
    "a party that is not in the contract": lambda s: s.intruder(0)[1].sealer.seal(labelled(1, b"12345678")),
    "party 2 on the seat of party 0": lambda s: s.of(2)[1].sealer.seal(labelled(1, b"12345678")),
    "party 1 to itself": lambda s: s.of(1)[0].sealer.seal(labelled(1, b"12345678")),
    "party 0 to party 2": lambda s: s.of(0)[2].sealer.seal(labelled(1, b"12345678")),
    "party 0 in another session": _of_another_session,
    "nobody": lambda s: bytes(32),
}


@pytest.mark.parametrize("who", FORGED)
async def test_20_21_only_who_has_the_seat_is_heard_on_it(who: str) -> None:
    everybody = Seats()
    ours, failures = everybody.channel()
    waiting = ours.receive(1, 8)
    ours.feed(FORGED[who](everybody))
    assert [failure.reason for failure in failures] == [Abort.BAD_FRAME]
    assert isinstance(waiting.exception(), SessionAborted)
    # What follows is not read any more, genuine as it may be.
    ours.feed(everybody.of(0)[1].sealer.seal(labelled(1, b"12345678")))
    assert len(failures) == 1


async def test_20_the_control_who_has_the_seat_is_heard() -> None:
    everybody = Seats()
    ours, failures = everybody.channel()
    waiting = ours.receive(1, 8)
    ours.feed(everybody.of(0)[1].sealer.seal(labelled(1, b"12345678")))
    assert (await waiting, failures) == (b"12345678", [])


@pytest.mark.parametrize("waited", [True, False], ids=["waited for", "early"])
async def test_25_a_canary_pickle_that_is_correctly_sealed_is_not_run(waited: bool, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    everybody = Seats()
    ours, failures = everybody.channel()
    evil = everybody.of(0)[1].sealer.seal(labelled(1, pickle.dumps(Canary(canary))))
    if waited:
        due = ours.receive(1, 8)
        ours.feed(evil)
    else:
        ours.feed(evil)
        due = ours.receive(1, 8)
    assert isinstance(due.exception(), SessionAborted)
    assert [(f.reason, f.culprit) for f in failures] == [(Abort.WRONG_LENGTH, Culprit("pid", 0))]
    assert not canary.exists()


async def test_26_a_frame_larger_than_the_bounds_names_who_sealed_it() -> None:
    everybody = Seats()
    ours, failures = everybody.channel()
    ours.feed(everybody.of(0)[1].sealer.seal(labelled(1, bytes(CAP + 1))))
    assert [(f.reason, f.culprit) for f in failures] == [(Abort.FRAME_TOO_LARGE, Culprit("pid", 0))]


async def test_26_a_frame_larger_than_the_bounds_that_nobody_sealed_proves_nothing() -> None:
    ours, failures = Seats().channel()
    ours.feed(bytes(CAP + 1000))
    assert [f.reason for f in failures] == [Abort.BAD_FRAME]


@pytest.mark.parametrize(("m", "t"), [(2, 0), (2, 1), (4, 1), (6, 2), (3, 0), (3, 2), (5, 3), (7, 4), (9, 4), (1, 0)])
def test_28_other_sizes_and_thresholds_are_refused_with_what_would_pass(m: int, t: int) -> None:
    with pytest.raises(IsthmusError) as refused:
        seats.check_sizes(m, t)
    assert refused.value.reason is Reason.SEATS_REFUSED
    assert refused.value.advice


# Row 30.


def wrong(shares: list[list[int]], liars: Sequence[int], t: int, random: Random) -> list[list[list[int]]]:
    """What `liars` may send in place of their shares: at random, by one, and the share of another number on a
    polynomial that agrees with t of the honest."""
    m = len(shares)
    honest = [pid for pid in range(m) if pid not in liars]
    out = []
    for change in (lambda share: (share + 1) % P, lambda share: random.randrange(P)):
        made = [list(vector) for vector in shares]
        for liar in liars:
            made[liar][-1] = change(made[liar][-1])
        out.append(made)
    for agreed in (honest[:t], honest[-t:]):
        made = [list(vector) for vector in shares]
        points, values = (0, *(pid + 1 for pid in agreed)), [77, *(shares[pid][0] for pid in agreed)]
        for liar in liars:
            weights = lagrange(points, liar + 1)
            made[liar][0] = sum(weight * value for weight, value in zip(weights, values, strict=True)) % P
        out.append(made)
    return [made for made in out if made != shares]


@pytest.mark.parametrize(("shape", "liars"), LIARS)
def test_30_wrong_output_shares_are_never_a_number(shape: Shape, liars: tuple[int, ...]) -> None:
    random = Random(str((shape, liars)))
    secrets = [5, 0, P - 1]
    good = [[int(value) for value in share] for share in shared(shape, secrets)]
    assert reconstruct(dict(enumerate(good)), shape.t) == secrets
    attempts = wrong(good, liars, shape.t, random)
    assert len(attempts) == 4
    for attempt in attempts:
        with pytest.raises(InconsistentShares):
            reconstruct(dict(enumerate(attempt)), shape.t)


@pytest.mark.parametrize(("shape", "liars"), LIARS)
def test_30_wrong_shares_in_mid_session_end_it_at_every_honest_party(shape: Shape, liars: tuple[int, ...]) -> None:
    x = shared(shape, [5, 6, 7])
    for liar in liars:
        x[liar][1] = (int(x[liar][1]) + 1 + liar) % P

    async def all_open() -> list[object]:
        parties = engines(shape)

        async def one(rt: Engine) -> object:
            await rt.start()
            return await open_(rt, x[rt.pid], "test")

        return await asyncio.gather(*(one(p.engine) for p in parties), return_exceptions=True)

    ended = asyncio.run(all_open())
    for pid in set(range(shape.m)) - set(liars):
        failure = ended[pid]
        assert isinstance(failure, SessionAborted), (pid, failure)
        # Who it was, nobody can tell: nobody is named.
        assert (failure.reason, failure.culprit) == (Abort.INCONSISTENT_SHARES, None)


@pytest.mark.parametrize("m", [3, 5, 7])
def test_30_a_recipient_that_misses_a_share_has_no_result(m: int) -> None:
    t = (m - 1) // 2
    good = [[int(value) for value in share] for share in shared(Shape(m, t), [1, 2])]
    for missing in range(m):
        with pytest.raises(InconsistentShares):
            reconstruct({pid: vector for pid, vector in enumerate(good) if pid != missing}, t)
        short = {pid: vector[: 1 if pid == missing else 2] for pid, vector in enumerate(good)}
        with pytest.raises(InconsistentShares):
            reconstruct(short, t)


@pytest.mark.parametrize("liar", range(3))
def test_30_a_table_with_a_wrong_share_is_none(liar: int) -> None:
    contract = examples.contract()
    cells = len(examples.cell_codes(contract))
    opened = [11] * cells + [1] * cells
    shares = shared(Shape(3, 1), np.array(opened))
    vectors = {pid: [int(value) for value in shares[pid]] for pid in range(3)}
    assert [row.count for row in release.open_table(contract, vectors).rows] == [11] * cells
    for place in range(2 * cells):
        bad = {pid: list(vector) for pid, vector in vectors.items()}
        bad[liar][place] = (bad[liar][place] + 1) % P
        with pytest.raises(IsthmusError) as refused:
            release.open_table(contract, bad)
        assert refused.value.reason is Reason.INCONSISTENT_SHARES
