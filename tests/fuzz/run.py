"""One run of the fuzzer: so many inputs from one seed, over all targets in turn. Every input is timed.

What ends a run is a finding: another exception than `TokenProblem`, an input accepted that may not be, or one that
takes longer than `MAX_SECONDS` of this thread's processor time. It carries the input.
"""

from __future__ import annotations

import resource
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random

from gateway.rules.jose import TokenProblem
from tests.fuzz.targets import Target, targets

MAX_SECONDS = 1.0
MAX_GROWTH = 128  # MiB of resident memory, above what the targets themselves take


@dataclass
class Tally:
    inputs: int = 0
    accepted: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    seconds: float = 0.0
    grown: float = 0.0  # MiB

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.inputs + other.inputs,
            self.accepted + other.accepted,
            self.refused + other.refused,
            max(self.slowest, other.slowest),
            max(self.seconds, other.seconds),
            max(self.grown, other.grown),
        )


class Finding(AssertionError):
    """An input that must not do what it did."""


def run(seed: int, inputs: int) -> Tally:
    """Raises Finding."""
    everything, random, tally = targets(), Random(seed), Tally()
    before, began = _resident(), time.monotonic()
    for number in range(inputs):
        _once(everything[number % len(everything)], random, tally, f"seed {seed}, input {number}")
    tally.inputs, tally.seconds, tally.grown = inputs, time.monotonic() - began, _resident() - before
    if tally.grown > MAX_GROWTH:
        raise Finding(f"seed {seed}: {tally.grown:.0f} MiB more than before after {inputs} inputs")
    return tally


def _once(target: Target, random: Random, tally: Tally, where: str) -> None:
    value, acceptable = target.make(random)
    began = time.thread_time()
    try:
        target.read(value)
    except TokenProblem as problem:
        tally.refused[problem.problem.value] += 1
    except Exception as problem:
        raise Finding(f"{where}, {target.name}: {problem!r} from {value!r:.2000}") from problem
    else:
        if not acceptable:
            raise Finding(f"{where}, {target.name} accepted {value!r:.2000}")
        tally.accepted[target.name] += 1
    took = time.thread_time() - began
    tally.slowest = max(tally.slowest, took)
    if took > MAX_SECONDS:
        raise Finding(f"{where}, {target.name} took {took:.1f} s for {value!r:.2000}")


def _resident() -> float:
    """The most that this process ever held, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
