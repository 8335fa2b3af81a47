"""`omnibridge tokens`: who may push decisions over the API."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from omnibridge.cli_operator import (
    DEFAULT,
    ConfigPath,
    DatabasePath,
    Json,
    OneWorkspace,
    database_file,
    now_ms,
    open_database,
    plain,
    print_json,
    print_token,
    read_settings,
    user_name,
)
from omnibridge.errors import ConfigError

tokens_app = typer.Typer(help="Tokens of external systems for /api/v1.", no_args_is_help=True)


@tokens_app.command("create")
def tokens_create(
    name: Annotated[str, typer.Argument(help="who uses it, as decisions and the audit name him")],
    system: Annotated[str, typer.Option("--system", help="external system whose agents it may name")],
    scope: Annotated[
        list[str] | None, typer.Option("--scope", help="assign, read, presence, interact, assist; several times")
    ] = None,
    workspace: OneWorkspace = "",
    as_json: Json = False,
    config: ConfigPath = DEFAULT,
) -> None:
    """Make a token and print it, this once: only a hash of it is kept."""
    from omnibridge.operator.tokens import TokenOrder
    from omnibridge.storage.api_tokens import SCOPES, ApiToken, new_token
    from omnibridge.storage.database import database_path

    settings = read_settings(config)
    known = [each.name for each in settings.workspace]
    scopes = scope or ["assign", "read"]
    problems = [f"--scope {each}: there are {', '.join(SCOPES)}" for each in scopes if each not in SCOPES]
    problems += [
        f"{what} {value!r}: lower-case letters, digits and -, 32 at most"
        for what, value in (("NAME", name), ("--system", system))
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,31}", value)
    ]
    if workspace not in known and (workspace or len(known) > 1):
        problems.append(f"--workspace {workspace!r}: there are {', '.join(known)}")
    if problems:
        raise ConfigError(problems)
    identity, secret, digest = new_token()
    token = ApiToken(
        identity, name, " ".join(dict.fromkeys(scopes)), workspace or known[0], system, now_ms(), user_name()
    )
    _carry_out(database_path(settings.database_url), TokenOrder("add", token, digest))
    print_token(secret, _shown(token), as_json)


@tokens_app.command("list")
def tokens_list(as_json: Json = False, config: ConfigPath = DEFAULT, database: DatabasePath = None) -> None:
    """Print every token, without its secret part."""
    from omnibridge.storage import api_tokens

    found = api_tokens.listed(open_database(config, database))
    if as_json:
        print_json({"tokens": [_shown(each) for each in found]})
        return
    for each in found:
        made = datetime.fromtimestamp(each.created_at / 1000).strftime("%Y-%m-%d %H:%M")
        state = "revoked" if each.revoked_at else "in force"
        typer.echo(plain(f"{each.id}  {state:<8}  {each.name}: {each.scopes}; {each.workspace}, {each.system}; {made}"))


@tokens_app.command("revoke")
def tokens_revoke(
    identity: Annotated[str, typer.Argument(metavar="ID", help="as `tokens list` shows it")],
    as_json: Json = False,
    config: ConfigPath = DEFAULT,
    database: DatabasePath = None,
) -> None:
    """Refuse a token from now on; exit 1 when none of this id is in force."""
    from omnibridge.operator.tokens import TokenOrder
    from omnibridge.storage.api_tokens import ApiToken

    order = TokenOrder("revoke", ApiToken(identity, "", "", "", "", 0, user_name()))
    done = _carry_out(database_file(config, database), order)
    if as_json:
        print_json({"revoked": done})
    else:
        typer.echo(plain(f"{identity}: {'revoked' if done else 'no token of this id is in force'}"))
    raise typer.Exit(0 if done else 1)


def _carry_out(path: Path, order: Any) -> bool:
    """By the running server; without one, directly."""
    from omnibridge.operator import local_socket, tokens

    def ask(socket: Path) -> bool:
        return local_socket.send(socket, "tokens/change", msgspec.json.encode(order))[0].done

    return local_socket.or_directly(path, ask, lambda: tokens.without_server(path, order, now_ms()))


def _shown(token: Any) -> dict[str, Any]:
    return dict(msgspec.to_builtins(token))
