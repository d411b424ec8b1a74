"""isthmus.client.v1: converts, calls a flow, converts back. Who may call is `rules/access.py`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from gateway.api.client.v1 import catalogue_pb2 as cat
from gateway.api.client.v1 import computations_pb2 as comp
from gateway.api.client.v1 import tokens_pb2 as tok
from gateway.domain.caller import Caller
from gateway.domain.computation import Computation, Role, State
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.result import Table
from gateway.domain.session import Failure
from gateway.edges.grpc import convert
from gateway.flows.discover import Discover
from gateway.flows.drive import Drive, Stopped
from gateway.flows.sign_in import SigningIn
from gateway.flows.submit import Submit
from gateway.ports import ComputationStore, Documents, Federation, Opener, Watchers
from gateway.rules.access import OPERATE
from gateway.rules.lifecycle import LIVE, Event, next_state
from gateway.rules.oidc import TokenType
from gateway.rules.retention import check_result

PAGE = 50


@dataclass(frozen=True, slots=True)
class CatalogueService:
    discover: Discover
    federation: Federation

    async def list_datasets(self, request: cat.ListDatasetsRequest, caller: Caller) -> cat.ListDatasetsResponse:
        page, token = self.discover.datasets(request.page_token, request.page_size or PAGE)
        unreachable = sorted(e for e, space in self.federation.spaces().items() if not space.reachable)
        return cat.ListDatasetsResponse(
            datasets=[convert.dataset_to(dataset, space.seen) for dataset, space in page],
            next_page_token=token,
            unreachable=unreachable,
        )

    async def get_dataset(self, request: cat.GetDatasetRequest, caller: Caller) -> cat.GetDatasetResponse:
        dataset, space = self.discover.dataset(request.name)
        return cat.GetDatasetResponse(dataset=convert.dataset_to(dataset, space.seen))

    async def list_spaces(self, request: cat.ListSpacesRequest, caller: Caller) -> cat.ListSpacesResponse:
        spaces = self.federation.spaces()
        return cat.ListSpacesResponse(spaces=[convert.space_to(spaces[entity]) for entity in sorted(spaces)])

    async def list_programs(self, request: cat.ListProgramsRequest, caller: Caller) -> cat.ListProgramsResponse:
        listed = self.discover.programs()
        return cat.ListProgramsResponse(
            programs=[
                cat.ListedProgram(program=convert.program_to(one.program), spaces=one.spaces, statistics=one.statistics)
                for one in listed
            ]
        )


@dataclass(frozen=True, slots=True)
class ComputationService:
    entity: str
    submit: Submit
    drive: Drive
    store: ComputationStore
    documents: Documents
    opener: Opener
    watchers: Watchers

    async def validate_computation(
        self, request: comp.ValidateComputationRequest, caller: Caller
    ) -> comp.ValidateComputationResponse:
        plan = await self.submit.validate(caller, convert.query_from(request.query), request.recipient_key)
        return comp.ValidateComputationResponse(plan=convert.plan_to(plan))

    async def create_computation(
        self, request: comp.CreateComputationRequest, caller: Caller
    ) -> comp.CreateComputationResponse:
        asked = convert.query_from(request.query)
        created = await self.submit.create(caller, request.request_id, asked, request.recipient_key)
        return comp.CreateComputationResponse(computation=convert.computation_to(created, None))

    async def get_computation(self, request: comp.GetComputationRequest, caller: Caller) -> comp.GetComputationResponse:
        found = await self._own(request.name, caller)
        return comp.GetComputationResponse(computation=convert.computation_to(found, await self._table(found, caller)))

    async def list_computations(
        self, request: comp.ListComputationsRequest, caller: Caller
    ) -> comp.ListComputationsResponse:
        requester = None if OPERATE in caller.scopes else caller.id
        size = request.page_size or PAGE
        found = await self.store.list(requester=requester, after=request.page_token, limit=size + 1)
        page = found[:size]
        return comp.ListComputationsResponse(
            # A list shows states; results are read one by one, by whom they are for.
            computations=[_outline(convert.computation_to(item, None)) for item in page],
            next_page_token=page[-1].id if len(found) > size else "",
        )

    async def watch_computation(
        self, request: comp.WatchComputationRequest, caller: Caller
    ) -> AsyncIterator[comp.WatchComputationResponse]:
        found = await self._own(request.name, caller)
        # Following begins before the current version is read again, so that no change falls in between.
        changes = self.watchers.follow(found.id)
        pending = await self._own(request.name, caller)
        yield comp.WatchComputationResponse(
            computation=convert.computation_to(pending, await self._table(pending, caller))
        )
        if pending.state not in LIVE:
            return
        async for item in changes:
            yield comp.WatchComputationResponse(
                computation=convert.computation_to(item, await self._table(item, caller))
            )

    async def cancel_computation(
        self, request: comp.CancelComputationRequest, caller: Caller
    ) -> comp.CancelComputationResponse:
        found = await self._own(request.name, caller)
        next_state(found.state, Event.CANCEL)  # raises when it has ended
        failure = Failure(
            Reason.CANCELLED.value, self.entity, "session", "the requester cancelled the computation", "Ask again"
        )
        changes = self.watchers.follow(found.id)
        if not self.drive.stop(found.id, Stopped(Event.CANCEL, failure)):
            home = found.role is Role.HOME
            raise IsthmusError(
                Reason.ILLEGAL_TRANSITION,
                "it is ending already" if home else "this space takes part in it and did not initiate it",
                field="name",
                advice="Read its state again" if home else "Its requester can cancel it at the initiating space",
            )
        async for item in changes:
            if item.state not in LIVE:
                found = item
        return comp.CancelComputationResponse(computation=convert.computation_to(found, None))

    async def acknowledge_result(
        self, request: comp.AcknowledgeResultRequest, caller: Caller
    ) -> comp.AcknowledgeResultResponse:
        found = await self._own(request.name, caller)
        check_result(found)  # there is nothing left that could fit together or not
        if not request.consistent:
            found = await self.drive.dispute(found)
        return comp.AcknowledgeResultResponse(computation=convert.computation_to(found, None))

    async def _own(self, name: str, caller: Caller) -> Computation:
        """The caller's computation; one that is not the caller's is as unknown as one that is not there."""
        found = await self.store.get(name.removeprefix("computations/"))
        if found is None or (found.requester != caller.id and OPERATE not in caller.scopes):
            raise IsthmusError(
                Reason.NOT_FOUND, f"there is no {name}", field="name", advice="`isthmus computations list` shows yours"
            )
        return found

    async def _table(self, found: Computation, caller: Caller) -> Table | None:
        """The table, where this gateway is the recipient and the caller is who asked."""
        if found.state is not State.RELEASED or found.requester != caller.id or found.deletions:
            return None
        contract, approvals = self.documents.recall(found)
        if not any(recipient.kind == "gateway" for recipient in contract.body.recipients):
            return None
        return self.opener.open(contract, approvals, found.shares)


@dataclass(frozen=True, slots=True)
class TokenService:
    """The holder of a certificate gets tokens: PKI mutual TLS as client authentication (RFC 8705 section 2.1)."""

    signing_in: SigningIn

    async def issue_token(self, request: tok.IssueTokenRequest, caller: Caller) -> tok.IssueTokenResponse:
        issued = self.signing_in.issue(caller)
        return tok.IssueTokenResponse(access_token=issued.token, expire_time=issued.expires)

    async def exchange_token(self, request: tok.ExchangeTokenRequest, caller: Caller) -> tok.ExchangeTokenResponse:
        if request.HasField("subject_token"):
            given = request.subject_token
            issued = await self.signing_in.exchange(caller, given.token, _TOKEN_TYPES[given.token_type])
        else:
            code = request.authorization_code
            issued = await self.signing_in.redeem(caller, code.code, code.code_verifier)
        return tok.ExchangeTokenResponse(
            access_token=issued.token,
            expire_time=issued.expires,
            subject=issued.subject,
            scopes=issued.grant.scopes,
            sign_in_expire_time=issued.ends,
        )


_TOKEN_TYPES = {
    tok.SUBJECT_TOKEN_TYPE_ID_TOKEN: TokenType.ID_TOKEN,
    tok.SUBJECT_TOKEN_TYPE_ACCESS_TOKEN: TokenType.ACCESS_TOKEN,
}


def _outline(message: comp.Computation) -> comp.Computation:
    for field in ("shares", "views", "table", "contract", "approvals", "plan"):
        message.ClearField(field)
    return message
