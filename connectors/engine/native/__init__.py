"""The engine's kernels, in numba.

Invariants: a kernel has an explicit signature, so importing its module compiles it or loads it from the cache, and
nothing is compiled later; it holds no lock (`nogil`), starts no thread and touches no file. Agents import programs for
their cost and encoding and never run a kernel, so kernel modules load at their first use (`lazily`): numba takes most
of a second.
"""

import importlib
import importlib.util
import pkgutil
import sys
from types import ModuleType


def lazily(name: str) -> ModuleType:
    """The kernel module of this name, executed when something in it is first asked for."""
    full = f"{__name__}.{name}"
    if full in sys.modules:
        return sys.modules[full]
    spec = importlib.util.find_spec(full)
    if spec is None or spec.loader is None:
        raise ImportError(f"there is no kernel module {full}")
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[full] = module
    spec.loader.exec_module(module)
    return module


def warm() -> None:
    """Compile every kernel, or load it from the cache."""
    for found in pkgutil.iter_modules(__path__, f"{__name__}."):
        _ = importlib.import_module(found.name).__file__  # asking for something executes a lazy module
