"""Names in a configuration that stand for other tables of it: each has to be there, and once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from omnibridge.config_lines import KeyPath
from omnibridge.config_values import suggest

LISTED = ("workspace", "connection", "decider", "analyser", "crm", "router")
"""Arrays of tables."""

Problems = Iterator[tuple[KeyPath, str]]
"""(key, what is wrong with it)"""


def check_names(tables: Mapping[str, Any]) -> Problems:
    """tables: as read from the file, in their shape; values may still be of any type."""
    return _Names(tables).problems()


class _Names:
    def __init__(self, tables: Mapping[str, Any]) -> None:
        self._tables = tables
        self._workspaces, self._parties = self._named("workspace"), self._named("connection")

    def problems(self) -> Problems:
        yield from self._doubled()
        yield from self._of_connections()
        yield from self._unknown("crm", "workspace", self._workspaces)
        yield from self._unknown("analyser", "workspace", self._workspaces)
        yield from self._of_deciders()
        yield from self._of_desks()
        yield from self._of_desk_sentences()

    def _entries(self, section: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._tables.get(section, [])
        return found

    def _named(self, section: str) -> list[str]:
        return [each["name"] for each in self._entries(section) if isinstance(each.get("name"), str)]

    def _unknown(self, section: str, key: str, known: list[str]) -> Problems:
        """key: names a table that is called as itself."""
        for index, entry in enumerate(self._entries(section)):
            wanted = entry.get(key, "")
            if wanted and isinstance(wanted, str) and wanted not in known:
                yield (section, index, key), f'no [[{key}]] "{wanted}"{suggest(wanted, known)}'

    def _doubled(self) -> Problems:
        analysing = [each.get("name") for each in self._entries("connection") if each.get("analyses")]
        for section in LISTED:
            names = Counter[str]()
            for index, entry in enumerate(self._entries(section)):
                name = entry.get("name")
                if not isinstance(name, str):
                    continue
                if section == "analyser" and name in analysing:
                    yield (section, index, "name"), f'there is a [[connection]] called "{name}" that analyses'
                names[name] += 1
                if names[name] > 1:
                    yield (section, index, "name"), f'there is another [[{section}]] called "{name}"'

    def _of_connections(self) -> Problems:
        known = self._workspaces
        yield from self._unknown("connection", "workspace", known)
        for index, entry in enumerate(self._entries("connection")):
            wanted = entry.get("workspace", "")
            if not wanted and len(known) > 1:
                yield ("connection", index, "workspace"), f"missing; there are {', '.join(known)}"
            named = [each for each in self._entries("workspace") if wanted in ("", each.get("name"))]
            if entry.get("choices") == "blocks" and len(named) == 1 and not named[0].get("blocks"):
                what = "nobody hears of presses without the companion app: install it, and set the workspace's blocks"
                yield ("connection", index, "choices"), what

    def _of_deciders(self) -> Problems:
        deciders = self._named("decider")
        for index, entry in enumerate(self._entries("router")):
            if entry.get("name") in deciders:
                yield ("router", index, "name"), f'there is a [[decider]] called "{entry["name"]}"'
        yield from self._unknown("router", "decider", deciders)
        yield from self._unknown("connection", "decider", [*deciders, *self._named("router")])

    def _of_desks(self) -> Problems:
        has_keys = any(key.startswith("token_keys") for key in self._tables.get("agents", {}))
        for index, entry in enumerate(self._entries("connection")):
            wanted = entry.get("hands_to", "")
            others = [each for each in self._parties if each != entry.get("name")]
            if wanted and isinstance(wanted, str) and wanted not in others:
                yield ("connection", index, "hands_to"), f'no other [[connection]] "{wanted}"{suggest(wanted, others)}'
            elif wanted and not has_keys:
                what = "needs [agents] token_keys: a desk's sessions are kept encrypted. NAME:KEY, KEY from "
                yield ("connection", index, "hands_to"), f"{what}`openssl rand -base64 32 | tr +/ -_`"

    def _of_desk_sentences(self) -> Problems:
        """`"CONNECTION:CODE"` of a connection that is there."""
        texts = self._tables.get("texts", {})
        languages = texts.get("languages", {}) if isinstance(texts, dict) else {}
        found: list[tuple[KeyPath, Any]] = [(("texts",), texts)]
        if isinstance(languages, dict):
            found += [(("texts", "languages", name), each) for name, each in languages.items()]
        for path, sentences in found:
            desk = sentences.get("desk", {}) if isinstance(sentences, dict) else {}
            for key in desk if isinstance(desk, dict) else ():
                wanted, colon, _ = key.rpartition(":")
                if colon and wanted not in self._parties:
                    yield (*path, "desk", key), f'no [[connection]] "{wanted}"{suggest(wanted, self._parties)}'
