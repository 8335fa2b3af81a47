"""One change to a workspace, as it is shown, and as it is done."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from omnibridge.config_values import Secret
from omnibridge.errors import ConfigError
from omnibridge.rocketchat.calls import Credentials
from omnibridge.setup.admin import Admin
from omnibridge.setup.record import Record, write_secret
from omnibridge.setup.wish import Wish


@dataclass
class Work:
    """What the steps of one run share. write: secrets go to files, and are not shown.

    user_ids, passwords: of users made in this run. tokens: made in this run, by user name. webhook_token,
    external_token: in force.
    """

    admin: Admin
    record: Record
    wish: Wish
    write: bool
    user_ids: dict[str, str] = field(default_factory=dict)
    passwords: dict[str, Secret] = field(default_factory=dict)
    tokens: dict[str, Credentials] = field(default_factory=dict)
    webhook_token: Secret = field(default_factory=lambda: Secret(""))
    external_token: Secret = field(default_factory=lambda: Secret(""))

    def keep(self, file: str, secret: str) -> None:
        """Into a file beside the configuration; a record of it lets undo take it away."""
        path = self.wish.config.parent / file
        change = self.record.begin("file", file, {}, {"sha256": digest(secret)})
        path.parent.mkdir(parents=True, exist_ok=True)
        write_secret(path, f"{secret}\n".encode())
        self.record.done(change)

    def delivered(self) -> None:
        """The tokens made in this run were shown: from now on they are the admin's to keep."""
        for username in self.tokens:
            change = self.record.find("token", username)
            if change and not change.is_done:
                self.record.done(change)


@dataclass(frozen=True)
class Step:
    """text: in the imperative. needs: permission of the admin -> what for."""

    name: str
    text: str
    needs: Mapping[str, str]
    do: Callable[[Work], Awaitable[None]]


def may_write(wish: Wish, record: Record, file: str) -> bool:
    """Not over a file that setup did not write. Raises ConfigError."""
    path = wish.config.parent / file
    if path.exists() and record.find("file", file) is None:
        raise ConfigError(f"{path}: is there, and setup did not write it: move it away, or run without --write")
    return not path.exists()


def digest(text: str) -> str:
    return hashlib.sha256(text.strip().encode()).hexdigest()
