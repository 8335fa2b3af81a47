"""`omnibridge agents`: who the agents of external systems are in Rocket.Chat, and who may become one."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import typer

from omnibridge.cli_operator import (
    DEFAULT,
    ConfigPath,
    Json,
    OneWorkspace,
    database_file,
    now_ms,
    print_json,
    read_settings,
    user_name,
)
from omnibridge.errors import ConfigError, OmnibridgeError

if TYPE_CHECKING:
    from omnibridge.config import Settings
    from omnibridge.identity.requests import Reply, Request

agents_app = typer.Typer(help="Agents of external systems, and who they are in Rocket.Chat.", no_args_is_help=True)

System = Annotated[str, typer.Argument(metavar="SYSTEM", help="name of the external system")]
ExternalId = Annotated[str, typer.Argument(metavar="ID", help="the agent's id there")]
Username = Annotated[str, typer.Argument(metavar="USERNAME", help="user name in Rocket.Chat")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="only say what would be done")]
ModeName = Literal["mapped", "provisioned", "pooled", "shared"]
AT_ONCE = 1_000
"""Rows per request to the running server: it reads one in some milliseconds."""

NICE = 10
"""Of an import, beside a server on the same machine: reading a large file takes seconds of CPU."""


@agents_app.command("list")
def agents_list(
    workspace: OneWorkspace = "",
    system: Annotated[str, typer.Option("--system", help="only of this system")] = "",
    mode: Annotated[ModeName | None, typer.Option("--mode", help="mapped, provisioned, pooled or shared")] = None,
    conflicts: Annotated[bool, typer.Option("--conflicts", help="only those that nobody is routed to")] = False,
    planned: Annotated[bool, typer.Option("--planned", help="what `dry_run` would have made")] = False,
    audit: Annotated[bool, typer.Option("--audit", help="what was done, by whom, and why; newest first")] = False,
    limit: Annotated[int, typer.Option(min=1, help="so many rows")] = 100,
    as_json: Json = False,
    config: ConfigPath = DEFAULT,
) -> None:
    """Print who is who; with --planned or --audit, what would be or was done."""
    from omnibridge.identity.names import claim
    from omnibridge.operator.text import moment, safe
    from omnibridge.storage import directory

    reader = _open(config)
    if planned or audit:
        notes = directory.notes(reader, workspace, "would-create" if planned else "", limit)
        if as_json:
            print_json({"audit": notes})
            return
        for each in notes:
            who = claim(each["system"], each["external_id"])
            told = f"{each['workspace']} {who} {each['action']} {each['user_id']} {each['cause']} {each['detail']}"
            typer.echo(safe(f"{moment(each['at'])}  {told}"))
        return
    step = directory.CONFLICT if conflicts else ""
    found = list(directory.rows(reader, workspace, system, mode=mode or "", step=step, limit=limit))
    if as_json:
        print_json({"agents": msgspec.to_builtins(found)})
        return
    for row in found:
        user = f"{row.username} ({row.mode}{'' if row.step == directory.READY else ', ' + row.step})"
        typer.echo(safe(f"{row.workspace}  {claim(row.system, row.external_id)}  {user}  {row.name}"))


@agents_app.command("export")
def agents_export(
    file: Annotated[Path | None, typer.Argument(help="CSV file to write; standard output without")] = None,
    workspace: OneWorkspace = "",
    as_json: Json = False,
    config: ConfigPath = DEFAULT,
) -> None:
    """Write the directory as CSV; `agents import` takes it back."""
    from omnibridge.identity import csv_file
    from omnibridge.identity.names import POOL
    from omnibridge.storage import directory

    rows = (each for each in directory.rows(_open(config), workspace) if each.system != POOL)
    if as_json:
        print_json({"agents": msgspec.to_builtins(list(rows))})
        return
    lines = csv_file.write(rows)
    if file is None:
        sys.stdout.writelines(lines)
        return
    with file.open("w", encoding="utf-8", newline="") as out:
        out.writelines(lines)


@agents_app.command("import")
def agents_import(
    file: Annotated[Path, typer.Argument(help="CSV file; columns as `agents export` writes them")],
    dry_run: DryRun = False,
    workspace: OneWorkspace = "",
    as_json: Json = False,
    config: ConfigPath = DEFAULT,
) -> None:
    """Add and change agents from a CSV file: all of it, or nothing when a row is wrong."""
    from omnibridge.identity import csv_file
    from omnibridge.identity.requests import Import
    from omnibridge.operator.text import safe

    settings = read_settings(config)
    names = tuple(each.name for each in settings.workspace)
    os.nice(NICE)
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{file}: {exc.strerror if isinstance(exc, OSError) else 'is not UTF-8'}") from exc
    plan = csv_file.plan(_open(config), text, names, workspace or (names[0] if len(names) == 1 else ""))
    if not dry_run and not plan.problems:
        for start in range(0, len(plan.rows), AT_ONCE):
            _done(_carry_out(config, settings, Import(user_name(), plan.rows[start : start + AT_ONCE])))
    figures = {"added": plan.added, "changed": plan.changed, "unchanged": plan.unchanged}
    if as_json:
        problems = msgspec.to_builtins(plan.problems)
        print_json({**figures, "dry_run": dry_run, "written": not dry_run and not plan.problems, "problems": problems})
    else:
        for each in plan.problems:
            print(safe(f"{file}: row {each.row}: {each.text}"), file=sys.stderr)
        what = "nothing was written" if plan.problems else "would be" if dry_run else "done"
        typer.echo(f"{plan.added} added, {plan.changed} changed, {plan.unchanged} unchanged: {what}")
    raise typer.Exit(1 if plan.problems else 0)


@agents_app.command("link")
def agents_link(
    system: System,
    external_id: ExternalId,
    username: Username,
    workspace: OneWorkspace = "",
    as_json: Json = False,
    config: ConfigPath = DEFAULT,
) -> None:
    """Say that an external agent is this user."""
    _link(system, external_id, username, workspace, as_json, config, is_claim=False)


@agents_app.command("confirm")
def agents_confirm(
    system: System,
    external_id: ExternalId,
    username: Username,
    workspace: OneWorkspace = "",
    as_json: Json = False,
    config: ConfigPath = DEFAULT,
) -> None:
    """Confirm what a user's own fields say: that he is this external agent."""
    _link(system, external_id, username, workspace, as_json, config, is_claim=True)


@agents_app.command("unlink")
def agents_unlink(
    system: System, external_id: ExternalId, workspace: OneWorkspace = "", as_json: Json = False,
    config: ConfigPath = DEFAULT,
) -> None:  # fmt: skip
    """Say that an external agent is nobody any more; a user that we made is deactivated."""
    from omnibridge.identity.requests import Unlink

    settings = read_settings(config)
    request = Unlink(user_name(), _workspace(settings, workspace), system, external_id)
    _print(_carry_out(config, settings, request), as_json)


@agents_app.command("sync")
def agents_sync(workspace: OneWorkspace = "", as_json: Json = False, config: ConfigPath = DEFAULT) -> None:
    """Read all users and who they say they are; needed once before users are made."""
    from omnibridge.identity.requests import Sync

    settings = read_settings(config)
    _print(_carry_out(config, settings, Sync(user_name(), _workspace(settings, workspace))), as_json)


@agents_app.command("drift")
def agents_drift(workspace: OneWorkspace = "", as_json: Json = False, config: ConfigPath = DEFAULT) -> None:
    """Report what is not as it should be, as of the last sync; exit 1 when there is anything."""
    from omnibridge.identity import drift
    from omnibridge.operator.text import moment, safe
    from omnibridge.storage import directory

    settings = read_settings(config)
    reader, name = _open(config), _workspace(settings, workspace)
    found = drift.report(reader, name, now_ms(), settings.agents.idle_days)
    synced_at = directory.synced_at(reader, name)
    if as_json:
        print_json({"synced_at": synced_at, "drift": msgspec.to_builtins(found)})
    else:
        typer.echo(f"as of {moment(synced_at)}" if synced_at else "never synced: run `omnibridge agents sync`")
        for each in found:
            typer.echo(safe(f"{each.kind}  {each.who}  {each.text}"))
    raise typer.Exit(1 if found or not synced_at else 0)


@agents_app.command("approve")
def agents_approve(
    ids: Annotated[list[str] | None, typer.Argument(metavar="SYSTEM:ID", help="as without arguments shown")] = None,
    everything: Annotated[bool, typer.Option("--all", help="all that wait")] = False,
    refuse: Annotated[bool, typer.Option("--refuse", help="refuse instead")] = False,
    workspace: OneWorkspace = "",
    as_json: Json = False,
    config: ConfigPath = DEFAULT,
) -> None:
    """Allow users to be made; without arguments, print who waits."""
    from omnibridge.identity.names import claim
    from omnibridge.identity.requests import Decide
    from omnibridge.operator.text import moment, safe
    from omnibridge.storage import seats

    settings = read_settings(config)
    if not ids and not everything:
        waiting = seats.waiting(_open(config), workspace)
        if as_json:
            names = ("workspace", "system", "external_id", "cause", "asked_at")
            print_json({"waiting": [dict(zip(names, each, strict=True)) for each in waiting]})
            return
        for each in waiting:
            typer.echo(safe(f"{each[0]}  {claim(each[1], each[2])}  since {moment(each[4])}, for {each[3]}"))
        return
    wanted = []
    for one in ids or []:
        system, colon, external_id = one.partition(":")
        if not colon or not external_id:
            raise ConfigError(f"{one}: write SYSTEM:ID")
        wanted.append((system, external_id))
    request = Decide(user_name(), _workspace(settings, workspace), wanted, refuse)
    _print(_carry_out(config, settings, request), as_json)


def _link(
    system: str, external_id: str, username: str, workspace: str, as_json: bool, config: Path, *, is_claim: bool
) -> None:
    from omnibridge.identity.requests import Link

    settings = read_settings(config)
    request = Link(user_name(), _workspace(settings, workspace), system, external_id, username, is_claim)
    _print(_carry_out(config, settings, request), as_json)


def _print(reply: Reply, as_json: bool) -> None:
    """Raises OmnibridgeError for what was refused."""
    from omnibridge.operator.text import safe

    _done(reply)
    if as_json:
        print_json({"done": reply.told, **reply.figures})
        return
    for line in reply.told:
        typer.echo(safe(line))


def _done(reply: Reply) -> None:
    from omnibridge.operator.text import safe

    if reply.problem:
        raise OmnibridgeError(safe(reply.problem))


def _carry_out(config: Path, settings: Settings, request: Request) -> Reply:
    """By the running server; without one, directly under the database's lock."""
    from omnibridge.bootstrap_agents import without_server
    from omnibridge.clock import SystemClock
    from omnibridge.identity.requests import Reply
    from omnibridge.operator import local_socket

    def ask(socket: Path) -> Reply:
        answer = local_socket.exchange(socket, "agents", msgspec.json.encode(request), timeout_s=3600.0)
        return msgspec.json.decode(answer, type=Reply)

    return local_socket.or_directly(
        database_file(config, None), ask, lambda: asyncio.run(without_server(settings, request, SystemClock()))
    )


def _workspace(settings: Settings, wanted: str) -> str:
    names = [each.name for each in settings.workspace]
    if wanted in names or (not wanted and len(names) == 1):
        return wanted or names[0]
    raise ConfigError(f"--workspace {wanted or 'NAME'}: one of {', '.join(names)}")


def _open(config: Path) -> Any:
    """To read only. Raises ConfigError."""
    from omnibridge.operator.reading import open_reader

    path = database_file(config, None)
    reader = open_reader(path)
    if not reader.execute("SELECT 1 FROM sqlite_master WHERE name = 'agents'").fetchone():
        raise ConfigError(f"{path}: of an older version: run `omnibridge migrate`")
    return reader
