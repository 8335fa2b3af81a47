"""The bridge's configuration in the story: two bots, each with a desk of its own, one CRM, users for agents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

DEPARTMENT = "Sales"
"""Its conversations go to the bot that hands to Messaging, all others to the one that hands to Live Agent."""

MAPPING = (Path(__file__).parent / "mapping.toml").read_text("utf-8")


def rules(department: str) -> str:
    """department: id of DEPARTMENT."""
    return f"""
default = "bot:concierge"

[[rule]]
name = "sales has Messaging"
when = {{ department = "{department}" }}
target = "bot:assistant"
"""


def configuration(told: dict[str, Any], users: dict[str, dict[str, str]], workspace: str) -> str:
    """told: as the sandbox prints it. users: by connection, {username, auth_token}. workspace: its table."""
    router = told["router_url"]
    bot = told["webhook_bot_connection"]
    live_agent = told["salesforce_live_agent_url"]
    return f"""
[server]
port = 0
[database]
url = "sqlite:///demo.db"
[rules]
file = "rules.toml"

[agents]
creation = true
token_keys_file = "agent_keys"
avatar_hosts = ["{router.removeprefix("http://").rstrip("/")}"]

{workspace}

[[connection]]
name = "assistant"
kind = "webhook_bot"
{bot}
welcome = "/greet"
hands_to = "messaging"
{_user(users["assistant"])}

[[connection]]
name = "concierge"
kind = "webhook_bot"
{bot}
welcome = "/greet"
hands_to = "live-agent"
{_user(users["concierge"])}

[[connection]]
name = "messaging"
kind = "salesforce_messaging"
{told["salesforce_messaging_connection"]}
facts = ["workspace", "room", "department", "visitor_name", "visitor_email"]
routing_attributes = {{ Room_Id = "room", Visitor_Name = "visitor_name", Reason = "reason" }}
upload_files = true
on_declined = "bot"
on_left = "bot"
{_user(users["messaging"])}

[[connection]]
name = "live-agent"
kind = "salesforce_live_agent"
endpoint = "{live_agent}/chat/rest/"
{_without_url(told["salesforce_live_agent_connection"])}
facts = ["workspace", "room", "department", "visitor_name", "visitor_email"]
details = [
    {{ label = "Room", fact = "room", transcript_fields = ["Rocket_Room__c"] }},
    {{ label = "E-mail", fact = "visitor_email" }},
]
entities = [
    {{ name = "Contact", save_to_transcript = "ContactId", show_on_create = true, fields = [
        {{ field = "Email", label = "E-mail", find = true, exact = true, create = true }},
    ] }},
]
on_declined = "bot"
on_left = "bot"
{_user(users["live_agent"])}

[[crm]]
name = "shop"
kind = "salesforce_crm"
{told["salesforce_crm_connection"]}
mapping_file = "crm.toml"
link_field = "crm_link"
"""


def _user(user: dict[str, str]) -> str:
    return f'rocketchat_user = "{user["username"]}"\nrocketchat_token = "{user["auth_token"]}"'


def _without_url(connection: str) -> str:
    return "\n".join(line for line in connection.splitlines() if not line.startswith("url = "))
