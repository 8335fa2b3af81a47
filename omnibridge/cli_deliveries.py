"""`omnibridge deliveries`: what was sent, what waits, what was given up; and sending again or giving up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import typer

from omnibridge.cli_operator import (
    DEFAULT,
    ConfigPath,
    DatabasePath,
    Json,
    Workspace,
    database_file,
    now_ms,
    open_database,
    print_json,
    user_name,
)
from omnibridge.errors import ConfigError

if TYPE_CHECKING:
    from omnibridge.operator.actions import Order, Outcome
    from omnibridge.storage.reports import Wanted

deliveries_app = typer.Typer(help="What was sent, what waits, what was given up.", no_args_is_help=True)

StateName = Literal["due", "done", "refused", "buried"]
Ids = Annotated[list[int] | None, typer.Argument(metavar="ID", help="as `deliveries list` and `trace` show")]
State = Annotated[StateName | None, typer.Option("--state", help="due, done, refused or buried")]
Room = Annotated[str, typer.Option("--room", metavar="ROOM", help="room id, or our id of the conversation")]
Connection = Annotated[str, typer.Option("--connection", help="name of a connection")]
CommandName = Annotated[str, typer.Option("--command", help="such as SendToVisitor, SendToParty, AssignAgent")]
Code = Annotated[str, typer.Option("--code", help="last error, or why it was given up")]
Since = Annotated[str, typer.Option("--since", help="made since: 30m, 2h, 7d, or a date and time")]
All = Annotated[bool, typer.Option("--all", help="everything that the filters mean")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="only say how many, and of what kind")]
_SHOWN = {"due": "waits"}
AT_ONCE = 500
"""Deliveries per request to the running server."""


@deliveries_app.command("list")
def deliveries_list(
    ids: Ids = None,
    state: State = None,
    buried: Annotated[bool, typer.Option("--buried", help="as --state buried")] = False,
    room: Room = "",
    workspace: Workspace = "",
    connection: Connection = "",
    command: CommandName = "",
    code: Code = "",
    since: Since = "",
    limit: Annotated[int, typer.Option(min=1, help="the newest so many")] = 50,
    rows: Annotated[bool, typer.Option("--rows", help="single rows instead of causes")] = False,
    as_json: Json = False,
    config: ConfigPath = DEFAULT,
    database: DatabasePath = None,
) -> None:
    """Print what was sent, what waits, what was given up; what was given up by cause, unless --rows."""
    from omnibridge.operator import outbox_report
    from omnibridge.operator.text import safe
    from omnibridge.storage import reports

    reader = open_database(config, database)
    chosen = _Choice(
        ids, "buried" if buried and state is None else state, room, workspace, connection, command, code, since
    )
    wanted = chosen.wanted(reader)
    if wanted.state == outbox_report.BURIED and not rows and not ids:
        causes = reports.causes(reader, wanted)
        shown, as_data = outbox_report.cause_lines(causes), outbox_report.cause_data(causes)
    else:
        found = reports.deliveries(reader, wanted, max(limit, len(ids or [])))
        shown, as_data = outbox_report.row_lines(found), outbox_report.row_data(found)
    if as_json:
        print_json({"deliveries": as_data})
        return
    for line in shown:
        typer.echo(safe(line))


@deliveries_app.command("resend")
def deliveries_resend(
    ids: Ids = None,
    state: State = None,
    room: Room = "",
    workspace: Workspace = "",
    connection: Connection = "",
    command: CommandName = "",
    code: Code = "",
    since: Since = "",
    everything: All = False,
    dry_run: DryRun = False,
    as_json: Json = False,
    config: ConfigPath = DEFAULT,
    database: DatabasePath = None,
) -> None:
    """Send again what was given up, in the name of whoever is in control now: by ids, or by filters with --all."""
    chosen = _Choice(ids, state or "buried", room, workspace, connection, command, code, since)
    _change("resend", chosen, everything, dry_run, as_json, database_file(config, database))


@deliveries_app.command("bury")
def deliveries_bury(
    ids: Ids = None,
    room: Room = "",
    workspace: Workspace = "",
    connection: Connection = "",
    command: CommandName = "",
    code: Code = "",
    since: Since = "",
    everything: All = False,
    dry_run: DryRun = False,
    as_json: Json = False,
    config: ConfigPath = DEFAULT,
    database: DatabasePath = None,
) -> None:
    """Give up what waits to be sent: by ids, or by filters with --all. The conversation is told."""
    chosen = _Choice(ids, "due", room, workspace, connection, command, code, since)
    _change("bury", chosen, everything, dry_run, as_json, database_file(config, database))


@dataclass(frozen=True)
class _Choice:
    """Ids, or filters as they were written."""

    ids: list[int] | None
    state: str | None
    room: str
    workspace: str
    connection: str
    command: str
    code: str
    since: str

    def wanted(self, reader: Any) -> Wanted:
        """Raises ConfigError."""
        from omnibridge.operator.reading import find_conversation
        from omnibridge.operator.text import since as moment_of
        from omnibridge.operator.trace import DELIVERY
        from omnibridge.storage.reports import Wanted

        if self.ids:
            return Wanted(tuple(self.ids))
        return Wanted(
            state=next(at for at, name in DELIVERY.items() if name == _SHOWN.get(self.state, self.state))
            if self.state
            else None,
            conversation_id=find_conversation(reader, self.room, self.workspace)[0] if self.room else 0,
            connection=self.connection,
            command=self.command,
            code=self.code,
            since_ms=moment_of(self.since, now_ms()) if self.since else 0,
        )


def _change(kind: str, chosen: _Choice, everything: bool, dry_run: bool, as_json: bool, path: Path) -> None:
    from omnibridge.operator import actions, outbox_report
    from omnibridge.operator.reading import open_reader
    from omnibridge.operator.text import safe
    from omnibridge.storage import reports

    reader = open_reader(path)
    wanted = chosen.wanted(reader)
    named = bool(wanted.ids)
    ids = list(wanted.ids) or reports.ids_of(reader, wanted)
    if dry_run:
        causes = reports.causes(reader, wanted)
        if as_json:
            print_json({"dry_run": True, "count": len(ids), "deliveries": outbox_report.cause_data(causes)})
            return
        typer.echo(f"{len(ids)} would be tried:")
        for line in outbox_report.cause_lines(causes):
            typer.echo(safe(line))
        return
    if not named and not everything:
        raise ConfigError(
            f"{len(ids)} deliveries are meant: give --all to {kind} them, --dry-run to look at them, or single ids"
        )
    reader.close()
    outcomes: list[actions.Outcome] = []
    for start in range(0, len(ids), AT_ONCE):
        order = actions.Order(ids[start : start + AT_ONCE], user_name(), named)
        outcomes += _carry_out(kind, path, order)
    if as_json:
        print_json({"outcomes": msgspec.to_builtins(outcomes)})
    else:
        for line in outbox_report.outcome_lines(kind, outcomes):
            typer.echo(safe(line))
    raise typer.Exit(1 if named and not all(each.done for each in outcomes) else 0)


def _carry_out(kind: str, path: Path, order: Order) -> list[Outcome]:
    """By the running server; without one, directly."""
    from omnibridge.operator import local_socket, offline

    alone = offline.resend if kind == "resend" else offline.bury
    return local_socket.or_directly(
        path, lambda socket: local_socket.call(socket, kind, order), lambda: alone(path, order)
    )
