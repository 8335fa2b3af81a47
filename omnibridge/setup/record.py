"""What setup changed, and what was there before: a file beside the configuration, so that `--undo` works without us.

Each change is written down, with the old value, before it is made; so a crash between any two steps leaves a record
that a second run, or an undo, can go on from. The file holds the old secret token of the webhook: mode 0600.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from omnibridge.errors import ConfigError

VERSION = 1


class Change(msgspec.Struct):
    """kind, name: what it is about; unique together. before, after: what undo needs; their keys depend on the kind.

    is_done: the change was seen to be made; without it, it may or may not have been.
    """

    kind: str
    name: str
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    is_done: bool = False


class _File(msgspec.Struct):
    version: int
    workspace: str
    url: str
    changes: list[Change]


class Record:
    """Of one workspace. Every method that changes something returns after it is on the disk.

    url: of the server; empty = whatever the file says.
    """

    def __init__(self, path: Path, workspace: str, url: str) -> None:
        self.path = path
        self._file = _File(VERSION, workspace, url, [])
        if path.exists():
            self._file = _read(path)
            if url and self._file.url != url:
                raise ConfigError(
                    f"{path} is the record of {self._file.url}, not of {url}: correct --url; "
                    "or undo that one first (`setup --undo`, without --url)"
                )

    @property
    def changes(self) -> list[Change]:
        """In the order in which they were begun."""
        return list(self._file.changes)

    @property
    def url(self) -> str:
        return self._file.url

    def find(self, kind: str, name: str) -> Change | None:
        return next((each for each in self._file.changes if (each.kind, each.name) == (kind, name)), None)

    def begin(self, kind: str, name: str, before: dict[str, Any], after: dict[str, Any]) -> Change:
        """Before the change is made. A second time keeps the oldest `before`: that is what undo goes back to."""
        found = self.find(kind, name)
        if found is None:
            found = Change(kind, name, before)
            self._file.changes.append(found)
        found.before = {**before, **found.before}
        found.after, found.is_done = {**found.after, **after}, False
        self._save()
        return found

    def done(self, change: Change, **more: Any) -> None:
        """It was made; more: what is known only now, as the id of a user."""
        change.after, change.is_done = {**change.after, **more}, True
        self._save()

    def remove(self, change: Change) -> None:
        """It was taken back. Without any change left, the file goes."""
        self._file.changes.remove(change)
        if self._file.changes:
            self._save()
        else:
            remove_secret(self.path)

    def _save(self) -> None:
        write_secret(self.path, msgspec.json.format(msgspec.json.encode(self._file), indent=2))


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One setup at a time in a folder. Raises ConfigError."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        os.close(lock)
        raise ConfigError(f"{folder}: another `omnibridge setup` is running here") from exc
    try:
        yield
    finally:
        os.close(lock)


def write_secret(path: Path, content: bytes) -> None:
    """Whole or not at all, readable by us alone, on the disk when this returns."""
    temporary = _temporary(path)
    temporary.unlink(missing_ok=True)
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    _sync_folder(path.parent)


def remove_secret(path: Path) -> None:
    """With what a crash in the middle of `write_secret` may have left."""
    for each in (path, _temporary(path)):
        each.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read(path: Path) -> _File:
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_File)
    except (OSError, msgspec.MsgspecError) as exc:
        raise ConfigError(f"{path}: cannot be read as the record of a setup; move it away to begin anew") from exc
    if found.version != VERSION:
        raise ConfigError(f"{path}: of another version of omnibridge; undo with that one")
    return found
