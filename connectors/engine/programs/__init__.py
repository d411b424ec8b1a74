"""The programs that a contract can name, each with its digest: those of the release, and those that an operator added.

Invariant: the digest covers every source file of the engine and the program's own, so two parties with one
digest run the same code.
"""

import hashlib
from functools import cache
from pathlib import Path
from types import ModuleType

from connectors.engine.programs import (
    chi_square,
    correlation,
    crosstab,
    group_count,
    group_sum,
    hit,
    kruskal_wallis,
    linear_regression,
    logistic_regression,
    overlap,
    quantiles,
    repeats,
    survival,
    t_test,
)

BUILT_IN: dict[str, ModuleType] = {
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
        quantiles,
        hit,
        t_test,
        correlation,
        linear_regression,
        logistic_regression,
    )
}
PROGRAMS: dict[str, ModuleType] = dict(BUILT_IN)
# By name, of those that were added.
_ADDED: dict[str, str] = {}


def digest(name: str) -> str:
    """SHA-256 (hex) over the engine's and the program's source files, with names and lengths.

    Raises KeyError for an unknown program.
    """
    return _ADDED[name] if name in _ADDED else _built_in_digest(name)


def add(module: ModuleType, digest: str) -> None:
    """A packaged program with its digest (packages.py). Raises ValueError where another one has its name."""
    name = module.NAME
    if name in BUILT_IN or _ADDED.get(name, digest) != digest:
        raise ValueError(f"there is a program {name} already, with other bytes")
    PROGRAMS[name], _ADDED[name] = module, digest


@cache
def engine_digest() -> bytes:
    """SHA-256 over what all programs share."""
    return _shared().digest()


@cache
def _built_in_digest(name: str) -> str:
    state = _shared()
    _update(state, Path(str(BUILT_IN[name].__file__)))
    return state.hexdigest()


def _shared() -> "hashlib._Hash":
    here = Path(__file__).parent
    alone = {Path(str(program.__file__)) for program in BUILT_IN.values()}
    shared = (path for path in sorted(here.glob("*.py")) if path not in alone)
    state = hashlib.sha256(b"isthmus program v1")
    for path in (*sorted(here.parent.glob("*.py")), *sorted(here.parent.glob("native/*.py")), *shared):
        _update(state, path)
    return state


def _update(state: "hashlib._Hash", path: Path) -> None:
    source = path.read_bytes()
    state.update(f"\n{path.parent.name}/{path.name} {len(source)}\n".encode())
    state.update(source)
