"""The life of a computation: one table; an event that is not in it raises and changes nothing."""

from __future__ import annotations

from enum import StrEnum

from gateway.domain.computation import State
from gateway.domain.errors import IsthmusError, Reason


class Event(StrEnum):
    PROPOSE = "PROPOSE"
    AGREE = "AGREE"
    START = "START"
    RELEASE = "RELEASE"
    WITHHOLD = "WITHHOLD"
    REJECT = "REJECT"
    CANCEL = "CANCEL"
    FAIL = "FAIL"
    EXPIRE = "EXPIRE"
    # The recipient found that the output shares do not lie on one polynomial of degree t.
    DISPUTE = "DISPUTE"


LIVE = frozenset({State.PENDING, State.AWAITING_APPROVAL, State.AGREED, State.RUNNING})

# How a live computation ends other than by what its session brought.
ENDINGS = {
    Event.REJECT: State.REJECTED,
    Event.CANCEL: State.CANCELLED,
    Event.FAIL: State.FAILED,
    Event.EXPIRE: State.EXPIRED,
}

TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.PENDING, Event.PROPOSE): State.AWAITING_APPROVAL,
    (State.AWAITING_APPROVAL, Event.AGREE): State.AGREED,
    (State.AGREED, Event.START): State.RUNNING,
    (State.RUNNING, Event.RELEASE): State.RELEASED,
    (State.RUNNING, Event.WITHHOLD): State.WITHHELD,
    (State.RELEASED, Event.DISPUTE): State.FAILED,
    **{(state, event): end for state in LIVE for event, end in ENDINGS.items()},
}


def next_state(state: State, event: Event) -> State:
    """The state after `event`; raises IsthmusError(ILLEGAL_TRANSITION) when the table has none."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IsthmusError(
            Reason.ILLEGAL_TRANSITION,
            f"a computation that is {state} cannot {event.lower()}"
            if state in LIVE
            else f"the computation has ended already, as {state}",
            advice="Read its state again",
        ) from None
