"""Signed heads of one log, held against each other."""

from __future__ import annotations

import pytest

from gateway.domain.audit import SignedHead
from gateway.rules import heads
from gateway.rules.heads import SLACK
from gateway.rules.jose import TokenProblem

A, B, SPACE = "aa" * 32, "bb" * 32, "https://a.example"


def head(size: int, at: int, root: str = "", space: str = SPACE) -> SignedHead:
    return SignedHead(space, size, root or f"{size:064x}", at, "")


@pytest.mark.parametrize(
    ("before", "came", "wrong"),
    [
        (head(5, 100), head(5, 100), ""),
        (head(5, 100), head(6, 100), ""),
        (head(5, 100), head(500, 9999), ""),
        # The order in which receipts of parallel sessions come says nothing.
        (head(9, 100), head(5, 90), ""),
        (head(9, 100), head(5, 100 + SLACK), ""),
        (head(9, 100), head(5, 101 + SLACK), f"a head over 9 records, and {SLACK + 1} s later one over 5"),
        (head(5, 100, A), head(5, 100, B), f"two heads over the same 5 records: {A} and {B}"),
        (head(5, 9999, A), head(5, 1, B), f"two heads over the same 5 records: {A} and {B}"),
    ],
)
def test_two_heads_that_cannot_both_be_true_are_a_fork(before: SignedHead, came: SignedHead, wrong: str) -> None:
    assert heads.fork(before, came) == wrong
    assert heads.forks([before, came]) == ([(SPACE, wrong)] if wrong else [])


def test_heads_of_different_spaces_are_not_held_against_each_other() -> None:
    assert heads.forks([head(5, 1, A), head(5, 1, B, "https://b.example")]) == []


def test_a_fork_is_told_once_and_the_new_branch_goes_on() -> None:
    grown = [head(10, 100), head(20, 200), head(12, 300), head(15, 400), head(25, 500)]
    assert heads.forks(grown) == [(SPACE, "a head over 20 records, and 100 s later one over 12")]


def test_a_smaller_head_of_a_parallel_session_does_not_lower_the_bar() -> None:
    assert not heads.takes_the_place_of(head(20, 100), head(18, 101))
    grown = [head(20, 100), head(18, 101), head(19, 200)]
    assert heads.forks(grown) == [(SPACE, "a head over 20 records, and 100 s later one over 19")]


def test_another_root_is_found_however_long_ago_the_first_came() -> None:
    grown = [head(5, 1, A), *(head(size, size) for size in range(6, 50)), head(5, 1, B)]
    assert heads.forks(grown) == [(SPACE, f"two heads over the same 5 records: {A} and {B}")]


@pytest.mark.parametrize("token", ["", "a.b.c", "e30.e30.e30"])
def test_what_is_no_receipt_has_no_head(token: str) -> None:
    with pytest.raises(TokenProblem):
        heads.signed_head(token)
