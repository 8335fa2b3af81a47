"""Links to visitors' files: signed, bound to one room and one file, valid for a while. Pure but for the clock.

Whoever has the link has the file, as with any link of this kind; so it is short-lived, names no log-in, and says
nothing without the installation's secret: without it nobody can make one for another file or room.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from omnibridge.clock import Clock
from omnibridge.domain.files import FileRef, plain_name
from omnibridge.sealed import Seal


class Link(msgspec.Struct, frozen=True, array_like=True):
    """What a token says. max_bytes: where the download is cut off, 0 = nowhere. expires_s: epoch, seconds."""

    workspace: str
    room: str
    file: str
    name: str
    media_type: str
    max_bytes: int
    expires_s: int


_links = Seal("files", Link, 4096)


class FileLinks:
    """site: where this service is reached. valid_s: how long a link works."""

    def __init__(self, secret: bytes, clock: Clock, site: Callable[[], str], valid_s: int) -> None:
        self._secret, self._clock, self._site, self._valid_s = secret, clock, site, valid_s

    def token(self, workspace: str, room: str, file: FileRef, max_bytes: int = 0, valid_s: int = 0) -> str:
        """What `read` takes, until it has expired."""
        expires = self._clock.now_ms() // 1000 + (valid_s or self._valid_s)
        link = Link(workspace, room, file.id, plain_name(file.name), file.media_type, max_bytes, expires)
        return _links.seal(self._secret, link)

    def url(self, workspace: str, room: str, file: FileRef, max_bytes: int = 0) -> str:
        return f"{self._site().rstrip('/')}/files/{self.token(workspace, room, file, max_bytes)}"

    def read(self, token: str) -> Link | None:
        """None for what we did not make, and what has expired."""
        found = _links.unseal(self._secret, token)
        return found if found and found.expires_s >= self._clock.now_ms() // 1000 else None
