"""A policy in plain words, for whoever reviews it.

Invariant: every key of a policy is said, the defaults too, so that nothing is allowed that the reader does not see.
"""

from __future__ import annotations

from connectors.config import ApprovalConfig, ColumnRuleConfig, OnePersonConfig, PolicyConfig
from connectors.rules.columns import ColumnRule
from gateway.rules import noise
from gateway.rules.codelists import ANYWHERE, LEGAL_BASES, PURPOSES, ROLES, UNION
from gateway.rules.roles import ANYBODY
from gateway.rules.statistics import Use


def explained(policy: PolicyConfig, today: str) -> tuple[tuple[str, str], ...]:
    """Topic and what is said of it; `today` is a day in ISO 8601."""
    laws = {**LEGAL_BASES, **{item.code: item.law for item in policy.national_law}}
    return (
        ("Holds", _holds(policy, today)),
        ("May ask", _spaces(policy.spaces)),
        ("In the role of", _roles(policy)),
        ("For", "; ".join(f"{code} ({PURPOSES[code]})" for code in policy.purposes)),
        ("On the basis of", "; ".join(f"{code} ({laws[code]})" for code in policy.legal_bases)),
        ("Answers", ", ".join(policy.statistics)),
        ("Cells", _cells(policy)),
        ("Noise", _noise(policy)),
        ("Computed by", _seats(policy)),
        ("Programs", ", ".join(policy.programs) or "any that its space offers"),
        ("Packages", ", ".join(policy.packages) or "none beyond the release's programs"),
        ("Results go to", _transfer(policy.transfer)),
        ("Columns", _columns(policy.columns)),
        ("Questions", "any number" if policy.questions is None else f"{policy.questions} different ones per edition"),
        ("People", _people(policy.approval)),
        ("One person", _one_person(policy.one_person)),
        ("Receive buffer", "a sample may be shown: only for made-up data" if policy.demo_view else "never shown"),
    )


def _holds(policy: PolicyConfig, today: str) -> str:
    if policy.expires is None:
        return f"version {policy.version}, until it is changed"
    day = policy.expires.isoformat()
    if today >= day:
        return f"version {policy.version}, not any more: it expired on {day}, and every question is refused"
    return f"version {policy.version}, until the day before {day}; from then on every question is refused"


def _spaces(spaces: tuple[str, ...]) -> str:
    return "every peer" if ANYWHERE in spaces else ", ".join(spaces) or "nobody"


def _roles(policy: PolicyConfig) -> str:
    if ANYBODY in policy.roles:
        said = ["anybody, without a role too"]
    else:
        said = [f"{role} ({ROLES[role]})" for role in policy.roles]
    said += [
        f"of {item.space} {'anybody of these' if ANYBODY in item.roles else 'only ' + ' or '.join(item.roles)}"
        for item in policy.space_roles
    ]
    known = [] if said == ["anybody, without a role too"] else ["all on the word of the space that asks"]
    return "; ".join([*said, *known])


def _cells(policy: PolicyConfig) -> str:
    least = policy.minimum_cell
    said = f"counts under {least} are suppressed" if least > 1 else "every count is released"
    said += ", and zero like them" if policy.zero_is_small and least > 1 else ""
    if policy.dominance is not None:
        said += f"; so are those of which one provider has over {policy.dominance} percent"
    if policy.rounding is not None:
        said += f"; the others are rounded to multiples of {policy.rounding}"
    exact = ", ".join(policy.exact_statistics)
    return said + (f"; exact where a requester asks for that: {exact}" if exact else "")


def _noise(policy: PolicyConfig) -> str:
    terms = policy.privacy
    if terms is None:
        return "none: what is asked with noise is refused"
    table = noise.of(terms.epsilon)
    said = "every count has some" if terms.required else "where it is asked for"
    said += (
        f", for an epsilon of {terms.epsilon} at most, for which counts are off by at most {table.within()} with "
        "95 percent; "
        f"all questions of one operator together cost at most {terms.budget}"
    )
    said += f", of everybody {terms.total}" if terms.total is not None else ""
    said += ", over the life of the dataset"
    return said + "; with noise, what one provider has of a cell hides nothing, the least count still does"


def _seats(policy: PolicyConfig) -> str:
    seats = max(policy.minimum_seats, 2 * policy.minimum_t + 1)
    together = "no single one sees" if policy.minimum_t == 1 else f"no {policy.minimum_t} of them together see"
    return f"{seats} seats or more, of which {together} anything"


def _transfer(transfer: tuple[str, ...]) -> str:
    if ANYWHERE in transfer:
        return "spaces in any jurisdiction"
    named = ["member states of the Union" if code == UNION else code for code in transfer]
    return f"spaces in {', '.join(named)}" if named else "its owner alone"


def _people(approval: ApprovalConfig | None) -> str:
    if approval is None:
        return "nobody decides on a question: this policy does"
    who = f"of {', '.join(approval.stewards)}" if approval.stewards else "of its space"
    stewards = "1 steward" if approval.persons == 1 else f"{approval.persons} different stewards"
    asked = f" that asks for {', '.join(approval.statistics)}" if approval.statistics else ""
    said = f"every question{asked} waits until {stewards} {who} approved it, for {approval.within_hours} hours at most"
    times = "one edition" if approval.standing == 1 else f"up to {approval.standing} editions, if it was asked for them"
    return f"{said}; an approval is for {times}"


def _one_person(given: OnePersonConfig | None) -> str:
    if given is None:
        return "nothing is answered about one person"
    asked = (
        f"its own people are asked about by {given.case}" if given.case else "it is searched, and its people are not"
    )
    answers = "1 answer" if given.quota_per_case == 1 else f"{given.quota_per_case} answers"
    return (
        f"{asked}; on the basis of {', '.join(given.legal_bases)}, in the role of {' or '.join(given.roles)}, where "
        f"each list that is searched has {given.least_list} people or more; {answers} about a case and "
        f"{given.quota_per_day} a day for one asking space; two different stewards, or more, decide on each"
    )


def _columns(rules: tuple[ColumnRuleConfig, ...]) -> str:
    if not rules:
        return "all are for all of these"
    said = []
    for item in rules:
        rule = ColumnRule(item.name, item.spaces, item.statistics, None if item.use is None else Use(item.use))
        said.append(f"{rule.name} only for {_spaces(rule.spaces)}, {rule.said()}")
    return "; ".join([*said, "all others are for all of these"])
