"""Keys and sealing bind session, roles and order; nothing opens anywhere else."""

import subprocess
import sys

import pytest

from connectors.rules.session_keys import (
    BadFrame,
    BadSessionKey,
    open_input,
    pair_keys,
    seal_input,
)
from gateway.rules.roster import transcript
from gateway.rules.sealing import SealBroken, fresh_key, open_output, seal, seal_output, unseal
from gateway.rules.sharing import P

T = bytes(range(32))
DIGEST = {i: bytes([i]) * 32 for i in range(9)}


def three() -> tuple[list[bytes], dict[int, bytes]]:
    private, public = zip(*(fresh_key() for _ in range(3)), strict=True)
    return list(private), dict(enumerate(public))


def test_the_transcript_depends_on_every_digest_and_place() -> None:
    seats, providers = {0: DIGEST[1], 1: DIGEST[2]}, {"https://a": DIGEST[3], "https://b": DIGEST[4]}
    others = [
        transcript(DIGEST[8], seats, providers),
        transcript(DIGEST[0], {0: DIGEST[2], 1: DIGEST[1]}, providers),
        transcript(DIGEST[0], seats, {"https://a": DIGEST[4], "https://b": DIGEST[3]}),
        transcript(DIGEST[0], {**seats, 2: DIGEST[3]}, {"https://b": DIGEST[4]}),
        transcript(DIGEST[0], seats, {}),
    ]
    same = transcript(DIGEST[0], dict(reversed(seats.items())), dict(reversed(providers.items())))
    assert same == transcript(DIGEST[0], seats, providers)
    assert same not in others
    assert len(set(others)) == len(others)


def test_a_transcript_takes_digests_of_32_bytes_only() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        transcript(DIGEST[0], {0: DIGEST[1] + b"x"}, {})


def test_frames_open_in_order_and_once() -> None:
    private, seats = three()
    sender, receiver = pair_keys(private[0], 0, T, seats)[1], pair_keys(private[1], 1, T, seats)[0]
    first, second, third = (sender.sealer.seal(text) for text in (b"one", b"two", b"three"))
    assert receiver.opener.open(first) == b"one"
    for wrong in (first, third, second[:-1], second + b"x", b""):
        with pytest.raises(BadFrame) as refused:
            receiver.opener.open(wrong)
        assert refused.value.sender == 0
    assert receiver.opener.open(second) == b"two"


@pytest.mark.parametrize(("pid", "peer", "session"), [(1, 0, bytes(32)), (2, 0, T), (2, 1, T), (0, 1, T)])
def test_a_frame_opens_for_its_receiver_direction_and_session_alone(pid: int, peer: int, session: bytes) -> None:
    private, seats = three()
    sealed = pair_keys(private[0], 0, T, seats)[1].sealer.seal(b"secret")
    with pytest.raises(BadFrame):
        pair_keys(private[pid], pid, session, seats)[peer].opener.open(sealed)


def test_both_parties_of_a_pair_derive_one_randomness_per_direction() -> None:
    private, seats = three()
    one, other = pair_keys(private[0], 0, T, seats)[1], pair_keys(private[1], 1, T, seats)[0]
    assert one.randomness_to == other.randomness_from != one.randomness_from == other.randomness_to
    assert one.randomness_to != pair_keys(private[0], 0, bytes(32), seats)[1].randomness_to


@pytest.mark.parametrize("bad", [bytes(32), bytes(31), b""])
def test_an_unusable_seat_key_is_refused_by_seat(bad: bytes) -> None:
    private, seats = three()
    with pytest.raises(BadSessionKey) as refused:
        pair_keys(private[0], 0, T, {**seats, 2: bad})
    assert refused.value.pid == 2


def test_a_private_key_of_another_seat_is_refused() -> None:
    private, seats = three()
    with pytest.raises(BadSessionKey):
        pair_keys(private[0], 1, T, seats)


def test_an_input_share_opens_in_its_place_alone() -> None:
    (seat, seat_public), (provider, provider_public), (_, other) = fresh_key(), fresh_key(), fresh_key()
    place = (T, "https://a", 1, 0, True)
    sealed = seal_input(seat_public, provider, *place, b"shares")
    assert open_input(seat, provider_public, *place, sealed) == b"shares"
    wrong = [
        (provider_public, (bytes(32), "https://a", 1, 0, True)),
        (provider_public, (T, "https://b", 1, 0, True)),
        (provider_public, (T, "https://a", 2, 0, True)),
        (provider_public, (T, "https://a", 1, 1, True)),
        (provider_public, (T, "https://a", 1, 0, False)),
        (other, place),
    ]
    for public, elsewhere in wrong:
        with pytest.raises(SealBroken):
            open_input(seat, public, *elsewhere, sealed)
    with pytest.raises(SealBroken):
        open_input(seat, provider_public, *place, b"short")


def test_output_shares_open_for_the_named_recipient_from_the_named_seat() -> None:
    (recipient, recipient_public), (seat, seat_public), (other, other_public) = (
        fresh_key(),
        fresh_key(),
        fresh_key(),
    )
    sealed = seal_output(recipient_public, seat, T, 2, "analyst", [0, 1, P - 1])
    assert open_output(recipient, seat_public, T, 2, "analyst", sealed) == [0, 1, P - 1]
    for private, public, session, pid, name in [
        (other, seat_public, T, 2, "analyst"),
        (recipient, other_public, T, 2, "analyst"),
        (recipient, seat_public, bytes(32), 2, "analyst"),
        (recipient, seat_public, T, 1, "analyst"),
        (recipient, seat_public, T, 2, "gateway"),
    ]:
        with pytest.raises(SealBroken):
            open_output(private, public, session, pid, name, sealed)


def test_output_shares_outside_the_field_are_refused() -> None:
    (recipient, recipient_public), (seat, seat_public) = fresh_key(), fresh_key()
    with pytest.raises(SealBroken):
        sealed = seal_output(recipient_public, seat, T, 0, "analyst", [P])
        open_output(recipient, seat_public, T, 0, "analyst", sealed)


def test_a_sealed_message_is_authenticated_by_its_sender() -> None:
    (recipient, recipient_public), (sender, sender_public), (_, other) = fresh_key(), fresh_key(), fresh_key()
    sealed = seal(recipient_public, sender, b"info", b"text")
    assert unseal(recipient, sender_public, b"info", sealed) == b"text"
    for public, info in ((other, b"info"), (sender_public, b"other")):
        with pytest.raises(SealBroken):
            unseal(recipient, public, info, sealed)


def test_refusals_do_not_depend_on_assert() -> None:
    """The same refusals under python -O."""
    script = """
from connectors.rules.session_keys import *
from gateway.rules.roster import transcript
from connectors.engine.errors import SessionAborted
from connectors.engine.job import read
from gateway.rules.sealing import fresh_key
from gateway.rules.sharing import *
def refused(error, action):
    try:
        action()
    except error:
        return
    raise SystemExit(f"not refused: {error.__name__}")
assert False, "this must not fire under -O"
private, public = fresh_key()
refused(BadSessionKey, lambda: pair_keys(private, 0, bytes(32), {0: public, 1: bytes(32)}))
refused(BadSessionKey, lambda: pair_keys(private, 1, bytes(32), {0: public, 1: fresh_key()[1]}))
refused(ValueError, lambda: transcript(b"", {}, {}))
refused(InconsistentShares, lambda: reconstruct({0: [1], 1: [2], 2: [4]}, 1))
refused(InconsistentShares, lambda: reconstruct({0: [1], 1: [2]}, 1))
refused(InconsistentShares, lambda: reconstruct({0: [1], 1: [2], 2: [3]}, 0))
refused(SessionAborted, lambda: read(b"{}"))
"""
    subprocess.run([sys.executable, "-O", "-c", script], check=True, timeout=60)
