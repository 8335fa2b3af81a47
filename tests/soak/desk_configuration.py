"""A bridge whose visitors all go to one desk, with a user for each of its agents."""

from __future__ import annotations

import json
from pathlib import Path

from omnibridge.sandbox.server import RunningSandbox
from tests.integration.identity.conftest import DECLARED, KEYS, RIGHTS


def configuration(sandbox: RunningSandbox, folder: Path, connection: str, log_level: str = "info") -> str:
    """connection: kind and settings of the desk. Writes what the configuration names into the folder."""
    hub, told = sandbox.hub, sandbox.description
    maker = hub.add_user("provisioner", "secret", {"bot", "provisioner"}, "Provisioner")
    for each in RIGHTS:
        hub.rules.permissions[each] |= {"provisioner"}
    maker_token = hub.accounts.issue_access_token(maker, "omnibridge", bypasses_two_factor=True).token
    hub.change_setting("Accounts_CustomFields", json.dumps(DECLARED))
    (folder / "keys").write_text(KEYS, "utf-8")
    (folder / "rules.toml").write_text('default = "bot:sales"\n', "utf-8")
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
[[workspace]]
name = "main"
url = "{sandbox.url}"
user_id = "{told["service_account"]["user_id"]}"
auth_token = "{told["service_account"]["auth_token"]}"
webhook_token = "{told["webhook_token"]}"
provisioner_user_id = "{maker.id}"
provisioner_token = "{maker_token}"
[[connection]]
name = "sales"
rocketchat_user = "bot"
rocketchat_token = "{told["bot_account"]["auth_token"]}"
{connection}
"""
