"""The programs that a contract can name, each with its digest.

Invariant: the digest covers every source file of the engine and the program's own, so two parties with one
digest run the same code.
"""

import hashlib
from functools import cache
from pathlib import Path
from types import ModuleType

from connectors.engine.programs import (
    chi_square,
    crosstab,
    group_count,
    group_sum,
    kruskal_wallis,
    linear_regression,
    logistic_regression,
    overlap,
    repeats,
    survival,
)

PROGRAMS: dict[str, ModuleType] = {
    program.NAME: program
    for program in (
        overlap,
        group_count,
        crosstab,
        group_sum,
        repeats,
        survival,
        chi_square,
        kruskal_wallis,
        linear_regression,
        logistic_regression,
    )
}


@cache
def digest(name: str) -> str:
    """SHA-256 (hex) over the engine's and the program's source files, with names and lengths.

    Raises KeyError for an unknown program.
    """
    here = Path(__file__).parent
    alone = {Path(str(program.__file__)) for program in PROGRAMS.values()}
    module = Path(str(PROGRAMS[name].__file__))
    shared = (path for path in sorted(here.glob("*.py")) if path not in alone)
    state = hashlib.sha256(b"isthmus program v1")
    for path in (*sorted(here.parent.glob("*.py")), *sorted(here.parent.glob("native/*.py")), *shared, module):
        source = path.read_bytes()
        state.update(f"\n{path.parent.name}/{path.name} {len(source)}\n".encode())
        state.update(source)
    return state.hexdigest()
