"""Custom fields of users: only what `Accounts_CustomFields` declares is kept. Source: rocketchat-api 3.1.

The errors were read in the server's `validateCustomFields`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from omnibridge.sandbox.accounts import Accounts
from omnibridge.sandbox.state import HubError, User


def declared(setting: Any) -> dict[str, dict[str, Any]]:
    """The setting, decoded; nothing when it is empty. Raises HubError."""
    if not str(setting or "").strip():
        return {}
    try:
        return msgspec.json.decode(str(setting), type=dict[str, dict[str, Any]])
    except msgspec.MsgspecError as exc:
        raise HubError("error-invalid-customfield-json", "Invalid JSON for Custom Fields") from exc


def validate(fields: Mapping[str, Any], declaration: Mapping[str, dict[str, Any]]) -> None:
    """With nothing declared everything is valid (and nothing is kept). Raises HubError."""
    for name, field in declaration.items():
        value = str(fields.get(name) or "").strip()
        wrong = ""
        if field.get("required") and not value:
            wrong = f"Field {name} is required"
        elif field.get("type") == "select" and fields.get(name) not in field.get("options", []):
            wrong = f"Value for field {name} is invalid"
        elif field.get("maxLength") and len(value) > field["maxLength"]:
            wrong = f"Max length of field {name} {field['maxLength']}"
        elif field.get("minLength") and 0 < len(value) < field["minLength"]:
            wrong = f"Min length of field {name} {field['minLength']}"
        if wrong:
            raise HubError("error-user-registration-custom-field", wrong)


def save(accounts: Accounts, user: User, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Merge what is declared, and write it to other fields where the declaration says so; returns what was kept.

    `modifyRecordField` with `array` adds to the set and never takes an old value out.
    """
    declaration = accounts.rules.user_fields
    kept = {key: value for key, value in fields.items() if key in declaration}
    user.custom_fields |= kept
    for key, value in kept.items():
        target = declaration[key].get("modifyRecordField") or {}
        if target.get("field") == "importIds" and target.get("array"):
            accounts.add_import_id(user, str(value))
        elif target.get("field") in ("bio", "nickname") and not target.get("array"):
            user.texts[target["field"]] = str(value)
    return kept
