"""Our own JSON of neutral content, with its short forms: what a bot of any connector may send. Pure.

Documented in connectors/webhook_bot/README.md; Rasa and Dialogflow take it in custom payloads.
"""

from __future__ import annotations

from typing import Any

import msgspec

from omnibridge.domain.content import Content, Custom, Style

STYLES: dict[str, Style] = {"primary": "primary", "danger": "danger"}
"""By name, which is the same in the shapes that bots send."""


def read_content(payload: dict[str, Any]) -> Content | None:
    """A payload with one of our kinds; None = it is something else, or is not well formed."""
    if not isinstance(payload.get("kind"), str):
        return None
    try:
        found: Content = msgspec.convert(full_form(payload), Content)
    except (msgspec.ValidationError, RecursionError):
        return None
    return None if isinstance(found, Custom) else found


def full_form(item: Any) -> Any:
    """A message or card with what its short form leaves out: the kind of a text, an option's value, a field's label."""
    if not isinstance(item, dict):
        return item
    full = dict(item)
    if "kind" not in full and "text" in full:
        full["kind"] = "choices" if "options" in full else "text"
    _fill_options(full)
    if isinstance(full.get("cards"), list):
        full["cards"] = [
            full_form({"kind": "card", **each}) if isinstance(each, dict) else each for each in full["cards"]
        ]
    if full.get("kind") == "form" and isinstance(full.get("fields"), list):
        full["fields"] = [_field(each) for each in full["fields"]]
    return full


def _field(field: Any) -> Any:
    """A string is a label, and the name of the answer."""
    if isinstance(field, str):
        return {"name": field, "label": field}
    if not isinstance(field, dict):
        return field
    full = {"label": field.get("name"), **field}
    _fill_options(full)
    return full


def _fill_options(holder: dict[str, Any]) -> None:
    if isinstance(holder.get("options"), list):
        holder["options"] = [_option(each) for each in holder["options"]]


def _option(option: Any) -> Any:
    """A string is a label; what has no value is told by its label."""
    if isinstance(option, str):
        return {"label": option, "value": option}
    if isinstance(option, dict) and not option.get("value"):
        return {**option, "value": option.get("label")}
    return option
