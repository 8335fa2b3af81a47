"""Parameters of a call as clients of Telegram send them: query, form, multipart form or JSON; values often as text."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from omnibridge.botapi.errors import MethodError, bad
from omnibridge.botapi.multipart import FilePart, read_multipart

MOST_BYTES = 1_000_000
MOST_FIELDS = 200
FILES = ("certificate",)
"""Files that are taken as text."""

_INTEGER = re.compile(r"-?\d{1,18}")


class Parameters:
    """Of one call, by name. Its readers raise MethodError 400 with the name of what is wrong."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = {name: value for name, value in values.items() if value is not None}

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, *, required: bool = False) -> str:
        value = self._values.get(name, "")
        if isinstance(value, bool | list | dict | FilePart):
            raise bad(f"{name} must be a text")
        if required and value == "":
            raise bad(f"{name} is empty" if name in self else f"parameter {name} is missing")
        return str(value)

    def integer(self, name: str, default: int | None = None) -> int:
        value = self._values.get(name, "")
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
            return value
        if value == "" and default is not None:
            return default
        if not isinstance(value, str) or not _INTEGER.fullmatch(value.strip()):
            raise bad(f"parameter {name} must be an integer" if name in self else f"parameter {name} is missing")
        return int(value)

    def flag(self, name: str) -> bool:
        value = self._values.get(name, False)
        return value if isinstance(value, bool) else str(value).strip().casefold() in ("true", "1", "yes")

    def file(self, name: str) -> FilePart | str:
        """The bytes, under its own name or another that it points to, or an address. Raises MethodError."""
        value = self._values.get(name, "")
        if isinstance(value, str) and value.startswith("attach://"):
            value = self._values.get(value.removeprefix("attach://"), "")
        if isinstance(value, FilePart):
            return value
        return self.text(name, required=True).strip()

    def value(self, name: str) -> Any:
        """JSON: as it is, or in a text. None when there is none."""
        value = self._values.get(name)
        if not isinstance(value, str):
            return value
        if not value.strip():
            return None
        try:
            return msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise bad(f"can't parse {name} as JSON") from None


def read(query: str, content_type: str, body: bytes, *, takes_files: bool = False) -> Parameters:
    """What the body says goes before the query. Raises MethodError."""
    values: dict[str, Any] = _form(query)
    kind = content_type.partition(";")[0].strip().casefold()
    if kind == "application/json" and body.strip():
        try:
            found = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise bad("can't parse the body as JSON") from None
        if not isinstance(found, dict):
            raise bad("the body must be a JSON object")
        values.update(found)
    elif kind == "multipart/form-data":
        values.update(_multipart(content_type, body, takes_files=takes_files))
    elif body:
        values.update(_form(body.decode("utf-8", "replace")))
    return Parameters(values)


def _form(text: str) -> dict[str, Any]:
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError:
        raise MethodError(413, "Request Entity Too Large: too many parameters") from None


def _multipart(content_type: str, body: bytes, *, takes_files: bool) -> dict[str, Any]:
    """Its texts, those of files whose content is text, and its files where the method takes any."""
    found: dict[str, Any] = dict(read_multipart(content_type, body))
    for name, value in found.items():
        if isinstance(value, FilePart) and name in FILES:
            found[name] = value.content.decode("utf-8", "replace")
        elif isinstance(value, FilePart) and not takes_files:
            raise bad(f"files are not taken ({name})")
    return found
