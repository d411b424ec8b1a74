"""A dataset's rows by number: what ledger and editions call them.

Invariants: a row keeps its number for ever, through all editions; nothing of a row is here but 64 bits of its keyed
hash.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from connectors.sources.snapshot import Identities


@dataclass(slots=True)
class KnownRows:
    """`numbers[i]` is the number of the row with the i-th smallest identity."""

    identities: Identities = field(default_factory=lambda: np.zeros(0, dtype=np.uint64))
    numbers: npt.NDArray[np.uint32] = field(default_factory=lambda: np.zeros(0, dtype=np.uint32))

    def learn(self, identities: Identities) -> None:
        """Rows whose numbers follow those known."""
        first = len(self.identities)
        numbers = np.concatenate([self.numbers, np.arange(first, first + len(identities), dtype=np.uint32)])
        together = np.concatenate([self.identities, identities])
        order = np.argsort(together, kind="stable")
        self.identities, self.numbers = together[order], numbers[order]

    def learn_stored(self, identities: bytes) -> None:
        """Rows as the store has them."""
        self.learn(np.frombuffer(identities, dtype="<u8"))

    def unknown(self, identities: Identities) -> Identities:
        wanted = np.sort(identities)  # what is looked up in order is found several times as fast
        at = np.searchsorted(self.identities, wanted)
        here = at < len(self.identities)
        here[here] = self.identities[at[here]] == wanted[here]
        return np.unique(wanted[~here])

    def rows(self, identities: Identities) -> BitMap:
        """The numbers of rows that are all known."""
        return BitMap(self.numbers[np.searchsorted(self.identities, np.sort(identities))])


def stored(identities: Identities) -> bytes:
    """As the store keeps them."""
    return identities.astype("<u8").tobytes()
