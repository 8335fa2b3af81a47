"""Log-ins of users that we made: given to who posts as them, renewed when they run out or were revoked."""

from __future__ import annotations

from collections.abc import Mapping

from omnibridge.errors import DeliveryError, DeliveryRetryable, StorageError
from omnibridge.identity import making
from omnibridge.identity.world import World
from omnibridge.rocketchat.calls import Credentials
from omnibridge.rocketchat.provisioning import Provisioner
from omnibridge.storage import seats
from omnibridge.storage.seats import DAY_MS, Proxy, Token


class Logins:
    """hubs: by workspace."""

    def __init__(self, world: World, hubs: Mapping[str, Provisioner]) -> None:
        self._world, self._hubs = world, hubs

    async def credentials(self, workspace: str, user_id: str, refused: Credentials | None = None) -> Credentials | None:
        """To post as a user that we made; None for others, or when the hub cannot be asked for a new log-in.

        refused: what was given before and the hub does not know any more; never given again.
        """
        proxy = seats.proxy(self._world.database.reader, workspace, user_id)
        token = seats.token(self._world.database.reader, workspace, proxy.username) if proxy else None
        if proxy is None or token is None:
            return None
        is_refused = bool(token.token) and refused is not None and refused == self._opened(user_id, token)
        age_ms = self._world.clock.now_ms() - token.issued_at
        if not token.token or is_refused or age_ms > self._world.policy.token_days * DAY_MS:
            try:
                token = await making.renew(self._world, self._hubs[workspace], workspace, proxy.username, token.token)
            except (DeliveryError, StorageError) as exc:
                code = exc.code if isinstance(exc, DeliveryError) else str(exc)
                self._world.alarm("token", workspace, username=proxy.username, reason=code)
                if not token.token or is_refused:
                    return None
            else:
                self._world.count("login_revoked" if is_refused else "login_renewed")
        return self._opened(user_id, token)

    def _opened(self, user_id: str, token: Token) -> Credentials:
        """Raises StorageError when its key is gone."""
        return Credentials(user_id, self._world.sealing().decrypt(token.token))

    async def keep(self, proxy: Proxy) -> None:
        """Renew it before it runs out, and when it is still under an old key."""
        proxy = seats.proxy(self._world.database.reader, proxy.workspace, proxy.user_id) or proxy
        token = seats.token(self._world.database.reader, proxy.workspace, proxy.username)
        vault = self._world.vault
        if token is None or vault is None or not proxy.active:
            return
        is_old = self._world.clock.now_ms() - token.issued_at > self._world.policy.token_days * DAY_MS
        if not token.token or is_old or not vault.is_current(token.token):
            try:
                hub = self._hubs[proxy.workspace]
                await making.renew(self._world, hub, proxy.workspace, proxy.username, token.token)
            except (DeliveryError, StorageError) as exc:
                if isinstance(exc, DeliveryRetryable) and exc.code == "rate-limited":
                    self._world.count("login_later")
                else:
                    self._world.alarm("token", proxy.workspace, username=proxy.username, reason=str(exc))
