"""`isthmus trust rulebook publish | show | accept`, and `isthmus trust pause | resume | leave`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.output import AsJson, answering

if TYPE_CHECKING:
    from gateway.cli.trust_rulebook import Seen

AnchorFile = Annotated[Path, typer.Option("--config", help="anchor.toml.")]
SpaceFile = Annotated[Path, typer.Option("--config", help="gateway.toml of the space.")]
Either = Annotated[Path, typer.Option("--config", help="gateway.toml of a space, or anchor.toml.")]
Version = Annotated[int, typer.Option("--version", help="Which one; the newest unless it is said.")]
OfAnchor = Annotated[str, typer.Option("--anchor", metavar="ENTITY", help="Whose, where several are pinned.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def publish(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The text: Markdown in UTF-8, at most 256 KiB.")],
    config: AnchorFile,
    version: Annotated[int, typer.Option("--version", help="A number, greater than the last one.")],
    in_force: Annotated[str, typer.Option("--in-force", metavar="DAY", help="From this day on, 00:00 UTC, it counts.")],
    json: AsJson = False,
) -> None:
    """Publish a version of the federation's rulebook. It can be followed by another, and never taken back."""
    with answering(json) as output:
        from rich.text import Text

        from gateway.cli import trust_rulebook

        book = trust_rulebook.run(trust_rulebook.publish(config, file, version, in_force))
        output.give(
            lambda: {"version": book.version, "digest": book.digest, "in_force": in_force},
            lambda: Text(
                f"Version {book.version} is published, in force from {in_force}. SHA-256 {book.digest}\n"
                f"Members have it within seconds. From that day on no session begins with one that has not accepted it."
            ),
        )


def show(config: Either, version: Version = 0, anchor: OfAnchor = "", json: AsJson = False) -> None:
    """The rulebook of this federation: its versions, its text, and who has accepted which."""
    with answering(json) as output:
        from rich.text import Text

        from gateway.cli import trust_rulebook

        found = trust_rulebook.run(trust_rulebook.seen(config, version, anchor))
        text = found.text or "The text is not here yet: a running gateway fetches it within seconds."
        now = trust_rulebook.now()
        output.give(lambda: found.plain(now), lambda: Text(found.told(now)), lambda: Text(f"\n{text}"))


def accept(
    config: SpaceFile, version: Version = 0, anchor: OfAnchor = "", yes: Yes = False, json: AsJson = False
) -> None:
    """Accept a version of the rulebook for this space: its statement says so from then on, for everybody to see."""
    with answering(json) as output:
        from rich.text import Text

        from gateway.cli import trust_rulebook

        def agreed(found: Seen) -> bool:
            book = found.chosen
            question = f"Have you read version {book.version} (SHA-256 {book.digest}), and does this space accept it?"
            return yes or typer.confirm(question, err=True)

        accepted = trust_rulebook.run(trust_rulebook.accept(config, version, anchor, agreed))
        output.give(
            lambda: {"anchor": accepted.anchor, "version": accepted.version, "digest": accepted.digest},
            lambda: Text(f"Version {accepted.version} of the rulebook of {accepted.anchor} is accepted."),
        )


def pause(config: SpaceFile, json: AsJson = False) -> None:
    """Take this space out for a while: no datasets, no seats, no new sessions; what runs goes on."""
    _pause(config, json=json, resume=False)


def resume(config: SpaceFile, json: AsJson = False) -> None:
    """End a pause."""
    _pause(config, json=json, resume=True)


def leave(config: SpaceFile, anchor: OfAnchor = "", yes: Yes = False, json: AsJson = False) -> None:
    """Leave the federation by this space's own signed word: at once, and what runs with it ends."""
    with answering(json) as output:
        from rich.text import Text

        from gateway.cli import trust_join, trust_rulebook

        if not yes:
            question = "Leave? Running sessions end, and coming back takes an invitation"
            trust_join.confirmed(typer.confirm(question, err=True))
        left, told = trust_rulebook.run(trust_rulebook.leave(config, anchor))
        state = "knows" if told else "does not answer; a running gateway tells it, and tells every peer"
        output.give(
            lambda: {"anchor": left, "told": told}, lambda: Text(f"This space has left {left}, which {state}.")
        )  # fmt: skip


def _pause(config: Path, *, json: bool, resume: bool) -> None:
    with answering(json) as output:
        from rich.text import Text

        from gateway.cli import trust_rulebook

        trust_rulebook.run(trust_rulebook.pause(config, resume=resume))
        said = "takes part again" if resume else "is paused: others see that, and begin no session with it"
        output.give(lambda: {"paused": not resume}, lambda: Text(f"This space {said}."))
