"""omnibridge.toml + environment -> Settings, with every problem at once and the place where it stands."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from pydantic import ValidationError

from omnibridge.config import SECTIONS, Settings
from omnibridge.config_environment import CONFIG_VARIABLE, read_environment
from omnibridge.config_lines import KeyPath, Sources, locate
from omnibridge.config_values import Secret, suggest
from omnibridge.errors import ConfigError

LISTED = ("workspace", "connection", "decider", "analyser", "crm", "router")
OPEN = ("connection", "analyser", "crm", "router")
"""Tables that have further keys, which belong to their connector."""

DEFAULT_FILE = "omnibridge.toml"
APART = {"crm": "omnibridge.crms:", "router": "omnibridge.routers:"}
"""In front of the kinds of systems of records, and of routing, among those of other connectors."""


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read and check everything but what connectors check themselves. Raises ConfigError with all problems.

    path: None takes OMNIBRIDGE_CONFIG, else ./omnibridge.toml. Secrets are never repeated in a problem.
    """
    reading = _Reading(path, environ)
    settings = reading.settings()
    if settings is None:
        raise ConfigError(reading.problems)
    return settings


def check(
    path: Path | None, environ: Mapping[str, str], connector_types: Mapping[str, type[msgspec.Struct]]
) -> list[str]:
    """Every problem at once, also of connectors' own settings. connector_types: by kind, all that are installed."""
    reading = _Reading(path, environ)
    reading.settings()
    for section in OPEN:
        ours = list(SECTIONS[section][0].model_fields)
        for index, entry in enumerate(reading.entries(section)):
            options = {key: value for key, value in entry.items() if key not in ours}
            kind = entry.get("kind")
            if isinstance(kind, str) and kind:
                types = _types_of(section, connector_types)
                for at, what in _option_problems(kind, options, types, sorted(types), ours):
                    reading.report((section, index, *at), what)
    return reading.problems


def check_options(settings: Settings, types: Mapping[str, type[msgspec.Struct]], kinds: list[str]) -> list[str]:
    """Problems of connectors' own settings. types: by kind, for those in use. kinds: all that are installed."""
    return [
        f"{settings.sources.where((section, index, *at))}: {what}"
        for section in OPEN
        for index, each in enumerate(getattr(settings, section))
        for at, what in _option_problems(
            each.kind, each.options, _types_of(section, types), kinds, list(type(each).model_fields)
        )
    ]


def _types_of(section: str, types: Mapping[str, type[msgspec.Struct]]) -> dict[str, type[msgspec.Struct]]:
    """Those that a section may name: systems of records, and of routing, are other sorts of connectors."""
    wanted = APART.get(section, "")
    return {
        kind.removeprefix(wanted): each
        for kind, each in types.items()
        if (kind.startswith(wanted) if wanted else not kind.startswith(tuple(APART.values())))
    }


def _option_problems(
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


class _Reading:
    """One file and one environment on their way to Settings."""

    def __init__(self, path: Path | None, environ: Mapping[str, str]) -> None:
        self._path = path or Path(environ.get(CONFIG_VARIABLE) or DEFAULT_FILE)
        self._environ = environ
        self._sources = Sources(str(self._path))
        self._tables: dict[str, Any] = {}
        self._found: list[tuple[int, str]] = []
        self._reported: set[KeyPath] = set()

    @property
    def problems(self) -> list[str]:
        """In the order of the file; those of the environment first."""
        return [text for _, text in sorted(self._found, key=lambda each: each[0])]

    def report(self, path: KeyPath, what: str) -> None:
        """Once per key: what follows from a first problem is not worth a second line."""
        if path not in self._reported:
            self._reported.add(path)
            line = 0 if path in self._sources.variables else self._sources.line(path)
            self._found.append((line, f"{self._sources.where(path)}: {what}"))

    def entries(self, section: str) -> list[dict[str, Any]]:
        """Of an array of tables; only what has the right shape."""
        found: list[dict[str, Any]] = self._tables.get(section, [])
        return found

    def settings(self) -> Settings | None:
        """None when there are problems."""
        text = self._text()
        if text is None or not self._parse(text):
            return None
        self._check_shape()
        for variable, what in read_environment(self._environ, self._tables, self._sources):
            self._found.append((0, f"{variable}: {what}"))
        self._read_secret_files()
        self._check_names()
        try:
            settings = Settings.model_validate({**self._tables, "folder": self._path.parent, "sources": self._sources})
        except ValidationError as exc:
            for each in exc.errors(include_url=False, include_input=False, include_context=False):
                self._explain(each["loc"], each["type"], each["msg"])
            return None
        return None if self._found else settings

    def _text(self) -> str | None:
        try:
            return self._path.read_text("utf-8-sig")
        except FileNotFoundError:
            what = "there is no such file; `omnibridge config sample` prints one to begin with"
        except UnicodeDecodeError:
            what = "is not UTF-8"
        except OSError as exc:
            what = str(exc.strerror)
        self._found.append((0, f"{self._path}: {what}"))
        return None

    def _parse(self, text: str) -> bool:
        try:
            self._tables = tomllib.loads(text)
        except (ValueError, RecursionError) as exc:  # beyond TOMLDecodeError: endless numbers, endless nesting
            what, _, place = str(exc).rpartition(" (at ")
            line = re.match(r"line (\d+)", place)
            at = f":{line.group(1)}" if line else ""
            self._found.append((0, f"{self._path}{at}: {what or exc}"))
            return False
        self._sources.lines = locate(text)
        return True

    def _check_shape(self) -> None:
        """Known tables only, and each of its kind; what is not is reported and dropped."""
        for section in list(self._tables):
            value, is_listed = self._tables[section], section in LISTED
            if section not in SECTIONS and not isinstance(value, dict | list):
                homes = [header for model, header in SECTIONS.values() if section in model.model_fields]
                what = f"a key outside of any table{'; it belongs below ' + homes[0] if homes else ''}"
                self._found.append(
                    (self._sources.line((section,)), f"{self._sources.place((section,))}: {section}: {what}")
                )
                del self._tables[section]
                continue
            if section not in SECTIONS:
                what = f"unknown table{suggest(section, list(SECTIONS))}"
            elif is_listed and not (isinstance(value, list) and all(isinstance(each, dict) for each in value)):
                what = f"write [[{section}]], with two brackets: there may be several"
            elif not is_listed and not isinstance(value, dict):
                what = f"write [{section}], with one bracket: there is one"
            else:
                continue
            self.report((section,), what)
            del self._tables[section]
        for section in LISTED:
            for index, entry in enumerate(self.entries(section)):
                if isinstance(entry.get("name"), str):
                    self._sources.labels[section, index] = entry["name"]

    def _read_secret_files(self) -> None:
        for section in LISTED:
            for index, entry in enumerate(self.entries(section)):
                for key in [key for key in entry if key.endswith("_file") and _is_secret(section, key[:-5])]:
                    self._read_secret_file((section, index), entry, key)
        for section in SECTIONS.keys() - LISTED:
            table = self._tables.get(section, {})
            for key in [key for key in table if key.endswith("_file") and _is_secret(section, key[:-5])]:
                self._read_secret_file((section,), table, key)

    def _read_secret_file(self, at: KeyPath, entry: dict[str, Any], key: str) -> None:
        value, plain = entry.pop(key), key.removesuffix("_file")
        if plain in entry:
            self.report((*at, key), f"give {plain} or {key}, not both")
            return
        path = (*at, key)
        if path in self._sources.variables:
            self._sources.variables[(*at, plain)] = self._sources.variables[path]
        try:
            if not isinstance(value, str):
                raise TypeError
            text = (self._path.parent / value).read_text("utf-8").rstrip()
            entry[plain] = text if "\n" in text.strip() else text.strip()  # lines of a file are counted from its start
            if not entry[plain]:
                self.report(path, "the file is empty")
        except (OSError, ValueError, TypeError) as exc:  # the path is not repeated: it may be the secret itself
            reason = exc.strerror if isinstance(exc, OSError) else "must be the path of a text file"
            self.report(path, f"cannot be read: {reason}")
            entry[plain] = ""
        if path in self._reported:
            self._reported.add((*at, plain))

    def _check_names(self) -> None:
        if not self.entries("workspace") and ("workspace",) not in self._reported:
            self._found.append((0, f"{self._path}: no [[workspace]]: there is nothing to listen to"))
        for section in LISTED:
            names = Counter[str]()
            for index, entry in enumerate(self.entries(section)):
                name = entry.get("name")
                if isinstance(name, str):
                    if section == "analyser" and any(
                        each.get("name") == name and each.get("analyses") for each in self.entries("connection")
                    ):
                        self.report(
                            (section, index, "name"), f'there is a [[connection]] called "{name}" that analyses'
                        )
                    names[name] += 1
                    if names[name] > 1:
                        self.report((section, index, "name"), f'there is another [[{section}]] called "{name}"')
        known = [each["name"] for each in self.entries("workspace") if isinstance(each.get("name"), str)]
        for index, entry in enumerate(self.entries("connection")):
            wanted = entry.get("workspace", "")
            if wanted and isinstance(wanted, str) and wanted not in known:
                self.report(("connection", index, "workspace"), f'no [[workspace]] "{wanted}"{suggest(wanted, known)}')
            elif not wanted and len(known) > 1:
                self.report(("connection", index, "workspace"), f"missing; there are {', '.join(known)}")
            named = [each for each in self.entries("workspace") if wanted in ("", each.get("name"))]
            if entry.get("choices") == "blocks" and len(named) == 1 and not named[0].get("blocks"):
                what = "nobody hears of presses without the companion app: install it, and set the workspace's blocks"
                self.report(("connection", index, "choices"), what)
        for index, entry in enumerate(self.entries("crm")):
            wanted = entry.get("workspace", "")
            if wanted and isinstance(wanted, str) and wanted not in known:
                self.report(("crm", index, "workspace"), f'no [[workspace]] "{wanted}"{suggest(wanted, known)}')
        for index, entry in enumerate(self.entries("analyser")):
            wanted = entry.get("workspace", "")
            if wanted and isinstance(wanted, str) and wanted not in known:
                self.report(("analyser", index, "workspace"), f'no [[workspace]] "{wanted}"{suggest(wanted, known)}')
        deciders = [each["name"] for each in self.entries("decider") if isinstance(each.get("name"), str)]
        for index, entry in enumerate(self.entries("router")):
            if entry.get("name") in deciders:
                self.report(("router", index, "name"), f'there is a [[decider]] called "{entry["name"]}"')
            wanted = entry.get("decider", "")
            if wanted and isinstance(wanted, str) and wanted not in deciders:
                self.report(("router", index, "decider"), f'no [[decider]] "{wanted}"{suggest(wanted, deciders)}')
        deciders += [each["name"] for each in self.entries("router") if isinstance(each.get("name"), str)]
        for index, entry in enumerate(self.entries("connection")):
            wanted = entry.get("decider", "")
            if wanted and isinstance(wanted, str) and wanted not in deciders:
                what = f'no [[decider]] "{wanted}"{suggest(wanted, deciders)}'
                self.report(("connection", index, "decider"), what)
        parties = [each["name"] for each in self.entries("connection") if isinstance(each.get("name"), str)]
        for index, entry in enumerate(self.entries("connection")):
            wanted = entry.get("hands_to", "")
            if wanted and isinstance(wanted, str) and (wanted not in parties or wanted == entry.get("name")):
                others = [each for each in parties if each != entry.get("name")]
                what = f'no other [[connection]] "{wanted}"{suggest(wanted, others)}'
                self.report(("connection", index, "hands_to"), what)
            elif wanted and not any(key.startswith("token_keys") for key in self._tables.get("agents", {})):
                what = "needs [agents] token_keys: a desk's sessions are kept encrypted. NAME:KEY, KEY from "
                self.report(("connection", index, "hands_to"), f"{what}`openssl rand -base64 32 | tr +/ -_`")

        self._check_desk_sentences(parties)

    def _check_desk_sentences(self, parties: list[str]) -> None:
        """`"CONNECTION:CODE"` of a connection that is there."""
        texts = self._tables.get("texts", {})
        languages = texts.get("languages", {}) if isinstance(texts, dict) else {}
        found: list[tuple[KeyPath, Any]] = [(("texts",), texts)]
        found += (
            [(("texts", "languages", name), each) for name, each in languages.items()]
            if isinstance(languages, dict)
            else []
        )
        for path, sentences in found:
            desk = sentences.get("desk", {}) if isinstance(sentences, dict) else {}
            for key in desk if isinstance(desk, dict) else ():
                wanted, colon, _ = key.rpartition(":")
                if colon and wanted not in parties:
                    self.report((*path, "desk", key), f'no [[connection]] "{wanted}"{suggest(wanted, parties)}')

    def _explain(self, path: KeyPath, kind: str, message: str) -> None:
        section, key = str(path[0]), str(path[-1])
        model = SECTIONS[section][0]
        if kind == "extra_forbidden":
            self.report(path, f"unknown key{suggest(key, list(model.model_fields))}")
        elif kind == "missing":
            index = path[1] if len(path) > 1 and isinstance(path[1], int) else 0
            others = [each for each in self.entries(section)[index] if each not in model.model_fields]
            near = suggest(key, others).replace("did you mean", "is it written").replace("?", "")
            self.report(path, f"missing{near}")
        else:
            message = re.sub(r"^(Input|String|Value|Data) should ", "must ", message)
            self.report(path, message.removeprefix("Value error, "))


def _is_secret(section: str, key: str) -> bool:
    """Ours by type. Whatever a connection has beyond our keys may be a secret of its connector."""
    field = SECTIONS[section][0].model_fields.get(key)
    return section in OPEN if field is None else field.annotation is Secret


def _without_value(message: str) -> str:
    """msgspec's words, without a value that it repeats: it may be a misplaced secret."""
    return re.sub(r"(Invalid enum value) .*", r"\1", message, flags=re.DOTALL)
