"""An agent whose parties measure: `isthmus agent serve`, with the bench's program in the place of one of its own.

python -m tests.bench.engine.agent AGENT_TOML      ends when its standard input does
python -m tests.bench.engine.agent --forks TEXT    the fork server of its parties, as the agent starts it
"""

from __future__ import annotations

import sys
from pathlib import Path

from gateway.edges.forks import leave_forks_alone
from gateway.edges.memory import keep_what_is_freed
from gateway.edges.polling import poll_in_place


def main(argument: str, *more: str) -> None:
    leave_forks_alone()
    poll_in_place()
    keep_what_is_freed()
    from tests.bench.engine import program

    program.install()
    if argument == "--forks":
        from connectors.engine import forkserver

        forkserver.main()
    import uvloop

    from connectors import app
    from connectors.launch import forkserver as launch
    from connectors.rules.ledger import Ledger

    # Every row is another question about the same rows, whose answer holds figures and nobody's data.
    Ledger.objection = lambda *_: None  # type: ignore[method-assign]
    launch.COMMAND = (sys.executable, "-P", "-m", "tests.bench.engine.agent", "--forks")
    uvloop.run(app.serve_until_stopped(Path(argument), embedded=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
