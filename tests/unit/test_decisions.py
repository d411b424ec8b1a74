"""Which of the tokens that lie in an inbox count, and when they are enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count, permutations
from typing import Any

import pytest

from connectors.rules.decisions import Rule, Steward, Tally, in_force, tally
from gateway.domain.contract import Contract
from gateway.domain.decision import Need, Ran, SignedPlan
from gateway.edges import steward_keys
from gateway.edges.keys import new_signing_key
from gateway.edges.tokens import sign, signature_holds
from gateway.rules.dates import day_of
from gateway.rules.plans import ONE, audience, editions, longest, plan_digest
from gateway.rules.profiles import DAY
from tests.examples import CARE, NOW, POLICE, contract, question
from tests.unit.test_plans import OF_ONE_EDITION

KEYS = {name: new_signing_key() for name in ("anna", "ben", "cleo")}
STEWARDS = tuple(Steward(name, key.jwk) for name, key in KEYS.items())
NUMBERS = count()
PLAN = contract()
MONTHLY = contract(question(standing=2))


def signed(name: str, said: str = "approve", plan: Contract = PLAN, at: int = NOW, **more: Any) -> str:
    whole = SignedPlan(plan, plan_digest(plan), "", NOW + 20 * DAY)
    seat = KEYS[more.pop("seat")].kid if "seat" in more else ""
    more = {"space": CARE, **more}
    return steward_keys.decision(whole, KEYS[name], said, "", at, f"j{next(NUMBERS)}", seat=seat, **more)


def counted(
    tokens: Sequence[str],
    persons: int = 2,
    plan: Contract = PLAN,
    now: int = NOW,
    stewards: Sequence[Steward] = STEWARDS,
    ran: Sequence[Ran] = (),
    named: Sequence[str] = ("anna", "ben", "cleo"),
) -> Tally:
    decided = in_force(tokens, plan, CARE, stewards, now, signature_holds)
    return tally(decided, plan, [Rule(Need(persons, 168), tuple(named))], stewards, ran)


def test_two_stewards_are_two_and_one_is_one() -> None:
    assert (counted([signed("anna")]).have, counted([signed("anna")]).is_approved) == (1, False)
    both = [signed("anna"), signed("ben")]
    found = counted(both)
    assert found.is_approved and sorted(found.evidence) == sorted(both)


def test_one_steward_counts_once_however_often_they_sign() -> None:
    assert counted([signed("anna"), signed("anna"), signed("anna", at=NOW - 9)]).have == 1


def test_evidence_is_no_more_than_is_needed() -> None:
    assert len(counted([signed(name) for name in KEYS]).evidence) == 2


FOREIGN = new_signing_key()


def by_a_key_that_nobody_knows() -> str:
    whole = SignedPlan(PLAN, plan_digest(PLAN), "", NOW + DAY)
    return steward_keys.decision(whole, FOREIGN, "approve", "", NOW, "j", space=CARE)


def in_another_name() -> str:
    """By somebody else's key, under the thumbprint of ben's."""
    claims = {"iss": KEYS["ben"].kid, "sub": KEYS["ben"].kid, "aud": audience(plan_digest(PLAN)), "iat": NOW}
    claims |= {"exp": NOW + DAY, "jti": "j", "decision": "approve", "space": CARE}
    return sign(steward_keys.DECISION, claims, FOREIGN)


def altered() -> str:
    head, payload, signature = signed("ben").split(".")
    return ".".join((head, payload, ("B" if signature[0] == "A" else "A") + signature[1:]))


WORTHLESS = {
    "a key that nobody knows": by_a_key_that_nobody_knows,
    "another's name": in_another_name,
    "an altered signature": altered,
    "no token at all": lambda: "x",
    "another plan": lambda: signed("ben", plan=contract(question(title="Something else"))),
    "an expired one": lambda: signed("ben", at=NOW - 10 * DAY, expires=NOW - DAY),
    "one of tomorrow": lambda: signed("ben", at=NOW + DAY),
    "one that lives too long": lambda: signed("ben", expires=NOW + ONE + 1),
    "neither yes nor no": lambda: signed("ben", said="perhaps"),
    "what the same person said at another space": lambda: signed("ben", space=POLICE),
    "in the place of somebody who gave nobody leave": lambda: signed("ben", seat="cleo"),
}


@pytest.mark.parametrize("name", WORTHLESS)
def test_what_does_not_hold_says_nothing(name: str) -> None:
    assert counted([signed("anna"), WORTHLESS[name]()]).have == 1


def test_a_steward_whom_the_configuration_names_no_more_does_not_count() -> None:
    assert counted([signed("anna"), signed("ben")], stewards=STEWARDS[:1]).have == 1


def test_a_steward_whom_the_policy_does_not_name_does_not_count() -> None:
    assert counted([signed("anna"), signed("ben")], named=("anna", "cleo")).have == 1
    assert counted([signed("anna"), signed("ben", "reject")], persons=1, named=("anna",)).is_approved


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_one_no_outweighs_every_yes_in_whatever_order_they_come(order: Sequence[int]) -> None:
    tokens = [signed("anna"), signed("ben"), signed("cleo", "reject", at=NOW - 100)]
    found = counted([tokens[index] for index in order])
    assert not found.is_approved and found.rejection is not None


def test_the_newest_word_of_a_person_counts_and_no_replay_of_an_older_one() -> None:
    yes, no, again = signed("anna", at=NOW - 20), signed("anna", "reject", at=NOW - 10), signed("anna")
    assert counted([no, yes, yes], persons=1).rejection is not None
    assert counted([yes, again, no], persons=1).is_approved


def test_of_two_words_of_one_second_the_no_counts() -> None:
    for tokens in permutations([signed("anna"), signed("anna", "reject")]):
        assert counted(tokens, persons=1).rejection is not None


def delegating(until: int) -> tuple[Steward, ...]:
    anna, *others = STEWARDS
    return (replace(anna, delegate="ben", until=day_of(until)), *others)


def test_a_delegate_decides_in_a_place_while_that_lasts() -> None:
    for_anna = signed("ben", seat="anna")
    assert counted([for_anna], persons=1, stewards=delegating(NOW), named=("anna",)).is_approved
    assert not counted([for_anna], persons=1, stewards=delegating(NOW - DAY), named=("anna",)).is_approved
    assert not counted([signed("cleo", seat="anna")], persons=1, stewards=delegating(NOW), named=("anna",)).is_approved


def test_a_delegates_no_outlasts_the_delegation_as_their_yes_does_not() -> None:
    no = signed("ben", "reject", seat="anna", expires=NOW + 30 * DAY)
    tokens = [signed("cleo"), no]
    assert counted(tokens, persons=1, stewards=delegating(NOW), now=NOW + 3 * DAY).rejection is not None
    # Whose place it is lifts it, by a newer word of their own.
    back = signed("anna", at=NOW + DAY)
    assert counted([no, back], persons=1, stewards=delegating(NOW), now=NOW + 3 * DAY).is_approved
    assert counted([signed("anna"), no], persons=1, stewards=delegating(NOW), now=NOW + 3 * DAY).rejection is not None
    # Whoever was no delegate when they signed says nothing.
    assert counted(tokens, persons=1, stewards=delegating(NOW - DAY)).is_approved
    assert counted(tokens, persons=1).is_approved


def test_a_no_outlives_what_others_approve_when_the_plan_is_asked_again() -> None:
    no = signed("anna", "reject", expires=NOW + longest(PLAN, "reject"))
    later = NOW + 20 * DAY
    yes = signed("ben", at=later, expires=later + longest(PLAN, "approve"))
    for day in (later, NOW + ONE + DAY, later + ONE - 1):
        assert counted([no, yes], persons=1, now=day).rejection is not None


def test_one_person_never_counts_for_two() -> None:
    assert counted([signed("ben"), signed("ben", seat="anna")], stewards=delegating(NOW)).have == 1


def test_one_seat_never_counts_for_two() -> None:
    """Anna and her delegate both sign in her place; with ben for himself and cleo, there are two people and seats."""
    own, delegated = signed("anna"), signed("ben", seat="anna")
    assert counted([own, delegated], stewards=delegating(NOW), named=("anna",)).have == 1
    assert counted([own, delegated, signed("ben")], stewards=delegating(NOW)).have == 2
    assert counted([delegated, signed("cleo"), signed("ben")], stewards=delegating(NOW)).have == 2


def test_each_dataset_wants_its_own_stewards() -> None:
    decided = in_force([signed("anna"), signed("ben")], PLAN, CARE, STEWARDS, NOW, signature_holds)
    rules = [Rule(Need(1, 168), ("anna",)), Rule(Need(2, 168), ("ben", "cleo"))]
    found = tally(decided, PLAN, rules, STEWARDS, ())
    assert (found.have, found.need, found.is_approved) == (1, 2, False)


def test_an_approval_of_a_standing_query_covers_as_many_sets_of_editions_as_were_asked() -> None:
    first, second, third = (
        MONTHLY,
        OF_ONE_EDITION["another edition"](MONTHLY),
        OF_ONE_EDITION["another snapshot"](MONTHLY),
    )
    tokens = [signed("anna", plan=MONTHLY), signed("ben", plan=MONTHLY)]
    ran = [Ran(editions(first), NOW + 1), Ran(editions(second), NOW + 2)]
    assert counted(tokens, plan=second, now=NOW + 9, ran=ran[:1]).is_approved
    found = counted(tokens, plan=third, now=NOW + 9, ran=ran)
    assert (found.have, found.is_approved, found.used_up) == (0, False, 2)
    # What ran under it may be asked again, and those who sign again begin to count anew.
    assert counted(tokens, plan=first, now=NOW + 9, ran=ran).is_approved
    again = [signed("anna", plan=MONTHLY, at=NOW + 5), signed("ben", plan=MONTHLY, at=NOW + 5)]
    assert not counted([*tokens, again[0]], plan=third, now=NOW + 9, ran=ran).is_approved
    assert counted([*tokens, *again], plan=third, now=NOW + 9, ran=ran).is_approved
