"""MPyC's Runtime, whose own secure types (SecInt, SecFxp, SecFld over prime fields; single values and lists) compute
over this engine's wire.

Invariants: of MPyC's four methods that send, `transfer` (pickles) is refused and `_distribute`, `_reshare` and `output`
are ours, on fixed-width elements that are checked to be below the modulus; arrays, extension fields and floats are
refused; what is opened was declared (masked.py), and all m shares of it are checked to lie on one polynomial of degree
t.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from secrets import randbelow
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from connectors.engine.cold_cost import width
from connectors.engine.errors import Abort, Culprit, SessionAborted
from connectors.engine.field import Array
from connectors.engine.lockstep import Lockstep
from connectors.engine.masked import Masked
from connectors.engine.stock import PrimeFieldElement, SecureObject, coroutine
from gateway.rules.sharing import lagrange


class Contained(Masked):
    """What Engine inherits from MPyC. `m`, `t`, `peers`, `_lockstep`, `_tape`, `fail` and `abort` are Engine's."""

    m: int
    t: int
    peers: tuple[int, ...]
    _lockstep: Lockstep
    _tape: Callable[[str, int, Array], None]

    if TYPE_CHECKING:

        def fail(self, failure: SessionAborted) -> None: ...
        def abort(self, reason: Abort, detail: str, culprit: Culprit | None = None) -> NoReturn: ...

    def spawn(self, coro: Any) -> "asyncio.Task[object]":
        """What MPyC makes its tasks with (stock.py)."""
        return self._lockstep.spawn(coro)

    def give_up(self, failure: BaseException) -> None:
        """A coroutine of MPyC failed."""
        if isinstance(failure, SessionAborted):
            self.fail(failure)
        self._lockstep.end(failure)

    def gather(self, *values: Any) -> Any:
        """Await the shares of secure values; raises what ended the session instead."""
        return self._lockstep.awaited(super().gather(*values))

    @coroutine
    async def _distribute(self, x: list[Any], senders: list[int]) -> Any:
        """Shares of what each sender has in x. 1 round."""
        if not x:
            return [[] for _ in senders]
        kind, field = type(x[0]), _field(x)
        if issubclass(kind, SecureObject):
            await self.returnType(_placeholder(x), len(senders), len(x))
        else:
            await self.returnType(asyncio.Future)
        mine: dict[int, list[int]] = {}
        if self.pid in senders:
            mine = self._split(field, await self.gather(x) if issubclass(kind, SecureObject) else x)
        due = {peer: len(x) for peer in senders if peer != self.pid}
        shares = await self._send("input", field, mine, due, len(x))
        shares[self.pid] = mine.get(self.pid, [])
        return [[field(value) for value in shares[sender]] for sender in senders]

    @coroutine
    async def _reshare(self, x: Any) -> Any:
        """Fresh shares of degree t of what all hold with degree at most 2t (Gennaro, Rabin, Rabin 1998, section 4). 1
        round.
        """
        values = x if isinstance(x, list) else [x]
        if not values:
            return []
        kind, field = type(values[0]), _field(values)
        if issubclass(kind, SecureObject):
            await self.returnType(_placeholder(values), *([len(values)] if isinstance(x, list) else []))
            values = await self.gather(values)
        else:
            await self.returnType(asyncio.Future)
        mine = self._split(field, values)
        shares = await self._send("reshare", field, mine, dict.fromkeys(self.peers, len(values)), len(values))
        shares[self.pid] = mine[self.pid]
        by = lagrange(tuple(range(1, self.m + 1)), 0, field.modulus)
        fresh = [
            field(sum(w * share for w, share in zip(by, column, strict=True)))
            for column in zip(*(shares[pid] for pid in range(self.m)), strict=True)
        ]
        return fresh if isinstance(x, list) else fresh[0]

    @coroutine
    async def output(self, x: Any, receivers: Any = None, threshold: int | None = None, raw: bool = False) -> Any:
        """The receivers (all, if None) learn x, from all m shares. 1 round, or 2 for shares of degree 2t."""
        values = list(x) if isinstance(x, list) else [x]
        step = self._declared()
        if not step:
            self._undeclared("a value was to be opened that the program does not declare")
        field = _field(values) if values else None
        await self.returnType(asyncio.Future)
        if field is None:
            return []
        self._count(len(values))
        kind = type(values[0])
        if issubclass(kind, SecureObject):
            values = await self.gather(values)
        if threshold not in (None, self.t):
            values = await self._reshare(values)
        to = range(self.m) if receivers is None else [receivers] if isinstance(receivers, int) else list(receivers)
        mine = [value.value for value in values]
        due = dict.fromkeys(self.peers, len(mine)) if self.pid in to else {}
        shares = await self._send(f"open: {step}", field, dict.fromkeys(to, mine), due, len(mine))
        if self.pid not in to:
            opened: list[Any] = [None] * len(mine)
        else:
            shares[self.pid] = mine
            opened = [field(value) for value in self._joined(shares, field.modulus, step)]
            convert = getattr(kind, "_output_conversion", None)
            if convert is not None and not raw:
                opened = [convert(value) for value in opened]
        return opened if isinstance(x, list) else opened[0]

    def _split(self, field: Any, values: Sequence[Any]) -> dict[int, list[int]]:
        """Shamir shares by pid, with coefficients from the operating system."""
        out: dict[int, list[int]] = {pid: [] for pid in range(self.m)}
        for value in values:
            coefficients = [randbelow(field.modulus) for _ in range(self.t)]
            for pid, shares in out.items():
                share = 0
                for coefficient in coefficients:  # Horner's rule
                    share = (share + coefficient) * (pid + 1)
                shares.append((share + value.value) % field.modulus)
        return out

    def _joined(self, shares: Mapping[int, Sequence[int]], modulus: int, step: str) -> list[int]:
        """The values of which all parties' shares are here; they lie on one polynomial of degree t each, or the session
        ends, without a culprit."""
        basis = tuple(range(1, self.t + 2))
        rows = list(zip(*(shares[pid] for pid in range(self.m)), strict=True))
        for at in (0, *range(self.t + 2, self.m + 1)):
            by = lagrange(basis, at, modulus)
            values = [sum(w * share for w, share in zip(by, row, strict=False)) % modulus for row in rows]
            if not at:
                secrets = values
            elif values != [row[at - 1] for row in rows]:
                self.abort(Abort.INCONSISTENT_SHARES, f"the shares opened in {step!r} do not fit together")
        return secrets

    async def _send(
        self, step: str, field: Any, sends: Mapping[int, Sequence[int]], due: Mapping[int, int], n: int
    ) -> dict[int, list[int]]:
        """Elements to peers and from peers; `n` is the most that one party sends another one."""
        size = width(field.modulus)
        received = await self._lockstep.message(
            int(self._program_counter[0]),
            {peer: b"".join(v.to_bytes(size, "little") for v in sends[peer]) for peer in self.peers if peer in sends},
            {peer: size * count for peer, count in due.items()},
            size * n,
        )
        out = {}
        for peer, payload in received.items():
            out[peer] = [int.from_bytes(payload[i : i + size], "little") for i in range(0, len(payload), size)]
            if any(value >= field.modulus for value in out[peer]):
                detail = f"party {peer} sent an element outside the field"
                self.abort(Abort.ELEMENT_OUT_OF_RANGE, detail, Culprit("pid", peer))
            self._tape(f"secure types: {step}", peer, np.array(out[peer], dtype=object))
        return out

    async def shutdown(self) -> None:
        """MPyC's shutdown exchanges pickles with all parties; here a party just finishes."""
        self._undeclared("MPyC's shutdown was called")

    def transfer(self, *args: Any, **kwargs: Any) -> Any:
        """MPyC's transfer exchanges pickles."""
        self._undeclared("MPyC's transfer was called")

    def _send_message(self, peer_pid: int, data: bytes) -> None:
        self._undeclared("a protocol of stock MPyC reached for the wire")

    def _receive_message(self, peer_pid: int) -> None:
        self._undeclared("a protocol of stock MPyC reached for the wire")

    def _undeclared(self, what: str) -> NoReturn:
        self.abort(Abort.UNDECLARED_PAYLOAD, what)


def _field(values: Sequence[Any]) -> Any:
    """The one prime field that all these are of."""
    kind = type(values[0])
    field = getattr(kind, "field", None) if issubclass(kind, SecureObject) else kind
    if any(type(value) is not kind for value in values) or not isinstance(field, type):
        raise TypeError(f"{kind.__name__} cannot be sent here: lists of one prime field's type can")
    if not issubclass(field, PrimeFieldElement):
        raise TypeError(f"{kind.__name__} cannot be sent here: its field is not a prime one")
    return field


def _placeholder(values: Sequence[Any]) -> Any:
    kind = type(values[0])
    return (kind, values[0].integral) if kind.frac_length else kind
