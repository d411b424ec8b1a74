"""MPyC as it comes, contained.

Invariants: importing it touches neither sys.argv, root logging, the environment nor the event loop policy,
and starts no runtime; no pickle can be reached through it: its modules' name `pickle` stands for a refusal; a
coroutine of MPyC that fails tells the runtime instead of stopping the event loop. This is the only module that imports
mpyc.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from connectors.engine.errors import Abort, SessionAborted

# On import MPyC parses argv, configures root logging, sets environment variables and makes a runtime, unless
# READTHEDOCS says that only its documentation is wanted. Its own arrays (Python ints, sent as pickles) stay
# away with MPYC_NONUMPY.
_SETTINGS = {"READTHEDOCS": "True", "MPYC_NONUMPY": "1"}
_before = {name: os.environ.get(name) for name in _SETTINGS}
_quiet = logging.NullHandler()  # logging.debug() configures a root logger that has no handler
os.environ.update(_SETTINGS)
logging.root.addHandler(_quiet)
try:
    import mpyc.asyncoro
    import mpyc.finfields
    import mpyc.mpctools
    import mpyc.random
    import mpyc.runtime
    import mpyc.secgroups
    import mpyc.seclists
    import mpyc.secpols
    import mpyc.sectypes
    import mpyc.statistics
finally:
    logging.root.removeHandler(_quiet)
    for _name, _value in _before.items():
        if _value is None:
            del os.environ[_name]
        else:
            os.environ[_name] = _value

Runtime = mpyc.runtime.Runtime
Party = mpyc.runtime.Party
SecureObject = mpyc.asyncoro.SecureObject
SecureFiniteField = mpyc.sectypes.SecureFiniteField
PrimeFieldElement = mpyc.finfields.PrimeFieldElement
prime_field: Callable[[int], Any] = mpyc.finfields.GF
fixed_point_root: Callable[[Any], Any] = mpyc.statistics._fsqrt
_WITH_A_RUNTIME = (
    mpyc.asyncoro,
    mpyc.mpctools,
    mpyc.random,
    mpyc.seclists,
    mpyc.secgroups,
    mpyc.secpols,
    mpyc.sectypes,
    mpyc.statistics,
)


class _NoPickle:
    """Stands where MPyC's modules imported pickle."""

    def __getattr__(self, name: str) -> NoReturn:
        raise SessionAborted(Abort.UNDECLARED_PAYLOAD, f"MPyC reached for pickle.{name}; this engine has none")


def _spawn(coro: Coroutine[Any, Any, object], loop: asyncio.AbstractEventLoop) -> "asyncio.Task[object]":
    """Stands where MPyC's coroutines make tasks: the runtime knows them all, and can end them."""
    task: asyncio.Task[object] = mpyc.asyncoro.runtime.spawn(coro)
    return task


def _reconcile(declared: object, task: "asyncio.Task[object]") -> None:
    """Stands where MPyC hands a coroutine's result to its placeholders; there a failure stops the loop, and whoever
    waits for the placeholders waits for ever."""
    runtime = mpyc.asyncoro.runtime
    runtime._pc_level -= 1
    if task.cancelled():
        return
    failure = task.exception()
    if failure is not None:
        runtime.give_up(failure)
    elif declared is not None:
        mpyc.asyncoro.__reconcile(declared, task.result())


mpyc.runtime.pickle = _NoPickle()
mpyc.asyncoro.Task = _spawn
mpyc.asyncoro._reconcile = _reconcile


def coroutine(body: Callable[..., Coroutine[Any, Any, object]]) -> Callable[..., Any]:
    """MPyC's decorator for coroutines, whose first await says the type of their placeholders."""
    body.__annotations__ = {}  # MPyC would take a return annotation for that type
    decorated: Callable[..., Any] = mpyc.asyncoro.mpc_coro(body)
    return decorated


def install(runtime: object) -> None:
    """Make `runtime` the one that MPyC's own coroutines and types use. Once per party process."""
    for module in _WITH_A_RUNTIME:
        module.runtime = runtime
