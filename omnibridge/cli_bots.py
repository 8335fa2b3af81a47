"""`omnibridge bots`: who may speak as the bot of a connection of kind bot_api, over the bot API."""

from __future__ import annotations

import asyncio
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

KIND = "bot_api"
HELP = "messages, commands, interactions, edits, files"

bots_app = typer.Typer(help="Bots of the bot API: their tokens and queues.", no_args_is_help=True)
Capabilities = Annotated[
    list[str] | None, typer.Option("--capability", metavar="NAME", help=f"one of {HELP}; repeatable; without: all")
]
Connection = Annotated[str, typer.Argument(metavar="CONNECTION", help='a [[connection]] of kind = "bot_api"')]


@bots_app.command("create")
def bots_create(
    connection: Connection, capability: Capabilities = None, as_json: Json = False, config: ConfigPath = DEFAULT
) -> None:
    """Register the bot of a connection and print its token, this once: only a hash of it is kept."""
    from omnibridge.storage.bots import Bot, new_token
    from omnibridge.storage.database import database_path

    settings = read_settings(config)
    known = [each.name for each in settings.connection if each.kind == KIND]
    if connection not in known:
        there = ", ".join(known) or "none"
        raise ConfigError(f'{plain(connection)}: is no [[connection]] of kind = "{KIND}"; there are: {there}')
    bot_id, token, digest = new_token()
    bot = Bot(connection, bot_id, now_ms(), user_name(), capabilities=_capabilities(capability or []))
    if not _carry_out(database_path(settings.database_url), "create", bot, digest):
        raise ConfigError(f"{connection}: has a bot already; `omnibridge bots rotate {connection}` gives another token")
    print_token(token, _shown(bot, 0), as_json)


@bots_app.command("allow")
def bots_allow(
    connection: Connection,
    capability: Annotated[list[str] | None, typer.Argument(metavar="CAPABILITY...", help=HELP)] = None,
    as_json: Json = False,
    config: ConfigPath = DEFAULT,
    database: DatabasePath = None,
) -> None:
    """Let a bot have these capabilities and no others; without any, all of them."""
    from omnibridge.storage.bots import Bot

    order = Bot(connection, 0, 0, "", capabilities=_capabilities(capability or []))
    _change("allow", "allowed", order, as_json, database_file(config, database))


@bots_app.command("set-webhook")
def bots_set_webhook(
    connection: Connection,
    url: Annotated[str, typer.Argument(metavar="URL", help='called with each update; "" = the bot polls')],
    interaction_url: Annotated[str, typer.Option("--interaction-url", help="for callback queries alone")] = "",
    certificate: Annotated[
        Path | None, typer.Option("--certificate", help="PEM file: the only certificate trusted at that address")
    ] = None,
    as_json: Json = False,
    config: ConfigPath = DEFAULT,
) -> None:
    """Set, in place of a bot, where it is called; a secret token that the bot had set goes."""
    from omnibridge.botapi.errors import MethodError
    from omnibridge.botapi.webhook_url import check_url
    from omnibridge.botapi.webhooks import check_certificate
    from omnibridge.storage.bots import Bot
    from omnibridge.storage.database import database_path

    settings = read_settings(config)
    options = next(
        (each.options for each in settings.connection if each.name == connection and each.kind == KIND), None
    )
    if options is None:
        raise ConfigError(f'{plain(connection)}: is no [[connection]] of kind = "{KIND}"')
    try:
        pem = certificate.read_text("utf-8") if certificate else ""
        if pem:
            check_certificate(pem)
        for each in filter(None, (url, interaction_url)):
            asyncio.run(check_url(each, allow_private=bool(options.get("allow_private", False))))
    except MethodError as exc:
        raise ConfigError(exc.description.removeprefix("Bad Request: bad webhook: ")) from None
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"--certificate: cannot be read ({type(exc).__name__})") from None
    order = Bot(connection, 0, 0, "", webhook_url=url, interaction_url=interaction_url, webhook_certificate=pem)
    _change("set-webhook", "set", order, as_json, database_path(settings.database_url))


@bots_app.command("retry")
def bots_retry(
    connection: Connection, as_json: Json = False, config: ConfigPath = DEFAULT, database: DatabasePath = None
) -> None:
    """Deliver again what was given up, in its old order; exit 1 when there is nothing."""
    _change("retry", "retried", _named(connection), as_json, database_file(config, database))


@bots_app.command("rotate")
def bots_rotate(
    connection: Connection, as_json: Json = False, config: ConfigPath = DEFAULT, database: DatabasePath = None
) -> None:
    """Make another token and print it, this once; the old one is refused from now on."""
    from omnibridge.storage import bots

    found = bots.load(open_database(config, database), connection)
    if found is None or found.revoked_at is not None:
        raise ConfigError(f"{plain(connection)}: has no bot in force; `omnibridge bots create` makes one")
    _, token, digest = bots.new_token(found.bot_id)
    if not _carry_out(database_file(config, database), "rotate", found, digest):
        raise ConfigError(f"{plain(connection)}: was revoked meanwhile")
    print_token(token, _shown(found, 0), as_json)


@bots_app.command("list")
def bots_list(as_json: Json = False, config: ConfigPath = DEFAULT, database: DatabasePath = None) -> None:
    """Print every bot, how it gets its updates, and how many wait."""
    from omnibridge.storage import bot_updates, bots

    reader = open_database(config, database)
    found = [
        (each, bot_updates.n_waiting(reader, each.connection), bot_updates.n_given_up(reader, each.connection))
        for each in bots.listed(reader)
    ]
    if as_json:
        print_json({"bots": [_shown(each, waiting, given_up) for each, waiting, given_up in found]})
        return
    for each, waiting, given_up in found:
        made = datetime.fromtimestamp(each.created_at / 1000).strftime("%Y-%m-%d %H:%M")
        state = "revoked" if each.revoked_at else "paused" if each.paused else "in force"
        how = "webhook" if each.webhook_url else "polls"
        error = f"; {given_up} given up" if given_up else ""
        error += f"; last error: {each.last_error}" if each.last_error else ""
        if each.capabilities:
            how += f" ({', '.join(msgspec.json.decode(each.capabilities))} only)"
        typer.echo(plain(f"{each.connection}  {state:<8}  {each.bot_id}: {how}, {waiting} wait; {made}{error}"))


@bots_app.command("revoke")
def bots_revoke(
    connection: Connection, as_json: Json = False, config: ConfigPath = DEFAULT, database: DatabasePath = None
) -> None:
    """Refuse a bot's token and call its webhook no more; exit 1 when none is in force."""
    _change("revoke", "revoked", _named(connection), as_json, database_file(config, database))


@bots_app.command("pause")
def bots_pause(
    connection: Connection, as_json: Json = False, config: ConfigPath = DEFAULT, database: DatabasePath = None
) -> None:
    """Keep a bot's updates back, in their order, until `resume`; exit 1 when that is so already."""
    _change("pause", "paused", _named(connection), as_json, database_file(config, database))


@bots_app.command("resume")
def bots_resume(
    connection: Connection, as_json: Json = False, config: ConfigPath = DEFAULT, database: DatabasePath = None
) -> None:
    """Let a bot's updates go again; exit 1 when they do."""
    _change("resume", "resumed", _named(connection), as_json, database_file(config, database))


def _named(connection: str) -> Any:
    from omnibridge.storage.bots import Bot

    return Bot(connection, 0, 0, "")


def _capabilities(given: list[str]) -> str:
    """As stored; '' = all. Raises ConfigError."""
    from omnibridge.storage.bots import CAPABILITIES

    if unknown := sorted({*given} - {*CAPABILITIES}):
        raise ConfigError(f"{plain(', '.join(unknown))}: no capability; there are {', '.join(CAPABILITIES)}")
    return msgspec.json.encode(sorted({*given})).decode() if given else ""


def _change(kind: Any, word: str, bot: Any, as_json: bool, path: Path) -> None:
    done = _carry_out(path, kind, bot)
    if as_json:
        print_json({word: done})
    else:
        typer.echo(plain(f"{bot.connection}: {word if done else 'nothing to be done'}"))
    raise typer.Exit(0 if done else 1)


def _carry_out(path: Path, kind: Any, bot: Any, digest: bytes = b"") -> bool:
    """By the running server; without one, directly."""
    from omnibridge.botapi import orders
    from omnibridge.operator import local_socket

    order = orders.BotOrder(kind, bot, digest)

    def ask(socket: Path) -> bool:
        return bool(msgspec.json.decode(local_socket.exchange(socket, "bots", msgspec.json.encode(order)))["done"])

    return local_socket.or_directly(path, ask, lambda: orders.without_server(path, order, now_ms()))


def _shown(bot: Any, waiting: int, given_up: int = 0) -> dict[str, Any]:
    found = {**msgspec.to_builtins(bot), "waiting": waiting, "given_up": given_up}
    for name in ("webhook_secret", "webhook_certificate"):
        found[name] = bool(found[name])
    return found
