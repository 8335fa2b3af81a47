"""Commands that look into the database of a service, running or not: trace, replay."""

from __future__ import annotations

import json
import os
import pwd
import time
import unicodedata
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from omnibridge.errors import ConfigError

if TYPE_CHECKING:
    from omnibridge.config import Settings
    from omnibridge.operator.trace import Item

ConfigPath = Annotated[Path, typer.Option("--config", envvar="OMNIBRIDGE_CONFIG", help="configuration file")]
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
OneWorkspace = Annotated[str, typer.Option("--workspace", help="may be left out when there is one")]
Workspace = Annotated[str, typer.Option("--workspace", help="when several have such a room")]
DatabasePath = Annotated[
    Path | None, typer.Option("--database", help="database file, instead of the configuration's: a copy, for example")
]
DEFAULT = Path("omnibridge.toml")
INDENT = {"observation": "", "event": "  ", "control": "    ", "delivery": "    ", "record": "    "}
WIDTH = 160


def trace(
    room: Annotated[str, typer.Argument(help="room id, number of a conversation, or a field: room.NAME=VALUE")],
    config: ConfigPath = DEFAULT,
    workspace: Workspace = "",
    full: Annotated[bool, typer.Option("--full", help="do not cut long lines")] = False,
    as_json: Json = False,
) -> None:
    """Print the time line of a conversation: what came, what was decided and why, what left."""
    from omnibridge.operator.reading import find_conversation
    from omnibridge.operator.trace import time_line

    reader = open_database(config, None)
    found = find_conversation(reader, room, workspace)
    items = time_line(reader, *found)
    if as_json:
        typer.echo(msgspec.json.encode(items))
        return
    typer.echo(f"conversation {found[0]}, workspace {found[1]}, room {plain(found[2])}")
    for item in items:
        for shown in lines_of(item):
            typer.echo(shown if full or len(shown) <= WIDTH else shown[: WIDTH - 1] + "…")


def lines_of(item: Item) -> list[str]:
    """As they are printed; nothing in them controls a terminal."""
    at, indent = datetime.fromtimestamp(item.at / 1000).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3], INDENT[item.kind]
    lines = [f"{at}  {indent}{item.kind:<11} {item.text}"]
    return [plain(each) for each in [*lines, *(f"{'':25}{indent}{'':11} {each}" for each in item.detail)]]


def replay(
    config: ConfigPath = DEFAULT,
    everything: Annotated[bool, typer.Option("--all", help="all conversations")] = False,
    room: Annotated[str, typer.Option("--room", help="one conversation: its room, or its number")] = "",
    workspace: Workspace = "",
    since: Annotated[
        datetime | None, typer.Option("--since", help="only decisions made since then, local time")
    ] = None,
    flip: Annotated[list[str] | None, typer.Option("--flip", help="FACT=VALUE: what if it had been so")] = None,
    event: Annotated[int, typer.Option("--event", help="flip in this event only; trace --json names them")] = 0,
    as_json: Json = False,
) -> None:
    """Make recorded decisions again from what was recorded, and compare; exit 1 when one comes out otherwise."""
    from omnibridge.operator.reading import find_conversation
    from omnibridge.operator.replay import Replay

    if everything == bool(room):
        raise ConfigError("say what to replay: --all, or --room ROOM")
    reader = open_database(config, None)
    flips = dict(_flip(each) for each in flip or [])
    conversation = find_conversation(reader, room, workspace)[0] if room else None
    since_ms = int(since.timestamp() * 1000) if since else 0
    report = Replay(reader, flips, event or None).run(conversation, since_ms)
    if as_json:
        typer.echo(msgspec.json.encode(report))
        raise typer.Exit(0 if report.is_clean else 1)
    for each in report.differences:
        typer.echo(plain(f"event {each.event_id} in {each.room}, {each.kind}: {each.recorded} -> {each.now}"))
        for name, (was, is_now) in each.facts.items():
            typer.echo(plain(f"  fact {name}: {was!r} -> {is_now!r}"))
        if each.parts:
            typer.echo(f"  differs in: {', '.join(each.parts)}")
    counts = {name: getattr(report, name) for name in report.__struct_fields__ if name != "differences"}
    typer.echo(", ".join(f"{name} = {value}" for name, value in counts.items()))
    raise typer.Exit(0 if report.is_clean else 1)


def plain(text: str) -> str:
    """Without what a terminal would obey: visitors choose names and words."""
    return "".join(" " if unicodedata.category(each) in ("Cc", "Cf", "Zl", "Zp", "Cs") else each for each in text)


def _flip(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ConfigError(f"--flip {text!r}: write FACT=VALUE, as in --flip department=sales")
    try:
        return name, msgspec.json.decode(value)
    except msgspec.DecodeError:
        return name, value


def read_settings(config: Path) -> Settings:
    """Raises ConfigError."""
    from omnibridge.config_reader import load

    return load(config, os.environ)


def database_file(config: Path, database: Path | None) -> Path:
    """That of the configuration, unless another is named. Raises ConfigError."""
    from omnibridge.storage.database import database_path

    return database or database_path(read_settings(config).database_url)


def open_database(config: Path, database: Path | None) -> Any:
    """To read only. Raises ConfigError."""
    from omnibridge.operator.reading import open_reader

    return open_reader(database_file(config, database))


def print_json(value: object) -> None:
    """ASCII only: JSON leaves some characters unescaped that a terminal obeys."""
    typer.echo(json.dumps(value, ensure_ascii=True))


def print_token(token: str, told: dict[str, Any], as_json: bool) -> None:
    """This once. told: whose it is."""
    if as_json:
        print_json({"token": token, **told})
        return
    typer.echo(token)
    typer.echo("Keep it now: it is not shown again.", err=True)


def print_looks(kind: str, found: list[dict[str, Any]], as_json: bool) -> None:
    """What every [[kind]] said to a look; exit 1 when one does not answer."""
    if as_json:
        print_json({f"{kind}s": found})
    else:
        for each in found:
            typer.echo(plain(f"{each[kind]}: {each['text']}"))
        if not found:
            typer.echo(f"there is no [[{kind}]]")
    raise typer.Exit(0 if all(each["ok"] for each in found) else 1)


def user_name() -> str:
    """Of whoever gives the command, for the audit."""
    return pwd.getpwuid(os.getuid()).pw_name


def now_ms() -> int:
    """Milliseconds since the epoch, UTC."""
    return time.time_ns() // 1_000_000
