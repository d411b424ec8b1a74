"""What one space offers to a federation: datasets, seats, programs. Signed by its agent.

The cost model gives what one party sends, as a linear form in public sizes, and the number of rounds.
"""

from __future__ import annotations

from gateway.domain.dataset import Dataset
from gateway.domain.records import record


@record
class CostModel:
    """Elements (8 bytes each) that one party sends: fixed + per_row × N + per_cell × cells; and rounds."""

    rounds: int
    fixed: int
    per_row: int
    per_cell: int


@record
class ProgramOffer:
    """A program as one space would run it: the digest covers engine and program."""

    name: str
    version: int
    digest: str
    leakage: str


@record
class Offer:
    """Everything a space's agent says of itself in public."""

    datasets: tuple[Dataset, ...]
    programs: tuple[ProgramOffer, ...]
    seats: int
    engine: str
    codec: int
