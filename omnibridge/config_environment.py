"""OMNIBRIDGE_* variables put over the tables of the file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from omnibridge.config import SECTIONS
from omnibridge.config_lines import KeyPath, Sources
from omnibridge.config_values import Secret, suggest

PREFIX = "OMNIBRIDGE_"
CONFIG_VARIABLE = "OMNIBRIDGE_CONFIG"
ADMIN_VARIABLES = frozenset({"OMNIBRIDGE_ADMIN_TOKEN", "OMNIBRIDGE_ADMIN_PASSWORD"})
OTHER_VARIABLES = frozenset({CONFIG_VARIABLE, "OMNIBRIDGE_CRASH_AT"}) | ADMIN_VARIABLES
"""Read by the command line and by the crash test, not settings."""

_TEXT_PARTS = ("token", "secret", "password", "key", "_file")


def read_environment(environ: Mapping[str, str], tables: dict[str, Any], sources: Sources) -> Iterator[tuple[str, str]]:
    """Write each variable into `tables` and its name into `sources`; gives (variable, problem).

    OMNIBRIDGE_SERVER__PORT, OMNIBRIDGE_CONNECTION__MY_BOT__ROCKETCHAT_TOKEN: an entry's name in capitals, - as _.
    """
    known = _known(tables)
    written: dict[KeyPath, str] = {}
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or variable in OTHER_VARIABLES:
            continue
        path = known.get(variable) or _connector_path(variable, known)
        if path is None:
            yield variable, f"unknown setting{suggest(variable, list(known))}"
            continue
        section, key = str(path[0]), str(path[-1])
        table = tables.setdefault(section, {}) if len(path) == 2 else tables[section][path[1]]
        plain = (*path[:-1], key.removesuffix("_file"))
        if plain in written:
            yield variable, f"give this or {written[plain]}, not both"
            continue
        written[plain] = variable
        for twin in (str(plain[-1]), f"{plain[-1]}_file"):
            table.pop(twin, None)  # the environment wins, in whichever form
        sources.variables[path] = variable
        table[key] = _value(section, key, environ[variable])


def _known(tables: dict[str, Any]) -> dict[str, KeyPath]:
    """Every variable that can be set with these entries, except those of connectors' own keys."""
    known: dict[str, KeyPath] = {}
    for section, (model, header) in SECTIONS.items():
        homes: list[tuple[str, KeyPath]] = [(section, (section,))]
        if header.startswith("[["):
            homes = [
                (f"{section}__{str(entry.get('name', '')).replace('-', '_')}", (section, index))
                for index, entry in enumerate(tables.get(section, []))
            ]
        for home, path in homes:
            for key, field in model.model_fields.items():
                keys = (key, f"{key}_file") if field.annotation is Secret else (key,)
                for each in keys:
                    known.setdefault(f"{PREFIX}{home}__{each}".upper(), (*path, each))
    return known


def _connector_path(variable: str, known: Mapping[str, KeyPath]) -> KeyPath | None:
    """A key that only the connector knows; the connection itself must be there."""
    home, separator, key = variable.rpartition("__")
    path = known.get(f"{home}__KIND")
    return (
        (*path[:-1], key.lower())
        if separator and key and path and path[0] in ("connection", "analyser", "crm", "router")
        else None
    )


def _value(section: str, key: str, text: str) -> Any:
    """Our own keys are converted when they are checked. Lists, and what connectors take, are read as TOML where
    they are a number, a truth value, a list, a table or quoted; secrets and files are always text.
    """
    field = SECTIONS[section][0].model_fields.get(key)
    if field is not None and not str(field.annotation).startswith("tuple"):
        return text
    if field is None and any(part in key for part in _TEXT_PARTS):
        return text
    try:
        value = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        value = {}
    if len(value) == 1 and isinstance(value["value"], bool | int | float | str | list | dict):
        return value["value"]
    return text if field is None else [each.strip() for each in text.split(",") if each.strip()]
