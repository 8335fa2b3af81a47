"""The commented sample file and the settings table of README, both made from the settings themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from omnibridge.config import SECTIONS
from omnibridge.config_reader import fields_of

EXAMPLES = {
    ("workspace", "name"): '"main"',
    ("workspace", "url"): '"https://chat.example.com"',
    ("workspace", "user_id"): '"rocketchat-user-id"',
    ("workspace", "auth_token"): '"personal-access-token"',
    ("workspace", "webhook_token"): '"a-long-random-secret"',
    ("connection", "name"): '"assistant"',
    ("connection", "kind"): '"rasa"',
    ("connection", "rocketchat_user"): '"assistant.bot"',
    ("connection", "rocketchat_token"): '"personal-access-token-of-that-user"',
    ("rules", "file"): '"rules.toml"',
}
"""Values for what has no default. The kind named here is an example; any installed one will do."""


def sample() -> str:
    """A whole omnibridge.toml: required keys filled with examples, everything else commented with its default."""
    lines = [
        "# omnibridge.toml. Every key can also be set from the environment, which wins:",
        "# OMNIBRIDGE_SERVER__PORT, OMNIBRIDGE_WORKSPACE__MAIN__AUTH_TOKEN (name in capitals, - as _).",
        "# Secrets can be kept in files: auth_token_file instead of auth_token.",
    ]
    for section, (model, header) in SECTIONS.items():
        lines += ["", f"# {(model.__doc__ or '').splitlines()[0]}", header]
        for key, field in fields_of(section).items():
            lines.append(f"# {field.description}")
            example = EXAMPLES.get((section, key))
            if field.is_required():
                lines.append(f"{key} = {example}")
            else:
                lines.append(f"#{key} = {example or _toml(field.default)}")
        if section == "connection":
            lines += ["# Settings of the connector follow; its README lists them.", 'url = "http://127.0.0.1:5005"']
    return "\n".join(lines) + "\n"


def settings_table() -> str:
    """Markdown table of every key."""
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for section, (_, header) in SECTIONS.items():
        for key, field in fields_of(section).items():
            secret = " (secret; also `" + key + "_file`)" if field.annotation is SecretStr else ""
            default = "required" if field.is_required() else f"`{_toml(field.default)}`"
            rows.append(f"| `{header} {key}` | {default} | {field.description}{secret} |")
    return "\n".join(rows)


def _toml(value: Any) -> str:
    if value is None or value is PydanticUndefined:
        return '""'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_toml(each) for each in value) + "]"
    if isinstance(value, str | Path):
        return f'"{value}"'
    return str(value)
