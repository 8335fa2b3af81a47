"""What each installed connector can be told in its table: names, types, defaults, secrets. Read from its class."""

from __future__ import annotations

from typing import Any

import msgspec

from omnibridge.connector import Analyzes, ReadsTranscripts
from omnibridge.engine import plugins
from omnibridge.errors import ConfigError

SECRET_PARTS = ("token", "secret", "password", "credentials", "api_key", "private_key")
"""A setting whose name has one of these is never printed."""


class SettingShape(msgspec.Struct, frozen=True):
    """default: None when it is required, or secret. type: as in TOML, in words of JSON Schema."""

    name: str
    type: Any
    required: bool
    secret: bool
    default: Any = None


class ConnectorShape(msgspec.Struct, frozen=True):
    """groups: tables that it may stand in, `connection`, `analyser` or `crm`. problem: why nothing is known of it."""

    kind: str
    groups: tuple[str, ...] = ()
    settings: tuple[SettingShape, ...] = ()
    problem: str = ""


def is_secret(name: str) -> bool:
    """By its name: connectors declare plain text."""
    return any(part in name for part in SECRET_PARTS)


def shapes(kinds: list[str]) -> list[ConnectorShape]:
    """One that cannot be loaded here is named, with what is missing."""
    return [_shape(each) for each in kinds]


def _shape(kind: str) -> ConnectorShape:
    is_crm = kind in plugins.records_kinds() and kind not in plugins.installed_kinds()
    try:
        connector: Any = plugins.load_records(kind) if is_crm else plugins.load_connector(kind)
    except ConfigError as exc:
        return ConnectorShape(kind, problem=str(exc))
    speaks = hasattr(connector, "on_message")
    analyses = isinstance(connector, type) and any(
        hasattr(connector, name) for each in (Analyzes, ReadsTranscripts) for name in _methods(each)
    )
    if is_crm:
        return ConnectorShape(kind, ("crm",), tuple(_settings(connector.settings_type)))
    groups = tuple(name for name, is_one in (("connection", speaks), ("analyser", analyses)) if is_one)
    return ConnectorShape(kind, groups, tuple(_settings(connector.settings_type)))


def _methods(protocol: type) -> list[str]:
    return [name for name in vars(protocol) if name.startswith("on_")]


def _settings(settings_type: type[msgspec.Struct]) -> list[SettingShape]:
    schema = next(iter(msgspec.json.schema_components([settings_type])[1].values()))
    found = []
    for each in msgspec.structs.fields(settings_type):
        told = schema["properties"].get(each.encode_name, {})
        what = told.get("type") or told.get("enum") or told.get("anyOf") or "object"
        secret = is_secret(each.encode_name)
        found.append(
            SettingShape(each.encode_name, what, each.required, secret, None if secret else told.get("default"))
        )
    return found
