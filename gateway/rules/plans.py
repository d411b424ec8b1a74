"""What people decide on: the plan's digest, who has to decide, and what the signed form of a plan must say.

Invariants: a plan's digest covers all that a decision is about, and nothing that is made anew when the contract is
frozen; of a standing query it leaves the editions out, so that one decision covers those that come.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import rfc8785

from gateway.domain.contract import Contract
from gateway.domain.dataset import Dataset, Terms
from gateway.domain.decision import REJECT, SEEN, Need, SignedPlan
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.offer import Space
from gateway.rules.one_person import LEAST_STEWARDS
from gateway.rules.profiles import DAY, PLAN
from gateway.rules.records import to_plain
from gateway.rules.statistics import ABOUT_ONE_PERSON, about_one_person

PLAN_LIFETIME = 30 * DAY
MAX_PERSONS = 8
MAX_STANDING = 120
MAX_WITHIN = 720  # hours: no longer than a plan lives
HOUR = 3600
# How long a decision may live: about one plan as long as a plan can, about a standing query long enough for a year.
ONE, STANDING = 30 * DAY, 400 * DAY
STANDING_LIFETIME = 366 * DAY
SEEN_LIFETIME = 300
# What differs between two askings of the same plan.
_OF_ONE_ASKING = ("session", "not_before", "expires")
_OF_ONE_EDITION = ("edition", "snapshot", "row_bound")


def plan_digest(contract: Contract) -> str:
    """SHA-256 (hex) over the canonical bytes of the contract without session and times; of a standing query without
    editions, snapshots and row bounds too. Of a question about one person the session stays: each asking of it is
    decided on anew."""
    plain: dict[str, Any] = to_plain(contract)
    said = {name: value for name, value in plain.items() if name not in _OF_ONE_ASKING}
    if about_one_person(contract.query):
        said["session"] = contract.session
    if contract.query.standing > 1:
        said["providers"] = [
            {"entity": provider["entity"], "inputs": [_without_edition(item) for item in provider["inputs"]]}
            for provider in plain["providers"]
        ]
    return _digest({"isthmus plan": 1, "contract": said})


def editions(contract: Contract) -> str:
    """The digest of the set of editions that a contract names: a decision counts them."""
    named = [[item.dataset, item.edition, item.snapshot] for provider in contract.providers for item in provider.inputs]
    return _digest({"isthmus editions": 1, "editions": sorted(named)})


def audience(digest: str) -> str:
    """The `aud` of a plan, and of every decision about it."""
    return PLAN + digest


def longest(plan: Contract, said: str) -> int:
    """Seconds that a decision about this plan may live. A rejection outlives the approvals that others sign in the
    meantime, when the same plan is asked again: else they would count once it is over."""
    return STANDING if plan.query.standing > 1 or said == REJECT else ONE


def expires(plan: SignedPlan, said: str, now: int) -> int:
    """An approval is good until the plan is over, or for a year of editions; a rejection outlives every approval that
    it may take back; that a plan was seen is said at once."""
    if said == SEEN:
        return now + SEEN_LIFETIME
    if said == REJECT:
        return now + longest(plan.body, said)
    return now + STANDING_LIFETIME if plan.body.query.standing > 1 else plan.expires


def wants_person(terms: Terms, statistic: str) -> bool:
    if statistic in ABOUT_ONE_PERSON:
        return True
    return terms.persons > 0 and (not terms.person_statistics or statistic in terms.person_statistics)


def need_of(statistic: str, terms: Iterable[Terms]) -> Need | None:
    """The strictest of what one space's datasets want; None where nobody has to decide. About one person at least two
    stewards do, whatever policies say."""
    wanting = [item for item in terms if wants_person(item, statistic)]
    if not wanting:
        return None
    return Need(
        max([LEAST_STEWARDS * (statistic in ABOUT_ONE_PERSON), *(item.persons for item in wanting)]),
        min(item.decide_within for item in wanting),
        min(item.standing for item in wanting),
    )


def needs(contract: Contract, spaces: Mapping[str, Space]) -> dict[str, Need]:
    """By entity, in the contract's order: where people have to decide, as the owners' offers say in public."""
    found = {}
    for provider in contract.providers:
        named = {item.dataset for item in provider.inputs}
        space = spaces.get(provider.entity)
        datasets = () if space is None else space.offer.datasets
        terms = [dataset.terms for dataset in datasets if dataset.name in named]
        if (need := need_of(contract.query.statistic.name, terms)) is not None:
            found[provider.entity] = need
    return found


def check_standing(contract: Contract, datasets: Iterable[Dataset]) -> None:
    """Raises IsthmusError(POLICY_REFUSED) where approval is asked for more editions at once than an owner allows."""
    wished = contract.query.standing
    for dataset in datasets:
        terms = dataset.terms
        if wants_person(terms, contract.query.statistic.name) and wished > terms.standing:
            raise IsthmusError(
                Reason.POLICY_REFUSED,
                f"{dataset.name} is approved for {terms.standing} editions at once, and {wished} were asked"
                f" (version {terms.version} of its policy)",
                field="standing",
                space=f"https://{dataset.space_host}",
                advice=f"Ask for standing: {terms.standing}",
            )


def check_addressed(claims: Mapping[str, object], contract: Contract) -> str:
    """The digest of the plan in a verified token's claims. Raises unless the token is addressed to it."""
    digest = plan_digest(contract)
    if claims.get("aud") != audience(digest):
        raise IsthmusError(
            Reason.CONTRACT_INVALID,
            "the plan's audience is another plan",
            field="aud",
            advice="Make the plan again and have it decided on",
        )
    return digest


def not_approved(public: str, space: str, *, advice: str = "") -> IsthmusError:
    return IsthmusError(
        Reason.NOT_APPROVED,
        public,
        space=space,
        advice=advice or f"The stewards of {space} decide with: isthmus approvals",
    )


def _without_edition(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name not in _OF_ONE_EDITION}


def _digest(said: dict[str, Any]) -> str:
    return hashlib.sha256(rfc8785.dumps(said)).hexdigest()
