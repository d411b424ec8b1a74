"""What a command prints, and how it ends.

Invariants: with --json, standard output carries exactly one JSON object, of an export one a line; without, it carries
what a person reads, and never an error; an error is one line on standard error and an exit code, never a traceback
(ISTHMUS_DEBUG=1 shows it); no character from elsewhere can steer the terminal.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.domain.errors import IsthmusError, Reason

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from gateway.client.profile import Profile

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")]
ProfileFile = Annotated[
    Path | None,
    typer.Option(
        "--profile", help="Which gateway to ask, and as whom. Default: $ISTHMUS_PROFILE, yours, the running sandbox's."
    ),
]


class Output:
    """One command's answer: given once, for a person and for a program."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self._given = False

    def give(self, plain: Callable[[], dict[str, Any]], *renderables: Callable[[], RenderableType]) -> None:
        """Print `plain()` as JSON, or the renderables one under the other; only what is printed is made."""
        self._given = True
        if self.as_json:
            print(object_of(plain()))
            return
        shown = [make() for make in renderables]
        console = console_of(sys.stdout)
        for number, renderable in enumerate(shown):
            if number:
                console.print()
            console.print(renderable)

    def line(self, plain: dict[str, Any], text: str) -> None:
        """One of many answers, as many as come."""
        self._given = True
        print(object_of(plain) if self.as_json else printable(text))

    def refuse(self, problem: IsthmusError) -> None:
        """One line on standard error; with --json an object too, where no answer was given yet."""
        say(str(problem))
        if self.as_json and not self._given:
            error = {"reason": problem.reason.value, "text": problem.public}
            for name in ("field", "space", "advice"):
                if value := getattr(problem, name):
                    error[name] = value
            print(object_of({"error": error}))


@contextmanager
def answering(as_json: bool = False) -> Iterator[Output]:
    """Around a command's body: whatever goes wrong inside ends in one line and an exit code."""
    from gateway.cli.exits import BY_REASON, FAILED

    output = Output(as_json)
    try:
        yield output
    except IsthmusError as problem:
        _debug()
        output.refuse(problem)
        raise typer.Exit(BY_REASON[problem.reason]) from None
    except KeyboardInterrupt:
        output.refuse(IsthmusError(Reason.CANCELLED, "interrupted"))
        raise typer.Exit(FAILED) from None
    except BrokenPipeError:  # whoever read us has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(FAILED) from None
    except OSError as problem:
        _debug()
        told = _unusable(problem)
        output.refuse(told)
        raise typer.Exit(BY_REASON[told.reason]) from None
    except ModuleNotFoundError as missing:
        _debug()
        output.refuse(not_installed(missing))
        raise typer.Exit(BY_REASON[Reason.CONFIGURATION]) from None
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except Exception:
        _debug()
        output.refuse(unexpected())
        raise typer.Exit(FAILED) from None


def console_of(stream: Any) -> Console:
    """A console that neither colours words on its own nor reads markup in what it is given."""
    from rich.console import Console

    return Console(file=stream, highlight=False, markup=False, emoji=False)


def object_of(plain: dict[str, Any]) -> str:
    """One line of JSON, in which what could steer a terminal is escaped: JSON itself lets DEL and C1 stand."""
    text = json.dumps(plain, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(plain)


def printable(text: str) -> str:
    """`text` in one line, without characters that steer a terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def say(text: str) -> None:
    """One line on standard error."""
    print(f"isthmus: {printable(text)}", file=sys.stderr)


def profile_at(path: Path | None) -> Profile:
    """The profile that is meant. Raises IsthmusError(CONFIGURATION)."""
    from gateway.client.profile import Profile, discover

    return Profile.load(path or discover())


def check_writable(path: Path, field: str) -> None:
    """Raises IsthmusError(INVALID_ARGUMENT) for a file that could not be written, before work is done for it."""
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise IsthmusError(
            Reason.INVALID_ARGUMENT,
            f"{path} cannot be written",
            field=field,
            advice="Name a file in a folder that is there and that you may write to",
        )


def write_private(path: Path, data: bytes) -> None:
    """For its owner alone, whatever the umask is and whoever could read a file that was there; through no link."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)
        file.write(data)


def not_installed(missing: ModuleNotFoundError) -> IsthmusError:
    """A command of an extra that is not installed, or else a broken installation."""
    return IsthmusError(
        Reason.CONFIGURATION,
        f"this command needs {missing.name}, which is not installed here",
        advice="An operator installs 'isthmus[gateway,agent,console]', a sandbox 'isthmus[sandbox]'",
    )


def _unusable(problem: OSError) -> IsthmusError:
    """Of a file that the configuration or the user names; without a name it is nobody's doing here."""
    if problem.filename is None:
        return unexpected()
    return IsthmusError(
        Reason.CONFIGURATION,
        f"{problem.filename} cannot be used: {problem.strerror or type(problem).__name__}",
        advice="Check that it is there and that you may read it",
    )


def unexpected() -> IsthmusError:
    return IsthmusError(
        Reason.INTERNAL,
        "something unexpected went wrong in this program",
        advice="Run it again with ISTHMUS_DEBUG=1 to see where, and report that",
    )


def _debug() -> None:
    if os.environ.get("ISTHMUS_DEBUG") == "1":
        traceback.print_exc()
