"""A bar per space while a session runs, gone when it is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from gateway.cli.output import printable
from gateway.domain.computation import Computation

# What a space's status and a party's phases are called for people; any other is shown as it is.
WORDS = {
    "PROPOSED": "reads the contract",
    "APPROVED": "has approved",
    "RUNNING": "computes",
    "DONE": "done",
    "READY": "ready",
    "DELIVERED": "waits for people",
    "SEEN": "seen by a steward",
    "UNREACHABLE": "no answer",
    "REFUSED": "refused",
    "FAILED": "failed",
}

_WITH_PHASE = ("RUNNING", "DELIVERED", "SEEN")


@contextmanager
def bars(console: Console) -> Iterator[Callable[[Computation], None]]:
    """Yields what is called with each state of the computation. Nothing is shown but to a person at a terminal."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.percentage:>3.0f}%", markup=False),
        TextColumn("{task.fields[phase]}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=console.quiet or not console.is_terminal
    ) as progress:
        tasks: dict[str, TaskID] = {}

        def show(computation: Computation) -> None:
            for status in computation.spaces:
                if status.space not in tasks:
                    host = printable(status.space.removeprefix("https://"))[:30]
                    tasks[status.space] = progress.add_task(host, total=1.0, phase="")
                word = WORDS.get(status.status, status.status)
                phase = f"{word}: {status.phase}" if status.status in _WITH_PHASE and status.phase else word
                progress.update(tasks[status.space], completed=status.fraction, phase=printable(phase)[:28])

        yield show
