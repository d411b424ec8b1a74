"""`isthmus policies check | test`: what a policy allows, before it goes live; offline, no row is read.

`show | propose`: the policy in force, and another in its place, through the space's own gateway.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.output import AsJson, ProfileFile, answering, profile_at

if TYPE_CHECKING:
    from rich.console import RenderableType

    from gateway.client.profile import Profile
    from gateway.domain.errors import IsthmusError
    from gateway.domain.policy_text import Proposed
    from gateway.domain.query import Query

# Who asks in a trial where nobody is named: some peer, of a jurisdiction that is not known.
SOMEBODY = "https://somebody.invalid"
# Seconds between looks at whether what was taken is in force, and how many.
LOOK_EVERY, LOOKS = 0.3, 20

Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Policy files.")]
DatasetFile = Annotated[Path, typer.Argument(metavar="DATASET.toml", help="The dataset whose policy is tried.")]
DatasetName = Annotated[str, typer.Argument(metavar="DATASET", help="spaces/HOST/datasets/ID, one of your space.")]
Queries = Annotated[list[Path], typer.Argument(metavar="QUERY...", help="Example questions, as for `isthmus run`.")]


def check(files: Files, json: AsJson = False) -> None:
    """Read policy files as the agent does, and say in plain words what they allow."""
    with answering(json) as output:
        from connectors.config import PolicyConfig
        from connectors.explaining import explained
        from gateway.config import load
        from gateway.edges.clock import SystemClock
        from gateway.rules.dates import day_of

        today = day_of(SystemClock().now())
        read = [(file, load(PolicyConfig, file)) for file in files]
        said = [(str(file), dict(explained(policy, today))) for file, policy in read]
        plain = [
            {"file": str(file), "policy": policy.model_dump(mode="json", by_alias=True), "allows": words}
            for (file, policy), (_, words) in zip(read, said, strict=True)
        ]
        output.give(lambda: {"policies": plain}, *[_shown(file, words) for file, words in said])


def test(
    dataset: DatasetFile,
    queries: Queries,
    asker: Annotated[str, typer.Option("--from", metavar="ENTITY", help="The space that asks. Default: some peer.")] = (
        SOMEBODY
    ),
    jurisdiction: Annotated[
        str, typer.Option(metavar="XX", help="Where it is, as its verified statement would say. Default: not known.")
    ] = "",
    role: Annotated[
        list[str], typer.Option(help="As what somebody asks there. May be given several times. Default: in no role.")
    ] = [],  # noqa: B006  (typer copies it)
    program: Annotated[
        list[Path],
        typer.Option(metavar="DIR", help="A package that spaces would have installed. May be given several times."),
    ] = [],  # noqa: B006
    json: AsJson = False,
) -> None:
    """Hold example questions against a dataset's policy, by the rule of its agent; exit 3 if one is refused."""
    with answering(json) as output:
        from rich.text import Text

        from connectors.config import DatasetConfig, PolicyConfig
        from connectors.engine import packages
        from connectors.offering import package_offer, program_offers
        from connectors.policies import columns_of, described, roles_of
        from connectors.rules.trials import Tried, try_question
        from gateway.cli.exits import REFUSED
        from gateway.cli.init import checked_entity
        from gateway.cli.output import printable
        from gateway.client.queries import load_query
        from gateway.config import load
        from gateway.domain.errors import IsthmusError
        from gateway.domain.offer import Operator
        from gateway.edges.clock import SystemClock

        settings = load(DatasetConfig, dataset)
        policy = load(PolicyConfig, settings.policy)
        entity = checked_entity(asker, "--from")
        _check_jurisdiction(jurisdiction)
        roles = _roles(role)
        initiator = Operator(entity, entity, entity, jurisdiction=jurisdiction)
        added = [package_offer(packages.read(folder)) for folder in program]
        now, programs = SystemClock().now(), (*program_offers(), *added)
        verdicts: list[tuple[Path, IsthmusError | None]] = []
        for path in queries:
            asked = load_query(path).query
            known = described(_host(asked, settings.id, path), settings, policy)
            tried = Tried(known, policy.spaces, columns_of(policy, known.columns), programs, roles_of(policy))
            try:
                try_question(asked, tried, initiator, now, roles)
                verdicts.append((path, None))
            except IsthmusError as problem:
                verdicts.append((path, problem))
        lines = "\n".join(printable(_verdict(path, problem)) for path, problem in verdicts)
        output.give(
            lambda: {"from": entity, "queries": [_plain(path, problem) for path, problem in verdicts]},
            lambda: Text(lines),
        )
        if any(problem is not None for _, problem in verdicts):
            raise typer.Exit(REFUSED)


def show(dataset: DatasetName, profile: ProfileFile = None, json: AsJson = False) -> None:
    """The policy in force of one of your space's datasets."""
    with answering(json) as output:
        from rich.text import Text

        from gateway.cli.output import printable
        from gateway.client.sync import Client
        from gateway.rules.records import to_plain

        with Client(profile_at(profile)) as client:
            found = client.policy(dataset)
        lines = [f"Version {found.version} of {dataset}, text {found.digest}:", "", *found.text.splitlines()]
        output.give(lambda: dict(to_plain(found)), lambda: Text("\n".join(map(printable, lines))))


def propose(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The policy that you want, whole.")],
    dataset: Annotated[str, typer.Option(metavar="DATASET", help="Whose: spaces/HOST/datasets/ID.")],
    key: Annotated[Path, typer.Option(metavar="FILE", help="Your private key (isthmus approvals key).")],
    profile: ProfileFile = None,
    json: AsJson = False,
) -> None:
    """Sign a policy, as a steward; when enough have signed the same text, the agent puts it in force."""
    with answering(json) as output:
        import asyncio

        from rich.text import Text

        from gateway.cli.output import printable
        from gateway.rules.records import to_plain

        text, version = _policy(file)
        said, in_force = asyncio.run(_proposed(profile_at(profile), dataset, text, version, key))
        count = f"{said.have} of {said.need} stewards have signed version {version} of {dataset}"
        state = "it is in force" if in_force else "the agent has taken it, and puts it in force"
        done = state if said.accepted else "it is in force when the others have signed the same text"
        output.give(lambda: {**to_plain(said), "in_force": in_force}, lambda: Text(printable(f"{count}: {done}.")))


async def _proposed(profile: Profile, dataset: str, text: str, version: int, key: Path) -> tuple[Proposed, bool]:
    """What became of it, and whether it was seen in force."""
    import asyncio

    from gateway.client.aio import AsyncClient
    from gateway.domain.errors import IsthmusError, Reason
    from gateway.edges import steward_keys

    signer = steward_keys.load(key)
    async with AsyncClient(profile) as client:
        said = await client.policies.propose(dataset, text, version, signer)
        for _ in range(LOOKS if said.accepted else 0):
            try:
                if (await client.policies.show(dataset)).digest == said.digest:
                    return said, True
            except IsthmusError as problem:
                if problem.reason is not Reason.ILLEGAL_TRANSITION:  # the agent has not read it yet
                    raise
            await asyncio.sleep(LOOK_EVERY)
        return said, False


def _policy(file: Path) -> tuple[str, int]:
    """The text to be signed, and its version. Raises IsthmusError(CONFIGURATION); the agent checks the rest."""
    import tomllib

    from gateway.domain.errors import IsthmusError, Reason

    try:
        text = file.read_bytes().decode()
        version = tomllib.loads(text).get("version")
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        wrong = f"{file.name} is not TOML: {problem}"
        raise IsthmusError(Reason.CONFIGURATION, wrong, advice="Correct the line") from None
    if type(version) is not int:
        wrong = f"{file.name} has no version"
        raise IsthmusError(Reason.CONFIGURATION, wrong, field="version", advice="Count it up with every change")
    return text, version


def _check_jurisdiction(code: str) -> None:
    from gateway.domain.errors import IsthmusError, Reason
    from gateway.rules.codelists import COUNTRIES, UNION

    if code and code not in COUNTRIES | {UNION}:
        text = f"{code!r} is no country of ISO 3166-1, nor {UNION}"
        raise IsthmusError(Reason.INVALID_ARGUMENT, text, field="--jurisdiction", advice="For example NL")


def _roles(roles: list[str]) -> tuple[str, ...]:
    from gateway.domain.errors import IsthmusError, Reason
    from gateway.rules.roles import named

    try:
        return named(tuple(roles))
    except ValueError as wrong:
        text = str(wrong)
        raise IsthmusError(Reason.INVALID_ARGUMENT, text, field="--role", advice="For example analyst") from None


def _host(asked: Query, id: str, path: Path) -> str:
    """The space at which the question looks for the dataset: its own file does not say whose it is."""
    from gateway.domain.errors import IsthmusError, Reason

    hosts = [source.dataset.split("/")[1] for source in asked.sources if source.dataset.rsplit("/", 1)[-1] == id]
    if len(hosts) == 1:
        return hosts[0]
    raise IsthmusError(
        Reason.INVALID_ARGUMENT,
        f"{path} asks {len(hosts)} datasets named {id}, and one is tried",
        field="QUERY",
        advice=f"Name spaces/HOST/datasets/{id} among its sources, once",
    )


def _verdict(path: Path, problem: IsthmusError | None) -> str:
    return f"{path}: allowed" if problem is None else f"{path}: refused: {problem}"


def _plain(path: Path, problem: IsthmusError | None) -> dict[str, Any]:
    if problem is None:
        return {"file": str(path), "allowed": True}
    told = {"reason": problem.reason.value, "text": problem.public, "field": problem.field, "advice": problem.advice}
    return {"file": str(path), "allowed": False, **told}


def _shown(file: str, words: dict[str, str]) -> Any:
    def make() -> RenderableType:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        from gateway.cli.output import printable

        facts = Table.grid(padding=(0, 2))
        for topic, text in words.items():
            facts.add_row(Text(topic, "bold"), Text(printable(text)))
        return Group(Text(printable(file), "bold"), facts)

    return make
