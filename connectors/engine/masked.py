"""What MPyC's own protocols open, and under which masks.

Invariants: a value is opened only inside `program_opens`, or inside the protocols that `_masked` wraps; a session ends
before it opens more values than the masks are good for.

The masks' length is k = SECURITY_BITS + OPENINGS_BITS + _SLACK_BITS. Each additive mask has at least k - _SLACK_BITS
bits more than what it hides, so t parties learn at most 2^-40 (statistical distance) from 2^20 opened values, which is
where a session ends. MPyC itself refuses a type whose field has no room for that.
- sgn, to_bits, trailing_zeros, lsb (comparison, equality, bits): value + uniform mask. De Hoogh, "Design of large scale
  applications of secure multiparty computation" (thesis, Eindhoven 2012), chapter on comparison; Schoenmakers, Tuyls,
  EUROCRYPT 2006, section 3; Toft, "Primitives and applications for MPC" (thesis, Aarhus 2007).
- trunc (products of SecFxp): value + mask; Catrina, de Hoogh, SCN 2010, section 3. Probabilistic rounding.
- _mod: value - r + b q, r uniform below b; Guajardo, Mennink, Schoenmakers, FC 2010.
- _convert: value + mask known in both fields (the same), or perfectly masked in a field.
- is_zero_public inside sgn, and reciprocal: value * r for uniform r not zero (Bar-Ilan, Beaver, PODC 1989). That tells
  whether the value is zero: of a reciprocal the caller promises that it is not; sgn makes it independent of everything
  by a random sign (Toft).
- _is_zero: Nishide, Ohta, PKC 2007, section 5: Legendre symbols of masked values.

What is not as in MPyC 0.11. It opens products as they come (`threshold=2t`): a polynomial of degree 2t that is the
product of the two values' own, so that whoever knows one share of each can solve for both; here they are shared again
first, a round more. Its `_mod` masks l bits with k + log2(b), which hides little for small b. Its `trunc` of bare field
elements forgets the f fractional bits of a product. There is no PRSS here (`no_prss`): masks are sums of one number of
each of t + 1 parties.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from connectors.engine.errors import Abort, SessionAborted
from connectors.engine.stock import Runtime, SecureFiniteField, SecureObject, coroutine

SECURITY_BITS = 40  # of a session
OPENINGS_BITS = 20
_SLACK_BITS = 3  # t + 1 parties draw a mask in powers of two (2 bits); a difference has a bit more than its terms
MASKING_BITS = SECURITY_BITS + OPENINGS_BITS + _SLACK_BITS

_opening: ContextVar[str] = ContextVar("opening", default="")


@contextmanager
def program_opens(step: str) -> Iterator[None]:
    """Whatever `output` is called for in here may be opened, and the caller says why."""
    token = _opening.set(step)
    try:
        yield
    finally:
        _opening.reset(token)


def _masked(name: str, body: Callable[..., Any]) -> Callable[..., Any]:
    """A stock protocol that opens values under masks, for types that have room for these."""

    def protocol(self: "Masked", x: Any, *args: Any, **kwargs: Any) -> Any:
        kind = type(x[0] if isinstance(x, list) and x else x)
        if name in _ADDITIVE and isinstance(kind, type) and issubclass(kind, SecureFiniteField):
            raise TypeError(f"{name} needs an integer or fixed-point type: a field has no room for its masks")
        with program_opens(name):
            return body(self, x, *args, **kwargs)

    return protocol


_ADDITIVE = ("sgn", "lsb", "trunc", "trailing_zeros")


@coroutine
async def _mod(self: "Masked", a: Any, b: int) -> Any:
    kind = type(a)
    await self.returnType(kind)
    f, l = kind.frac_length, kind.bit_length  # noqa: E741  # as everywhere in MPyC
    if b < 2:
        raise ValueError("the modulus has to be 2 or more")
    below_b = await self.gather(self.random._randbelow(kind, b))
    r = below_b >> f
    (q,) = await self._random(kind.field, (1 << l + MASKING_BITS) // b)
    value = await self.gather(a)
    opened = await self.output(value + ((1 << l) - (1 << l) % b + b * q.value - r.value))
    rest = opened.value % b
    carried = await self.gather(1 - self.sgn(kind(r - (b - rest)), LT=True))
    return (rest + r - b * (carried >> f)) << f


def _trunc(self: "Masked", x: Any, f: int | None = None, l: int | None = None) -> Any:  # noqa: E741
    kind = type(x[0] if isinstance(x, list) else x)
    if l is not None and f is not None and not issubclass(kind, SecureObject):
        l += f  # noqa: E741  # of the product, which stock MPyC leaves out
    return Runtime.trunc(self, x, f, l)


class Masked(Runtime):  # type: ignore[misc]  # mpyc is untyped
    """MPyC's runtime whose protocols open nothing that is not masked for a whole session."""

    _opened = 0

    sgn = _masked("sgn", Runtime.sgn)
    lsb = _masked("lsb", Runtime.lsb)
    to_bits = _masked("to_bits", Runtime.to_bits)
    trailing_zeros = _masked("trailing_zeros", Runtime.trailing_zeros)
    reciprocal = _masked("reciprocal", Runtime.reciprocal)
    _convert = _masked("_convert", Runtime._convert)
    _is_zero = _masked("_is_zero", Runtime._is_zero)
    trunc = _masked("trunc", _trunc)
    _mod = _masked("_mod", _mod)

    def _norm(self, a: Any) -> Any:
        """Where a division begins. MPyC's answer is 0 for types with less fraction than this."""
        if type(a).bit_length > 2 * type(a).frac_length + 1:
            raise ValueError(f"{type(a).__name__} cannot divide: half of its bits have to be fraction")
        return super()._norm(a)

    def _declared(self) -> str:
        """What the value that is to be opened is opened for; empty if the program did not say."""
        return _opening.get()

    def _count(self, n: int) -> None:
        self._opened += n
        if self._opened > 1 << OPENINGS_BITS:
            raise SessionAborted(Abort.INTERNAL, f"the secure types open more than 2^{OPENINGS_BITS} values")
