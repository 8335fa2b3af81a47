"""Secret tokens of webhooks at rest: under the first of `[agents] token_keys`, without keys under one of our own.

Our own key is made from the secret of the installation, which is in the same database: it keeps the tokens out of
listings, logs and dumps of the one table, but not from who has the whole file. Keys in the configuration do.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import blake2b

from cryptography.fernet import Fernet, InvalidToken

from omnibridge.errors import StorageError

OWN = "installation"


class Seal:
    """keys: by name, the first seals, all open. secret: of the installation."""

    def __init__(self, keys: Mapping[str, Fernet], secret: bytes) -> None:
        own = urlsafe_b64encode(blake2b(b"botapi/webhook_secret", digest_size=32, key=secret).digest())
        self._keys = {**keys, OWN: Fernet(own)}
        self._current = next(iter(self._keys))

    def close(self, text: str) -> str:
        """`NAME:…`; nothing of nothing."""
        return f"{self._current}:{self._keys[self._current].encrypt(text.encode()).decode()}" if text else ""

    def open(self, sealed: str) -> str:
        """Raises StorageError when none of our keys opens it. What was stored before version 0009 is plain."""
        name, colon, token = sealed.partition(":")
        if not colon:  # a secret token holds no colon
            return sealed
        try:
            return self._keys[name].decrypt(token.encode()).decode()
        except (KeyError, InvalidToken):
            raise StorageError(
                f"the secret token was sealed under key {name!r}, which [agents] token_keys does not hold: put it "
                "back, or call setWebhook again"
            ) from None

    def is_current(self, sealed: str) -> bool:
        return not sealed or sealed.startswith(f"{self._current}:")
