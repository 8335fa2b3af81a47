"""The command line: parse, call, print. Exit codes: 0 done, 1 a check failed, 2 wrong use or configuration."""

from __future__ import annotations

import os
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer

from omnibridge import __version__, cli_operator
from omnibridge.cli_agents import agents_app
from omnibridge.cli_bots import bots_app
from omnibridge.cli_crm import crm_app
from omnibridge.cli_deliveries import deliveries_app
from omnibridge.cli_operator import DEFAULT, ConfigPath, Json, database_file, read_settings
from omnibridge.cli_routing import routing_app
from omnibridge.cli_setup import setup
from omnibridge.cli_tokens import tokens_app
from omnibridge.errors import ConfigError, OmnibridgeError, RuleInvalid

app = typer.Typer(
    name="omnibridge",
    help="Omnichannel routing and external-CRM bridge for Rocket.Chat.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
config_app = typer.Typer(help="Look at the configuration.", no_args_is_help=True)
rules_app = typer.Typer(help="Look at the rules.", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(rules_app, name="rules")
app.command()(setup)
app.command()(cli_operator.trace)
app.command()(cli_operator.replay)
app.add_typer(deliveries_app, name="deliveries")
app.add_typer(agents_app, name="agents")
app.add_typer(tokens_app, name="tokens")
app.add_typer(bots_app, name="bots")
app.add_typer(crm_app, name="crm")
app.add_typer(routing_app, name="routing")


@app.command()
def serve(config: ConfigPath = DEFAULT) -> None:
    """Run the bridge until SIGINT or SIGTERM."""
    from omnibridge.engine.faults import Faults
    from omnibridge.log import configure_logging
    from omnibridge.server import serve as run

    settings = read_settings(config)
    configure_logging(settings.server.log_level, settings.server.log_format)
    run(settings, Faults(os.environ.get("OMNIBRIDGE_CRASH_AT", "")))


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="end after the play")] = False,
    as_json: Json = False,
    hub_version: Annotated[str, typer.Option(help="6.14, 7.7 or 8.3")] = "8.3",
    story: Annotated[
        str, typer.Option(help="another play: one of those that connectors bring, such as salesforce")
    ] = "",
) -> None:
    """Play a conversation on a simulated Rocket.Chat with a simulated bot; then you are the visitor."""
    if story:
        from omnibridge.demo_stage import run_story

        raise typer.Exit(run_story(story, once=once, as_json=as_json, hub_version=hub_version))
    from omnibridge.demo import run

    raise typer.Exit(run(once=once, as_json=as_json, hub_version=hub_version))


@app.command()
def sandbox(
    port: Annotated[int, typer.Option(help="0 takes a free one")] = 0,
    hub_version: Annotated[str, typer.Option(help="6.14, 7.7 or 8.3")] = "8.3",
    licence: Annotated[str, typer.Option(help="community or enterprise")] = "community",
    admin: Annotated[str, typer.Option(help="USER:PASSWORD")] = "admin:secret",
    webhook_url: Annotated[str, typer.Option(help="where webhooks go; can be set later")] = "",
    webhook_token: Annotated[str, typer.Option(help="secret token of webhooks; random if empty")] = "",
    http_timeout_ms: Annotated[int, typer.Option(help="Livechat_http_timeout; retries come 4 times later")] = 5000,
    duplicate_rate: Annotated[float, typer.Option(help="share of webhooks sent twice, 0 to 1")] = 0.0,
    swap_rate: Annotated[float, typer.Option(help="share of webhooks overtaken by the next, 0 to 1")] = 0.0,
    seed: Annotated[int, typer.Option(help="of the faults")] = 0,
    widget: Annotated[str, typer.Option(help="folder of a build of the livechat widget, to be served")] = "",
    router: Annotated[bool, typer.Option("--router", help="also an external system that decides who serves")] = False,
    as_json: Json = False,
) -> None:
    """Run a simulated Rocket.Chat and the simulators of the installed connectors."""
    from omnibridge.sandbox.server import SandboxOptions, run

    if hub_version not in ("6.14", "7.7", "8.3") or licence not in ("community", "enterprise") or ":" not in admin:
        _fail(["--hub-version is 6.14, 7.7 or 8.3; --licence community or enterprise; --admin USER:PASSWORD"])
    if widget and not (Path(widget) / "index.html").is_file():
        _fail([f"--widget {widget}: there is no index.html; the build of npm @rocket.chat/livechat has one"])
    options = SandboxOptions(
        port=port, hub_version=hub_version, licence=licence, admin=admin, webhook_url=webhook_url,
        webhook_token=webhook_token, http_timeout_ms=http_timeout_ms, duplicate_rate=duplicate_rate,
        swap_rate=swap_rate, seed=seed, widget=widget, router=router,
    )  # fmt: skip
    run(options, as_json=as_json)


@app.command()
def migrate(config: ConfigPath = DEFAULT) -> None:
    """Bring the database to this version's schema; `serve` does it as well."""
    from omnibridge.storage.database import migrate as run
    from omnibridge.storage.database import take_lock

    path = database_file(config, None)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = take_lock(path)
    run(path)
    lock.close()
    typer.echo(f"{path}: up to date")


@app.command()
def doctor(config: ConfigPath = DEFAULT, as_json: Json = False) -> None:
    """Look at workspaces, accounts, backends and this machine; say what is wrong and what to do."""
    import asyncio

    from omnibridge.doctor.report import as_json as encode
    from omnibridge.doctor.report import as_text, redacted
    from omnibridge.doctor.run import examine, exit_code, read
    from omnibridge.log import configure_logging

    configure_logging("error", "text")
    settings, findings = read(config, os.environ)
    if settings:
        findings = redacted(findings + asyncio.run(examine(settings)), settings)
    typer.echo(encode(findings) if as_json else as_text(findings))
    raise typer.Exit(exit_code(findings))


@config_app.command("check")
def config_check(config: ConfigPath = DEFAULT, as_json: Json = False) -> None:
    """Print everything that is wrong with configuration and rules; exit 0 when nothing is."""
    import msgspec

    from omnibridge.bootstrap_codes import unknown_codes
    from omnibridge.bootstrap_decisions import not_desks, read_rules, unknown_targets
    from omnibridge.config_reader import check
    from omnibridge.engine.plugins import installed_kinds, settings_types

    problems = check(config, os.environ, settings_types(set(installed_kinds())))
    if not problems:
        try:
            settings = read_settings(config)
            problems += unknown_targets(
                read_rules(settings),
                {each.name for each in settings.connection},
                settings.decider_names,
            )
            problems += not_desks(settings.connection) + unknown_codes(settings)
        except (ConfigError, RuleInvalid) as exc:
            problems += exc.problems
    if as_json:
        typer.echo(msgspec.json.encode({"problems": problems}))
    elif not problems:
        typer.echo(f"{config}: nothing wrong")
    if problems and not as_json:
        _fail(problems)
    raise typer.Exit(2 if problems else 0)


@config_app.command("sample")
def config_sample() -> None:
    """Print a commented configuration to begin with."""
    from omnibridge.config_sample import sample

    typer.echo(sample(), nl=False)


@config_app.command("reload")
def config_reload(config: ConfigPath = DEFAULT, as_json: Json = False) -> None:
    """Have the running server take over changed settings of connectors; exit 1 when something takes a restart."""
    import msgspec

    from omnibridge.operator.local_socket import exchange, socket_path

    done = msgspec.json.decode(exchange(socket_path(database_file(config, None)), "config", b"{}"))
    if as_json:
        typer.echo(msgspec.json.encode(done))
    else:
        for title, name in (("taken over", "changed"), ("takes a restart", "restart")):
            for each in done[name]:
                typer.echo(f"{title}: {each}")
        if not any(done.values()):
            typer.echo("nothing has changed")
        for each in done["problems"]:
            print(each, file=sys.stderr)
    raise typer.Exit(2 if done["problems"] else 1 if done["restart"] else 0)


@config_app.command("schema")
def config_schema(
    kinds: Annotated[list[str] | None, typer.Argument(help="which connectors; all that are installed")] = None,
    as_json: Json = False,
) -> None:
    """Print the settings of connectors: type, default, and what is required or secret."""
    import msgspec

    from omnibridge.engine.plugins import installed_kinds, records_kinds
    from omnibridge.engine.settings_schema import shapes

    known = [*installed_kinds(), *records_kinds()]
    unknown = [each for each in kinds or [] if each not in known]
    if unknown:
        raise ConfigError(f"{', '.join(unknown)}: not installed; installed: {', '.join(known)}")
    found = shapes(kinds or known)
    if as_json:
        typer.echo(msgspec.json.encode({"connectors": found}))
        return
    for each in found:
        typer.echo(f"{each.kind}  ({', '.join(each.groups) or each.problem})")
        for one in each.settings:
            marks = [word for word, is_so in (("required", one.required), ("secret", one.secret)) if is_so]
            default = "" if one.required or one.secret else f" = {msgspec.json.encode(one.default).decode()}"
            typer.echo(f"  {one.name}{default}{'  (' + ', '.join(marks) + ')' if marks else ''}")


@rules_app.command("check")
def rules_check(file: Annotated[Path, typer.Argument(help="rules file")]) -> None:
    """Print everything that is wrong with a rules file; exit 0 when nothing is."""
    from omnibridge.routing.rules_file import parse_rules

    try:
        rules = parse_rules(file.read_text("utf-8"), str(file))
    except OSError as exc:
        raise ConfigError(f"{file}: {exc.strerror}") from exc
    typer.echo(f"{file}: {len(rules.rules)} rule{'' if len(rules.rules) == 1 else 's'}, hash {rules.hash()}")


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def _fail(problems: list[str]) -> None:
    for each in problems:
        print(each, file=sys.stderr)
    raise typer.Exit(2)


def main() -> None:
    """Entry point. Errors of ours are one line each, never a stack trace."""
    for each in entry_points(group="omnibridge.cli"):
        if sys.argv[1:2] in ([], ["--help"], [each.name]):  # the others need not be imported
            app.add_typer(each.load(), name=each.name)
    try:
        app()
    except (ConfigError, RuleInvalid) as exc:
        for problem in exc.problems:
            print(problem, file=sys.stderr)
        sys.exit(2)
    except OmnibridgeError as exc:
        print(f"omnibridge: {exc}", file=sys.stderr)
        sys.exit(1)
