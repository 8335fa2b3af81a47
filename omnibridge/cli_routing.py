"""`omnibridge routing`: other systems' routing. Whether they answer, and what was decided for their work, and why."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omnibridge.cli_operator import (
    DEFAULT,
    ConfigPath,
    Json,
    open_database,
    plain,
    print_json,
    print_looks,
    read_settings,
)

if TYPE_CHECKING:
    from omnibridge.storage.routing import WorkRow

routing_app = typer.Typer(help="Other systems' routing: work that we hand out there.", no_args_is_help=True)


@routing_app.command("test")
def routing_test(as_json: Json = False, config: ConfigPath = DEFAULT) -> None:
    """Log in to every [[router]] and ask what it still allows; exit 1 when one does not answer."""
    from omnibridge.bootstrap_routing import look_at_routers
    from omnibridge.clock import SystemClock

    print_looks("router", asyncio.run(look_at_routers(read_settings(config), SystemClock())), as_json)


@routing_app.command("list")
def routing_list(
    work: Annotated[str, typer.Option("--work", help="one piece of work, with everybody who was looked at")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="of decisions, the newest first")] = 100,
    as_json: Json = False,
    config: ConfigPath = DEFAULT,
) -> None:
    """Print what was decided for work that waits in a [[router]]; exit 1 when there is nothing of --work."""
    from omnibridge.storage.routing import listed_work

    rows = [_shown(each) for each in listed_work(open_database(config, None), work, limit)]
    if as_json:
        print_json({"decisions": rows})
    for each in [] if as_json else rows:
        for line in _lines(each, is_full=bool(work)):
            typer.echo(plain(line))
    raise typer.Exit(1 if work and not rows else 0)


def _shown(row: WorkRow) -> dict[str, Any]:
    import msgspec

    decision = msgspec.json.decode(row.decision)
    return {
        "at": row.at,
        "router": row.router,
        "work": row.work,
        "serial": row.serial,
        "stage": row.stage,
        "agent": row.agent,
        "push": row.push,
        "refused": msgspec.json.decode(row.refused),
        "by": decision["by"],
        "reason": decision["reason"],
        "facts": decision.get("work", {}),
        "candidates": decision.get("candidates", []),
    }


def _lines(each: dict[str, Any], *, is_full: bool) -> list[str]:
    at = datetime.fromtimestamp(each["at"] / 1000).strftime("%Y-%m-%d %H:%M:%S")
    who = f"{each['agent']}: " if each["agent"] else ""
    lines = [f"{at}  {each['router']}  {each['work']}/{each['serial']}  {each['stage']}  {who}{each['reason']}"]
    if is_full:
        lines.append(f"  by {each['by']}; " + ", ".join(f"{key} {value}" for key, value in each["facts"].items()))
        for one in each["candidates"]:
            mark, name = "+" if one["is_taken"] else "-", one.get("name") or one["agent"]
            idle = f", idle for {one['idle_s']} s" if one.get("idle_s", -1) >= 0 else ""
            lines.append(
                f"  {mark} {name} ({one['agent']}): {one['why']}; load {one.get('load', 0):g}, "
                f"free {one.get('free', 0):g}{idle}"
            )
    return lines
