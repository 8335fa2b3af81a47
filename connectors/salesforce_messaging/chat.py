"""A session as this process has it, and what all of them share."""

from __future__ import annotations

import asyncio

from connectors.salesforce import chat as base
from connectors.salesforce_messaging.client import OrgClient
from connectors.salesforce_messaging.forms import OpenForm
from connectors.salesforce_messaging.pacing import Pacer
from connectors.salesforce_messaging.settings import SalesforceMessagingSettings
from connectors.salesforce_messaging.state import Kept, decode
from connectors.salesforce_messaging.tokens import Access, Identity
from omnibridge.connector import ConnectorContext, DeliveryRetryable
from omnibridge.connector.desks import Session


class Shared(base.Shared[SalesforceMessagingSettings]):
    """identity: None = visitors are guests."""

    def __init__(
        self,
        context: ConnectorContext,
        settings: SalesforceMessagingSettings,
        org: OrgClient,
        identity: Identity | None,
        pacer: Pacer,
    ) -> None:
        super().__init__(context, settings)
        self.org, self.identity, self.pacer = org, identity, pacer

    def now_s(self) -> float:
        return self.context.clock.now_ms() / 1000

    async def access(self, user: str) -> Access:
        """A new token. user: '' = a guest, whose every token is another user. Raises DeliveryError."""
        if not user:
            return await self.org.guest()
        if self.identity is None:
            raise DeliveryRetryable("user_key is missing: this chat is one of a verified user", code="no-key")
        return await self.org.verified(self.identity.token(user, int(self.now_s())), user)

    async def aclose(self) -> None:
        await self.org.aclose()
        await super().aclose()


class Chat(base.Chat[Kept]):
    """deaf_since: no stream is open since then, by the loop's time; None = one is."""

    __slots__ = (
        "awaited",
        "beginning",
        "deaf_since",
        "form",
        "heard",
        "quiet",
        "refused",
        "scope",
        "sent",
        "talking",
        "turn",
    )

    def __init__(self, session: Session) -> None:
        super().__init__(session, decode)
        self.beginning, self.talking = asyncio.Lock(), asyncio.Lock()
        """talking: held while something of the visitor's is sent."""
        if self.kept.is_begun:
            self.ready.set()
        self.heard = self.kept.position
        """How far the stream was read; `kept.position` is what led to something."""
        self.scope: asyncio.Timeout | None = None
        self.quiet: asyncio.TimerHandle | None = None
        self.deaf_since: float | None = asyncio.get_running_loop().time()
        self.awaited: dict[str, asyncio.Future[bool]] = {}
        """Messages of the turn under way, until the stream tells of them; False: the session ended before it did."""
        self.turn = ""
        """delivery_id of the turn under way."""
        self.form: OpenForm | None = None
        """What was asked when it began."""
        self.sent: set[str] = set()
        """Ids of the turn under way that were taken: not sent twice when a later part of it fails."""
        self.refused = ("", 0)
        """A message and how often it was refused in a way that may be over soon."""

    @property
    def access(self) -> Access:
        assert self.kept.access is not None
        return self.kept.access

    def interrupt(self) -> None:
        """Have its follower look again at what holds now."""
        if self.scope is not None and not self.scope.expired():
            self.scope.reschedule(0.0)

    def await_echo(self, message_id: str) -> None:
        """Before it is sent: the stream may be quicker than the answer."""
        if message_id not in self.awaited:
            self.awaited[message_id] = asyncio.get_running_loop().create_future()
        if self.heard is not None and self.heard.has_message(self.kept.conversation, message_id):
            self.echoed(message_id)

    def echoed(self, message_id: str) -> None:
        found = self.awaited.get(message_id)
        if found is not None and not found.done():
            found.set_result(True)

    def ended(self) -> None:
        """No agent of this session will read what was not told of until now."""
        for each in self.awaited.values():
            if not each.done():
                each.set_result(False)

    def listens(self, is_open: bool) -> None:
        if is_open:
            self.deaf_since = None
        elif self.deaf_since is None:
            self.deaf_since = asyncio.get_running_loop().time()

    def forget(self) -> None:
        if self.quiet is not None:
            self.quiet.cancel()
            self.quiet = None
