"""`isthmus programs show` (its name may be left out): what spaces compute, what that leaks to whom and costs."""

from __future__ import annotations

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
