"""`python -m tests.bench [PART]`: figures of this machine. Medians; never a test. Parts:

- engine (what `make bench` prints first): the engine's operations, direct and through gateways, beside other engines;
- federation: what the sandbox's questions take, from plan to table;
- questions: every question of docs/queries, what was forecast and what it took (`make bench` prints it too);
- lists: questions on three lists of 10^5 or 10^6 rows each, of records and of people who are linked;
- trust: what checking tokens and chains takes;
- audit: proofs over a log of a million records, and what standing by it takes (`make bench` prints it too);
- ledger: one more question held against ten thousand answers (`make bench` prints it too);
- suspects: two lists of 10^4, how many are on both, and whether one person is.
"""

from __future__ import annotations

import sys

from tests.bench import audit, federation, ledger, lists, questions, suspects, trust
from tests.bench.engine import command

PARTS = {
    "engine": command.run,
    "federation": lambda arguments: federation.run(),
    "questions": lambda arguments: questions.run(),
    "lists": lists.run,
    "trust": lambda arguments: trust.main(),
    "audit": lambda arguments: audit.run(),
    "ledger": lambda arguments: ledger.run(),
    "suspects": lambda arguments: suspects.run(),
}

if __name__ == "__main__":
    part, *arguments = sys.argv[1:] or ["engine"]
    if part not in PARTS:
        sys.exit(f"there is no bench of {part!r}; there is {', '.join(PARTS)}")
    PARTS[part](arguments)
