"""`omnibridge import-app-settings`: for teams that had Rocket.Chat's own Salesforce Live Agent app."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from connectors.salesforce_live_agent.app_settings import imported
from omnibridge.connector import ConfigError

app = typer.Typer(help="Read settings of the Salesforce Live Agent app; print the [[connection]] that they make.")


@app.callback(invoke_without_command=True, context_settings={"allow_interspersed_args": True})
def import_app_settings(
    file: Annotated[Path, typer.Argument(help="JSON, as /api/apps/ID/settings answers to an administrator")],
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Read settings of the Salesforce Live Agent app; print the [[connection]] that they make."""
    try:
        given = file.read_bytes()
    except OSError as exc:
        raise ConfigError(f"{file} cannot be read: {exc.strerror}") from None
    found = imported(given)
    if as_json:
        rows = [{"setting": name, "why": why} for name, why in found.not_taken]
        typer.echo(json.dumps({"toml": found.toml, "not_taken": rows}))
    else:
        typer.echo(found.toml, nl=False)
