"""The stewards of this space as its configuration names them: whose keys count, and for which datasets.

Invariant: two names never have one key, so that one person cannot count as two; a policy that names nobody who could
decide is refused before it is in force.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from connectors.config import StewardConfig
from connectors.holdings import Holding
from connectors.rules.decisions import Rule, Steward
from gateway.config import broken
from gateway.domain.contract import Contract
from gateway.domain.dataset import Dataset, Terms
from gateway.domain.errors import IsthmusError, Reason
from gateway.rules.jose import TokenProblem
from gateway.rules.jwks import parse_jwk, verifies_signatures
from gateway.rules.one_person import LEAST_STEWARDS
from gateway.rules.plans import need_of
from gateway.rules.text import nearest


def load_stewards(configured: Sequence[StewardConfig]) -> tuple[Steward, ...]:
    """Raises IsthmusError(CONFIGURATION)."""
    names = [item.name for item in configured]
    if len(set(names)) < len(names):
        raise broken("two stewards have the same name", "stewards", "Name each person once")
    made = []
    for item in configured:
        if item.delegate is not None and (item.delegate == item.name or item.delegate not in names):
            advice = nearest(item.delegate, names, "There are")
            raise broken(f"the delegate of {item.name} is no other steward", "stewards.delegate", advice)
        try:
            key = parse_jwk(json.loads(item.key.read_text()))
        except (OSError, ValueError, TokenProblem):
            key = None
        if key is None or not verifies_signatures(key):
            text = f"the key {item.key} of the steward {item.name} cannot be read as a public signing key"
            raise broken(text, "stewards.key", "Make one with: isthmus approvals key --out NAME.jwk")
        until = "" if item.delegate_until is None else item.delegate_until.isoformat()
        made.append(Steward(item.name, key, item.delegate or "", until))
    if len({item.key.kid for item in made}) < len(made):
        raise broken("two stewards have the same key", "stewards.key", "Each person makes a key of their own")
    return tuple(made)


def check_holding(holding: Holding, stewards: Sequence[Steward]) -> None:
    """Raises IsthmusError(CONFIGURATION) where the dataset's policy wants people whom the agent does not know."""
    check_terms(holding.dataset, holding.stewards, stewards)


def check_terms(dataset: Dataset, named: Sequence[str], stewards: Sequence[Steward]) -> None:
    terms = dataset.terms
    wanted = max(terms.persons, LEAST_STEWARDS * (terms.one_person is not None))
    if wanted == 0:
        return
    names = [item.name for item in stewards]
    for name in named:
        if name not in names:
            advice = nearest(name, names, "There are") if names else "Add a [[stewards]] table to agent.toml"
            raise _refused(dataset, f"a policy names the steward {name!r:.80}, whom the agent does not know", advice)
    able = len(set(named or names))
    if able < wanted:
        text = f"{wanted} stewards have to approve, and there are {able}"
        raise _refused(dataset, text, "Add [[stewards]] tables to agent.toml, or want fewer persons")


def rule_of(terms: Terms, named: Sequence[str], statistic: str, stewards: Sequence[Steward]) -> Rule | None:
    """Whom a dataset under these terms wants for this statistic, of the stewards `named` in its policy; None where it
    wants nobody."""
    need = need_of(statistic, [terms])
    return None if need is None else Rule(need, tuple(named) or tuple(item.name for item in stewards))


def named_in(contract: Contract, entity: str) -> list[str]:
    """The datasets of this space that the contract uses."""
    provider = contract.provider_of(entity)
    return [] if provider is None else [item.dataset for item in provider.inputs]


def no_steward(kid: str) -> IsthmusError:
    """What whoever signs with a key that the configuration does not name is told."""
    return IsthmusError(
        Reason.PERMISSION_DENIED,
        "this key is no steward's of this space",
        private=kid,
        field="iss",
        advice="Its public half has to stand in agent.toml, under [[stewards]]",
    )


def _refused(dataset: Dataset, text: str, advice: str) -> IsthmusError:
    return broken(f"{dataset.name}: {text}", "approval.stewards", advice)
