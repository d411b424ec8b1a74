"""The agent's configuration: one TOML file, one per dataset, and one per policy. Frozen, unknown keys refused.

Invariant: secrets come by path; a path is relative to the file that names it. What a policy says with codes, it says
with those of `gateway.rules.codelists`.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from connectors.engine.confinement import DEFAULT_MEMORY_MIB
from connectors.vocabularies.days import FORMATS, ambiguous
from connectors.vocabularies.linkage import RULES, TRANSLITERATE, check_library
from gateway.config import AnchorConfig, Beside, Entity, LogConfig, RevocationConfig, Strict
from gateway.domain.dataset import ColumnType
from gateway.rules import noise
from gateway.rules.codelists import ANYWHERE, COUNTRIES, LEGAL_BASES, NATIONAL_LAW, PURPOSES, ROLES, UNION
from gateway.rules.offers import MAX_NUMBER
from gateway.rules.plans import MAX_PERSONS, MAX_STANDING, MAX_WITHIN
from gateway.rules.policy import MAX_DOMINANCE, MAX_ROUNDING
from gateway.rules.retention import LEAST_DAYS, MOST_DAYS, Kept, Rule
from gateway.rules.roles import ANYBODY, named
from gateway.rules.statistics import ABOUT_ONE_PERSON, STATISTICS
from gateway.rules.statistics.hit import MAX_LEAST
from gateway.rules.text import nearest


def _known(codes: tuple[str, ...], known: Collection[str]) -> tuple[str, ...]:
    for code in codes:
        if code not in known:
            raise ValueError(f"{code!r:.80} is not on the list. {nearest(code, sorted(known), 'There are')}")
    return codes


def _purposes(codes: tuple[str, ...]) -> tuple[str, ...]:
    return _known(codes, PURPOSES)


def _legal_bases(codes: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    return _known(codes, {**LEGAL_BASES, **{item.code: item.law for item in info.data.get("national_law", ())}})


def _national(code: str) -> str:
    named = NATIONAL_LAW.fullmatch(code)
    if named is None:
        raise ValueError("national law is called national-XX-NAME: the country, then lower case, digits, hyphens")
    _known((named[1],), COUNTRIES)
    return code


def _jurisdictions(codes: tuple[str, ...]) -> tuple[str, ...]:
    return _known(codes, {*COUNTRIES, UNION, ANYWHERE})


def _answered(codes: tuple[str, ...]) -> tuple[str, ...]:
    return _known(codes, {*ROLES, ANYBODY})


def _statistics(names: tuple[str, ...]) -> tuple[str, ...]:
    return _known(names, STATISTICS)


def _rules(names: tuple[str, ...]) -> tuple[str, ...]:
    if TRANSLITERATE in _known(names, RULES):
        check_library()
    return names


def _formats(names: tuple[str, ...]) -> tuple[str, ...]:
    if ambiguous(_known(names, FORMATS)):
        raise ValueError("a day is read day first or month first, and both are named: 03/05 could be two days")
    return names


def _epsilon(amount: str) -> str:
    noise.epsilon(amount)
    return amount


def _budget(amount: str) -> str:
    noise.budget(amount)
    return amount


Some = Field(min_length=1)
LEAST_LIST = 100  # people: on a shorter list, that there is a hit says too much of everybody else on it


class AgentKeys(Strict):
    """The ring of contract keys, which sign offers, approvals and receipts; its secrets never lie with the gateway.
    `storage` is the key to which kept output shares are sealed, made where it is missing; without it none are kept."""

    contract: Beside
    storage: Beside | None = None


class AgentTls(Strict):
    """Rings of certificates: the space's CA, and the agent's own for its line to the gateway."""

    ca: Beside
    agent: Beside


class AgentRetentionConfig(Strict):
    """For how many days an agent keeps what."""

    contracts_days: Annotated[int, Field(ge=LEAST_DAYS[Kept.CONTRACTS], le=MOST_DAYS)] = 1826
    plans_days: Annotated[int, Field(ge=LEAST_DAYS[Kept.PLANS], le=MOST_DAYS)] = 1826
    # What is kept of a released result, to answer repeats from.
    kept_days: Annotated[int, Field(ge=1, le=MOST_DAYS)] = 365

    @property
    def rules(self) -> tuple[Rule, ...]:
        return (Rule(Kept.CONTRACTS, self.contracts_days), Rule(Kept.PLANS, self.plans_days))


class StewardConfig(Strict):
    """A person who decides for datasets of this space. `key` is a public JWK file; to the end of the day
    `delegate_until` the steward of the name `delegate` may decide in their place."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    key: Beside
    delegate: str | None = None
    delegate_until: date | None = None

    @model_validator(mode="after")
    def _until(self) -> StewardConfig:
        if (self.delegate is None) != (self.delegate_until is None):
            raise ValueError("delegate and delegate_until come together")
        return self


class PolicyChangesConfig(Strict):
    """So many different stewards change a policy through the gateway. Without the table nobody does."""

    persons: Annotated[int, Field(ge=1, le=MAX_PERSONS)]


class PackageConfig(Strict):
    """A program that the operator adds to those of the release: its folder, and the digest that `programs check` said
    of it. It runs at this space's seats then, and on those of its datasets whose policy names the digest."""

    folder: Beside
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class AgentConfig(Strict):
    """`gateway` is host:port of the own gateway. `party_memory` is in MiB, 0 for no limit but the machine's; `kernels`
    the folder of compiled kernels, `editions` that of the frozen copies of published editions."""

    entity: Entity
    gateway: str
    database: str
    seats: int = 1
    confinement: Literal["required", "best effort"] = "best effort"
    party_memory: Annotated[int, Field(ge=0)] = DEFAULT_MEMORY_MIB
    kernels: Beside | None = None
    editions: Beside | None = None
    keys: AgentKeys
    tls: AgentTls
    anchors: tuple[AnchorConfig, ...] = ()
    datasets: tuple[Beside, ...] = ()
    stewards: tuple[StewardConfig, ...] = ()
    programs: tuple[PackageConfig, ...] = ()
    policy_changes: PolicyChangesConfig | None = None
    revocation: RevocationConfig = RevocationConfig()
    retention: AgentRetentionConfig = AgentRetentionConfig()
    log: LogConfig = LogConfig()

    @model_validator(mode="after")
    def _can_sign(self) -> AgentConfig:
        wanted = 0 if self.policy_changes is None else self.policy_changes.persons
        if wanted > len(self.stewards):
            raise ValueError(f"policy_changes wants {wanted} stewards, and there are {len(self.stewards)}")
        return self


class CodeConfig(Strict):
    # Programs keep the code without a name for whoever has another one.
    value: Annotated[str, Some]
    label: str = ""


class ColumnConfig(Strict):
    name: str
    type: ColumnType
    label: str = ""
    standard: str = ""
    codes: tuple[CodeConfig, ...] = ()
    least: int | str | None = None
    most: int | str | None = None
    normalise: Annotated[tuple[str, ...], AfterValidator(_rules)] = ()
    dates: Annotated[tuple[str, ...], AfterValidator(_formats)] = ()

    @model_validator(mode="after")
    def _of_type(self) -> ColumnConfig:
        if self.normalise and self.type is not ColumnType.TEXT:
            raise ValueError(f"{self.name}: normalise is for text")
        if self.dates and self.type is not ColumnType.DATE:
            raise ValueError(f"{self.name}: dates is for dates")
        return self


class DerivedConfig(Strict):
    """A column that the owner derives: the year of a date."""

    column: str
    year_of: str


class EditionConfig(Strict):
    """`row_bound` is public: what the number of people is padded to. Rows above it are refused."""

    id: str
    created: int
    row_bound: int


class NationalLawConfig(Strict):
    """A legal basis of national law: `code` is national-XX-NAME, `law` says which article of which law."""

    code: Annotated[str, AfterValidator(_national)]
    law: Annotated[str, Field(min_length=1, max_length=200)]


class ColumnRuleConfig(Strict):
    """For whom a column is, and for what: without `as`, to count by, to add up and to filter on."""

    name: str
    spaces: tuple[str, ...] = ("*",)
    statistics: Annotated[tuple[str, ...], AfterValidator(_statistics)] = ()
    use: Literal["group", "filter", "measure"] | None = Field(None, alias="as")


class SpaceRolesConfig(Strict):
    """The roles, among the policy's, in which the people of one space are answered."""

    space: Entity
    roles: Annotated[tuple[str, ...], Some, AfterValidator(_answered)]


class PrivacyConfig(Strict):
    """Noise for differential privacy: `epsilon` of one question at most, `budget` of one operator and `total` of all,
    for the life of the dataset; decimals in quotes. Without `required`, questions without noise are answered too."""

    epsilon: Annotated[str, AfterValidator(_epsilon)]
    budget: Annotated[str, AfterValidator(_budget)]
    total: Annotated[str, AfterValidator(_budget)] | None = None
    required: bool = True

    @model_validator(mode="after")
    def _takes_one(self) -> PrivacyConfig:
        for name in ("budget", "total"):
            if (amount := getattr(self, name)) is not None and noise.units(amount) < noise.units(self.epsilon):
                raise ValueError(f"{name} takes no question of an epsilon of {self.epsilon}")
        return self


class OnePersonConfig(Strict):
    """Answers about one person: on which of the policy's legal bases and in which roles, the fewest people of each list
    that is searched, how many answers one asking space gets about a case, and on a day. `case` is the column by which
    people of this dataset are asked about; without it the dataset is only searched."""

    legal_bases: Annotated[tuple[str, ...], Some]
    roles: Annotated[tuple[str, ...], Some, AfterValidator(named)]
    least_list: Annotated[int, Field(ge=LEAST_LIST, le=MAX_LEAST)]
    quota_per_case: Annotated[int, Field(ge=1, le=MAX_NUMBER)] = 1
    quota_per_day: Annotated[int, Field(ge=1, le=MAX_NUMBER)] = 10
    case: str = ""


class ApprovalConfig(Strict):
    """What needs people: so many different stewards have to approve within so many hours. None named: all stewards of
    the agent, and all statistics. `standing` is for how many editions one approval can be at most."""

    persons: Annotated[int, Field(ge=1, le=MAX_PERSONS)] = 1
    stewards: tuple[str, ...] = ()
    within_hours: Annotated[int, Field(ge=1, le=MAX_WITHIN)] = 168
    statistics: Annotated[tuple[str, ...], AfterValidator(_statistics)] = ()
    standing: Annotated[int, Field(ge=1, le=MAX_STANDING)] = 1


class PolicyConfig(Strict):
    """A policy: who may ask what of a dataset. `spaces` are entity IDs of initiators; "*" allows every peer. A column
    without a rule is open to all who may ask. `questions` is how many different ones an edition answers, whoever asks.
    From the day `expires` on, none."""

    version: Annotated[int, Field(ge=1, le=MAX_NUMBER)]
    expires: date | None = None
    spaces: tuple[str, ...] = ("*",)
    # Before the legal bases, which are checked against it.
    national_law: tuple[NationalLawConfig, ...] = ()
    purposes: Annotated[tuple[str, ...], Some, AfterValidator(_purposes)]
    legal_bases: Annotated[tuple[str, ...], Some, AfterValidator(_legal_bases)]
    statistics: Annotated[tuple[str, ...], Some, AfterValidator(_statistics)]
    minimum_cell: Annotated[int, Field(ge=0, le=MAX_NUMBER)] = 11
    exact_statistics: Annotated[tuple[str, ...], AfterValidator(_statistics)] = ()
    zero_is_small: bool = False
    minimum_seats: int = 3
    minimum_t: Annotated[int, Field(ge=1, le=3)] = 1
    transfer: Annotated[tuple[str, ...], AfterValidator(_jurisdictions)] = (ANYWHERE,)
    programs: tuple[Annotated[str, Field(pattern="^[0-9a-f]{64}$")], ...] = ()
    # Digests of programs beyond the release's that may run on it; none: none.
    packages: tuple[Annotated[str, Field(pattern="^[0-9a-f]{64}$")], ...] = ()
    columns: tuple[ColumnRuleConfig, ...] = ()
    questions: Annotated[int, Field(ge=1)] | None = None
    demo_view: bool = False
    dominance: Annotated[int, Field(ge=1, le=MAX_DOMINANCE)] | None = None
    rounding: Annotated[int, Field(ge=2, le=MAX_ROUNDING)] | None = None
    approval: ApprovalConfig | None = None
    privacy: PrivacyConfig | None = None
    roles: Annotated[tuple[str, ...], Some, AfterValidator(_answered)] = (ANYBODY,)
    space_roles: tuple[SpaceRolesConfig, ...] = ()
    one_person: OnePersonConfig | None = None

    @model_validator(mode="after")
    def _about_one_person(self) -> PolicyConfig:
        if (self.one_person is not None) != bool(ABOUT_ONE_PERSON & set(self.statistics)):
            raise ValueError(
                f"one_person and a statistic about one person ({', '.join(ABOUT_ONE_PERSON)}) come together"
            )
        if self.one_person is not None and set(self.one_person.legal_bases) - set(self.legal_bases):
            raise ValueError("one_person has a legal basis that is not among legal_bases")
        return self

    @model_validator(mode="after")
    def _of_spaces(self) -> PolicyConfig:
        if len({item.space for item in self.space_roles}) < len(self.space_roles):
            raise ValueError("space_roles names a space twice")
        # What peers are told in public is never wider than what holds.
        if ANYBODY not in self.roles and any(set(item.roles) - set(self.roles) for item in self.space_roles):
            raise ValueError("space_roles has a role that is not among roles")
        return self


class DatasetConfig(Strict):
    """One dataset. `snapshot_key` is a file of at least 32 random bytes that pins its rows, `policy` a file of its
    own, which changes more often and is reviewed by others than the description."""

    id: str
    title: str
    description: str = ""
    vocabulary: str = ""
    coverage: str = ""
    folder: Beside
    file: str
    snapshot_key: Beside
    key_columns: tuple[str, ...]
    columns: tuple[ColumnConfig, ...]
    derived: tuple[DerivedConfig, ...] = ()
    edition: EditionConfig
    policy: Beside

    @model_validator(mode="after")
    def _of_keys(self) -> DatasetConfig:
        for column in self.columns:
            if column.normalise and column.name not in self.key_columns:
                raise ValueError(f"{column.name}: normalise is for key_columns, whose texts are compared")
        return self
