"""What this space's own stewards ask of the agent through its gateway, which passes on and is not believed."""

from __future__ import annotations

from connectors.agent import Agent
from gateway.api.agent.v1 import agent_pb2 as pb
from gateway.api.client.v1 import approvals_pb2 as inbox
from gateway.api.client.v1 import policies_pb2 as policies
from gateway.edges.grpc import inbox_convert as convert

# A page where the asker names no size, and the largest.
PAGE, LARGEST = 50, 200


async def answer(agent: Agent, message: pb.ConnectResponse) -> pb.ConnectRequest | None:
    """The answer, under the number of what is asked; None for what no steward asks. Raises IsthmusError."""
    number = message.number
    match message.WhichOneof("message"):
        case "list_plans":
            asked = message.list_plans
            rows, after = await agent.desk.listed(
                asked.everything, after=asked.page_token, limit=min(asked.page_size or PAGE, LARGEST)
            )
            listed = inbox.ListPlansResponse(plans=[convert.waiting_to(row) for row in rows], next_page_token=after)
            return pb.ConnectRequest(number=number, plans_listed=listed)
        case "get_plan":
            shown = await agent.desk.show(message.get_plan.plan)
            return pb.ConnectRequest(number=number, plan_shown=convert.shown_to(shown))
        case "decide_plan":
            waiting = await agent.decide(message.decide_plan.plan, message.decide_plan.decision)
            decided = inbox.DecidePlanResponse(waiting=convert.waiting_to(waiting))
            return pb.ConnectRequest(number=number, plan_decided=decided)
        case "get_policy":
            found = agent.policies.show(message.get_policy.dataset)
            policy = policies.GetPolicyResponse(
                dataset=found.dataset, version=found.version, digest=found.digest, policy=found.text
            )
            return pb.ConnectRequest(number=number, policy_shown=policy)
        case "propose_policy":
            said = await agent.propose_policy(message.propose_policy.dataset, message.propose_policy.proposal)
            proposed = policies.ProposePolicyResponse(
                dataset=said.dataset,
                version=said.version,
                digest=said.digest,
                have=said.have,
                need=said.need,
                accepted=said.accepted,
            )
            return pb.ConnectRequest(number=number, policy_proposed=proposed)
        case _:
            return None
