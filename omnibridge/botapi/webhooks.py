"""setWebhook and its kin: where updates are pushed to, under which certificate, and with which secret."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from omnibridge.botapi.connector import BotApiConnector
from omnibridge.botapi.errors import bad
from omnibridge.botapi.parameters import Parameters
from omnibridge.botapi.polling import allowed_updates
from omnibridge.botapi.sealing import Seal
from omnibridge.botapi.webhook_url import check_url
from omnibridge.errors import StorageError
from omnibridge.http import trusting
from omnibridge.storage import bot_updates, bots
from omnibridge.storage.bots import Bot
from omnibridge.storage.database import Database

LONGEST_CERTIFICATE = 20_000
_secret = re.compile(r"[A-Za-z0-9_-]{1,256}")


def check_certificate(pem: str) -> None:
    """Raises MethodError 400."""
    try:
        if len(pem) > LONGEST_CERTIFICATE or "PRIVATE KEY" in pem:
            raise ValueError
        trusting(pem)
    except ValueError:
        raise bad("bad webhook: the certificate must be one in PEM, without its key") from None


class Webhooks:
    """ring: wakes who waits for a connection's updates."""

    def __init__(
        self,
        database: Database,
        connectors: Mapping[str, BotApiConnector],
        seal: Seal,
        ring: Callable[[str], None],
    ) -> None:
        self._database, self._connectors, self._seal, self._ring = database, connectors, seal, ring

    async def set(self, bot: Bot, parameters: Parameters) -> bool:
        """interaction_url: ours, for callback queries alone. Raises MethodError 400."""
        url, secret = parameters.text("url").strip(), parameters.text("secret_token")
        if not url:
            return await self.delete(bot, parameters)
        for_presses, certificate = parameters.text("interaction_url").strip(), parameters.text("certificate")
        if secret and not _secret.fullmatch(secret):
            raise bad("secret token contains unallowed characters, or more than 256")
        most = parameters.integer("max_connections", 40)
        if not 1 <= most <= 100:
            raise bad("max_connections must be from 1 to 100")
        kinds = allowed_updates(parameters)
        if certificate:
            check_certificate(certificate)
        for each in filter(None, (url, for_presses)):
            await check_url(each, allow_private=self._connectors[bot.connection].settings.allow_private)
        sealed = self._seal.close(secret)

        def unit(cursor: Any) -> None:
            bots.set_webhook(cursor, bot.connection, url, sealed, most, for_presses, certificate)
            if kinds is not None:
                bots.allow(cursor, bot.connection, kinds)
            if parameters.flag("drop_pending_updates"):
                bot_updates.keep_last(cursor, bot.connection, 0)

        await self._database.writer.submit(unit)
        self._ring(bot.connection)
        return True

    async def delete(self, bot: Bot, parameters: Parameters) -> bool:
        def unit(cursor: Any) -> None:
            bots.set_webhook(cursor, bot.connection, "", "", 40)
            if parameters.flag("drop_pending_updates"):
                bot_updates.keep_last(cursor, bot.connection, 0)

        await self._database.writer.submit(unit)
        self._ring(bot.connection)
        return True

    async def info(self, bot: Bot, parameters: Parameters) -> Any:
        found: dict[str, Any] = {
            "url": bot.webhook_url,
            "has_custom_certificate": bool(bot.webhook_certificate),
            "pending_update_count": bot_updates.n_waiting(self._database.reader, bot.connection),
        }
        if bot.webhook_url:
            found["max_connections"] = bot.max_connections
        if bot.interaction_url:
            found["interaction_url"] = bot.interaction_url
        if allowed := msgspec.json.decode(bot.allowed_updates):
            found["allowed_updates"] = allowed
        if bot.last_error_at is not None:
            found |= {"last_error_date": bot.last_error_at // 1000, "last_error_message": bot.last_error}
        return found

    async def reseal(self) -> None:
        """Secrets that were stored plain, or under an older key, are sealed under the current one. Raises nothing for
        one that cannot be opened: deliveries of that bot say so."""
        for bot in bots.listed(self._database.reader):
            before = bot.webhook_secret
            if self._seal.is_current(before):
                continue
            try:
                after = self._seal.close(self._seal.open(before))
            except StorageError:
                continue
            await self._database.writer.submit(partial(_reseal, connection=bot.connection, before=before, after=after))


def _reseal(cursor: Any, *, connection: str, before: str, after: str) -> None:
    bots.reseal(cursor, connection, before, after)
