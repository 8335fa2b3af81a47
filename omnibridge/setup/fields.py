"""The custom field that holds an external agent's id, declared beside the others. Source: rocketchat-api 3.1."""

from __future__ import annotations

import json
from typing import Any

from omnibridge.doctor.custom_field import DECLARATION, SETTING, WHERE
from omnibridge.doctor.finding import HUB, Finding, ok, problem
from omnibridge.rocketchat.leaves import table_of
from omnibridge.setup.admin import SetupFailed
from omnibridge.setup.look import Seen
from omnibridge.setup.step import Step, Work
from omnibridge.setup.wish import Wish

FIXED = ("required", "sendToIntegrations", "modifyRecordField")
"""What must be so; the rest of a field that is declared already is left as it is."""

NEEDS = {"edit-privileged-setting": "declares the custom field"}


def merged(text: str, name: str) -> str:
    """The setting with our field in it; the same text when nothing is missing. Raises ValueError."""
    try:
        fields = json.loads(text) if text.strip() else {}
    except ValueError as exc:
        raise ValueError("is not JSON, so Rocket.Chat keeps no custom fields at all") from exc
    if not isinstance(fields, dict):
        raise ValueError("is not a JSON object")
    found = fields.get(name)
    if found is None:
        return json.dumps({**fields, name: DECLARATION}, indent=2)
    if table_of(found).get("modifyRecordField") not in (None, DECLARATION["modifyRecordField"]):
        raise ValueError(f"{name} is declared for something else: its modifyRecordField is not importIds")
    wanted = {**table_of(found), **{key: DECLARATION[key] for key in FIXED}}
    return text if wanted == found else json.dumps({**fields, name: wanted}, indent=2)


def check(wish: Wish, seen: Seen) -> Finding | None:
    """None when the setting cannot be read: the permission is named elsewhere."""
    text, name = _text(seen), wish.agents.custom_field
    if text is None:
        return None
    try:
        is_there = merged(text, name) == text
    except ValueError as exc:
        do = f"{WHERE}: correct it; or [agents] custom_field: another name"
        return problem("custom field", HUB, f"{SETTING} {exc}", do)
    return ok("custom field", f"{name} is {'declared' if is_there else 'not declared yet'}")


def steps(wish: Wish, seen: Seen) -> list[Step]:
    text, name = _text(seen), wish.agents.custom_field
    try:
        if text is None or merged(text, name) == text:
            return []
    except ValueError:
        return []  # said by `check`
    said = f"declare the custom field {name}, beside those that are there (sent to integrations, kept in importIds)"
    return [Step("custom field", said, NEEDS, _declare(name))]


def _declare(name: str) -> Any:
    async def do(work: Work) -> None:
        value = (await work.admin.get(f"settings/{SETTING}")).get("value")  # anew: others may have changed it
        before = value if isinstance(value, str) else ""
        try:
            after = merged(before, name)
        except ValueError as exc:
            raise SetupFailed(f"{SETTING} {exc}") from exc
        change = work.record.begin("field", name, {"text": before}, {"text": after})
        await work.admin.post(f"settings/{SETTING}", {"value": after}, *NEEDS)
        work.record.done(change)

    return do


def without(text: str, name: str, before: str, after: str) -> str:
    """The setting as it was before; when others changed it since, only our field is put back. Raises ValueError."""
    if text == after:
        return before
    fields, old = json.loads(text or "{}"), json.loads(before or "{}")
    if name in old:
        fields[name] = old[name]
    else:
        fields.pop(name, None)
    return json.dumps(fields, indent=2) if fields else ""


def _text(seen: Seen) -> str | None:
    value = seen.setting(SETTING)
    return value if isinstance(value, str) else None
