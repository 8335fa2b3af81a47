"""Passwords and tokens at rest: Fernet under named keys, so that keys can be exchanged one after the other.

The keys come from the configuration, never from the database: who has only the file cannot read them.
"""

from __future__ import annotations

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from omnibridge.errors import ConfigError, StorageError


class Vault:
    """keys: `NAME:KEY` separated by spaces or lines; the first encrypts, all decrypt. Raises ConfigError."""

    def __init__(self, keys: str) -> None:
        self._keys = read_keys(keys)
        if not self._keys:
            raise ConfigError("[agents] token_keys: missing; users that we make need it")
        self._current = next(iter(self._keys))

    def encrypt(self, text: str) -> str:
        """`NAME:…`"""
        return f"{self._current}:{self._keys[self._current].encrypt(text.encode()).decode()}"

    def decrypt(self, sealed: str) -> str:
        """Raises StorageError when no key of ours opens it."""
        name, _, token = sealed.partition(":")
        keys = [self._keys[name]] if name in self._keys else list(self._keys.values())
        try:
            return MultiFernet(keys).decrypt(token.encode()).decode()
        except InvalidToken:
            raise StorageError(
                f"a log-in was encrypted under key {name!r}, which [agents] token_keys does not hold: put it back"
            ) from None

    def is_current(self, sealed: str) -> bool:
        """Whether it is under the first key; otherwise it waits to be encrypted again."""
        return sealed.startswith(f"{self._current}:")


def read_keys(text: str) -> dict[str, Fernet]:
    """In the order written. Raises ConfigError; never repeats a key."""
    found: dict[str, Fernet] = {}
    for number, each in enumerate(text.split(), 1):
        name, colon, key = each.partition(":")
        try:
            if not colon or not name or name in found:
                raise ValueError
            found[name] = Fernet(key)
        except ValueError:
            raise ConfigError(
                f"[agents] token_keys: entry {number} must be NAME:KEY, each name once, "
                "KEY from `openssl rand -base64 32 | tr +/ -_`"
            ) from None
    return found
