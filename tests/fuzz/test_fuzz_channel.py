"""Ten thousand frames, the same each time; `make fuzz` takes a million."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest

from connectors.engine.errors import Abort
from tests.fuzz import channel
from tests.fuzz.run import Finding

INPUTS = 10_000


def test_ten_thousand_frames_are_refused_or_harmless() -> None:
    tally = channel.run(seed=20_262, inputs=INPUTS)
    assert tally.inputs == INPUTS
    assert tally.grown < channel.MAX_GROWTH
    # Every refusal is reached, and so are the readers behind them.
    assert {name for name, count in tally.refused.items() if count} >= {
        *(f"channel {reason}" for reason in (
            Abort.BAD_FRAME, Abort.FRAME_TOO_LARGE, Abort.WRONG_LENGTH, Abort.UNDECLARED_PAYLOAD
        )),
        *(f"input {reason}" for reason in (Abort.BAD_INPUT, Abort.WRONG_LENGTH)),
        f"pipe {Abort.BAD_JOB}",
    }  # fmt: skip
    assert all(tally.accepted[name] > 100 for name in ("channel", "input", "pipe"))


def unpickles(scene: channel._ChannelScene) -> None:
    pickle.loads(b"cbuiltins\nlen\n.")


def raises(scene: channel._ChannelScene) -> None:
    raise KeyError("a defect of the reader")


def hoards(scene: channel._ChannelScene) -> None:
    scene.channel._early.update({number: memoryview(bytes(100)) for number in range(100)})


@pytest.mark.parametrize("harm", [unpickles, raises, hoards])
def test_the_control_what_does_harm_is_found(
    harm: Callable[[channel._ChannelScene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Harmful(channel._ChannelScene):
        """A channel that does what it must not."""

        def _next(self) -> bytes:
            if channel._armed:
                harm(self)
            return super()._next()

    monkeypatch.setattr(channel, "_ChannelScene", Harmful)
    with pytest.raises(Finding):
        channel.run(1, 200)
    channel._loaded.clear()
