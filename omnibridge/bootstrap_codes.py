"""Codes of desks that the configuration names: one that no desk tells is a step that never runs, so it is refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from omnibridge.config import Settings
from omnibridge.config_lines import KeyPath
from omnibridge.config_values import suggest
from omnibridge.connector.desks import Codes, HoldsSessions
from omnibridge.engine import plugins
from omnibridge.routing.desks import NOT_ACCEPTED, UNREACHABLE

OURS = (NOT_ACCEPTED, UNREACHABLE)
"""Told of any desk, by the engine: nobody accepted in time; it could not be opened."""

GONE = "connection-unknown"
"""What follows of a desk that was taken out of the configuration is fixed; it may have a sentence."""


def unknown_codes(settings: Settings) -> list[str]:
    """Each with its line, the nearest code, and the list. Desks that name no codes of theirs may tell any. Raises
    ConfigError for a kind that is not there."""
    ways = any(isinstance(way, dict) for each in settings.connection for way in (each.on_declined, each.on_left))
    if not ways and not settings.texts.desk and not any(each.desk for each in settings.texts.languages.values()):
        return []
    desks = {
        each.name: getattr(kind, "codes", None)
        for each in settings.connection
        if issubclass(kind := plugins.load_connector(each.kind), HoldsSessions)
    }
    where = settings.sources.where
    return [f"{where(path)}: {what}" for path, what in (*_ways(settings, desks), *_texts(settings, desks))]


def _ways(settings: Settings, desks: dict[str, Codes | None]) -> Iterator[tuple[KeyPath, str]]:
    for at, each in enumerate(settings.connection):
        codes = desks.get(each.name)
        if codes is None:
            continue
        for key, ways, ours in (("on_declined", each.on_declined, OURS), ("on_left", each.on_left, ())):
            known = (*codes.endings, *ours)
            for code in ways if isinstance(ways, dict) else ():
                if code != "default" and not _is_known(code, known):
                    yield ("connection", at, key, code), _unknown(code, each.kind, known)


def _texts(settings: Settings, desks: dict[str, Codes | None]) -> Iterator[tuple[KeyPath, str]]:
    kinds = {each.name: each.kind for each in settings.connection}
    every = [(*each.endings, *each.notices) for each in desks.values() if each]
    is_open = None in desks.values()
    tables: list[tuple[KeyPath, Iterable[str]]] = [(("texts", "desk"), settings.texts.desk)]
    tables += [
        (("texts", "languages", name, "desk"), each.desk or {}) for name, each in settings.texts.languages.items()
    ]
    for path, keys in tables:
        for key in keys:
            desk, _, code = key.rpartition(":")
            if desk and desk in kinds and desk not in desks:
                yield (*path, key), f'[[connection]] "{desk}" is no desk, and tells no codes'
                continue
            codes = desks.get(desk)
            known = (*codes.endings, *codes.notices) if codes else tuple(code for each in every for code in each)
            known = (*known, *OURS, GONE)
            is_checked = codes is not None if desk else bool(desks) and not is_open
            if is_checked and not _is_known(code, known):
                yield (*path, key), _unknown(code, kinds.get(desk, "the desks here"), known)


def _is_known(code: str, known: Iterable[str]) -> bool:
    plain = code.casefold()
    return any(
        plain.startswith(each[:-1].casefold()) if each.endswith("*") else plain == each.casefold() for each in known
    )


def _unknown(code: str, kind: str, known: Iterable[str]) -> str:
    listed = list(dict.fromkeys(known))
    return (
        f'"{code}" is no code of {kind}, so nothing would ever come of it{suggest(code, listed)}; '
        f"there are {', '.join(listed)}"
    )
