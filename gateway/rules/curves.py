"""Which coordinates are a public key worth believing: points of the curve, in one spelling, of large order. Pure.

Invariants: what passes is a point of its curve in its only encoding, so that one key has one thumbprint; no
Ed25519 or X25519 key of small order passes. Under a small-order Ed25519 key one signature holds for many
messages, and with a small-order X25519 key everybody agrees on zero.

A key of mixed order (a large-order point plus a small-order one) passes: whoever signs with it knows the secret
of its large-order part, and telling it apart takes a scalar multiplication.

Sources: RFC 8032 sections 5.1.3 (decoding) and 8.9; RFC 7748 sections 4.1, 5 and 6.1; SEC 1 section 3.2.2.1;
Bernstein, "Curve25519: new Diffie-Hellman speed records" (PKC 2006), section 3, for the points of small order.
"""

from __future__ import annotations

from functools import lru_cache

P25519 = 2**255 - 19
_SIGN = 1 << 255
_D = -121665 * pow(121666, -1, P25519) % P25519

P256 = 2**256 - 2**224 + 2**192 + 2**96 - 1
_B256 = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B

# The y of the eight points whose order divides 8: orders 1, 2, 4 and twice 8.
_Y_OF_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
SMALL_ORDER_Y = frozenset({1, P25519 - 1, 0, _Y_OF_ORDER_8, P25519 - _Y_OF_ORDER_8})
# The u of the points of small order on Curve25519 and on its twist.
_U_OF_ORDER_8 = (
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
)
SMALL_ORDER_U = frozenset({0, 1, P25519 - 1, *_U_OF_ORDER_8})


@lru_cache(maxsize=4096)
def ed25519_flaw(raw: bytes) -> str | None:
    """What is wrong with an Ed25519 public key, 32 bytes; None if nothing is."""
    encoded = int.from_bytes(raw, "little")
    y = encoded & (_SIGN - 1)
    if y >= P25519:
        return "its y is not reduced: a second spelling of another key"
    if y in SMALL_ORDER_Y:
        return "a point of small order"
    # x^2 = (y^2 - 1) / (d y^2 + 1) must be a square. By Euler's criterion, u/v is one if and only if u v is.
    square = y * y % P25519
    u, v = square - 1, _D * square + 1
    if pow(u * v, (P25519 - 1) // 2, P25519) != 1:
        return "no point of the curve"
    return None


def x25519_flaw(raw: bytes) -> str | None:
    """What is wrong with an X25519 public key, 32 bytes; None if nothing is.

    RFC 7748 section 5 has receivers reduce what is not reduced and ignore the top bit. A key that is
    identified by its thumbprint cannot have two spellings, so here both are refused.
    """
    u = int.from_bytes(raw, "little")
    if u >= P25519:
        return "its u is not reduced: a second spelling of another key"
    if u in SMALL_ORDER_U:
        return "a point of small order"
    return None


def p256_flaw(x_raw: bytes, y_raw: bytes) -> str | None:
    """What is wrong with the affine coordinates of a P-256 key; None if nothing is. Its cofactor is 1."""
    x, y = int.from_bytes(x_raw), int.from_bytes(y_raw)
    if x >= P256 or y >= P256:
        return "a coordinate is not reduced"
    if (y * y - (x * x - 3) * x - _B256) % P256:
        return "no point of the curve"
    return None
