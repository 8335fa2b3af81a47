"""Finds connectors by entry point; a connector that is not installed is named, and so is what is."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

import msgspec

from omnibridge.connector import Connector, SyncsRecords
from omnibridge.errors import ConfigError

GROUP = "omnibridge.connectors"
RECORDS = "omnibridge.crms"


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
    """Kind -> the struct that describes its settings, for those that are installed; and of every system of records,
    under `omnibridge.crms:KIND`."""
    found = {kind: load_connector(kind).settings_type for kind in kinds if kind in installed_kinds()}
    return found | records_types()


def records_types() -> dict[str, type[msgspec.Struct]]:
    """The same of every system of records, under `omnibridge.crms:KIND`."""
    return {f"{RECORDS}:{kind}": load_records(kind).settings_type for kind in records_kinds()}


def records_kinds() -> list[str]:
    """Names that `[[crm]] kind` may have here."""
    return sorted(each.name for each in entry_points(group=RECORDS))


def load_records(kind: str) -> type[SyncsRecords]:
    """The class of a connector to a system of records. Raises ConfigError when it is not there."""
    found = next((each for each in entry_points(group=RECORDS) if each.name == kind), None)
    if found is None:
        known = ", ".join(records_kinds()) or "none"
        raise ConfigError(f"[[crm]] kind {kind!r} is not installed; installed: {known}")
    try:
        connector: type[SyncsRecords] = found.load()
    except ImportError as exc:
        raise ConfigError(f"[[crm]] kind {kind!r} cannot be loaded: {exc}; pip install omnibridge[{kind}]") from exc
    return connector


def create_records(kind: str, raw: dict[str, Any], where: str) -> tuple[SyncsRecords, Any]:
    """An instance and its validated settings. Raises ConfigError with the setting's name."""
    connector = load_records(kind)
    try:
        settings = msgspec.convert(raw, connector.settings_type)
    except msgspec.ValidationError as exc:
        raise ConfigError(f"{where}: {exc}") from exc
    return connector(), settings


def create(kind: str, raw: dict[str, Any], where: str) -> tuple[Connector, Any]:
    """An instance and its validated settings. Raises ConfigError with the setting's name."""
    connector = load_connector(kind)
    try:
        settings = msgspec.convert(raw, connector.settings_type)
    except msgspec.ValidationError as exc:
        raise ConfigError(f"{where}: {exc}") from exc
    return connector(), settings
