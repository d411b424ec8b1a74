"""The roster is derived from contract and approvals, or refused (THREATS rows 20 to 22)."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.approval import ApprovalBody, SeatKey, SignedApproval, SignedContract
from gateway.domain.computation import SealedShare
from gateway.domain.errors import IsthmusError, Reason
from gateway.rules import release, sealing
from gateway.rules.roster import open_result, roster, transcript
from gateway.rules.sharing import P
from gateway.rules.statistics import overlap
from tests import examples
from tests.examples import CARE, HOME, NEUTRAL, POLICE

CONTRACT = SignedContract(examples.contract(), "c" * 64, "")
KEYS = {label: bytes([n + 1]) * 32 for n, label in enumerate(("0", "1", "2", HOME, POLICE, CARE))}


def text(label: str) -> str:
    return base64.b64encode(sealing.public_of(KEYS[label])).decode()


def approval(entity: str, **changes: object) -> SignedApproval:
    seats = tuple(SeatKey(seat.pid, text(str(seat.pid))) for seat in CONTRACT.body.seats_of(entity))
    provider = text(entity) if CONTRACT.body.provider_of(entity) else ""
    body = replace(ApprovalBody(CONTRACT.digest, seats, provider), **changes)  # type: ignore[arg-type]
    return SignedApproval(entity, body, hashlib.sha256(entity.encode()).hexdigest(), "")


ALL = [approval(entity) for entity in (HOME, POLICE, NEUTRAL, CARE)]


def refused(approvals: list[SignedApproval]) -> IsthmusError:
    with pytest.raises(IsthmusError) as caught:
        roster(CONTRACT, approvals)
    assert caught.value.reason is Reason.APPROVALS_INVALID
    return caught.value


@given(st.permutations(ALL))
def test_the_order_in_which_approvals_come_does_not_matter(approvals: list[SignedApproval]) -> None:
    made = roster(CONTRACT, approvals)
    assert made == roster(CONTRACT, ALL)
    assert made.seats == {pid: sealing.public_of(KEYS[str(pid)]) for pid in range(3)}
    assert set(made.providers) == {HOME, POLICE, CARE}


@pytest.mark.parametrize("missing", range(4))
def test_22_a_missing_approval_is_named(missing: int) -> None:
    assert refused(ALL[:missing] + ALL[missing + 1 :]).space == ALL[missing].entity


@pytest.mark.parametrize("twice", range(4))
def test_22_an_approval_that_comes_twice_is_refused_even_in_place_of_another(twice: int) -> None:
    assert refused([*ALL, ALL[twice]]).space == ALL[twice].entity
    refused([ALL[twice] if i == (twice + 1) % 4 else item for i, item in enumerate(ALL)])


def test_20_a_space_that_takes_no_part_is_refused() -> None:
    refused([*ALL, replace(ALL[2], entity="https://stranger.example")])


def test_21_an_approval_of_other_bytes_is_refused() -> None:
    other = replace(ALL[1], body=replace(ALL[1].body, contract_digest="d" * 64))
    assert refused([ALL[0], other, *ALL[2:]]).space == POLICE


@pytest.mark.parametrize(
    ("index", "changes"),
    [
        (0, {"seats": ()}),
        (0, {"seats": (SeatKey(1, text("0")),)}),
        (0, {"seats": (SeatKey(0, text("0")), SeatKey(1, text("1")))}),
        (3, {"seats": (SeatKey(0, text("0")),)}),
        (0, {"provider": ""}),
        (2, {"provider": text(CARE)}),
        (0, {"provider": text("0")}),
        (0, {"provider": text(CARE)}),
        (0, {"seats": (SeatKey(0, text("1")),)}),
        (0, {"seats": (SeatKey(0, base64.b64encode(b"x" * 31).decode()),)}),
        (0, {"seats": (SeatKey(0, "not base64!"),)}),
        (0, {"provider": text(HOME) + "\n"}),
    ],
)
def test_20_an_approval_brings_one_own_fresh_key_for_each_role_of_its_space(
    index: int, changes: dict[str, object]
) -> None:
    altered = [approval(item.entity, **changes) if i == index else item for i, item in enumerate(ALL)]
    refused(altered)


def test_the_transcript_changes_with_every_digest_in_it() -> None:
    base = roster(CONTRACT, ALL).transcript
    others = [roster(replace(CONTRACT, digest="d" * 64), [
        replace(item, body=replace(item.body, contract_digest="d" * 64)) for item in ALL
    ]).transcript]  # fmt: skip
    for index in range(4):
        changed = [replace(item, digest="f" * 64) if i == index else item for i, item in enumerate(ALL)]
        others.append(roster(CONTRACT, changed).transcript)
    assert len({base, *others}) == 6


def test_the_transcript_tells_seats_from_providers() -> None:
    one, two = b"1" * 32, b"2" * 32
    assert transcript(one, {0: one, 1: two}, {}) != transcript(one, {0: one}, {"a": two})
    with pytest.raises(ValueError, match="32 bytes"):
        transcript(one, {0: one[:-1]}, {})


RECIPIENT = "gateway https://home.example"


def shares(*, wrong: int | None = None, session: bytes | None = None) -> list[SealedShare]:
    made = roster(CONTRACT, ALL)
    counts, kept = [40, 0, 12], [1, 0, 1]
    sealed = []
    for pid in range(3):
        vector = [(value + (pid + 1) * 7 + (pid == wrong)) % P for value in counts + kept]
        to = sealing.public_of(b"\x11" * 32)
        box = sealing.seal_output(to, KEYS[str(pid)], session or made.transcript, pid, RECIPIENT, vector)
        sealed.append(SealedShare(pid, RECIPIENT, base64.b64encode(box).decode()))
    return sealed


def opened(sealed: list[SealedShare]) -> list[int | None]:
    return [row.count for row in open_result(CONTRACT, ALL, sealed, RECIPIENT, b"\x11" * 32).rows]


def test_a_result_opens_and_a_suppressed_cell_has_no_count() -> None:
    assert opened(shares()) == [40, None, 12]


@pytest.mark.parametrize(
    "sealed",
    [
        *(shares(wrong=pid) for pid in range(3)),
        shares()[:2],
        [*shares(), shares()[0]],
        [replace(shares()[0], pid=1), *shares()[1:]],
        [replace(shares()[0], pid=5), *shares()[1:]],
        [replace(shares()[0], sealed="AAAA"), *shares()[1:]],
        [replace(shares()[0], sealed="no base64"), *shares()[1:]],
        shares(session=b"another session's transcript...."),
    ],
)
def test_30_shares_that_do_not_fit_together_give_no_number(sealed: list[SealedShare]) -> None:
    with pytest.raises(IsthmusError) as caught:
        opened(sealed)
    assert caught.value.reason is Reason.INCONSISTENT_SHARES


@pytest.mark.parametrize(
    "values", [[40, 3, 12, 1, 0, 1], [40, 0, 12, 1, 0, 2], [999, 0, 12, 1, 0, 1], [40, 0, 12, 1, 0], [40, 0, 12] * 3]
)
def test_30_values_that_no_program_computes_give_no_number(values: list[int]) -> None:
    vectors = {pid: [(value + pid + 1) % P for value in values] for pid in range(3)}
    with pytest.raises(IsthmusError) as caught:
        release.open_table(CONTRACT.body, vectors)
    assert caught.value.reason is Reason.INCONSISTENT_SHARES


def test_overlap_cells_are_the_patterns_with_bit_i_for_list_i() -> None:
    made = examples.contract(examples.overlap())
    cells = examples.cell_codes(made)
    assert cells[:4] == [("1", "0", "0"), ("0", "1", "0"), ("1", "1", "0"), ("0", "0", "1")]
    assert len(cells) == 7
    # Three lists of the same short name are told apart by their spaces.
    assert overlap.names(made.query) == ("home.example/list", "police.example/list", "care.example/list")


@pytest.mark.parametrize(("value", "fits"), [(0, True), (200, True), (300, False), (190, False)])
def test_a_rounded_table_has_multiples_up_to_the_bound_rounded(value: int, fits: bool) -> None:
    """Three providers share 192 rows at most."""
    body = replace(CONTRACT.body, limits=replace(CONTRACT.body.limits, rounding=100))
    vectors = {pid: [(v + pid + 1) % P for v in (value, 0, 100, 1, 0, 1)] for pid in range(3)}
    if fits:
        assert [row.count for row in release.open_table(body, vectors).rows] == [value, None, 100]
        return
    with pytest.raises(IsthmusError) as caught:
        release.open_table(body, vectors)
    assert caught.value.reason is Reason.INCONSISTENT_SHARES
