"""Connectors' own settings, checked against the types that they declare."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from omnibridge.config import Settings
from omnibridge.config_lines import KeyPath
from omnibridge.config_values import suggest

OPEN = ("connection", "analyser", "crm", "router")
"""Tables that have further keys, which belong to their connector."""

APART = {"crm": "omnibridge.crms:", "router": "omnibridge.routers:"}
"""In front of the kinds of systems of records, and of routing, among those of other connectors."""


def check_options(settings: Settings, types: Mapping[str, type[msgspec.Struct]], kinds: list[str]) -> list[str]:
    """Problems of connectors' own settings. types: by kind, for those in use. kinds: all that are installed."""
    return [
        f"{settings.sources.where((section, index, *at))}: {what}"
        for section in OPEN
        for index, each in enumerate(getattr(settings, section))
        for at, what in option_problems(
            each.kind, each.options, types_of(section, types), kinds, list(type(each).model_fields)
        )
    ]


def types_of(section: str, types: Mapping[str, type[msgspec.Struct]]) -> dict[str, type[msgspec.Struct]]:
    """Those that a section may name: systems of records, and of routing, are other sorts of connectors."""
    wanted = APART.get(section, "")
    return {
        kind.removeprefix(wanted): each
        for kind, each in types.items()
        if (kind.startswith(wanted) if wanted else not kind.startswith(tuple(APART.values())))
    }


def option_problems(
    kind: str, options: dict[str, Any], types: Mapping[str, type[msgspec.Struct]], kinds: list[str], ours: list[str]
) -> Iterator[tuple[KeyPath, str]]:
    """(key, what is wrong with it); each key by itself, because msgspec stops at the first."""
    if kind not in types:
        yield (
            ("kind",),
            f'connector "{kind}" is not installed; installed: {", ".join(kinds) or "none"}{suggest(kind, kinds)}',
        )
        return
    fields = {each.encode_name: each for each in msgspec.structs.fields(types[kind])}
    is_sound = True
    for key, value in options.items():
        if key not in fields:
            yield (key,), f"unknown key{suggest(key, [*fields, *ours])}"
            is_sound = False
            continue
        try:
            msgspec.convert(value, fields[key].type)
        except msgspec.ValidationError as exc:
            yield (key,), _without_value(str(exc))
            is_sound = False
    for key in (key for key, each in fields.items() if each.required and key not in options):
        yield (key,), "missing"
        is_sound = False
    if is_sound:
        try:
            msgspec.convert(options, types[kind])
        except msgspec.ValidationError as exc:  # a rule between several keys
            yield (), _without_value(str(exc))


def _without_value(message: str) -> str:
    """msgspec's words, without a value that it repeats: it may be a misplaced secret."""
    return re.sub(r"(Invalid enum value) .*", r"\1", message, flags=re.DOTALL)
