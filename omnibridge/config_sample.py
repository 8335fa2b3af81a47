"""The commented sample file and the settings table of deploy/SETTINGS.md, both made from the settings themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from omnibridge.config import SECTIONS
from omnibridge.config_values import Secret

EXAMPLES = {
    ("workspace", "name"): '"main"',
    ("workspace", "url"): '"https://chat.example.com"',
    ("workspace", "user_id"): '"rocketchat-user-id"',
    ("workspace", "auth_token"): '"personal-access-token"',
    ("workspace", "webhook_token"): '"a-long-random-secret"',
    ("connection", "name"): '"assistant"',
    ("connection", "kind"): '"rasa"',
    ("connection", "rocketchat_user"): '"assistant.bot"',
    ("workspace", "reorder_window_ms"): "0",
    ("connection", "rocketchat_token"): '"personal-access-token-of-that-user"',
    ("decider", "name"): '"crm"',
    ("decider", "url"): '"https://crm.example.com/routing"',
    ("decider", "secret"): '"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="',
    ("analyser", "name"): '"suggestions"',
    ("analyser", "kind"): '"suggest"',
    ("crm", "name"): '"sales"',
    ("crm", "kind"): '"salesforce_crm"',
    ("router", "name"): '"omni"',
    ("router", "kind"): '"salesforce_omni"',
    ("rules", "file"): '"rules.toml"',
}
"""Values for what has no default. The kind named here is an example; any installed one will do."""

NOT_NEEDED = frozenset({"decider", "analyser", "crm", "router"})
"""Sections with required keys that a first configuration does without."""


def sample() -> str:
    """A whole omnibridge.toml: required keys filled with examples, everything else commented with its default."""
    lines = [
        "# omnibridge.toml. Every key can also be set from the environment, which wins:",
        "# OMNIBRIDGE_SERVER__PORT, OMNIBRIDGE_WORKSPACE__MAIN__AUTH_TOKEN (name in capitals, - as _).",
        "# Secrets can be kept in files: auth_token_file instead of auth_token.",
        "# `omnibridge config check` names everything that is wrong, with its line.",
    ]
    for section, (model, header) in SECTIONS.items():
        off = "#" if section in NOT_NEEDED else ""
        lines += ["", f"# {(model.__doc__ or '').splitlines()[0]}", f"{off}{header}"]
        for key, field in model.model_fields.items():
            lines.append(f"# {field.description}")
            example = EXAMPLES.get((section, key))
            if field.is_required():
                lines.append(f"{off}{key} = {example}")
            else:
                lines.append(f"#{key} = {example or _toml(field.default)}")
        if section == "connection":
            lines += ["# Settings of the connector follow; its README lists them.", 'url = "http://127.0.0.1:5005"']
    return "\n".join(lines) + "\n"


def settings_table() -> str:
    """Markdown table of every key; the page holds it between two markers."""
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for model, header in SECTIONS.values():
        for key, field in model.model_fields.items():
            secret = f" (secret; also `{key}_file`)" if field.annotation is Secret else ""
            default = "required"
            if not field.is_required():
                default = "" if field.default in ("", None, Secret("")) else f"`{_toml(field.default)}`"
            rows.append(f"| `{header} {key}` | {default} | {field.description}{secret} |")
    return "\n".join(rows)


def write_table(page: str) -> None:
    """Put the table between the markers of a markdown page, in place of what is there."""
    path = Path(page)
    before, rest = path.read_text("utf-8").split("<!-- settings -->\n", 1)
    after = rest[rest.index("<!-- /settings -->") :]
    path.write_text(f"{before}<!-- settings -->\n{settings_table()}\n{after}", "utf-8")


def _toml(value: Any) -> str:
    """A default as TOML. JSON's strings, numbers and truth values are TOML's too."""
    if isinstance(value, Secret):
        return '""'  # a secret has no other default
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(each) for each in value) + "]"
    return json.dumps("" if value is None or isinstance(value, Secret) else value, ensure_ascii=False)
