"""omnibridge.toml + environment -> Settings, with every problem at once and the line it stands on."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from pydantic import BaseModel, ValidationError

from omnibridge.config import SECTIONS, ConnectionSettings, Settings
from omnibridge.errors import ConfigError

PREFIX = "OMNIBRIDGE_"
LISTED = ("workspace", "connection")
OTHER_VARIABLES = frozenset({"OMNIBRIDGE_CONFIG", "OMNIBRIDGE_CRASH_AT"})
"""Read by the command line and by the crash test, not settings."""


def load(path: Path, environ: Mapping[str, str]) -> Settings:
    """Read and check everything. Raises ConfigError with all problems; secrets are never repeated."""
    reader = _Reader(path, environ)
    settings = reader.read()
    if reader.problems or settings is None:
        raise ConfigError(reader.problems)
    return settings


def check_options(settings: Settings, types: Mapping[str, type[msgspec.Struct]], kinds: list[str]) -> list[str]:
    """Problems of the connectors' own settings. types: by kind, for those that could be loaded."""
    problems = []
    for each in settings.connection:
        where = f"[[connection]] {each.name}"
        if each.kind not in types:
            problems.append(
                f"{where}: connector {each.kind!r} is not installed; installed: {', '.join(kinds) or 'none'}"
            )
            continue
        known = set(types[each.kind].__struct_fields__)
        problems += [f"{where}: unknown key {key!r}{_hint(key, known)}" for key in each.options if key not in known]
        try:
            msgspec.convert({k: v for k, v in each.options.items() if k in known}, types[each.kind])
        except msgspec.ValidationError as exc:
            problems.append(f"{where}: {exc}")
    return problems


class _Reader:
    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self._path, self._environ = path, environ
        self.problems: list[str] = []
        self._lines: list[str] = []

    def read(self) -> Settings | None:
        raw = self._file()
        if raw is None:
            return None
        self._listed_tables(raw)
        self._environment(raw)
        self._secret_files(raw)
        try:
            settings = Settings.model_validate({**raw, "folder": self._path.parent})
        except ValidationError as exc:
            self.problems += [self._explain(raw, each) for each in exc.errors(include_url=False, include_input=False)]
            return None
        self._names(settings)
        return settings

    def _file(self) -> dict[str, Any] | None:
        try:
            text = self._path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "not UTF-8"
            self.problems.append(f"{self._path}: {reason}; `omnibridge config sample` prints one to begin with")
            return None
        self._lines = text.splitlines()
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as exc:
            self.problems.append(f"{self._path}: {exc}")
            return None

    def _listed_tables(self, raw: dict[str, Any]) -> None:
        for section in LISTED:
            if isinstance(raw.get(section), dict):
                self._problem(f"[{section}]", "", f"write [[{section}]], with two brackets: there may be several")
                raw[section] = [raw[section]]

    def _environment(self, raw: dict[str, Any]) -> None:
        """OMNIBRIDGE_SERVER__PORT; OMNIBRIDGE_CONNECTION__HELPER__TOKEN names the entry in capitals."""
        for variable in sorted(self._environ):
            if not variable.startswith(PREFIX) or variable in OTHER_VARIABLES:
                continue
            parts = variable.removeprefix(PREFIX).lower().split("__")
            table = self._table_of(raw, parts)
            if table is None:
                self.problems.append(f"{variable}: no such setting; OMNIBRIDGE_SECTION__KEY or _SECTION__NAME__KEY")
                continue
            model = SECTIONS[parts[0]][0]
            base = parts[-1].removesuffix("_file")
            if (
                parts[-1] not in model.model_fields
                and base not in model.model_fields
                and model is not ConnectionSettings
            ):
                self.problems.append(f"{variable}: unknown key {parts[-1]!r}{_hint(parts[-1], model.model_fields)}")
                continue
            for other in (base, f"{base}_file"):
                table.pop(other, None)  # the environment wins, in whichever form
            table[parts[-1]] = self._environ[variable]

    def _table_of(self, raw: dict[str, Any], parts: list[str]) -> dict[str, Any] | None:
        if len(parts) == 2 and parts[0] in SECTIONS and parts[0] not in LISTED:
            table = raw.setdefault(parts[0], {})
            return table if isinstance(table, dict) else None
        if len(parts) == 3 and parts[0] in LISTED:
            for each in raw.get(parts[0], []):
                if str(each.get("name", "")).replace("-", "_") == parts[1]:
                    return each if isinstance(each, dict) else None
        return None

    def _secret_files(self, raw: dict[str, Any]) -> None:
        for section in LISTED:
            for entry in raw.get(section, []):
                for key in [key for key in entry if isinstance(key, str) and key.endswith("_file")]:
                    plain = key.removesuffix("_file")
                    value = entry.pop(key)
                    if plain in entry:
                        self._problem(f"[[{section}]]", key, f"give {plain} or {key}, not both")
                        continue
                    try:
                        entry[plain] = (self._path.parent / str(value)).read_text("utf-8").strip()
                    except (OSError, UnicodeDecodeError) as exc:
                        self._problem(f"[[{section}]]", key, f"{key}: {value}: {getattr(exc, 'strerror', 'not UTF-8')}")
                        entry[plain] = "x" * 16  # one problem is enough

    def _explain(self, raw: dict[str, Any], error: Any) -> str:
        location = [part for part in error["loc"] if part != "folder"]
        section = str(location[0]) if location else ""
        index = location[1] if len(location) > 1 and isinstance(location[1], int) else 0
        key = str(location[-1]) if len(location) > 1 and isinstance(location[-1], str) else ""
        if section not in SECTIONS:
            return self._line_of("", section, 0) + f"unknown table [{section}]{_hint(section, SECTIONS)}"
        model, header = SECTIONS[section]
        where = header
        if section in LISTED and isinstance(raw.get(section), list) and index < len(raw[section]):
            where += f" {raw[section][index].get('name', index + 1)}"
        at = self._line_of(header, key, index)
        if error["type"] == "extra_forbidden":
            return f"{at}{where}: unknown key {key!r}{_hint(key, model.model_fields)}"
        if error["type"] == "missing":
            return f"{at}{where}: {key} is missing"
        return f"{at}{where}: {key}: {str(error['msg']).removeprefix('Value error, ')}"

    def _names(self, settings: Settings) -> None:
        if not settings.workspace:
            self.problems.append(f"{self._path}: no [[workspace]]: there is nothing to listen to")
        for section in LISTED:
            names = [each.name for each in getattr(settings, section)]
            for name in sorted({each for each in names if names.count(each) > 1}):
                self._problem(f"[[{section}]]", "name", f"two are called {name!r}")
        for connection in settings.connection:
            known = {each.name for each in settings.workspace}
            if connection.workspace and connection.workspace not in known:
                hint = _hint(connection.workspace, known)
                self._problem(
                    "[[connection]]", "workspace", f"{connection.name}: no workspace {connection.workspace!r}{hint}"
                )
            elif not connection.workspace and len(known) > 1:
                self._problem(
                    "[[connection]]", "name", f"{connection.name}: say which workspace, there are {len(known)}"
                )

    def _problem(self, header: str, key: str, what: str) -> None:
        self.problems.append(f"{self._line_of(header, key, 0)}{header} {what}")

    def _line_of(self, header: str, key: str, index: int) -> str:
        """`file:12: ` of a key in the index-th table of a header; of the header when the key is not there."""
        seen, found = -1, 0
        for number, line in enumerate(self._lines, 1):
            text = line.strip()
            if text.startswith("["):
                is_ours = text.split("#")[0].strip() == header
                seen += is_ours
                inside = is_ours and seen == index
                if (inside and not found) or (not header and text.strip("[] ") == key):
                    found = number
            elif header and seen == index and re.match(rf'"?{re.escape(key)}"?\s*=', text) and inside:
                return f"{self._path}:{number}: "
        return f"{self._path}:{found}: " if found else f"{self._path}: "


def _hint(key: str, known: Any) -> str:
    found = difflib.get_close_matches(key, list(known), 1)
    return f"; did you mean {found[0]!r}?" if found else ""


def fields_of(section: str) -> dict[str, Any]:
    """Field name -> pydantic's description of it."""
    model: type[BaseModel] = SECTIONS[section][0]
    return dict(model.model_fields)
