"""Sealing shares from one session key to one other key.

Invariants: every sealing is HPKE (RFC 9180) in Auth mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256,
AES-256-GCM, one context per message; `info` is unambiguous (each part is length-prefixed) and always holds
the session's transcript. Keys are raw 32-byte X25519 keys. A sealed message is `enc` (32 bytes) followed by
the ciphertext.

The base install needs this (a requester opens its own output shares), so neither numpy nor MPyC is used.
"""

import struct
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from pyhpke import AEADId, CipherSuite, KDFId, KEMId, KEMKey, KEMKeyInterface, OpenError, PyHPKEError

from gateway.rules.sharing import P

ENC_BYTES = 32
OVERHEAD = ENC_BYTES + 16  # bytes added to a plaintext
OUTPUT_LABEL = b"isthmus output share v1"
KEPT_LABEL = b"isthmus kept share v1"

_SUITE = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.AES256_GCM)


class SealBroken(ValueError):
    """A sealed message does not open: other keys, another session, another role, or altered bytes."""


def fresh_key() -> tuple[bytes, bytes]:
    """A new (private, public) pair of raw X25519 keys."""
    private = X25519PrivateKey.generate()
    return private.private_bytes_raw(), private.public_key().public_bytes_raw()


def public_of(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def framed(label: bytes, *parts: bytes) -> bytes:
    """`label` and `parts`, each with its length in front, so that no two lists give the same bytes."""
    return b"".join(struct.pack("<I", len(part)) + part for part in (label, *parts))


def seal(recipient: bytes, sender_private: bytes, info: bytes, plaintext: bytes) -> bytes:
    """Seal `plaintext` to the public key `recipient`, authenticated by the sender's private key."""
    enc, context = _SUITE.create_sender_context(_public(recipient), info=info, sks=_private(sender_private))
    return enc + context.seal(plaintext)


def unseal(recipient_private: bytes, sender: bytes, info: bytes, sealed: bytes) -> bytes:
    """Open what `seal` made. Raises SealBroken."""
    if len(sealed) < OVERHEAD:
        raise SealBroken("a sealed message is shorter than its key and tag")
    try:
        context = _SUITE.create_recipient_context(
            sealed[:ENC_BYTES], _private(recipient_private), info=info, pks=_public(sender)
        )
        return context.open(sealed[ENC_BYTES:])
    except (OpenError, PyHPKEError, ValueError) as exc:
        raise SealBroken("a sealed message does not open with the keys of this session") from exc


def seal_output(
    recipient: bytes, seat_private: bytes, transcript: bytes, pid: int, name: str, shares: Sequence[int]
) -> bytes:
    """Seal one party's output shares (little-endian, 8 bytes each) to the recipient `name`."""
    return seal(recipient, seat_private, _output_info(transcript, pid, name), _packed(shares))


def open_output(
    recipient_private: bytes, seat: bytes, transcript: bytes, pid: int, name: str, sealed: bytes
) -> list[int]:
    """Open the output shares of party `pid`, whose session key is `seat`. Raises SealBroken, also for
    elements >= P.
    """
    return _unpacked(unseal(recipient_private, seat, _output_info(transcript, pid, name), sealed))


def seal_kept(
    storage: bytes,
    seat_private: bytes,
    transcript: bytes,
    pid: int,
    contract: str,
    question: str,
    shares: Sequence[int],
) -> bytes:
    """Seal one party's output shares to its own agent's public key `storage`, as those of this contract (its digest)
    and of this question (`gateway.rules.canonical`)."""
    return seal(storage, seat_private, _kept_info(transcript, pid, contract, question), _packed(shares))


def open_kept(
    storage_private: bytes, seat: bytes, transcript: bytes, pid: int, contract: str, question: str, sealed: bytes
) -> list[int]:
    """Open what `seal_kept` made for this place. Raises SealBroken, also for elements >= P."""
    return _unpacked(unseal(storage_private, seat, _kept_info(transcript, pid, contract, question), sealed))


def _packed(shares: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(shares)}Q", *shares)


def _unpacked(plaintext: bytes) -> list[int]:
    if len(plaintext) % 8:
        raise SealBroken("output shares are not whole field elements")
    shares = list(struct.unpack(f"<{len(plaintext) // 8}Q", plaintext))
    if any(share >= P for share in shares):
        raise SealBroken("an output share is not an element of the field")
    return shares


def _output_info(transcript: bytes, pid: int, name: str) -> bytes:
    return framed(OUTPUT_LABEL, transcript, struct.pack("<I", pid), name.encode())


def _kept_info(transcript: bytes, pid: int, contract: str, question: str) -> bytes:
    return framed(KEPT_LABEL, transcript, struct.pack("<I", pid), contract.encode(), question.encode())


def _private(raw: bytes) -> KEMKeyInterface:
    return KEMKey.from_pyca_cryptography_key(X25519PrivateKey.from_private_bytes(raw))


def _public(raw: bytes) -> KEMKeyInterface:
    return KEMKey.from_pyca_cryptography_key(X25519PublicKey.from_public_bytes(raw))
