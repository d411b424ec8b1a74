from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.computation import State
from gateway.domain.errors import IsthmusError, Reason
from gateway.rules.lifecycle import ENDINGS, LIVE, TRANSITIONS, Event, next_state

ORDER = [State.PENDING, State.AWAITING_APPROVAL, State.AGREED, State.RUNNING, State.RELEASED]


def test_the_route_of_a_released_computation() -> None:
    state = State.PENDING
    for event, after in zip([Event.PROPOSE, Event.AGREE, Event.START, Event.RELEASE], ORDER[1:], strict=True):
        state = next_state(state, event)
        assert state is after


@given(st.lists(st.sampled_from(Event)))
def test_any_sequence_of_events_goes_forward_or_raises_and_changes_nothing(events: list[Event]) -> None:
    state, ended = State.PENDING, 0
    for event in events:
        try:
            after = next_state(state, event)
        except IsthmusError as problem:
            assert problem.reason is Reason.ILLEGAL_TRANSITION
            assert (state, event) not in TRANSITIONS
            continue
        assert after is not state
        if state in LIVE and after in LIVE:
            assert ORDER.index(after) == ORDER.index(state) + 1
        if after not in LIVE:
            ended += 1
        # What has ended stays so; only a released result can still turn out wrong.
        assert state in LIVE or (state, event, after) == (State.RELEASED, Event.DISPUTE, State.FAILED)
        state = after
    assert ended <= 2


@pytest.mark.parametrize("state", sorted(LIVE))
@pytest.mark.parametrize(("event", "end"), ENDINGS.items())
def test_every_live_state_can_end_in_every_way(state: State, event: Event, end: State) -> None:
    assert next_state(state, event) is end


@pytest.mark.parametrize("state", [State.PENDING, State.AWAITING_APPROVAL, State.AGREED])
@pytest.mark.parametrize("event", [Event.RELEASE, Event.WITHHOLD])
def test_nothing_is_released_that_did_not_run(state: State, event: Event) -> None:
    with pytest.raises(IsthmusError):
        next_state(state, event)
