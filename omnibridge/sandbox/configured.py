"""What a bridge's configuration says of the simulated hub, as TOML. told: what the sandbox prints."""

from __future__ import annotations

from typing import Any


def workspace(told: dict[str, Any], name: str = "main") -> str:
    """What every bridge has in it; more lines of it may follow."""
    relay = told["service_account"]
    return f"""[[workspace]]
name = "{name}"
url = "{told["url"]}"
user_id = "{relay["user_id"]}"
auth_token = "{relay["auth_token"]}"
webhook_token = "{told["webhook_token"]}\""""


def bot_user(told: dict[str, Any]) -> str:
    """Who speaks for a connection."""
    bot = told["bot_account"]
    return f'rocketchat_user = "{bot["username"]}"\nrocketchat_token = "{bot["auth_token"]}"'
