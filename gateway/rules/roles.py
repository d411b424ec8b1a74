"""As what somebody asks, and which roles an owner answers. Pure.

Invariants: a role is a code of the closed list; a contract's stand in one order, each once; who asks in several roles
is answered if one of them is; a refusal says which roles this asker would need, and nothing of what others may. A role
is the word of the initiator's gateway: nothing else proves it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gateway.domain.contract import Contract
from gateway.domain.dataset import Dataset
from gateway.domain.errors import IsthmusError, Reason
from gateway.rules.codelists import ANYWHERE, ROLES
from gateway.rules.text import nearest

ANYBODY = ANYWHERE  # whatever the role, none included


def in_order(roles: Iterable[str]) -> tuple[str, ...]:
    """As a contract has them."""
    return tuple(sorted(set(roles)))


def are_roles(roles: Sequence[str]) -> bool:
    """Whether a contract may say these."""
    return tuple(roles) == in_order(roles) and set(roles) <= ROLES.keys()


def named(roles: tuple[str, ...]) -> tuple[str, ...]:
    """The same. Raises ValueError with the nearest for one that is not on the list."""
    for role in roles:
        if role not in ROLES:
            raise ValueError(f"{role!r:.80} is no role. {nearest(role, sorted(ROLES), 'There are')}")
    return roles


def check_roles(draft: Contract, dataset: Dataset, of_spaces: Mapping[str, Sequence[str]]) -> None:
    """Raises IsthmusError(POLICY_REFUSED) unless the owner answers a requester in one of the contract's roles.

    `of_spaces` are the roles that the owner answers of one space alone, where its policy says that.
    """
    held = draft.requester_roles
    for answered in (dataset.terms.roles, of_spaces.get(draft.initiator, (ANYBODY,))):
        if ANYBODY in answered or set(answered) & set(held):
            continue
        who = f"a requester in the role of {' or '.join(held)}" if held else "a requester who has no role"
        raise IsthmusError(
            Reason.POLICY_REFUSED,
            f"{dataset.name} does not answer {who} (version {dataset.terms.version} of its policy)",
            field="requester_roles",
            space=f"https://{dataset.space_host}",
            advice=f"It answers: {', '.join(answered)}. The operator of your own space gives roles",
        )
