"""A bridge whose visitors all go to one desk, with a user for each of its agents."""

from __future__ import annotations

from pathlib import Path

from omnibridge.sandbox.configured import bot_user, workspace
from omnibridge.sandbox.server import RunningSandbox
from tests.integration.identity.conftest import configured_provisioner


def configuration(sandbox: RunningSandbox, folder: Path, connection: str, log_level: str = "info") -> str:
    """connection: kind and settings of the desk. Writes what the configuration names into the folder."""
    (folder / "rules.toml").write_text('default = "bot:sales"\n', "utf-8")
    maker = configured_provisioner(sandbox.hub, folder)
    return f"""
[server]
port = PORT
log_level = "{log_level}"
[database]
url = "sqlite:///soak.db"
[agents]
token_keys_file = "keys"
creation = true
[rules]
file = "rules.toml"
{workspace(sandbox.description)}
{maker}
[[connection]]
name = "sales"
{bot_user(sandbox.description)}
{connection}
"""
