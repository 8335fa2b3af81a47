"""Finds connectors by entry point; a connector that is not installed is named, and so is what is."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

import msgspec

from omnibridge.connector import Connector
from omnibridge.errors import ConfigError

GROUP = "omnibridge.connectors"


def installed_kinds() -> list[str]:
    """Names that `[[connection]] kind` may have here."""
    return sorted(each.name for each in entry_points(group=GROUP))


def load_connector(kind: str) -> type[Connector]:
    """The connector's class. Imports it, so only for kinds in use. Raises ConfigError when it is not there."""
    found = next((each for each in entry_points(group=GROUP) if each.name == kind), None)
    if found is None:
        known = ", ".join(installed_kinds()) or "none"
        raise ConfigError(f"connector {kind!r} is not installed; installed: {known}")
    try:
        connector: type[Connector] = found.load()
    except ImportError as exc:
        raise ConfigError(f"connector {kind!r} cannot be loaded: {exc}; pip install omnibridge[{kind}]") from exc
    return connector


def settings_types(kinds: set[str]) -> dict[str, type[msgspec.Struct]]:
    """Kind -> the struct that describes its settings, for those that are installed."""
    return {kind: load_connector(kind).settings_type for kind in kinds if kind in installed_kinds()}


def create(kind: str, raw: dict[str, Any], where: str) -> tuple[Connector, Any]:
    """An instance and its validated settings. Raises ConfigError with the setting's name."""
    connector = load_connector(kind)
    try:
        settings = msgspec.convert(raw, connector.settings_type)
    except msgspec.ValidationError as exc:
        raise ConfigError(f"{where}: {exc}") from exc
    return connector(), settings
