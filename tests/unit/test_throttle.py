"""How often strangers may try: counted by address and in all, forgotten after a minute, bounded whoever calls."""

from __future__ import annotations

import pytest

from gateway.edges.grpc.throttle import MAX_ADDRESSES, WINDOW, Throttle, address_of


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_an_address_may_try_so_often_a_minute_and_others_still_may() -> None:
    clock = Clock()
    throttle = Throttle(3, 100, clock)
    assert [throttle.allows("a") for _ in range(5)] == [True, True, True, False, False]
    assert throttle.allows("b")
    clock.now += WINDOW
    assert throttle.allows("a")


def test_all_together_may_try_so_often_a_minute() -> None:
    throttle = Throttle(3, 5, Clock())
    assert sum(throttle.allows(str(number)) for number in range(20)) == 5


def test_what_was_refused_does_not_count() -> None:
    clock = Clock()
    throttle = Throttle(1, 100, clock)
    throttle.allows("a")
    for _ in range(WINDOW):
        clock.now += 1
        allowed = throttle.allows("a")
    assert allowed


def test_what_is_remembered_is_bounded() -> None:
    throttle = Throttle(1, 10**9, Clock())
    for number in range(MAX_ADDRESSES + 500):
        throttle.allows(str(number))
    assert len(throttle._by) == MAX_ADDRESSES


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:192.0.2.7:5000", "192.0.2.7"),
        ("ipv6:%5B2001:db8:1:2:3:4:5:6%5D:5000", "2001:db8:1:2::/64"),
        ("ipv6:[2001:db8:1:2::1]:5000", "2001:db8:1:2::/64"),
        ("unix:/tmp/socket", "unix:/tmp/socket"),
    ],
)
def test_an_ipv6_network_is_one_address(peer: str, address: str) -> None:
    assert address_of(peer) == address
