"""What a source says when it cannot answer.

Invariant: no text, public or private, carries a value of a record; DuckDB's own messages quote the line
that they stumble over, so they go nowhere.
"""

from __future__ import annotations

from gateway.domain.errors import IsthmusError


class SourceError(IsthmusError):
    """Raised by everything in `connectors.sources`, and by nothing else."""
