"""MPyC as it comes, contained.

Invariants: importing it touches neither sys.argv, root logging, the environment nor the event loop policy,
and starts no runtime; no pickle can be reached through it: its modules' name `pickle` stands for a refusal.
This is the only module that imports mpyc.
"""

import logging
import os
from typing import NoReturn

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
    import mpyc.runtime
    import mpyc.sectypes
finally:
    logging.root.removeHandler(_quiet)
    for _name, _value in _before.items():
        if _value is None:
            del os.environ[_name]
        else:
            os.environ[_name] = _value

Runtime = mpyc.runtime.Runtime
Party = mpyc.runtime.Party


class _NoPickle:
    """Stands where MPyC's modules imported pickle."""

    def __getattr__(self, name: str) -> NoReturn:
        raise SessionAborted(Abort.UNDECLARED_PAYLOAD, f"MPyC reached for pickle.{name}; this engine has none")


mpyc.runtime.pickle = _NoPickle()


def install(runtime: object) -> None:
    """Make `runtime` the one that MPyC's own coroutines and types use. Once per party process."""
    mpyc.asyncoro.runtime = runtime
    mpyc.sectypes.runtime = runtime
