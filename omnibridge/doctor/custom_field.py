"""The custom field that holds an external agent's id: declared, or its JSON to paste. Source: rocketchat-api 3.1.

Without a declaration Rocket.Chat drops the value silently, and nobody can be found by it.
"""

from __future__ import annotations

import json
from typing import Any

from omnibridge.config_agents import AgentsSettings
from omnibridge.doctor.finding import HUB, Finding, ok, warning
from omnibridge.doctor.view import HubView
from omnibridge.rocketchat.leaves import table_of

SETTING = "Accounts_CustomFields"
WHERE = "Workspace > Settings > Accounts > Registration > Custom Fields"
DECLARATION: dict[str, Any] = {
    "type": "text",
    "required": False,
    "public": False,
    "maxLength": 128,
    "sendToIntegrations": True,
    "modifyRecordField": {"array": True, "field": "importIds"},
}
"""Sent in webhooks, and written to `importIds`, by which a user can be found on every version."""


def check(view: HubView, agents: AgentsSettings) -> Finding | None:
    """Only where users are made, or may be."""
    text = view.setting(SETTING)
    if not (view.settings.provisioner_user_id or agents.creation or agents.pool_size) or not isinstance(text, str):
        return None
    name = agents.custom_field
    try:
        field = table_of(json.loads(text or "{}")).get(name)
    except ValueError:
        found = f"{SETTING} is not JSON, so Rocket.Chat keeps no custom fields at all"
        return warning("custom field", HUB, found, f"{WHERE}: correct it")
    if table_of(field).get("modifyRecordField") == DECLARATION["modifyRecordField"]:
        return ok("custom field", f"{name} is declared")
    found = f"{name} is not declared: who our users are is kept by us alone, and another installation finds nobody"
    do = f"`omnibridge setup` declares it; or paste into {WHERE}: {json.dumps({name: DECLARATION})}"
    return warning("custom field", HUB, found, do)
