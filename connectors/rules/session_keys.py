"""The keys of one session: transcript digest, party-to-party keys, input shares.

Invariants (DESIGN section 5): every key depends on the transcript T, hence on the contract and on every
approval; each direction of each pair of parties has its own keys; a party-to-party frame opens only as the
next one from that party (strict counter as nonce), so a replayed, reordered, dropped or redirected frame does
not open. No key is used for two purposes: HKDF labels separate sealing from randomness.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.rules.sealing import framed, seal, unseal

DIGEST_BYTES = 32
TAG_BYTES = 16
_FRAME = b"isthmus party frame v1"
_RANDOMNESS = b"isthmus party randomness v1"
_INPUT = b"isthmus input share v1"


class BadFrame(ValueError):
    """A party's frame does not open as the next one of its channel."""

    def __init__(self, sender: int) -> None:
        super().__init__(f"a frame of party {sender} does not open as its next one")
        self.sender = sender


class BadSessionKey(ValueError):
    """A seat's session key is not a usable X25519 key."""

    def __init__(self, pid: int) -> None:
        super().__init__(f"the session key of seat {pid} is not a usable X25519 key")
        self.pid = pid


class Sealer:
    """Seals the frames of one direction; holds the counter."""

    def __init__(self, key: bytes, associated: bytes) -> None:
        self._cipher, self._associated, self._count = AESGCM(key), associated, 0

    def seal(self, plaintext: bytes) -> bytes:
        sealed = self._cipher.encrypt(_nonce(self._count), plaintext, self._associated)
        self._count += 1
        return sealed


class Opener:
    """Opens the frames of one direction, in order only."""

    def __init__(self, sender: int, key: bytes, associated: bytes) -> None:
        self._sender, self._cipher, self._associated, self._count = sender, AESGCM(key), associated, 0

    def open(self, sealed: bytes | memoryview) -> bytes:
        """The plaintext of the next frame. Raises BadFrame for anything but that frame."""
        try:
            plaintext = self._cipher.decrypt(_nonce(self._count), sealed, self._associated)
        except (InvalidTag, ValueError) as exc:
            raise BadFrame(self._sender) from exc
        self._count += 1
        return plaintext


@dataclass(frozen=True, slots=True)
class PairKeys:
    """What one party shares with one peer: sealing each way, and a key for pseudorandomness each way."""

    sealer: Sealer = field(repr=False)
    opener: Opener = field(repr=False)
    randomness_to: bytes = field(repr=False)
    randomness_from: bytes = field(repr=False)


def pair_keys(private: bytes, pid: int, session: bytes, seats: Mapping[int, bytes]) -> dict[int, PairKeys]:
    """The keys of party `pid` with every other seat; `session` is T, `seats` maps pid to raw public key.

    Raises BadSessionKey naming the seat.
    """
    own = X25519PrivateKey.from_private_bytes(private)
    if seats.get(pid) != own.public_key().public_bytes_raw():
        raise BadSessionKey(pid)
    pairs = {}
    for peer, public in sorted(seats.items()):
        if peer == pid:
            continue
        try:
            shared = own.exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError as exc:  # wrong length, or a point of small order
            raise BadSessionKey(peer) from exc
        pairs[peer] = PairKeys(
            Sealer(_derive(shared, session, _FRAME, pid, peer), _direction(_FRAME, session, pid, peer)),
            Opener(peer, _derive(shared, session, _FRAME, peer, pid), _direction(_FRAME, session, peer, pid)),
            _derive(shared, session, _RANDOMNESS, pid, peer),
            _derive(shared, session, _RANDOMNESS, peer, pid),
        )
    return pairs


def seal_input(
    seat: bytes,
    provider_private: bytes,
    session: bytes,
    entity: str,
    pid: int,
    chunk: int,
    final: bool,
    plaintext: bytes,
) -> bytes:
    """Seal one chunk (counted from 0, the last is `final`) of a provider's shares to the seat `pid`."""
    return seal(seat, provider_private, _input_info(session, entity, pid, chunk, final), plaintext)


def open_input(
    seat_private: bytes,
    provider: bytes,
    session: bytes,
    entity: str,
    pid: int,
    chunk: int,
    final: bool,
    sealed: bytes,
) -> bytes:
    """Open what `seal_input` made for this place. Raises gateway.rules.sealing.SealBroken."""
    return unseal(seat_private, provider, _input_info(session, entity, pid, chunk, final), sealed)


def _input_info(session: bytes, entity: str, pid: int, chunk: int, final: bool) -> bytes:
    return framed(_INPUT, session, entity.encode(), struct.pack("<II?", pid, chunk, final))


def _direction(label: bytes, session: bytes, sender: int, receiver: int) -> bytes:
    return framed(label, session, struct.pack("<II", sender, receiver))


def _derive(shared: bytes, session: bytes, label: bytes, sender: int, receiver: int) -> bytes:
    info = framed(label, struct.pack("<II", sender, receiver))
    return HKDF(SHA256(), DIGEST_BYTES, salt=session, info=info).derive(shared)


def _nonce(count: int) -> bytes:
    return count.to_bytes(12, "big")
