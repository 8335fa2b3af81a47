"""omnibridge.toml + environment -> Settings, with every problem at once and the place where it stands."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from pydantic import ValidationError

from omnibridge.config import SECTIONS, Settings
from omnibridge.config_environment import CONFIG_VARIABLE, read_environment
from omnibridge.config_lines import KeyPath, Sources, locate
from omnibridge.config_options import OPEN, option_problems, types_of
from omnibridge.config_references import LISTED, check_names
from omnibridge.config_values import Secret, suggest
from omnibridge.errors import ConfigError

DEFAULT_FILE = "omnibridge.toml"


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
                types = types_of(section, connector_types)
                for at, what in option_problems(kind, options, types, sorted(types), ours):
                    reading.report((section, index, *at), what)
    return reading.problems


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
        if not self.entries("workspace") and ("workspace",) not in self._reported:
            self._found.append((0, f"{self._path}: no [[workspace]]: there is nothing to listen to"))
        for path, what in check_names(self._tables):
            self.report(path, what)
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
