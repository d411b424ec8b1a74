"""The command line as a process: help, exit codes, errors in one line, what `gateway init` writes."""

import json
import os
import stat
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from connectors.config import AgentConfig, DatasetConfig
from connectors.holdings import open_holdings
from gateway import config
from gateway.cli import exits
from gateway.cli.app import LAZY, app
from gateway.cli.init import Wanted, lay_out
from gateway.cli.output import answering
from gateway.client.profile import Profile, discover, sandbox_state
from gateway.domain.computation import State
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import EntityId
from gateway.rules.keyring import KeyName

CARE = EntityId("https://care.example")


def isthmus(*arguments: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("ISTHMUS", "XDG"))}
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments],
        env={**clean, "HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def commands(group: Any, path: str = "isthmus") -> list[tuple[str, Any]]:
    found = [(path, group)]
    for name, command in getattr(group, "commands", {}).items():
        if name not in [lazy[0] for lazy in LAZY]:
            found += commands(command, f"{path} {name}")
    return found


@pytest.mark.parametrize(
    ("path", "command"),
    commands(typer.main.get_command(app)),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_help_has_an_example_of_itself(path: str, command: Any) -> None:
    assert command.epilog is not None and command.epilog.startswith(f"Example: {path.split(' [')[0]}")
    assert command.help


def test_help_loads_no_machinery(tmp_path: Path) -> None:
    heavy = ("grpc", "pydantic", "cryptography", "numpy", "yaml", "asyncio")
    code = f"import sys, gateway.cli.app; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
    assert "computations" in isthmus("--help", home=tmp_path).stdout


def test_the_map_of_exit_codes_is_total() -> None:
    assert set(exits.BY_REASON) == set(Reason)
    assert set(exits.BY_STATE) == set(State)
    assert set(exits.BY_REASON.values()) == {2, 3, 4, 5}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nonsense"], 2, "No such command"),
        (["run"], 2, "Missing argument"),
        (["run", "none.yaml"], 2, "none.yaml cannot be read"),
        (["datasets"], 2, "there is no profile"),
        (["datasets", "--profile", "none.toml"], 2, "cannot be read"),
        (["gateway", "serve", "--config", "none.toml"], 2, "cannot be read"),
        (["agent", "serve", "--config", "none.toml"], 2, "cannot be read"),
    ],
)
def test_an_error_is_one_line_on_standard_error(arguments: list[str], code: int, said: str, tmp_path: Path) -> None:
    done = isthmus(*arguments, home=tmp_path)
    assert done.returncode == code
    assert said in done.stderr
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("isthmus: ")
    assert done.stdout == ""


def test_an_error_with_json_is_one_object_on_standard_output(tmp_path: Path) -> None:
    done = isthmus("run", "none.yaml", "--json", home=tmp_path)
    assert json.loads(done.stdout)["error"]["reason"] == "MALFORMED_QUERY"
    assert done.returncode == 2


def test_a_gateway_that_is_not_there_is_exit_five(tmp_path: Path) -> None:
    lay_out(tmp_path / "space", Wanted.checked(CARE, "127.0.0.1:9", "", "NL"), int(time.time()))
    done = isthmus("datasets", "--profile", str(tmp_path / "space" / "client" / "profile.toml"), home=tmp_path)
    assert done.returncode == 5
    assert done.stderr.startswith("isthmus: the gateway at 127.0.0.1:9 cannot be reached.")


def test_serving_before_joining_says_how_to_join(tmp_path: Path) -> None:
    folder = tmp_path / "space"
    lay_out(folder, Wanted.checked(CARE, "127.0.0.1:9", "", "NL"), int(time.time()))
    done = isthmus("gateway", "serve", "--config", str(folder / "gateway.toml"), home=tmp_path)
    assert done.returncode == 2
    assert "isthmus trust join" in done.stderr and "Traceback" not in done.stderr


def test_version_is_one_object(tmp_path: Path) -> None:
    done = isthmus("version", "--json", home=tmp_path)
    assert list(json.loads(done.stdout)) == ["version"]


def test_the_unexpected_is_one_line_and_exit_five(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, answering():
        raise ZeroDivisionError("secret")
    assert ended.value.exit_code == 5
    said = capsys.readouterr()
    assert "secret" not in said.err and "Traceback" not in said.err and said.out == ""


def test_debug_shows_where(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISTHMUS_DEBUG", "1")
    with pytest.raises(typer.Exit), answering():
        raise ZeroDivisionError("here")
    assert "ZeroDivisionError: here" in capsys.readouterr().err


def test_profiles_are_found_in_order(tmp_path: Path) -> None:
    where = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_STATE_HOME": str(tmp_path / "state")}
    with pytest.raises(IsthmusError, match="there is no profile"):
        discover(where)
    sandbox = sandbox_state(where) / "default-profile.toml"
    own = tmp_path / "config" / "isthmus" / "profile.toml"
    sandbox.parent.mkdir(parents=True)
    sandbox.write_text("")
    with pytest.raises(IsthmusError, match="there is no profile"):
        discover(where)  # a sandbox that does not run any more
    (sandbox.parent / "sandbox.json").write_text("{}")
    assert discover(where) == sandbox
    own.parent.mkdir(parents=True)
    own.write_text("")
    assert discover(where) == own
    assert discover({**where, "ISTHMUS_PROFILE": "named.toml"}) == Path("named.toml")


def test_a_linked_profile_names_files_beside_itself(tmp_path: Path) -> None:
    (tmp_path / "users").mkdir()
    text = 'gateway="a:1"\nserver_name="a"\nca="ca.pem"\ncertificate="c.pem"\nkey="k.pem"\n'
    (tmp_path / "users" / "analyst.toml").write_text(text)
    (tmp_path / "default.toml").symlink_to(tmp_path / "users" / "analyst.toml")
    assert Profile.load(tmp_path / "default.toml").ca == (tmp_path / "users" / "ca.pem").resolve()
    (tmp_path / "users" / "analyst.toml").write_text(text + 'colour="red"\n')
    with pytest.raises(IsthmusError, match="colour"):
        Profile.load(tmp_path / "default.toml")


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("init") / "space"
    wanted = Wanted.checked(CARE, "0.0.0.0:8443", 'Care "Alliance" $x', "NL")
    lay_out(folder, wanted, 1_700_000_000)
    return folder


def test_what_init_writes_loads_as_it_stands(space: Path) -> None:
    gateway = config.load(config.GatewayConfig, space / "gateway.toml")
    assert gateway.entity == CARE and gateway.endpoint == "care.example:8443"
    assert gateway.operator.name == 'Care "Alliance" $x'
    assert gateway.agent is not None
    agent = config.load(AgentConfig, gateway.agent.config)
    assert agent.gateway == "127.0.0.1:8443" and agent.seats == gateway.operator.seats
    for path in agent.datasets:
        config.load(DatasetConfig, path)
    assert set(open_holdings(CARE, agent.datasets)) == {"spaces/care.example/datasets/example"}
    for folder in ("client", "steward"):
        profile = Profile.load(space / folder / "profile.toml")
        assert profile.certificate.is_file() and profile.key.is_file() and profile.ca.is_file()
    assert {client.id: client.scopes for client in gateway.clients}["steward"] == ("steward",)


def test_secrets_are_their_owners_alone(space: Path) -> None:
    for path in [*space.rglob("*.key.pem"), *(space / "keys").glob("*.pem"), space / "agent" / "contract.pem"]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(space.stat().st_mode) == 0o700


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = isthmus(
        "gateway", "init", str(tmp_path), "--entity", CARE, "--listen", "0.0.0.0:1", "--json", home=tmp_path
    )  # fmt: skip
    assert done.returncode == 2 and json.loads(done.stdout)["error"]["reason"] == "ALREADY_EXISTS"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("option", "value"),
    [("--entity", "http://care.example"), ("--listen", "8443"), ("--jurisdiction", "nl")],
)
def test_a_wrong_option_is_named(option: str, value: str) -> None:
    given = {"--entity": CARE, "--listen": "0.0.0.0:1", "--operator": "", "--jurisdiction": "NL"}
    with pytest.raises(IsthmusError) as refused:
        Wanted.checked(*{**given, option: value}.values())
    assert refused.value.field == option


def test_every_written_file_is_toml_without_leftover_names(space: Path) -> None:
    for path in space.rglob("*.toml"):
        tomllib.loads(path.read_text())
        assert "$entity" not in path.read_text()


def test_sdk_and_commands_need_nothing_beyond_the_base_install() -> None:
    extras = ("numpy", "scipy", "mpyc", "duckdb", "ibis", "sqlalchemy", "alembic", "structlog", "uvloop",
              "pydantic_settings", "protovalidate", "grpc_health", "grpc_reflection", "starlette")  # fmt: skip
    modules = "approving, ask, catalogue, computations, init, operate, progress, questions, render, shapes"
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({extras}))\n"
        f"from gateway.cli import {modules}\n"
        "from gateway.client import AsyncClient, Client, Profile, load_query"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_importing_leaves_arguments_and_logging_alone() -> None:
    code = (
        "import sys, logging; sys.argv = ['a', '--b']; before = (logging.root.level, list(logging.root.handlers))\n"
        "import gateway.__main__, gateway.cli.app, gateway.cli.ask, gateway.client.sync\n"
        "assert sys.argv == ['a', '--b'] and before == (logging.root.level, list(logging.root.handlers))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_key_is_rotated_and_shown_from_the_command_line(tmp_path: Path) -> None:
    folder = tmp_path / "space"
    lay_out(folder, Wanted.checked(CARE, "0.0.0.0:8443", "", "NL"), 1_700_000_000)
    config, agent = str(folder / "gateway.toml"), str(folder / "agent" / "agent.toml")

    def trust(*arguments: str) -> Any:
        done = CliRunner().invoke(app, ["trust", *arguments, "--json"])
        return done.exit_code, json.loads(done.stdout)

    code, told = trust("rotate", "token", "--config", config)
    assert code == 0
    (rotated,) = told["rotated"]
    assert rotated["use"] - rotated["publish"] == 48 * 3600
    code, told = trust("rotate", "token", "--config", config)
    assert (code, told["error"]["reason"]) == (2, "ALREADY_EXISTS")
    code, told = trust("rotate", "federation", "--config", config, "--ahead", "1h")
    assert (code, told["error"]["field"]) == (2, "--ahead")
    code, told = trust("rotate", "contract", "--config", config)
    assert (code, told["error"]["field"]) == (2, "--config")
    assert trust("rotate", "contract", "--config", agent)[0] == 0
    code, told = trust("rotate", "tls-ca", "--config", config)
    assert code == 0
    assert [item["key"] for item in told["rotated"]] == ["tls-ca", "tls-server", "tls-client", "tls-agent"]
    code, told = trust("keys", "--config", config)
    states = {key: [item["state"] for item in told["keys"] if item["key"] == key] for key in KeyName}
    assert states.pop("federation") == states.pop("revocation") == states.pop("recipient") == ["in use"]
    assert set(map(tuple, states.values())) == {("published", "in use")}
    code, told = trust("certify", "analyst", "--config", config, "--out", str(tmp_path / "next"))
    assert code == 0
    names = sorted(Path(file).name for file in told["files"])
    assert names == ["analyst.key.pem", "analyst.pem", "ca.pem"]
    assert (tmp_path / "next" / "ca.pem").read_text().count("BEGIN CERTIFICATE") == 2
    assert trust("certify", "analyst", "--config", config, "--out", str(tmp_path / "next"))[0] == 2
    shown = CliRunner().invoke(app, ["trust", "keys", "--config", config])
    assert "tls-server" in shown.stdout and "PRIVATE" not in shown.stdout
