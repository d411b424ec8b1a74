"""The commands of `isthmus`, each imported when it is asked for.

Invariant: `isthmus --help` imports no command's machinery: a command's module imports typer at its head and
the rest inside the function; `demo` and `sandbox` are not even imported to be listed.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import typer
import typer.core

from gateway.cli import (
    approvals,
    audit,
    catalogue,
    computations,
    editions,
    mse,
    operate,
    people,
    policies,
    programs,
    questions,
    reports,
    rulebook,
    sign_in,
    trust,
    trust_revoke,
    trust_rotate,
)
from gateway.cli.output import AsJson, answering, not_installed

# Name, where it is (a typer app or a function), and its line in the list of commands.
LAZY = (
    ("demo", "gateway.cli.demo:demo", "See it work: one question across three data spaces."),
    ("sandbox", "gateway.cli.sandbox:app", "A whole federation on this machine: up, ps, down."),
    ("doctor", "gateway.cli.doctor:app", "What is wrong between your gateway and a peer, and who must act."),
)


class _Lazy(typer.core.TyperCommand):
    """Stands in the list for a command whose module is imported when it is called."""

    def __init__(self, name: str, where: str, help: str) -> None:
        super().__init__(name, help=help)
        self._where = where

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        try:
            real = typer.main.get_command(self._load())
        except ModuleNotFoundError as missing:
            raise not_installed(missing) from missing
        return real.make_context(info_name, args, parent=parent, **extra)

    def _load(self) -> typer.Typer:
        module, _, name = self._where.partition(":")
        found = getattr(import_module(module), name)
        if isinstance(found, typer.Typer):
            return found
        alone = typer.Typer(add_completion=False)
        alone.command(epilog=f"Example: isthmus {self.name}")(found)
        return alone


class _Commands(typer.core.TyperGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, where, help in LAZY:
            self.add_command(_Lazy(name, where, help), name)

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order in which a newcomer meets them."""
        first = [*(name for name, _, _ in LAZY), "datasets"]
        return [*first, *(name for name in self.commands if name not in first)]


class _ShowsByName(typer.core.TyperGroup):
    """A group whose `show` need not be written: without a command its arguments are meant for it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["show", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="One question across data spaces that compute together: nobody's records leave home.",
    epilog="Example: isthmus run docs/queries/form_year.yaml",
)


def _register(group: typer.Typer, *commands: tuple[str, Callable[..., None], str]) -> None:
    for name, command, example in commands:
        group.command(name, epilog=f"Example: {example}")(command)


_register(
    app,
    ("spaces", catalogue.spaces, "isthmus spaces --json"),
    ("plan", questions.plan, "isthmus plan docs/queries/form_year.yaml"),
    ("run", questions.run, "isthmus run docs/queries/overlap.yaml --json"),
    ("mse", mse.mse, "isthmus mse tests/data/mse/uk_2013_5lists.csv --json"),
    ("login", sign_in.login, "isthmus login --profile profile.toml"),
)

_datasets = typer.Typer(
    cls=_ShowsByName, help="What can be asked; for owners: their editions.", epilog="Example: isthmus datasets la"
)
_register(
    _datasets,
    ("show", catalogue.show, "isthmus datasets show la --json"),
    ("publish", editions.publish, "isthmus datasets publish datasets/la.toml --agent agent.toml"),
    ("editions", editions.editions, "isthmus datasets editions datasets/la.toml --agent agent.toml"),
)
app.add_typer(_datasets, name="datasets")

_programs = typer.Typer(
    cls=_ShowsByName, help="What spaces compute, what it leaks and costs.", epilog="Example: isthmus programs overlap"
)
_register(
    _programs,
    ("show", programs.show, "isthmus programs show group_count --json"),
    ("check", programs.check, "isthmus programs check docs/programs/dissimilarity"),
)
app.add_typer(_programs, name="programs")

_computations = typer.Typer(
    no_args_is_help=True, help="What you asked: list, show, cancel.", epilog="Example: isthmus computations list"
)
_register(
    _computations,
    ("list", computations.list_, "isthmus computations list"),
    ("show", computations.show, "isthmus computations show 4f0c..."),
    ("cancel", computations.cancel, "isthmus computations cancel 4f0c..."),
)
app.add_typer(_computations, name="computations")

_tokens = typer.Typer(
    no_args_is_help=True,
    help="Access tokens for people whom your organisation signs in.",
    epilog="Example: isthmus tokens exchange --subject-token-file id.jwt",
)
_register(_tokens, ("exchange", sign_in.exchange, "isthmus tokens exchange --subject-token-file id.jwt"))
app.add_typer(_tokens, name="tokens")

_people = typer.Typer(
    no_args_is_help=True,
    help="For operators: who can sign in on the login page.",
    epilog="Example: isthmus people list --config space/gateway.toml",
)
_register(
    _people,
    ("add", people.add, "isthmus people add anna --scopes catalogue --scopes compute --config space/gateway.toml"),
    ("list", people.list_, "isthmus people list --config space/gateway.toml"),
    ("remove", people.remove, "isthmus people remove anna --config space/gateway.toml"),
)
app.add_typer(_people, name="people")

_audit = typer.Typer(
    no_args_is_help=True,
    help="For operators: what is in an audit log, and whether it still is what was written.",
    epilog="Example: isthmus audit verify --config space/gateway.toml",
)
_register(
    _audit,
    ("verify", audit.verify, "isthmus audit verify --config space/agent.toml --heads heads.json"),
    ("export", audit.export, "isthmus audit export --config space/gateway.toml --from 100 --json"),
    ("prove", audit.prove, "isthmus audit prove 17 --config space/agent.toml --json"),
    ("check-proof", audit.check_proof, "isthmus audit check-proof proof.json"),
    ("heads", audit.heads, "isthmus audit heads --of https://care.example --config space/gateway.toml --json"),
    ("accept", audit.accept, "isthmus audit accept https://care.example --config space/gateway.toml"),
)
app.add_typer(_audit, name="audit")

_policies = typer.Typer(
    no_args_is_help=True,
    help="For stewards: what a policy allows, before it goes live.",
    epilog="Example: isthmus policies check shelters.policy.toml",
)
_register(
    _policies,
    ("check", policies.check, "isthmus policies check shelters.policy.toml"),
    ("show", policies.show, "isthmus policies show spaces/care.example/datasets/la"),
    (
        "propose",
        policies.propose,
        "isthmus policies propose la.policy.toml --dataset spaces/care.example/datasets/la --key anna.jwk",
    ),
    ("test", policies.test, "isthmus policies test shelters.toml question.yaml --from https://police.example"),
)
app.add_typer(_policies, name="policies")

_reports = typer.Typer(
    no_args_is_help=True,
    help="For data-protection officers: who asked what, on which basis, what was released.",
    epilog="Example: isthmus reports dataset shelters --agent space/agent.toml --html report.html",
)
_register(
    _reports,
    ("dataset", reports.dataset, "isthmus reports dataset shelters --agent space/agent.toml --since 2026-01-01"),
    ("computation", reports.computation, "isthmus reports computation 4f0c... --config space/gateway.toml"),
)
app.add_typer(_reports, name="reports")


_approvals = typer.Typer(
    no_args_is_help=True,
    help="For stewards: what waits for your decision, and what you decide.",
    epilog="Example: isthmus approvals list --agent space/agent.toml",
)
_register(
    _approvals,
    ("list", approvals.list_, "isthmus approvals list --agent space/agent.toml"),
    ("show", approvals.show, "isthmus approvals show 4f0c --agent space/agent.toml --key anna.jwk"),
    ("approve", approvals.approve, "isthmus approvals approve DIGEST --agent space/agent.toml --key anna.jwk"),
    (
        "reject",
        approvals.reject,
        "isthmus approvals reject 4f0c --reason 'too fine' --agent space/agent.toml --key anna.jwk",
    ),
    ("key", approvals.key, "isthmus approvals key --out anna.jwk"),
)
app.add_typer(_approvals, name="approvals")

_gateway = typer.Typer(
    no_args_is_help=True,
    help="For operators: set a gateway up and run it.",
    epilog="Example: isthmus gateway serve --config space/gateway.toml",
)
_register(
    _gateway,
    ("init", operate.init, "isthmus gateway init space --entity https://care.example --listen 0.0.0.0:8443"),
    ("serve", operate.serve_gateway, "isthmus gateway serve --config space/gateway.toml"),
)
app.add_typer(_gateway, name="gateway")

_agent = typer.Typer(
    no_args_is_help=True,
    help="For operators: run the process next to the data.",
    epilog="Example: isthmus agent serve --config space/agent/agent.toml",
)
_register(_agent, ("serve", operate.serve_agent, "isthmus agent serve --config space/agent/agent.toml"))
app.add_typer(_agent, name="agent")


_trust = typer.Typer(
    no_args_is_help=True,
    help="For operators: join a federation, keep a space's keys, or run an anchor.",
    epilog="Example: isthmus trust join invitation.txt --config space/gateway.toml",
)
_register(
    _trust,
    ("join", trust.join, "isthmus trust join invitation.txt --config space/gateway.toml"),
    ("show", trust.show, "isthmus trust show --config space/gateway.toml"),
    ("rotate", trust_rotate.rotate, "isthmus trust rotate token --config space/gateway.toml"),
    (
        "certify",
        trust_rotate.certify,
        "isthmus trust certify analyst --config space/gateway.toml --out space/client-2",
    ),
    (
        "revoke",
        trust_revoke.revoke,
        "isthmus trust revoke --config space/gateway.toml --key space/tls/to-peers.pem",
    ),
    ("keys", trust_rotate.keys, "isthmus trust keys --config space/gateway.toml"),
    ("init", trust.init, "isthmus trust init anchor --entity https://anchor.example --listen 0.0.0.0:8444"),
    ("serve", trust.serve, "isthmus trust serve --config anchor/anchor.toml"),
    ("invite", trust.invite, "isthmus trust invite https://care.example --config anchor/anchor.toml"),
    ("suspend", trust.suspend, "isthmus trust suspend https://care.example --config anchor/anchor.toml"),
)
_register(
    _trust,
    ("pause", rulebook.pause, "isthmus trust pause --config space/gateway.toml"),
    ("resume", rulebook.resume, "isthmus trust resume --config space/gateway.toml"),
    ("leave", rulebook.leave, "isthmus trust leave --config space/gateway.toml"),
)
_rulebook = typer.Typer(
    no_args_is_help=True,
    help="The federation's rulebook: an anchor publishes it, members accept it.",
    epilog="Example: isthmus trust rulebook accept --config space/gateway.toml",
)
_register(
    _rulebook,
    (
        "publish",
        rulebook.publish,
        "isthmus trust rulebook publish rulebook.md --version 2 --in-force 2027-01-01 --config anchor/anchor.toml",
    ),
    ("show", rulebook.show, "isthmus trust rulebook show --config space/gateway.toml"),
    ("accept", rulebook.accept, "isthmus trust rulebook accept --config space/gateway.toml"),
)
_trust.add_typer(_rulebook, name="rulebook")
app.add_typer(_trust, name="trust")


def version(json: AsJson = False) -> None:
    """Print the version."""
    with answering(json) as output:
        from importlib.metadata import version as installed

        from rich.text import Text

        number = installed("isthmus")
        output.give(lambda: {"version": number}, lambda: Text(f"isthmus {number}"))


_register(app, ("version", version, "isthmus version"))
