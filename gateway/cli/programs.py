"""`isthmus programs show` (its name may be left out): what spaces compute, what that leaks to whom and costs.
`check`: whether a package with another one does what it says.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.output import AsJson, ProfileFile, answering, profile_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.client.messages import ListedProgram


def show(
    name: Annotated[
        str | None, typer.Argument(help="One program: inputs, outputs, what it leaks, what it opens, what it costs.")
    ] = None,
    profile: ProfileFile = None,
    json: AsJson = False,
) -> None:
    """Programs of all spaces, or one in full; what `isthmus programs` does by itself."""
    with answering(json) as output:
        from gateway.cli import render_programs, shapes
        from gateway.client.sync import Client

        with Client(profile_at(profile)) as client:
            listed = client.programs()
        found = listed if name is None else _named(listed, name)
        output.give(
            lambda: {"programs": [shapes.of_program(item) for item in found]},
            lambda: render_programs.programs(found) if name is None else render_programs.program(found),
        )


def check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A package: program.toml and program.py.")],
    json: AsJson = False,
) -> None:
    """Whether a package does what it says, and its digest; exit 3 if not. It runs the package: read it first."""
    with answering(json) as output:
        _engine_is_here()
        _kernels()
        from connectors.engine import packages
        from connectors.engine.examination import examine
        from gateway.cli import render_program_check
        from gateway.cli.exits import REFUSED
        from gateway.rules.records import to_plain

        package = packages.read(folder)
        findings = examine(packages.loaded(package))
        output.give(
            lambda: {
                "program": to_plain(package.descriptor),
                "digest": package.digest,
                "findings": [{"what": item.what, "holds": not item.wrong, "why": item.wrong} for item in findings],
            },
            lambda: render_program_check.checked(package, findings),
        )
        if any(item.wrong for item in findings):
            raise typer.Exit(REFUSED)


def _engine_is_here() -> None:
    """Raises IsthmusError(CONFIGURATION) where the base package alone is installed."""
    from importlib.util import find_spec

    from gateway.domain.errors import IsthmusError, Reason

    missing = [name for name in ("numpy", "numba", "mpyc") if find_spec(name) is None]
    if missing:
        raise IsthmusError(
            Reason.CONFIGURATION,
            f"a package is checked in sessions of the engine, which needs {' and '.join(missing)}, not installed here",
            advice="Install the agent's part: pip install 'isthmus[agent]'",
        )


def _kernels() -> None:
    """Compiled kernels come from where the agent's do, or from this user's cache. Before the engine is imported."""
    import os

    from connectors.engine.kernelcache import VARIABLE, kernel_folder

    os.environ[VARIABLE] = str(kernel_folder(None, Path.home() / ".cache" / "isthmus"))


def _named(listed: Sequence[ListedProgram], name: str) -> Sequence[ListedProgram]:
    """Every version and digest of the program of that name."""
    from gateway.domain.errors import IsthmusError, Reason
    from gateway.rules.text import nearest

    found = [item for item in listed if item.program.name == name]
    if not found:
        known = sorted({item.program.name for item in listed})
        raise IsthmusError(
            Reason.PROGRAM_UNKNOWN,
            f"no space runs a program {name}",
            field="name",
            advice=nearest(name, known, "They run"),
        )
    return found
