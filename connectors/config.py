"""The agent's configuration: one TOML file, and one per dataset with its policy. Frozen, unknown keys refused.

Invariant: secrets come by path; a path is relative to the file that names it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from connectors.engine.confinement import DEFAULT_MEMORY_MIB
from gateway.config import AnchorConfig, Beside, Entity, LogConfig, RevocationConfig, Strict
from gateway.domain.dataset import ColumnType
from gateway.rules.policy import MAX_DOMINANCE, MAX_ROUNDING


class AgentKeys(Strict):
    """The ring of contract keys, which sign offers, approvals and receipts; its secrets never lie with the gateway."""

    contract: Beside


class AgentTls(Strict):
    """Rings of certificates: the space's CA, and the agent's own for its line to the gateway."""

    ca: Beside
    agent: Beside


class AgentConfig(Strict):
    """`gateway` is host:port of the own gateway. `party_memory` is in MiB, 0 for no limit but the machine's; `kernels`
    the folder of compiled kernels."""

    entity: Entity
    gateway: str
    database: str
    seats: int = 1
    confinement: Literal["required", "best effort"] = "best effort"
    party_memory: Annotated[int, Field(ge=0)] = DEFAULT_MEMORY_MIB
    kernels: Beside | None = None
    keys: AgentKeys
    tls: AgentTls
    anchors: tuple[AnchorConfig, ...] = ()
    datasets: tuple[Beside, ...] = ()
    revocation: RevocationConfig = RevocationConfig()
    log: LogConfig = LogConfig()


class CodeConfig(Strict):
    value: str
    label: str = ""


class ColumnConfig(Strict):
    name: str
    type: ColumnType
    label: str = ""
    standard: str = ""
    codes: tuple[CodeConfig, ...] = ()


class DerivedConfig(Strict):
    """A column that the owner derives: the year of a date."""

    column: str
    year_of: str


class EditionConfig(Strict):
    """`row_bound` is public: what the number of people is padded to. Rows above it are refused."""

    id: str
    created: int
    row_bound: int


class PolicyConfig(Strict):
    """Who may ask what of this dataset. `spaces` are entity IDs of initiators; "*" allows every peer. `questions` is
    how many different ones an edition answers, whoever asks."""

    spaces: tuple[str, ...] = ("*",)
    purposes: tuple[str, ...]
    legal_bases: tuple[str, ...]
    statistics: tuple[str, ...]
    minimum_cell: int = 11
    exact_statistics: tuple[str, ...] = ()
    zero_is_small: bool = False
    minimum_seats: int = 3
    questions: Annotated[int, Field(ge=1)] | None = None
    demo_view: bool = False
    dominance: Annotated[int, Field(ge=1, le=MAX_DOMINANCE)] | None = None
    rounding: Annotated[int, Field(ge=2, le=MAX_ROUNDING)] | None = None


class DatasetConfig(Strict):
    """One dataset. `snapshot_key` is a file of at least 32 random bytes that pins its rows."""

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
    policy: PolicyConfig
