"""Finds connectors by entry point; a connector that is not installed is named, and so is what is."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

import msgspec

from omnibridge.connector import Connector, SyncsRecords
from omnibridge.connector.routing import RoutingConnector
from omnibridge.errors import ConfigError

GROUP = "omnibridge.connectors"
RECORDS = "omnibridge.crms"
ROUTERS = "omnibridge.routers"


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
    """Kind -> the struct that describes its settings, for those that are installed; and of every system of records
    and of routing, see `apart_types`."""
    found = {kind: load_connector(kind).settings_type for kind in kinds if kind in installed_kinds()}
    return found | apart_types()


def apart_types() -> dict[str, type[msgspec.Struct]]:
    """The same of every system of records, under `omnibridge.crms:KIND`, and of routing, `omnibridge.routers:KIND`."""
    records = {f"{RECORDS}:{kind}": load_records(kind).settings_type for kind in records_kinds()}
    return records | {f"{ROUTERS}:{kind}": load_router(kind).settings_type for kind in router_kinds()}


def router_kinds() -> list[str]:
    """Names that `[[router]] kind` may have here."""
    return sorted(each.name for each in entry_points(group=ROUTERS))


def load_router(kind: str) -> type[RoutingConnector]:
    """The class of a connector to another system's routing. Raises ConfigError when it is not there."""
    found = next((each for each in entry_points(group=ROUTERS) if each.name == kind), None)
    if found is None:
        known = ", ".join(router_kinds()) or "none"
        raise ConfigError(f"[[router]] kind {kind!r} is not installed; installed: {known}")
    try:
        connector: type[RoutingConnector] = found.load()
    except ImportError as exc:
        raise ConfigError(f"[[router]] kind {kind!r} cannot be loaded: {exc}; pip install omnibridge[{kind}]") from exc
    return connector


def create_router(kind: str, raw: dict[str, Any], where: str) -> tuple[RoutingConnector, Any]:
    """An instance and its validated settings. Raises ConfigError with the setting's name."""
    connector = load_router(kind)
    try:
        settings = msgspec.convert(raw, connector.settings_type)
    except msgspec.ValidationError as exc:
        raise ConfigError(f"{where}: {exc}") from exc
    return connector(), settings


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
