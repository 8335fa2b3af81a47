"""Files as both sides know them: what it is and where the hub keeps it, never its bytes. Pure.

Names come from visitors and bots: `plain_name` before one is shown, put into a header or into a path.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

LONGEST_NAME = 120
"""Characters that are kept of a name, its extension among them."""

Refusal = Literal["", "size", "type", "count"]

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff/\\\"<>|:*?]+")
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,10}$")


class FileRef(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file of a message. id: the hub's, by which it is fetched. name: as it was given, hostile.

    media_type: as `image/png`, empty = not told. size: bytes, 0 = not told.
    """

    id: str
    name: str = ""
    media_type: str = ""
    size: int = 0


KEPT = "kept:"
"""What an address of ours begins with, for bytes that a bot gave us: a row of `storage.uploads.blobs`."""


class FileSource(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file of a bot, on its way into the room. url: where it is fetched, or KEPT and a number."""

    url: str
    name: str = ""
    media_type: str = ""


class FilePolicy(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a side takes. types: media types (`image/png`, `image/*`) and extensions (`.pdf`); empty = any.

    max_bytes: of each, 0 = any. max_count: of one message, 0 = any.
    """

    types: tuple[str, ...] = ()
    max_bytes: int = 0
    max_count: int = 0

    def refusal(self, name: str, media_type: str, size: int) -> Refusal:
        """Why a file is not taken; empty = it is. A size that is not told (0) is checked while it is read."""
        if self.max_bytes and size > self.max_bytes:
            return "size"
        return "" if not self.types or any(_fits(each, name, media_type) for each in self.types) else "type"

    def and_also(self, other: FilePolicy) -> FilePolicy:
        """What both take. Of types the narrower list, if one is empty; else those that stand in both, as written."""
        both = tuple(each for each in self.types if each in other.types or _covers(other.types, each))
        both += tuple(each for each in other.types if each not in both and _covers(self.types, each))
        types = both or ("nothing/nothing",) if self.types and other.types else self.types or other.types
        return FilePolicy(types, _least(self.max_bytes, other.max_bytes), _least(self.max_count, other.max_count))


def plain_name(name: str) -> str:
    """A name that is safe in a path, a header and a sentence: `file` when nothing is left of it.

    Folders before it are cut off; control characters, quotes and what some systems forbid become `_`.
    """
    last = re.split(r"[/\\]", name)[-1]
    kept = _UNSAFE.sub("_", last).strip(" ._") or "file"
    if len(kept) <= LONGEST_NAME:
        return kept
    found = _EXTENSION.search(kept)
    extension = found.group() if found else ""
    return kept[: LONGEST_NAME - len(extension)] + extension


def shown_size(size: int) -> str:
    """For people: 10 MB."""
    for unit, power in (("GB", 30), ("MB", 20), ("KB", 10)):
        if size >= 1 << power:
            return f"{size / (1 << power):.3g} {unit}"
    return f"{size} bytes"


def _fits(wanted: str, name: str, media_type: str) -> bool:
    wanted = wanted.casefold()
    if wanted.startswith("."):
        return name.casefold().endswith(wanted)
    kind = media_type.partition(";")[0].strip().casefold()
    return kind == wanted or (wanted.endswith("/*") and kind.startswith(wanted[:-1]))


def _covers(types: tuple[str, ...], one: str) -> bool:
    return not one.startswith(".") and any(_fits(each, "", one) for each in types)


def _least(one: int, other: int) -> int:
    return min(one, other) if one and other else one or other
