"""Results about one person: what holds of them beside all that holds of other questions. Pure.

Invariants: an owner answers none unless its policy has terms for them, which only add to its other terms; the space
that asks is the one whose person it is; the result goes to the requester's own key, and to no gateway; people decide on
every single asking, at least two of each owner, whatever its policy says of other questions.
"""

from __future__ import annotations

from gateway.domain.contract import Contract, Limits
from gateway.domain.dataset import Dataset, OnePerson
from gateway.domain.errors import IsthmusError, Reason
from gateway.rules.codelists import ROLES
from gateway.rules.statistics import about_one_person, hit

LEAST_STEWARDS = 2
# No cell, so nothing that could be small.
LIMITS = Limits(0, zero_is_small=False, provider_subtraction=False)


def wrong_with(read: Contract) -> tuple[str, str]:
    """What is wrong with a contract about one person, and its field; empty where nothing is, or for other contracts."""
    if not about_one_person(read.query):
        return "", ""
    if read.initiator != hit.asking_space(read.query):
        return "a question about one person is asked by the space whose list has the person", "initiator"
    if any(recipient.kind != "client" for recipient in read.recipients):
        return "an answer about one person goes to the requester's own key, and to no gateway", "recipients"
    if read.limits != LIMITS:
        return "limits on cells do not go with an answer about one person", "limits"
    return "", ""


def check_terms(draft: Contract, dataset: Dataset) -> None:
    """Raises IsthmusError(POLICY_REFUSED) unless this owner answers this question about one person. Other contracts are
    none of it."""
    if not about_one_person(draft.query):
        return
    terms, asked = dataset.terms.one_person, draft.query
    if terms is None:
        text = f"{dataset.name} answers nothing about one person"
        raise refused(dataset, "statistic", text, "Ask for numbers of people: overlap tells how many are on both lists")
    if asked.legal_basis not in terms.legal_bases:
        text = f"{dataset.name} answers nothing about one person on the legal basis {asked.legal_basis}"
        raise refused(dataset, "legal_basis", text, f"It does on: {', '.join(terms.legal_bases)}")
    if not set(terms.roles) & set(draft.requester_roles):
        text = f"{dataset.name} does not answer about one person in the requester's role"
        raise refused(dataset, "requester_roles", text, f"It answers: {', '.join(terms.roles)}")
    if asked.sources[0].dataset == dataset.name:
        if hit.case_column(asked) != terms.case:
            text = f"nobody of {dataset.name} is asked about by {hit.case_column(asked)}"
            advice = f"Name the case by {terms.case}" if terms.case else "Its steward names a column in the policy"
            raise refused(dataset, "sources[0].filters[0].column", text, advice)
    elif hit.least_list(asked) < terms.least_list:
        text = f"{dataset.name} is searched for one person beside lists of at least {terms.least_list} people"
        raise refused(dataset, "statistic.hit.least_list", text, f"Ask for {terms.least_list}")


def terms_hold(terms: OnePerson | None) -> bool:
    """Whether an owner's terms are within their ranges."""
    return terms is None or (
        bool(terms.legal_bases)
        and bool(terms.roles)
        and set(terms.roles) <= ROLES.keys()
        and 1 <= terms.least_list <= hit.MAX_LEAST
        and min(terms.quota_per_case, terms.quota_per_day) >= 1
    )


def refused(dataset: Dataset, field: str, public: str, advice: str) -> IsthmusError:
    return IsthmusError(
        Reason.POLICY_REFUSED,
        f"{public} (version {dataset.terms.version} of its policy)",
        field=field,
        space=f"https://{dataset.space_host}",
        advice=advice,
    )
