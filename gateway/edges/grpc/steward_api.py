"""isthmus.client.v1.ApprovalService and PolicyService: the stewards' way to their agent, through its gateway.

Invariant: nothing is decided here. What comes goes to the agent as it is, which believes what stewards signed and
nothing else, and its answer goes back as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.api.client.v1 import approvals_pb2 as pb
from gateway.api.client.v1 import policies_pb2 as policies
from gateway.domain.caller import Caller
from gateway.edges.agents import AgentLine


@dataclass(frozen=True, slots=True)
class ApprovalService:
    agent: AgentLine

    async def list_plans(self, request: pb.ListPlansRequest, caller: Caller) -> pb.ListPlansResponse:
        answer: pb.ListPlansResponse = await self.agent.steward(request)
        return answer

    async def get_plan(self, request: pb.GetPlanRequest, caller: Caller) -> pb.GetPlanResponse:
        answer: pb.GetPlanResponse = await self.agent.steward(request)
        return answer

    async def decide_plan(self, request: pb.DecidePlanRequest, caller: Caller) -> pb.DecidePlanResponse:
        answer: pb.DecidePlanResponse = await self.agent.steward(request)
        return answer


@dataclass(frozen=True, slots=True)
class PolicyService:
    agent: AgentLine

    async def get_policy(self, request: policies.GetPolicyRequest, caller: Caller) -> policies.GetPolicyResponse:
        answer: policies.GetPolicyResponse = await self.agent.steward(request)
        return answer

    async def propose_policy(
        self, request: policies.ProposePolicyRequest, caller: Caller
    ) -> policies.ProposePolicyResponse:
        answer: policies.ProposePolicyResponse = await self.agent.steward(request)
        return answer
