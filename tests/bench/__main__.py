"""`python -m tests.bench [engine|federation|trust]`: figures of this machine. Medians; never a test.

- engine (what `make bench` prints): the engine's operations, direct and through gateways, beside other engines;
- federation: what the sandbox's questions take, from plan to table;
- trust: what checking tokens and chains takes.
"""

from __future__ import annotations

import sys

from tests.bench import federation, trust
from tests.bench.engine import command

PARTS = {
    "engine": command.run,
    "federation": lambda arguments: federation.run(),
    "trust": lambda arguments: trust.main(),
}

if __name__ == "__main__":
    part, *arguments = sys.argv[1:] or ["engine"]
    if part not in PARTS:
        sys.exit(f"there is no bench of {part!r}; there is {', '.join(PARTS)}")
    PARTS[part](arguments)
