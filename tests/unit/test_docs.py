"""The documentation says what the code does: keys, fields, reasons, transitions, costs, paths, commands, samples."""

from __future__ import annotations

import json
import re
import typing
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel

from connectors.config import AgentConfig, DatasetConfig, PolicyConfig
from connectors.engine import programs
from connectors.engine.cost import Shape
from gateway import config
from gateway.anchor.config import AnchorProcessConfig
from gateway.cli import exits
from gateway.cli.app import LAZY, app
from gateway.client.profile import Profile
from gateway.client.queries import load_query
from gateway.domain.approval import ApprovalBody
from gateway.domain.caller import CallerKind
from gateway.domain.computation import Receipt
from gateway.domain.contract import Contract
from gateway.domain.diagnosis import Cause, Step
from gateway.domain.errors import Reason
from gateway.domain.offer import Operator
from gateway.domain.program import Descriptor, Opened, Output, Setting, Slot
from gateway.domain.query import Query
from gateway.edges.grpc.errors import STATUS
from gateway.rules import codelists
from gateway.rules.access import SCOPES, TABLE
from gateway.rules.contract import check_contract
from gateway.rules.lifecycle import TRANSITIONS
from gateway.rules.planning import parameters
from gateway.rules.records import from_bytes
from gateway.rules.rulebook import checked_text
from gateway.sandbox.data import columns
from gateway.sandbox.layout import ROW_BOUNDS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SAMPLES = ROOT / "deploy" / "samples"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "deploy" / "README.md"])
QUERIES = sorted((DOCS / "queries").glob("*.yaml"))
MODELS = {
    "gateway.toml": config.GatewayConfig,
    "agent.toml": AgentConfig,
    "anchor.toml": AnchorProcessConfig,
    "Dataset files": DatasetConfig,
    "Policy files": PolicyConfig,
    "Client profiles": Profile,
}
NAMED = "page", PAGES, lambda path: str(path.relative_to(ROOT))


def section(page: str, title: str) -> str:
    """The text under a heading of level 2, up to the next one."""
    text = (DOCS / page).read_text()
    return re.split(r"^## ", text.partition(f"\n## {title}\n")[2], maxsplit=1, flags=re.M)[0]


def rows(text: str) -> Iterator[list[str]]:
    """Cells of the table rows whose first cell is one name in backticks; the name without them."""
    for line in text.splitlines():
        if line.startswith("| `"):
            cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            if re.fullmatch(r"\| `[^`]+`", "| " + cells[0].strip("| ")):
                yield [cells[0].strip("|` "), *cells[1:]]


def parts(annotation: Any) -> Iterator[Any]:
    """The classes in an annotation, through tuples, unions and Annotated."""
    arguments = typing.get_args(annotation)
    if isinstance(annotation, type) and not arguments:
        yield annotation
    for argument in arguments:
        yield from parts(argument)


def is_array(annotation: Any) -> bool:
    """Whether it is one, or one that may be left out."""
    return any(typing.get_origin(kind) is tuple for kind in (annotation, *typing.get_args(annotation)))


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    """(key, what the column "default" has to say) of a configuration model."""
    for name, field in model.model_fields.items():
        table = next((part for part in parts(field.annotation) if issubclass(part, BaseModel)), None)
        default = "required" if field.is_required() else field.default
        if table is None or default is None or default == ():
            yield prefix + (field.alias or name), default if default == "required" else said(default)
        if table is not None:
            yield from keys(table, f"{prefix}{name}{'[]' if is_array(field.annotation) else ''}.")


def said(default: object) -> str:
    return "none" if default is None else json.dumps(default)


def record_fields(kind: type, prefix: str = "") -> Iterator[str]:
    """The leaf fields of a record; a query has its own description."""
    hints = typing.get_type_hints(kind)
    for field in fields(kind):
        annotation = hints[field.name]
        inner = next((part for part in parts(annotation) if is_dataclass(part) and part is not Query), None)
        if inner is None:
            yield prefix + field.name
        else:
            yield from record_fields(
                inner,
                f"{prefix}{field.name}{'[]' if is_array(annotation) else ''}.",
            )


@pytest.mark.parametrize("title", MODELS)
def test_every_key_of_a_configuration_stands_in_its_table_with_its_default(title: str) -> None:
    documented = {key: default.strip("`") for key, default, *_ in rows(section("configuration.md", title))}
    assert documented == dict(keys(MODELS[title]))


def test_the_list_of_secret_files_has_every_key_that_is_called_secret() -> None:
    called = {
        (title, key)
        for title in MODELS
        for key, _, meaning, *_ in rows(section("configuration.md", title))
        if meaning.startswith(("secret file", "ring with secrets"))
    }
    names = {name: name for name in ("gateway.toml", "agent.toml", "anchor.toml")}
    names |= {"dataset": "Dataset files", "profile": "Client profiles"}
    text = (
        (DOCS / "configuration.md")
        .read_text()
        .partition("Secret files, all of them:")[2]
        .partition("\nAll of `keys`")[0]
    )
    listed = {
        (names[match[1].strip("` ")], match[2])
        for match in re.finditer(r"^\| (`[a-z.]+`|[a-z]+) `([a-z_.]+)` \|", text, flags=re.M)
    }
    assert called == listed


def test_the_code_lists_on_the_page_are_those_that_policies_are_held_against() -> None:
    page = (DOCS / "configuration.md").read_text().partition("### Purposes, legal bases and roles")[2]
    told = dict(re.findall(r"^\| ([a-z0-9-]*[a-z0-9]) \| (.*) \|$", page.partition("\n## ")[0], flags=re.M))
    lists = {**codelists.PURPOSES, **codelists.LEGAL_BASES, **codelists.ROLES}
    assert told == {"purpose": "meaning", "role": "meaning", **lists}


def test_every_field_of_contract_approval_and_receipt_is_explained() -> None:
    for title, kind in (("Fields", Contract), ("Approvals", ApprovalBody), ("Receipts", Receipt)):
        assert [row[0] for row in rows(section("contract.md", title))] == list(record_fields(kind)), title


def test_the_example_of_a_contract_is_one_that_an_agent_accepts() -> None:
    block = re.search(r"```json\n(.*?)```", (DOCS / "contract.md").read_text(), flags=re.S)
    assert block is not None
    example = from_bytes(Contract, block[1], what="contract")
    operators = {seat.entity: Operator(seat.entity, seat.operator, seat.operator) for seat in example.seats}
    check_contract(example, operators, example.not_before)
    assert example.program.parameters == parameters(example.query, example.limits, {})


def test_every_reason_has_its_status_and_exit_code_in_the_table() -> None:
    told = {row[0]: (row[1].strip("`"), int(row[2])) for row in rows((DOCS / "errors.md").read_text()) if len(row) == 5}
    assert told == {reason.value: (STATUS[reason].name, exits.BY_REASON[reason]) for reason in Reason}


def test_the_page_on_access_is_the_access_table() -> None:
    told = [(row[0], *(cell.strip("`| ") for cell in row[1:])) for row in rows(section("access.md", "Calls"))]
    longest = {float("inf"): "no end"}
    assert told == [
        (
            rpc.removeprefix("/"),
            entry.kind.value,
            entry.scope or "–",
            longest.get(entry.longest, f"{entry.longest:.0f} s"),
        )
        for rpc, entry in TABLE.items()
    ]
    text = (DOCS / "access.md").read_text()
    assert {row[0] for row in rows(text) if len(row) == 2} == SCOPES
    assert set(re.findall(r"^\| (client|holder|peer|agent|invited|member) \|", text, flags=re.M)) == set(CallerKind)


def test_every_state_has_its_exit_code_in_the_table() -> None:
    told = {row[0]: int(row[1][0]) for row in rows((DOCS / "errors.md").read_text()) if len(row) == 2}
    assert told == {state.value: code for state, code in exits.BY_STATE.items()}


def test_every_step_and_cause_of_the_doctor_is_explained() -> None:
    causes = [row for row in rows(section("doctor.md", "Causes")) if len(row) == 4]
    assert sorted(row[0] for row in causes) == sorted(cause.value for cause in Cause if cause.value)
    told = re.findall(r"^\| ([A-Za-z ]+) \|", section("doctor.md", "Steps"), flags=re.M)
    assert sorted(told) == sorted(["step", *(step.value for step in Step)])
    for cause, steps, *_ in causes:
        assert steps == "any" or set(steps.split(", ")) <= {step.value for step in Step}, cause


def test_the_lifecycle_on_the_page_is_the_lifecycle_in_the_code() -> None:
    table = {tuple(cell.strip("` |") for cell in row) for row in rows(section("route.md", "Lifecycle"))}
    assert table == {(state.value, event.value, after.value) for (state, event), after in TRANSITIONS.items()}


def test_parties_open_values_where_the_engine_page_says_and_nowhere_else() -> None:
    opening = re.compile(r"await open_(?:bits|masked)?\(")
    engine = sorted((ROOT / "connectors" / "engine").rglob("*.py"))
    found = [str(path.relative_to(ROOT)) for path in engine if opening.search(path.read_text())]
    assert found == [row[0] for row in rows(section("engine.md", "What is opened, and why it may be"))]


def test_costs_and_leakage_on_the_engine_page_are_the_programs_own() -> None:
    codes = {column.name: [code.value for code in column.codes] for column in columns()}
    bounds = [ROW_BOUNDS["LA"] + ROW_BOUNDS["NG"], ROW_BOUNDS["PFNCA"], ROW_BOUNDS["GO"] + ROW_BOUNDS["GP"]]
    told = list(rows(section("engine.md", "Cost of the sandbox's questions")))
    assert len(told) == 6
    for path, m, rounds, sent in told:
        asked = load_query(ROOT / path).query
        limit = asked.limits.minimum_cell or 0
        given = {"minimum_cell": limit, "zero_is_small": False}
        if asked.statistic.count_by is None:
            given["lists"] = [source.dataset for source in asked.sources]
        else:
            given["columns"] = [{"name": name, "codes": codes[name]} for name in asked.statistic.count_by.columns]
        name = "overlap" if asked.statistic.count_by is None else "group_count"
        cost = programs.PROGRAMS[name].cost(given, bounds, Shape(int(m), int(m) // 2))
        assert (cost.rounds, cost.elements * 8 // int(m)) == (int(rounds), int(sent.strip("| ").replace(" ", "")))
    leaks = [row[0] for row in rows(section("engine.md", "What each program leaks"))]
    assert sorted(leaks) == sorted(programs.PROGRAMS)


@pytest.mark.parametrize(*NAMED[:2], ids=NAMED[2])
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        target, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        found = (page.parent / target).resolve() if target else page
        assert found.exists(), link
        if anchor:
            assert anchor in anchors(found), link
    for path in re.findall(r"`((?:gateway|connectors|tests|docs|proto|deploy)/[A-Za-z0-9_./-]+)`", text):
        assert (ROOT / path).exists(), path


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.M)
    return {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.name)
def test_every_query_in_the_docs_is_read_by_the_client(path: Path) -> None:
    assert load_query(path).query.sources


def command_tree() -> dict[str, set[str]]:
    """Every command by its words, with the options that it knows."""
    tree: dict[str, set[str]] = {}

    def walk(command: Any, words: tuple[str, ...]) -> None:
        options = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
        tree[" ".join(words)] = options | {"--help"}
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, (*words, name))

    walk(typer.main.get_command(app), ("isthmus",))
    for name, where, _ in LAZY:
        module, _, attribute = where.partition(":")
        found = getattr(__import__(module, fromlist=[attribute]), attribute)
        if not isinstance(found, typer.Typer):
            alone = typer.Typer(add_completion=False)
            alone.command()(found)
            found = alone
        walk(typer.main.get_command(found), ("isthmus", name))
    return tree


def commands_in(text: str) -> Iterator[str]:
    """`isthmus …` in a line of a fenced block, or between backticks."""
    for block in re.findall(r"```[a-z]*\n(.*?)```", text, flags=re.S):
        yield from (match[1] for match in re.finditer(r"^(?:\$ )?(?:\.venv/bin/)?(isthmus [^#\n]+)", block, flags=re.M))
    yield from re.findall(r"(?<!`)`(isthmus [^`]+)`(?!`)", text)


@pytest.mark.parametrize(*NAMED[:2], ids=NAMED[2])
def test_commands_in_the_docs_exist_with_their_options(page: Path) -> None:
    tree = command_tree()
    for line in commands_in(page.read_text()):
        words = line.split()
        name = max((name for name in tree if words[: len(name.split())] == name.split()), key=lambda name: len(name))
        rest = words[len(name.split()) :]
        if name in ("isthmus datasets", "isthmus programs"):
            name += " show"  # which need not be written
        leaf = not any(other.startswith(f"{name} ") for other in tree)
        assert leaf or not rest or rest[0] in ("|", "--help", "…"), line
        assert {word.partition("=")[0] for word in rest if word.startswith("--")} <= tree[name], line


def test_each_sample_is_read_by_the_loader_of_its_process() -> None:
    kinds: dict[str, type[BaseModel]] = {
        "gateway.toml": config.GatewayConfig,
        "agent.toml": AgentConfig,
        "anchor.toml": AnchorProcessConfig,
        "dataset.toml": DatasetConfig,
        "policy.toml": PolicyConfig,
        "profile.toml": Profile,
    }
    assert {path.name for path in SAMPLES.iterdir()} == {*kinds, "rulebook.md"}
    assert checked_text((SAMPLES / "rulebook.md").read_bytes())
    read: dict[str, Any] = {name: config.load(kind, SAMPLES / name) for name, kind in kinds.items()}
    gateway, agent, dataset = read["gateway.toml"], read["agent.toml"], read["dataset.toml"]
    assert gateway.entity == agent.entity and gateway.anchors[0].prefixes == agent.anchors[0].prefixes
    assert gateway.agent is None, "two users: the gateway does not start the agent"
    assert agent.datasets == (SAMPLES / "dataset.toml",)
    assert dataset.policy == SAMPLES / "policy.toml"
    described = {column.name for column in dataset.columns}
    assert described >= {
        *dataset.key_columns,
        *(name for item in dataset.derived for name in (item.column, item.year_of)),
    }


def test_what_the_page_on_new_programs_shows_is_in_the_package_to_the_letter() -> None:
    folder, page = DOCS / "programs" / "dissimilarity", (DOCS / "new-program.md").read_text()
    for kind, file in (("toml", "program.toml"), ("python", "program.py")):
        blocks = re.findall(rf"^```{kind}\n(.*?)^```", page, flags=re.S | re.M)
        assert len(blocks) >= 4
        for block in blocks:
            assert block in (folder / file).read_text(), block
    block = re.search(r"```yaml\nstatistic:\n  program:\n(.*?)```", (DOCS / "statistics.md").read_text(), flags=re.S)
    told = re.sub(r"^ *#.*\n", "", (folder / "question.yaml").read_text(), flags=re.M)
    assert block is not None and block[1] in told


def test_the_page_on_new_programs_has_every_key_of_a_manifest() -> None:
    page = (DOCS / "new-program.md").read_text()
    for kind in (Descriptor, Slot, Setting, Output, Opened):
        for field in fields(kind):
            assert re.search(rf"`{field.name}`|^{field.name} = |\[\[{field.name}\]\]", page, flags=re.M), field.name
