"""What a steward asks of their own space through its gateway: `client.approvals`, `client.policies`.

Invariant: the gateway is not believed. What is shown is read from the plan as its initiator signed it, its digest is
computed here from that, and only what was shown is signed; what the agent says beside the plan (operators, earlier
questions, budgets) comes through the gateway and is as good as the gateway is.
"""

from __future__ import annotations

import builtins
from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.message import Message

from gateway.api.client.v1 import approvals_pb2 as pb
from gateway.api.client.v1 import policies_pb2 as pol
from gateway.domain.decision import SignedPlan
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.inbox import Shown, Waiting
from gateway.domain.policy_text import PolicyText, Proposed
from gateway.edges import steward_keys
from gateway.edges.clock import SystemIds
from gateway.edges.grpc import inbox_convert as convert
from gateway.edges.keys import SigningKey
from gateway.ports import Clock
from gateway.rules import plans
from gateway.rules.jose import TokenProblem
from gateway.rules.recall import recall_plan

Call = Callable[[str, Message, type[Message]], Awaitable[Any]]
_APPROVALS = "/isthmus.client.v1.ApprovalService/"
_POLICIES = "/isthmus.client.v1.PolicyService/"
PAGE = 200


class Approvals:
    """Needs the scope `steward`."""

    def __init__(self, call: Call, clock: Clock, space: str) -> None:
        """`space` is the entity ID of the own space, as the profile knows it: what is signed says something of that
        space alone, so a gateway is not asked for it."""
        self._call, self._clock, self.space = call, clock, space

    async def list(self, everything: bool = False) -> tuple[Waiting, ...]:
        """What waits for people of this space, newest first, all pages; `everything`: what is over or withdrawn too."""
        found: builtins.list[Waiting] = []
        token = ""
        while True:
            request = pb.ListPlansRequest(everything=everything, page_size=PAGE, page_token=token)
            page = await self._call(_APPROVALS + "ListPlans", request, pb.ListPlansResponse)
            found += [convert.waiting_from(item) for item in page.plans]
            token = page.next_page_token
            if not token:
                return tuple(found)

    async def show(self, plan: str) -> Shown:
        """The plan whose digest is, or begins with, `plan`. Raises IsthmusError(PROTOCOL_VIOLATION) when another is
        shown."""
        request = pb.GetPlanRequest(plan=plan)
        shown = convert.shown_from(await self._call(_APPROVALS + "GetPlan", request, pb.GetPlanResponse))
        if not signed_plan(shown).digest.startswith(plan):
            raise _another()
        return shown

    async def decide(self, shown: Shown, key: SigningKey, said: str, reason: str = "", seat: str = "") -> Waiting:
        """Sign `said` (approve, reject or seen) about exactly what was shown, and hand it in. `seat` is the thumbprint
        of the steward in whose place it is. The private key stays here."""
        plan, now = signed_plan(shown), self._clock.now()
        token = steward_keys.decision(
            plan,
            key,
            said,
            reason,
            now,
            SystemIds().fresh(),
            space=self.space,
            seat=seat,
            expires=plans.expires(plan, said, now),
        )
        return await self.hand_in(plan.digest, token)

    async def hand_in(self, plan: str, decision: str) -> Waiting:
        """What was signed elsewhere about the plan of this digest; how far people are then."""
        request = pb.DecidePlanRequest(plan=plan, decision=decision)
        answer = await self._call(_APPROVALS + "DecidePlan", request, pb.DecidePlanResponse)
        return convert.waiting_from(answer.waiting)


class Policies:
    """Policies of this space's own datasets. Needs the scope `steward`."""

    def __init__(self, call: Call, clock: Clock) -> None:
        self._call, self._clock = call, clock

    async def show(self, dataset: str) -> PolicyText:
        """The policy in force, as the gateway says the agent says it."""
        request = pol.GetPolicyRequest(dataset=dataset)
        found = await self._call(_POLICIES + "GetPolicy", request, pol.GetPolicyResponse)
        return PolicyText(found.dataset, found.version, found.digest, found.policy)

    async def propose(self, dataset: str, text: str, version: int, key: SigningKey) -> Proposed:
        """Sign this text for the dataset, and hand it in. The private key stays here."""
        token = steward_keys.proposal(dataset, text, version, key, self._clock.now(), SystemIds().fresh())
        return await self.hand_in(dataset, token)

    async def hand_in(self, dataset: str, proposal: str) -> Proposed:
        """What was signed elsewhere; how many have signed then."""
        request = pol.ProposePolicyRequest(dataset=dataset, proposal=proposal)
        said = await self._call(_POLICIES + "ProposePolicy", request, pol.ProposePolicyResponse)
        return Proposed(said.dataset, said.version, said.digest, said.have, said.need, said.accepted)


def signed_plan(shown: Shown) -> SignedPlan:
    """What is decided on: read from the signed plan alone. Raises IsthmusError(PROTOCOL_VIOLATION) unless it is the one
    whose digest stands beside it."""
    try:
        return recall_plan(shown.plan, shown.waiting.digest)
    except (TokenProblem, IsthmusError, KeyError, ValueError):
        raise _another() from None


def _another() -> IsthmusError:
    return IsthmusError(
        Reason.PROTOCOL_VIOLATION,
        "what the gateway shows is not the plan of this digest",
        field="plan",
        advice="Sign nothing; tell the operator of your space, and decide on the agent's machine with --agent",
    )
