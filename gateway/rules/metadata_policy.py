"""Metadata policies of OpenID Federation 1.0 (section 6.1), cut to three operators. Pure.

Invariants: `value`, `one_of` and `subset_of` are all we know; another operator of the standard, or one that a
statement calls critical, refuses, any other is ignored (6.1.3.2); a policy can only narrow what a superior's policy
allows; no list of alternatives is longer than `MAX_ALTERNATIVES`, so that work is bounded.

Operators combine as section 6.1.3.1 has it: `value` with either of the other two, and it must satisfy them;
`one_of` with `subset_of` never, within one statement or after merging.

Stricter than the standard in three places. Where a parameter is not a subset it refuses, instead of trimming it:
trimming would silently drop an affiliate, which is there to restrict who may sit beside whom. An empty `subset_of`
(after merging too) and a `value` of null refuse: both remove a parameter, and every one of ours is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from gateway.rules.jose import Problem, TokenProblem

OPERATORS = frozenset({"value", "one_of", "subset_of"})
MAX_ALTERNATIVES = 256
# The standard obliges everyone to apply these, so ignoring them would widen what the superior meant.
_STANDARD_BUT_UNSUPPORTED = frozenset({"add", "default", "superset_of", "essential"})

Policy = Mapping[str, Mapping[str, Any]]  # parameter → operator → operand


def read_policy(claims: Mapping[str, Any], entity_type: str) -> Policy:
    """The policy for `entity_type` in a subordinate statement's claims. Raises TokenProblem."""
    critical = claims.get("metadata_policy_crit", [])
    if not isinstance(critical, list) or not all(isinstance(name, str) for name in critical):
        _refuse("metadata_policy_crit is no list of names")
    unknown = set(critical) - OPERATORS
    if unknown:
        _refuse(f"critical operators that are unknown here: {sorted(unknown)!r:.200}")
    policies = claims.get("metadata_policy", {})
    if not isinstance(policies, dict):
        _refuse("metadata_policy is no object")
    policy = policies.get(entity_type, {})
    if not isinstance(policy, dict) or not all(isinstance(operators, dict) for operators in policy.values()):
        _refuse(f"the policy for {entity_type} is no object of objects")
    return {parameter: _read_operators(parameter, operators) for parameter, operators in policy.items()}


def _read_operators(parameter: str, operators: Mapping[str, Any]) -> dict[str, Any]:
    unsupported = _STANDARD_BUT_UNSUPPORTED & operators.keys()
    if unsupported:
        _refuse(f"operators {sorted(unsupported)} on {parameter!r:.100} are not supported here")
    known = {name: operand for name, operand in operators.items() if name in OPERATORS}
    if "value" in known and known["value"] is None:
        _refuse(f"a policy may not remove {parameter!r:.100}")
    for name in ("one_of", "subset_of"):
        if name in known and not (isinstance(known[name], list) and 1 <= len(known[name]) <= MAX_ALTERNATIVES):
            _refuse(f"{name} on {parameter!r:.100} is no list of 1 to {MAX_ALTERNATIVES} alternatives")
    _check_combination(parameter, known)
    return known


def _check_combination(parameter: str, operators: Mapping[str, Any]) -> None:
    if {"one_of", "subset_of"} <= operators.keys():
        _refuse(f"one_of and subset_of on {parameter!r:.100} do not combine")
    if "value" in operators:
        _check_allowed(parameter, operators["value"], operators)


def combine(superior: Policy, subordinate: Policy) -> Policy:
    """Both policies at once, which is never more than either allows. Raises TokenProblem."""
    combined = {parameter: dict(operators) for parameter, operators in superior.items()}
    for parameter, operators in subordinate.items():
        merged = combined.setdefault(parameter, {})
        for name, operand in operators.items():
            if name not in merged:
                merged[name] = operand
            elif name == "value":
                if not _equal(merged[name], operand):
                    _refuse(f"two values for {parameter!r:.100}")
            else:
                merged[name] = [item for item in merged[name] if _among(item, operand)]
                if not merged[name]:
                    _refuse(f"nothing is left of {name} on {parameter!r:.100}")
        _check_combination(parameter, merged)
    return combined


def apply_policy(policy: Policy, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata as the policy has it. Raises TokenProblem where it does not allow it."""
    resolved = dict(metadata)
    for parameter, operators in policy.items():
        if "value" in operators:
            resolved[parameter] = operators["value"]
        if parameter not in resolved:
            continue  # presence is for the reader of the metadata to demand
        _check_allowed(parameter, resolved[parameter], operators)
    return resolved


def _check_allowed(parameter: str, present: object, operators: Mapping[str, Any]) -> None:
    if "one_of" in operators and not _among(present, operators["one_of"]):
        _refuse(f"{parameter!r:.100} is none of those allowed")
    if "subset_of" in operators and not (
        isinstance(present, list)
        and len(present) <= MAX_ALTERNATIVES
        and all(_among(item, operators["subset_of"]) for item in present)
    ):
        _refuse(f"{parameter!r:.100} holds what is not allowed")


def _among(item: object, alternatives: list[Any]) -> bool:
    return any(_equal(item, alternative) for alternative in alternatives)


def _equal(left: object, right: object) -> bool:
    """JSON's equality: its true is not its 1, at any depth, though Python's is."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_equal, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(value, right[name]) for name, value in left.items())
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def _refuse(detail: str) -> NoReturn:
    raise TokenProblem(Problem.POLICY, detail)
