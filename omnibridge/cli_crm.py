"""`omnibridge crm`: systems of records. Whether they answer, writing a conversation again, forgetting a visitor."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from omnibridge.cli_operator import (
    DEFAULT,
    ConfigPath,
    Json,
    OneWorkspace,
    plain,
    print_json,
    print_looks,
    read_settings,
    user_name,
)
from omnibridge.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from omnibridge.bootstrap_records import CrmReply

crm_app = typer.Typer(help="Systems of records: who wrote, what was said, what is known.", no_args_is_help=True)


@crm_app.command("test")
def crm_test(as_json: Json = False, config: ConfigPath = DEFAULT) -> None:
    """Log in to every [[crm]] and ask what it still allows; exit 1 when one does not answer."""
    from omnibridge.bootstrap_records import look_at
    from omnibridge.clock import SystemClock

    print_looks("crm", asyncio.run(look_at(read_settings(config), SystemClock())), as_json)


@crm_app.command("sync")
def crm_sync(
    room: Annotated[str, typer.Argument(metavar="ROOM", help="room id")],
    crm: Annotated[str, typer.Option("--crm", help="name of one [[crm]]; all without")] = "",
    workspace: OneWorkspace = "",
    as_json: Json = False,
    config: ConfigPath = DEFAULT,
) -> None:
    """Have a conversation written again, whatever was written already; needs the running server."""
    _ask("sync", workspace, config, as_json, room=room, crm=crm)


@crm_app.command("erase")
def crm_erase(
    visitor: Annotated[str, typer.Argument(metavar="VISITOR", help="the visitor's id in Rocket.Chat")],
    workspace: OneWorkspace = "",
    as_json: Json = False,
    config: ConfigPath = DEFAULT,
) -> None:
    """Take away what was made for a visitor, in every conversation; needs the running server. Exit 1: there is none."""
    _ask("erase", workspace, config, as_json, visitor=visitor)


def _ask(kind: str, workspace: str, config: Path, as_json: bool, **wish: str) -> None:
    from omnibridge.storage.database import database_path

    settings = read_settings(config)
    known = [each.name for each in settings.workspace]
    if workspace not in known and (workspace or len(known) > 1):
        raise ConfigError(f"--workspace {workspace!r}: there are {', '.join(known)}")
    reply = _exchange(database_path(settings.database_url), kind, workspace or known[0], wish)
    if as_json:
        print_json({"deliveries": list(reply.deliveries), "problem": reply.problem})
    elif reply.problem:
        typer.echo(plain(reply.problem), err=True)
    else:
        typer.echo(f"{len(reply.deliveries)} under way; look with: omnibridge deliveries list --rows ID")
        for each in reply.deliveries:
            typer.echo(f"  {each}")
    raise typer.Exit(0 if reply.deliveries else 1)


def _exchange(path: Path, kind: str, workspace: str, wish: dict[str, str]) -> CrmReply:
    import msgspec

    from omnibridge.bootstrap_records import CrmOrder, CrmReply
    from omnibridge.operator import local_socket

    order = CrmOrder(kind, user_name(), workspace, **wish)
    try:
        answer = local_socket.exchange(local_socket.socket_path(path), "crm", msgspec.json.encode(order))
    except local_socket.NoServer as exc:
        raise ConfigError(f"needs the running server: {exc}") from exc
    return msgspec.json.decode(answer, type=CrmReply)
