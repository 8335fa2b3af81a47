"""`omnibridge rasa …`. Imports rasa-sdk only when the action server starts."""

from __future__ import annotations

import ipaddress
import json
from typing import Annotated

import typer

from omnibridge.connector import ConfigError

app = typer.Typer(help="What comes with the Rasa connector.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps `actions` a command of its own while it is the only one."""


@app.command()
def actions(
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one")] = 5055,
    actions_module: Annotated[str, typer.Option(help="your actions, as a dotted name, such as actions.actions")] = "",
    user: Annotated[str, typer.Option(envvar="RASA_ACTIONS_USER", help="basic auth")] = "",
    password: Annotated[str, typer.Option(envvar="RASA_ACTIONS_PASSWORD", help="better from the environment")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Serve actions to a Rasa server: yours, and ours for handover, close and custom fields."""
    if bool(user) != bool(password):
        raise ConfigError("basic auth needs both --user and --password (RASA_ACTIONS_USER, RASA_ACTIONS_PASSWORD)")
    if not user and not _is_loopback(host):
        raise ConfigError(
            f"{host} can be reached from outside: set RASA_ACTIONS_USER and RASA_ACTIONS_PASSWORD, and the same as"
            " basic_auth of action_endpoint in Rasa's endpoints.yml"
        )
    try:
        from connectors.rasa.action_server import load_executor, serve
    except ImportError as exc:
        raise ConfigError(f"the action server needs rasa-sdk ({exc}): pip install 'omnibridge[rasa]'") from exc
    executor = load_executor(actions_module)

    def tell(url: str) -> None:
        names = sorted(executor.actions)
        line = json.dumps({"url": url, "actions": names}) if as_json else f"Actions at {url}: {', '.join(names)}"
        print(line, flush=True)

    serve(executor, host, port, (user, password) if user else None, tell)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
