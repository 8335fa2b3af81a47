"""The bot API as a connector: a turn is accepted once its update is durable; what the bot says comes as callbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import msgspec

from omnibridge.connector import (
    Callback,
    ConfigError,
    ConnectorContext,
    DeliveryRetryable,
    FilePolicy,
    Reply,
    Turn,
)
from omnibridge.connector.signing import read_secrets

if TYPE_CHECKING:
    from omnibridge.botapi.queue import UpdateQueue

_callback = msgspec.json.Decoder(Callback)


class BotApiSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of `[[connection]] kind = "bot_api"`.

    start: text of the first update of a conversation, as Telegram sends it; empty = none, the visitor speaks first.
    display_name: what getMe calls the bot; empty = the connection's name.
    allow_private: its webhook may be http, and at a private address.
    absent_after_s: turns are not taken while an update waits for longer: the bot is down (`bot_down`); 0 = they are
    taken whatever happens.
    edits: an edited message changes before the visitor's eyes where the hub lets us (`show`), is always posted again
    with its new words (`post`), or editMessageText is refused (`refuse`).
    files: it gets visitors' files, as document or photo; else they are told that files are not read.
    hears_edits: it gets edited_message when a visitor changes what he wrote.
    signing_secret: `whsec_…`; deliveries are signed with it as Standard Webhooks say. Several, with blanks between.
    """

    start: str = "/start"
    display_name: str = ""
    allow_private: bool = False
    absent_after_s: float = 0
    edits: Literal["show", "post", "refuse"] = "show"
    signing_secret: str = ""
    files: bool = False
    hears_edits: bool = False


class BotApiConnector:
    """Implements Connector, WelcomesVisitors, ResolvesTurns, ReceivesCallbacks, TakesFiles, HearsEdits."""

    settings_type: ClassVar[type[msgspec.Struct]] = BotApiSettings
    _queue: UpdateQueue | None = None

    async def initialize(self, context: ConnectorContext) -> None:
        self.context: ConnectorContext = context
        self.settings: BotApiSettings = context.settings
        if self.settings.absent_after_s < 0:
            raise ConfigError(f"connection {context.name}: absent_after_s must not be negative; 0 = never")
        try:
            self.keys = read_secrets(self.settings.signing_secret)
        except ValueError as exc:
            raise ConfigError(f"connection {context.name}: signing_secret: {exc}") from None

    def use(self, queue: UpdateQueue) -> None:
        """Where updates go. The service calls it once its database is open."""
        self._queue = queue

    async def on_start(self, turn: Turn) -> Reply:
        if not self.settings.start:
            return Reply()
        return await self._put(turn, self.settings.start)

    async def on_message(self, turn: Turn) -> Reply:
        return await self._put(turn, turn.text)

    async def resolve(self, turn: Turn) -> Reply:
        """A turn that has its update already gets no second one, so giving it again is how to find out."""
        is_start = not (turn.text or turn.choice_value or turn.message_id)
        return await (self.on_start(turn) if is_start else self.on_message(turn))

    async def on_close(self, session_id: str, reason: str) -> None:
        await self._open_queue.put_closed(self.context.name, session_id)

    def file_policy(self) -> FilePolicy | None:
        """One with each message, as Telegram has it."""
        return FilePolicy(max_count=1) if self.settings.files else None

    def wants_edits(self) -> bool:
        return self.settings.hears_edits

    async def on_edit(self, session_id: str, message_id: str, text: str) -> None:
        await self._open_queue.put_edited(self.context.name, session_id, message_id, text)

    async def on_delete(self, session_id: str, message_id: str) -> None:
        """Telegram tells of none."""
        self.context.count("deletion_not_told", 1)

    def callback_token(self) -> str:
        """Nobody calls its callback address: bots have their own."""
        return ""

    def read_callback(self, body: bytes) -> Callback:
        try:
            return _callback.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise ValueError(f"not a callback of the bot API: {exc}") from exc

    async def aclose(self) -> None:
        self._queue = None

    async def _put(self, turn: Turn, text: str) -> Reply:
        why_not = await self._open_queue.put(self.context.name, turn, text, self.settings.absent_after_s)
        return Reply(accepted=True, declined=why_not)

    @property
    def _open_queue(self) -> UpdateQueue:
        if self._queue is None:
            raise DeliveryRetryable("the bot API is not running here", code="closed")
        return self._queue
