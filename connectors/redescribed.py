"""What has changed in a source whose description, or key, has changed too.

Invariants: it reads frozen copies and the source, and writes nothing. Rows are known by a keyed hash of all described
cells, so under another description, or key, none of them is known again and everybody would seem to have changed. So
the cells that both files have are compared as text, days by their digits, since the format may have changed too:
whoever is the same in them is not counted as changed, which can only let an edition wait. Plain blocking calls.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from connectors.holdings import Holding, named
from connectors.sources.errors import SourceError
from connectors.sources.tables import DatasetSource
from gateway.config import broken
from gateway.edges.store.editions import StoredEdition


@dataclass(frozen=True, slots=True)
class Change:
    """Of the rows since the edition `since`, as far as both files have their columns."""

    since: str
    come: int
    gone: int

    @property
    def apart(self) -> int:
        """By how many people the two differ at least."""
        return max(self.come, self.gone)


def changes(holding: Holding, editions: Sequence[StoredEdition], folder: Path, known: bool) -> list[Change]:
    """What `holding`'s source has otherwise than the copies that are kept, newest first, of editions that were made
    under another description or key; none where it is the same. `known` says that rows of the newest edition were
    found in the source by their hashes.

    Raises IsthmusError where nothing can be compared: no row is known any more, and there is no copy to read.
    """
    found, read = [], 0
    for edition in reversed(editions):
        if not edition.file:
            continue
        copy = holding.source.at(folder, edition.file)
        try:
            if copy.check(holding.snapshot_key).pinned != edition.snapshot:
                found.append(_change(holding, copy, edition.id))
            read += 1
        except SourceError:
            continue  # it is lost; what is read of others counts
    if not read and not known:
        raise broken(
            f"no row of edition {editions[-1].id} is known under the description and key of now, and its copy is lost",
            "columns",
            "Nothing was published, since nobody can tell how many people have changed: take the copy from a backup",
        )
    return found


def _change(holding: Holding, copy: DatasetSource, since: str) -> Change:
    key = holding.snapshot_key
    names = [name for name in copy.present() if name in holding.source.present()]
    try:
        now = Counter(holding.source.plain(names).hashes(key))
    except SourceError as problem:
        raise named(problem, holding.dataset.name, f"https://{holding.dataset.space_host}") from None
    then = Counter(copy.plain(names).hashes(key))
    return Change(since, (now - then).total(), (then - now).total())
