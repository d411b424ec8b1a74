"""Ten thousand inputs, the same each time; `make fuzz` takes a million."""

from __future__ import annotations

from random import Random

import pytest

from gateway.rules.jose import Problem
from tests.fuzz.run import Finding, Tally, _once, run
from tests.fuzz.targets import Target, targets

INPUTS = 10_000
# What one input alone cannot bring about: it takes another that was believed, used or revoked before it.
OF_WHAT_CAME_BEFORE = {
    Problem.ISSUER,
    Problem.OLDER,
    Problem.OVERTAKEN,
    Problem.REPLAY,
    Problem.REVOKED,
    Problem.TAKEN_BACK,
}


def test_ten_thousand_inputs_raise_nothing_else_and_pass_for_nothing_else() -> None:
    tally = run(seed=20_261, inputs=INPUTS)
    assert tally.inputs == INPUTS == tally.accepted.total() + tally.refused.total()
    # The mutations reach every check: none of these stands unexercised behind another.
    reached = set(tally.refused)
    assert reached >= {problem.value for problem in Problem if problem not in OF_WHAT_CAME_BEFORE}


def test_every_target_accepts_what_is_genuine() -> None:
    """Or the fuzzer would hold a door that never opens."""
    random = Random(1)
    for target in targets():
        for _ in range(3000):
            value, acceptable = target.make(random)
            try:
                target.read(value)
                assert acceptable
                break
            except Exception:
                continue
        else:
            pytest.fail(f"{target.name} accepts nothing")


@pytest.mark.parametrize(
    "target",
    [
        Target("raises", lambda random: ("x", True), lambda value: 1 / 0),
        Target("accepts", lambda random: ("x", False), lambda value: value),
    ],
)
def test_the_fuzzer_tells_what_it_finds(target: Target) -> None:
    with pytest.raises(Finding, match=target.name):
        _once(target, Random(1), Tally(), "here")
