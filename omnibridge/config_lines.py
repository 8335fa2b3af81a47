"""Where a setting is written: the line of every key of a TOML text, or the variable that overrode it.

tomllib keeps no positions. It does check the text, so this only has to find the statements of a valid one.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

KeyPath = tuple[str | int, ...]
"""("workspace", 0, "url"): keys, and indexes into arrays of tables."""

_PIECE = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*|[\[\]{}=\n]|[^\[\]{}=\n"\'#]+',
    re.DOTALL,
)


@dataclass
class Sources:
    """Says where a value came from. labels: names of the entries of arrays of tables."""

    file: str = "omnibridge.toml"
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    variables: dict[KeyPath, str] = field(default_factory=dict)
    labels: dict[tuple[str, int], str] = field(default_factory=dict)

    def where(self, path: KeyPath) -> str:
        """`omnibridge.toml:12: [server] port`, or `OMNIBRIDGE_SERVER__PORT: [server] port`."""
        keys = " ".join(str(part) for part in path[self._n_header(path) :] if isinstance(part, str))
        return f"{self.place(path)}: {self._header(path)} {keys}".rstrip()

    def line(self, path: KeyPath) -> int:
        """Of the key, else of the nearest table around it; 0 when nothing of it is in the file."""
        return next((self.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.lines), 0)

    def place(self, path: KeyPath) -> str:
        """The variable, else file and line, else the file."""
        variable = next((self.variables[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.variables), "")
        line = self.line(path)
        return variable or (f"{self.file}:{line}" if line else self.file)

    def _header(self, path: KeyPath) -> str:
        if self._n_header(path) < 2:
            return f"[{path[0]}]"
        index = path[1]
        assert isinstance(index, int)
        return f"[[{path[0]}]] {self.labels.get((str(path[0]), index)) or f'number {index + 1}'}"

    @staticmethod
    def _n_header(path: KeyPath) -> int:
        return 2 if len(path) > 1 and isinstance(path[1], int) else 1


def locate(text: str) -> dict[KeyPath, int]:
    """Line of every header and key, counted from 1. text: TOML that tomllib takes."""
    lines: dict[KeyPath, int] = {}
    counts: dict[KeyPath, int] = {}
    implied: dict[KeyPath, int] = {}  # by the header of a table in them: `[a.b]` is the first that names `a`
    table: KeyPath = ()
    for number, statement, has_value in _statements(text):
        if has_value:
            path = table + _keys(f"{statement} = 0")
            # The table around a dotted key exists from here on, unless a header has said so before.
            for n in range(len(table) + 1, len(path) + 1):
                lines.setdefault(path[:n], number)
            continue
        is_array = statement.startswith("[[")
        table = ()
        keys = _keys(statement)
        for n, key in enumerate(keys, 1):
            table += (key,)
            if is_array and n == len(keys):
                counts[table] = counts.get(table, -1) + 1
                lines.setdefault(table, number)
            if table in counts:
                table += (counts[table],)
        lines.setdefault(table, number)
        for n in range(1, len(table)):
            implied.setdefault(table[:n], number)
    return {**implied, **lines}


def _statements(text: str) -> Iterator[tuple[int, str, bool]]:
    """(line, text before the `=`, whether there is one) of each header and each key."""
    number, began, depth, head, has_value = 1, 1, 0, "", False
    for found in _PIECE.finditer(text + "\n"):
        piece = found.group()
        if piece == "\n" and depth == 0:
            if head.strip():
                yield began, head.strip(), has_value
            head, has_value = "", False
        elif piece == "=" and depth == 0:
            has_value = True
        elif not piece.startswith("#") and not has_value:
            if not head.strip():
                began = number
            head += piece
        depth += (piece in ("[", "{")) - (piece in ("]", "}"))
        number += piece.count("\n")


def _keys(statement: str) -> tuple[str, ...]:
    """tomllib itself reads a header or a key: `a."b c"` -> ("a", "b c")."""
    found: list[str] = []
    node: Any = tomllib.loads(statement)
    while isinstance(node, list) or (isinstance(node, dict) and node):
        if isinstance(node, list):
            node = node[0]
            continue
        key = next(iter(node))
        found.append(key)
        node = node[key]
    return tuple(found)
