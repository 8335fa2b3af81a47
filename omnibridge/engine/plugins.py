"""Finds connectors by entry point; a connector that is not installed is named, and so is what is."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any, TypeVar, cast

import msgspec

from omnibridge.connector import Connector, SyncsRecords
from omnibridge.connector.routing import RoutingConnector
from omnibridge.errors import ConfigError

GROUP = "omnibridge.connectors"
RECORDS = "omnibridge.crms"
ROUTERS = "omnibridge.routers"

C = TypeVar("C")


def installed_kinds() -> list[str]:
    """Names that `[[connection]] kind` may have here."""
    return _kinds(GROUP)


def records_kinds() -> list[str]:
    """Names that `[[crm]] kind` may have here."""
    return _kinds(RECORDS)


def router_kinds() -> list[str]:
    """Names that `[[router]] kind` may have here."""
    return _kinds(ROUTERS)


def load_connector(kind: str) -> type[Connector]:
    """The connector's class. Imports it, so only for kinds in use. Raises ConfigError when it is not there."""
    return cast(type[Connector], _load(GROUP, kind, "connector"))


def load_records(kind: str) -> type[SyncsRecords]:
    """The class of a connector to a system of records. Raises ConfigError when it is not there."""
    return cast(type[SyncsRecords], _load(RECORDS, kind, "[[crm]] kind"))


def load_router(kind: str) -> type[RoutingConnector]:
    """The class of a connector to another system's routing. Raises ConfigError when it is not there."""
    return cast(type[RoutingConnector], _load(ROUTERS, kind, "[[router]] kind"))


def create(kind: str, raw: dict[str, Any], where: str) -> tuple[Connector, Any]:
    """An instance and its validated settings. Raises ConfigError with the setting's name."""
    return _create(load_connector(kind), raw, where)


def create_records(kind: str, raw: dict[str, Any], where: str) -> tuple[SyncsRecords, Any]:
    """As `create`."""
    return _create(load_records(kind), raw, where)


def create_router(kind: str, raw: dict[str, Any], where: str) -> tuple[RoutingConnector, Any]:
    """As `create`."""
    return _create(load_router(kind), raw, where)


def settings_types(kinds: set[str]) -> dict[str, type[msgspec.Struct]]:
    """Kind -> the struct that describes its settings, for those that are installed; and of every system of records
    and of routing, see `apart_types`."""
    found = {kind: load_connector(kind).settings_type for kind in kinds if kind in installed_kinds()}
    return found | apart_types()


def apart_types() -> dict[str, type[msgspec.Struct]]:
    """The same of every system of records, under `omnibridge.crms:KIND`, and of routing, `omnibridge.routers:KIND`."""
    records = {f"{RECORDS}:{kind}": load_records(kind).settings_type for kind in records_kinds()}
    return records | {f"{ROUTERS}:{kind}": load_router(kind).settings_type for kind in router_kinds()}


def _kinds(group: str) -> list[str]:
    return sorted(each.name for each in entry_points(group=group))


def _load(group: str, kind: str, what: str) -> Any:
    found = next((each for each in entry_points(group=group) if each.name == kind), None)
    if found is None:
        known = ", ".join(_kinds(group)) or "none"
        raise ConfigError(f"{what} {kind!r} is not installed; installed: {known}")
    try:
        return found.load()
    except ImportError as exc:
        raise ConfigError(f"{what} {kind!r} cannot be loaded: {exc}; pip install omnibridge[{kind}]") from exc


def _create(connector: type[C], raw: dict[str, Any], where: str) -> tuple[C, Any]:
    settings_type: type[msgspec.Struct] = cast(Any, connector).settings_type
    try:
        settings = msgspec.convert(raw, settings_type)
    except msgspec.ValidationError as exc:
        raise ConfigError(f"{where}: {exc}") from exc
    return connector(), settings
