"""`isthmus`, also as `python -m gateway`.

Invariant: neither sys.argv nor logging is touched, and no exception gets out as a traceback.
"""

from __future__ import annotations

import sys

from gateway.domain.errors import IsthmusError
from gateway.edges.forks import leave_forks_alone
from gateway.edges.memory import collect_seldom, keep_what_is_freed, leave_as_it_is
from gateway.edges.polling import poll_in_place


def main() -> int:
    """Run the command that the arguments name; the exit code (DESIGN section 8)."""
    leave_forks_alone()
    poll_in_place()
    keep_what_is_freed()
    collect_seldom()
    from gateway.cli.exits import BY_REASON, FAILED, USAGE
    from gateway.cli.output import say, unexpected

    try:
        from gateway.cli.app import app

        return int(app(prog_name="isthmus", standalone_mode=False) or 0)
    except IsthmusError as problem:
        say(str(problem))
        return BY_REASON[problem.reason]
    except KeyboardInterrupt:
        say("interrupted")
        return FAILED
    except Exception as problem:
        # Whatever is wrong with the arguments; typer carries its parser inside and exports few of its errors.
        told = getattr(problem, "format_message", None)
        if told is None:
            say(str(unexpected()))
            return FAILED
        path = getattr(getattr(problem, "ctx", None), "command_path", "isthmus")
        if type(problem).__name__ == "NoArgsIsHelpError":
            print(told(), file=sys.stderr)
        else:
            text = told().rstrip(".")
            say(f"{text}{'' if text.endswith('?') else '.'} See `{path} --help`")
        return USAGE
    finally:
        leave_as_it_is()


if __name__ == "__main__":
    sys.exit(main())
