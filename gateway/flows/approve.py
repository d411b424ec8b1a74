"""Steps 3 and 4 of the route: every space is asked, in parallel, to approve exactly these bytes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from gateway.domain.approval import SignedApproval, SignedContract
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.session import Approval, Refusal
from gateway.ports import Chains, Documents, Federation

APPROVE_WITHIN = 30.0


@dataclass(frozen=True, slots=True)
class Approve:
    federation: Federation
    documents: Documents

    async def gather(self, contract: SignedContract) -> tuple[list[SignedApproval], list[Refusal]]:
        """Verified approvals in the contract's order, and the vetoes with their reasons.

        A space that cannot be reached or answers with something else counts as a refusal that says so.
        """
        entities = contract.body.entities()
        chains = self.federation.chains(entities)
        answers = await asyncio.gather(*(self._ask(entity, contract, chains) for entity in entities))
        approvals = [answer for answer in answers if isinstance(answer, SignedApproval)]
        refusals = [answer for answer in answers if isinstance(answer, Refusal)]
        return approvals, refusals

    async def _ask(self, entity: str, contract: SignedContract, chains: Chains) -> SignedApproval | Refusal:
        try:
            async with asyncio.timeout(APPROVE_WITHIN):
                answer = await self.federation.line(entity).propose(contract.token, chains)
                if not isinstance(answer, Approval):
                    return replace(answer, space=entity)  # nobody refuses in another's name
                approval = await self.documents.approval(answer.token, contract)
        except TimeoutError:
            return Refusal(
                Reason.DEADLINE_EXCEEDED.value, "did not answer in time", advice="Ask again later", space=entity
            )
        except IsthmusError as problem:
            return Refusal(problem.reason.value, problem.public, problem.field, problem.advice, entity)
        if approval.entity != entity:
            return Refusal(
                Reason.APPROVALS_INVALID.value,
                "answered with another space's approval",
                advice=f"Ask the operator of {entity}",
                space=entity,
            )
        return approval
