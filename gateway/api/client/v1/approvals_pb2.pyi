# Generated from proto/ by `make proto`; a test compares.
from gateway.api.buf.validate import validate_pb2 as _validate_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListPlansRequest(_message.Message):
    __slots__ = ("everything", "page_size", "page_token")
    EVERYTHING_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    everything: bool
    page_size: int
    page_token: str
    def __init__(self, everything: _Optional[bool] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListPlansResponse(_message.Message):
    __slots__ = ("plans", "next_page_token")
    PLANS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    plans: _containers.RepeatedCompositeFieldContainer[WaitingPlan]
    next_page_token: str
    def __init__(self, plans: _Optional[_Iterable[_Union[WaitingPlan, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetPlanRequest(_message.Message):
    __slots__ = ("plan",)
    PLAN_FIELD_NUMBER: _ClassVar[int]
    plan: str
    def __init__(self, plan: _Optional[str] = ...) -> None: ...

class GetPlanResponse(_message.Message):
    __slots__ = ("waiting", "plan", "verified", "operators", "datasets", "decisions", "earlier", "budgets")
    WAITING_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    VERIFIED_FIELD_NUMBER: _ClassVar[int]
    OPERATORS_FIELD_NUMBER: _ClassVar[int]
    DATASETS_FIELD_NUMBER: _ClassVar[int]
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    EARLIER_FIELD_NUMBER: _ClassVar[int]
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    waiting: WaitingPlan
    plan: str
    verified: bool
    operators: _containers.RepeatedCompositeFieldContainer[PlanOperator]
    datasets: _containers.RepeatedCompositeFieldContainer[PlanDataset]
    decisions: _containers.RepeatedCompositeFieldContainer[PlanDecision]
    earlier: _containers.RepeatedCompositeFieldContainer[EarlierQuestion]
    budgets: _containers.RepeatedCompositeFieldContainer[PlanBudget]
    def __init__(self, waiting: _Optional[_Union[WaitingPlan, _Mapping]] = ..., plan: _Optional[str] = ..., verified: _Optional[bool] = ..., operators: _Optional[_Iterable[_Union[PlanOperator, _Mapping]]] = ..., datasets: _Optional[_Iterable[_Union[PlanDataset, _Mapping]]] = ..., decisions: _Optional[_Iterable[_Union[PlanDecision, _Mapping]]] = ..., earlier: _Optional[_Iterable[_Union[EarlierQuestion, _Mapping]]] = ..., budgets: _Optional[_Iterable[_Union[PlanBudget, _Mapping]]] = ...) -> None: ...

class DecidePlanRequest(_message.Message):
    __slots__ = ("plan", "decision")
    PLAN_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    plan: str
    decision: str
    def __init__(self, plan: _Optional[str] = ..., decision: _Optional[str] = ...) -> None: ...

class DecidePlanResponse(_message.Message):
    __slots__ = ("waiting",)
    WAITING_FIELD_NUMBER: _ClassVar[int]
    waiting: WaitingPlan
    def __init__(self, waiting: _Optional[_Union[WaitingPlan, _Mapping]] = ...) -> None: ...

class WaitingPlan(_message.Message):
    __slots__ = ("digest", "title", "initiator", "requester", "state", "have", "need", "standing", "deliver_time", "deadline", "expire_time", "see_time", "seen_by", "withdraw_time")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[WaitingPlan.State]
        STATE_NOT_NEEDED: _ClassVar[WaitingPlan.State]
        STATE_DELIVERED: _ClassVar[WaitingPlan.State]
        STATE_SEEN: _ClassVar[WaitingPlan.State]
        STATE_APPROVED: _ClassVar[WaitingPlan.State]
        STATE_REJECTED: _ClassVar[WaitingPlan.State]
        STATE_WITHDRAWN: _ClassVar[WaitingPlan.State]
        STATE_EXPIRED: _ClassVar[WaitingPlan.State]
    STATE_UNSPECIFIED: WaitingPlan.State
    STATE_NOT_NEEDED: WaitingPlan.State
    STATE_DELIVERED: WaitingPlan.State
    STATE_SEEN: WaitingPlan.State
    STATE_APPROVED: WaitingPlan.State
    STATE_REJECTED: WaitingPlan.State
    STATE_WITHDRAWN: WaitingPlan.State
    STATE_EXPIRED: WaitingPlan.State
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    INITIATOR_FIELD_NUMBER: _ClassVar[int]
    REQUESTER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    HAVE_FIELD_NUMBER: _ClassVar[int]
    NEED_FIELD_NUMBER: _ClassVar[int]
    STANDING_FIELD_NUMBER: _ClassVar[int]
    DELIVER_TIME_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    SEE_TIME_FIELD_NUMBER: _ClassVar[int]
    SEEN_BY_FIELD_NUMBER: _ClassVar[int]
    WITHDRAW_TIME_FIELD_NUMBER: _ClassVar[int]
    digest: str
    title: str
    initiator: str
    requester: str
    state: WaitingPlan.State
    have: int
    need: int
    standing: int
    deliver_time: int
    deadline: int
    expire_time: int
    see_time: int
    seen_by: str
    withdraw_time: int
    def __init__(self, digest: _Optional[str] = ..., title: _Optional[str] = ..., initiator: _Optional[str] = ..., requester: _Optional[str] = ..., state: _Optional[_Union[WaitingPlan.State, str]] = ..., have: _Optional[int] = ..., need: _Optional[int] = ..., standing: _Optional[int] = ..., deliver_time: _Optional[int] = ..., deadline: _Optional[int] = ..., expire_time: _Optional[int] = ..., see_time: _Optional[int] = ..., seen_by: _Optional[str] = ..., withdraw_time: _Optional[int] = ...) -> None: ...

class PlanOperator(_message.Message):
    __slots__ = ("entity", "name", "group", "affiliates", "jurisdiction")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    AFFILIATES_FIELD_NUMBER: _ClassVar[int]
    JURISDICTION_FIELD_NUMBER: _ClassVar[int]
    entity: str
    name: str
    group: str
    affiliates: _containers.RepeatedScalarFieldContainer[str]
    jurisdiction: str
    def __init__(self, entity: _Optional[str] = ..., name: _Optional[str] = ..., group: _Optional[str] = ..., affiliates: _Optional[_Iterable[str]] = ..., jurisdiction: _Optional[str] = ...) -> None: ...

class PlanDataset(_message.Message):
    __slots__ = ("name", "title")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    name: str
    title: str
    def __init__(self, name: _Optional[str] = ..., title: _Optional[str] = ...) -> None: ...

class PlanDecision(_message.Message):
    __slots__ = ("signer", "seat", "approves", "decide_time", "reason")
    SIGNER_FIELD_NUMBER: _ClassVar[int]
    SEAT_FIELD_NUMBER: _ClassVar[int]
    APPROVES_FIELD_NUMBER: _ClassVar[int]
    DECIDE_TIME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    signer: str
    seat: str
    approves: bool
    decide_time: int
    reason: str
    def __init__(self, signer: _Optional[str] = ..., seat: _Optional[str] = ..., approves: _Optional[bool] = ..., decide_time: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class EarlierQuestion(_message.Message):
    __slots__ = ("title", "initiator", "purpose", "approve_time", "datasets")
    TITLE_FIELD_NUMBER: _ClassVar[int]
    INITIATOR_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    APPROVE_TIME_FIELD_NUMBER: _ClassVar[int]
    DATASETS_FIELD_NUMBER: _ClassVar[int]
    title: str
    initiator: str
    purpose: str
    approve_time: int
    datasets: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, title: _Optional[str] = ..., initiator: _Optional[str] = ..., purpose: _Optional[str] = ..., approve_time: _Optional[int] = ..., datasets: _Optional[_Iterable[str]] = ...) -> None: ...

class PlanBudget(_message.Message):
    __slots__ = ("dataset", "what", "spent", "limit", "per")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    SPENT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PER_FIELD_NUMBER: _ClassVar[int]
    dataset: str
    what: str
    spent: int
    limit: int
    per: int
    def __init__(self, dataset: _Optional[str] = ..., what: _Optional[str] = ..., spent: _Optional[int] = ..., limit: _Optional[int] = ..., per: _Optional[int] = ...) -> None: ...
