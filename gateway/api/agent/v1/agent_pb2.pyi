# Generated from proto/ by `make proto`; a test compares.
from gateway.api.buf.validate import validate_pb2 as _validate_pb2
from gateway.api.client.v1 import approvals_pb2 as _approvals_pb2
from gateway.api.client.v1 import policies_pb2 as _policies_pb2
from gateway.api.peer.v1 import examination_pb2 as _examination_pb2
from gateway.api.peer.v1 import peer_pb2 as _peer_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ConnectRequest(_message.Message):
    __slots__ = ("number", "hello", "checked", "proposed", "ran", "done", "refused", "opened", "consulted", "plans_listed", "plan_shown", "plan_decided", "policy_shown", "policy_proposed")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    HELLO_FIELD_NUMBER: _ClassVar[int]
    CHECKED_FIELD_NUMBER: _ClassVar[int]
    PROPOSED_FIELD_NUMBER: _ClassVar[int]
    RAN_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    OPENED_FIELD_NUMBER: _ClassVar[int]
    CONSULTED_FIELD_NUMBER: _ClassVar[int]
    PLANS_LISTED_FIELD_NUMBER: _ClassVar[int]
    PLAN_SHOWN_FIELD_NUMBER: _ClassVar[int]
    PLAN_DECIDED_FIELD_NUMBER: _ClassVar[int]
    POLICY_SHOWN_FIELD_NUMBER: _ClassVar[int]
    POLICY_PROPOSED_FIELD_NUMBER: _ClassVar[int]
    number: int
    hello: Hello
    checked: _peer_pb2.CheckDraftResponse
    proposed: _peer_pb2.ProposeResponse
    ran: _peer_pb2.RunResponse
    done: Done
    refused: _peer_pb2.Refusal
    opened: _examination_pb2.ListOpenDatasetsResponse
    consulted: _peer_pb2.ConsultResponse
    plans_listed: _approvals_pb2.ListPlansResponse
    plan_shown: _approvals_pb2.GetPlanResponse
    plan_decided: _approvals_pb2.DecidePlanResponse
    policy_shown: _policies_pb2.GetPolicyResponse
    policy_proposed: _policies_pb2.ProposePolicyResponse
    def __init__(self, number: _Optional[int] = ..., hello: _Optional[_Union[Hello, _Mapping]] = ..., checked: _Optional[_Union[_peer_pb2.CheckDraftResponse, _Mapping]] = ..., proposed: _Optional[_Union[_peer_pb2.ProposeResponse, _Mapping]] = ..., ran: _Optional[_Union[_peer_pb2.RunResponse, _Mapping]] = ..., done: _Optional[_Union[Done, _Mapping]] = ..., refused: _Optional[_Union[_peer_pb2.Refusal, _Mapping]] = ..., opened: _Optional[_Union[_examination_pb2.ListOpenDatasetsResponse, _Mapping]] = ..., consulted: _Optional[_Union[_peer_pb2.ConsultResponse, _Mapping]] = ..., plans_listed: _Optional[_Union[_approvals_pb2.ListPlansResponse, _Mapping]] = ..., plan_shown: _Optional[_Union[_approvals_pb2.GetPlanResponse, _Mapping]] = ..., plan_decided: _Optional[_Union[_approvals_pb2.DecidePlanResponse, _Mapping]] = ..., policy_shown: _Optional[_Union[_policies_pb2.GetPolicyResponse, _Mapping]] = ..., policy_proposed: _Optional[_Union[_policies_pb2.ProposePolicyResponse, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("offer", "process")
    OFFER_FIELD_NUMBER: _ClassVar[int]
    PROCESS_FIELD_NUMBER: _ClassVar[int]
    offer: str
    process: str
    def __init__(self, offer: _Optional[str] = ..., process: _Optional[str] = ...) -> None: ...

class Done(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ConnectResponse(_message.Message):
    __slots__ = ("number", "check", "propose", "run", "stop", "believe", "open_to", "consult", "list_plans", "get_plan", "decide_plan", "get_policy", "propose_policy")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    CHECK_FIELD_NUMBER: _ClassVar[int]
    PROPOSE_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    BELIEVE_FIELD_NUMBER: _ClassVar[int]
    OPEN_TO_FIELD_NUMBER: _ClassVar[int]
    CONSULT_FIELD_NUMBER: _ClassVar[int]
    LIST_PLANS_FIELD_NUMBER: _ClassVar[int]
    GET_PLAN_FIELD_NUMBER: _ClassVar[int]
    DECIDE_PLAN_FIELD_NUMBER: _ClassVar[int]
    GET_POLICY_FIELD_NUMBER: _ClassVar[int]
    PROPOSE_POLICY_FIELD_NUMBER: _ClassVar[int]
    number: int
    check: _peer_pb2.CheckDraftRequest
    propose: _peer_pb2.ProposeRequest
    run: _peer_pb2.RunRequest
    stop: Stop
    believe: Believe
    open_to: OpenTo
    consult: _peer_pb2.ConsultRequest
    list_plans: _approvals_pb2.ListPlansRequest
    get_plan: _approvals_pb2.GetPlanRequest
    decide_plan: _approvals_pb2.DecidePlanRequest
    get_policy: _policies_pb2.GetPolicyRequest
    propose_policy: _policies_pb2.ProposePolicyRequest
    def __init__(self, number: _Optional[int] = ..., check: _Optional[_Union[_peer_pb2.CheckDraftRequest, _Mapping]] = ..., propose: _Optional[_Union[_peer_pb2.ProposeRequest, _Mapping]] = ..., run: _Optional[_Union[_peer_pb2.RunRequest, _Mapping]] = ..., stop: _Optional[_Union[Stop, _Mapping]] = ..., believe: _Optional[_Union[Believe, _Mapping]] = ..., open_to: _Optional[_Union[OpenTo, _Mapping]] = ..., consult: _Optional[_Union[_peer_pb2.ConsultRequest, _Mapping]] = ..., list_plans: _Optional[_Union[_approvals_pb2.ListPlansRequest, _Mapping]] = ..., get_plan: _Optional[_Union[_approvals_pb2.GetPlanRequest, _Mapping]] = ..., decide_plan: _Optional[_Union[_approvals_pb2.DecidePlanRequest, _Mapping]] = ..., get_policy: _Optional[_Union[_policies_pb2.GetPolicyRequest, _Mapping]] = ..., propose_policy: _Optional[_Union[_policies_pb2.ProposePolicyRequest, _Mapping]] = ...) -> None: ...

class Believe(_message.Message):
    __slots__ = ("chains", "revocations")
    CHAINS_FIELD_NUMBER: _ClassVar[int]
    REVOCATIONS_FIELD_NUMBER: _ClassVar[int]
    chains: _containers.RepeatedCompositeFieldContainer[_peer_pb2.Chain]
    revocations: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, chains: _Optional[_Iterable[_Union[_peer_pb2.Chain, _Mapping]]] = ..., revocations: _Optional[_Iterable[str]] = ...) -> None: ...

class OpenTo(_message.Message):
    __slots__ = ("space",)
    SPACE_FIELD_NUMBER: _ClassVar[int]
    space: str
    def __init__(self, space: _Optional[str] = ...) -> None: ...

class Stop(_message.Message):
    __slots__ = ("session", "failure", "released")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    session: str
    failure: _peer_pb2.Failure
    released: bool
    def __init__(self, session: _Optional[str] = ..., failure: _Optional[_Union[_peer_pb2.Failure, _Mapping]] = ..., released: _Optional[bool] = ...) -> None: ...

class CarryRequest(_message.Message):
    __slots__ = ("open", "frames")
    OPEN_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    open: _peer_pb2.TunnelOpen
    frames: _containers.RepeatedCompositeFieldContainer[_peer_pb2.Frame]
    def __init__(self, open: _Optional[_Union[_peer_pb2.TunnelOpen, _Mapping]] = ..., frames: _Optional[_Iterable[_Union[_peer_pb2.Frame, _Mapping]]] = ...) -> None: ...

class CarryResponse(_message.Message):
    __slots__ = ("frames",)
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    frames: _containers.RepeatedCompositeFieldContainer[_peer_pb2.Frame]
    def __init__(self, frames: _Optional[_Iterable[_Union[_peer_pb2.Frame, _Mapping]]] = ...) -> None: ...
