"""What a party may say to its agent, when, and how often: pure, and one for each seat.

Invariants: a party that is broken in says what it likes, and nothing of it goes further than its place in the session
allows: frames for other seats no longer than the longest that a step of the contract has; output shares once, after the
agent has let them go, for exactly the contract's recipients, and once more for the agent itself, which forwards these
to nobody; numbers that are numbers, and short texts that can be shown. Anything else is `Improper`, and its own space's
doing.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from connectors.engine.pipe import FromParty
from connectors.rules.party_job import blame
from gateway.domain.computation import SealedShare
from gateway.domain.contract import Contract
from gateway.domain.session import Failure, Frame, Progress, ViewSample

MAX_PHASE = 64
MAX_DETAIL = 1000
MAX_SAMPLES = 4096
MAX_ELEMENTS = 64  # in a sample, as a party shows them
MAX_KEPT = 1 << 20  # bytes, sealed: output shares of more cells than a table has
# Bytes of what is said; PEER has the contract's bound.
LONGEST: Mapping[int, int] = {
    FromParty.PROGRESS: 1 << 10,
    FromParty.OUTPUT_READY: 0,
    FromParty.OUTPUT: 8 << 20,
    FromParty.DONE: 8 << 20,
    FromParty.FAILED: 1 << 16,
}


class Stage(IntEnum):
    COMPUTES = 1
    READY = 2
    MAY_SEND = 3
    SENT = 4
    DONE = 5


# What it may say in one stage alone, and the stage that this begins; the rest it may say in all of them.
_TURNS: Mapping[int, tuple[Stage, Stage]] = {
    FromParty.OUTPUT_READY: (Stage.COMPUTES, Stage.READY),
    FromParty.OUTPUT: (Stage.MAY_SEND, Stage.SENT),
    FromParty.DONE: (Stage.SENT, Stage.DONE),
}


class Improper(Exception):
    """A party said what no party of this session says; the text continues `party 0 ...`."""


@dataclass(frozen=True, slots=True)
class OutputReady:
    """It waits until its output shares may leave."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """Its output shares: one for each recipient."""

    shares: tuple[SealedShare, ...]


@dataclass(frozen=True, slots=True)
class Done:
    bytes_sent: int = 0
    rounds: int = 0
    seconds: float = 0.0
    views: tuple[ViewSample, ...] = ()
    # Its output shares, sealed to its agent; empty where none are kept.
    kept: bytes = b""


Said = Frame | Progress | OutputReady | Outputs | Done | Failure


@dataclass(slots=True)
class Speech:
    """Of party `pid` at `entity`; `longest` is the length of the longest sealed frame of any step, and `keeps` says
    whether the agent keeps its output shares."""

    contract: Contract
    entity: str
    pid: int
    longest: int
    stage: Stage = Stage.COMPUTES
    keeps: bool = False

    def may_send(self) -> None:
        """It is written down that its output shares leave."""
        self.stage = Stage.MAY_SEND

    def hear(self, kind: int, body: memoryview) -> Said:
        """What it said. Raises Improper."""
        if kind == FromParty.PEER:
            return self._frame(body)
        longest = LONGEST.get(kind)
        if longest is None:
            raise Improper(f"said something of kind {kind}, which no party says in a session")
        name = FromParty(kind).name
        if len(body) > longest:
            raise Improper(f"said {name} in {len(body)} bytes, of at most {longest}")
        if kind in _TURNS:
            at, then = _TURNS[kind]
            if self.stage is not at:
                raise Improper(f"said {name} out of turn")
            self.stage = then
        if kind == FromParty.OUTPUT_READY:
            return OutputReady()
        try:
            said = json.loads(bytes(body))
            match kind:
                case FromParty.PROGRESS:
                    return Progress(shown(said["phase"], MAX_PHASE), min(1.0, _number(said["fraction"])))
                case FromParty.OUTPUT:
                    return self._outputs(said)
                case FromParty.DONE:
                    return self._done(said)
                case _:
                    return self._failed(said)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise Improper(f"said {name} in a form that no party uses") from None

    def _frame(self, body: memoryview) -> Frame:
        if len(body) < 1 or body[0] >= self.contract.m or body[0] == self.pid:
            raise Improper("sent a frame for nobody")
        if len(body) - 1 > self.longest:
            raise Improper(f"sent a frame of {len(body) - 1} bytes; the longest of any step has {self.longest}")
        return Frame(self.pid, body[0], bytes(body[1:]))

    def _outputs(self, said: Mapping[str, str]) -> Outputs:
        if sorted(said) != sorted(recipient.name for recipient in self.contract.recipients):
            raise Improper("sent output shares for others than the contract's recipients")
        for sealed in said.values():
            base64.b64decode(sealed, validate=True)
        return Outputs(tuple(SealedShare(self.pid, recipient, sealed) for recipient, sealed in said.items()))

    def _done(self, said: Mapping[str, Any]) -> Done:
        samples = said["view"] if self.contract.viewed_pid() == self.pid else None
        views = tuple(self._sample(sample) for sample in (samples or ())[:MAX_SAMPLES])
        kept = base64.b64decode(said["kept"], validate=True) if self.keeps else b""
        if len(kept) > MAX_KEPT or (self.keeps and not kept):
            raise ValueError
        sent, rounds = int(_number(said["bytes_sent"])), int(_number(said["rounds"]))
        return Done(sent, rounds, _number(said["seconds"]), views, kept)

    def _sample(self, said: Mapping[str, Any]) -> ViewSample:
        elements = tuple(shown(element, MAX_PHASE) for element in said["elements"][:MAX_ELEMENTS])
        return ViewSample(self.pid, shown(said["step"], MAX_PHASE), _below(said["from"], self.contract.m), elements)

    def _failed(self, said: Mapping[str, Any]) -> Failure:
        culprit = said["culprit"] or {}
        for role, index in culprit.items():
            _below(index, {"pid": self.contract.m, "provider": len(self.contract.providers)}[role])
        known = {
            "culprit": culprit,
            "reason": shown(said["reason"], MAX_PHASE),
            "phase": shown(said["phase"], MAX_PHASE),
            "detail": shown(said["detail"], MAX_DETAIL),
        }
        return blame(self.contract, self.entity, self.pid, known)


def shown(text: object, longest: int) -> str:
    """The beginning of a text, without what cannot be printed. Raises TypeError for anything else."""
    if not isinstance(text, str):
        raise TypeError
    return "".join(character for character in text[:longest] if character.isprintable())


def _number(value: object) -> float:
    """Raises ValueError unless it is one that can be counted with."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError
    if not 0 <= value < 2**62:
        raise ValueError
    return value


def _below(value: object, end: int) -> int:
    if type(value) is not int or not 0 <= value < end:
        raise ValueError
    return value
