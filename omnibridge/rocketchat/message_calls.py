"""The REST calls about messages: sent under an id of ours, read back, changed. Source: rocketchat-api 5."""

from __future__ import annotations

from typing import Any

from omnibridge.errors import DeliveryRejected, DeliveryUncertain
from omnibridge.rocketchat.calls import Calls, Credentials, checked, encode
from omnibridge.rocketchat.errors import says_duplicate, unreadable
from omnibridge.rocketchat.leaves import iso_of, list_of, table_of, text_of
from omnibridge.rocketchat.rooms import HubMessage, read_message

NOT_FOUND = ("http-400", "http-404", "error-invalid-user")
"""What a look-up that finds nothing answers: 400 without a code, even without a text."""


class MessageCalls:
    """Every call is under the time limit of `calls`, every failure a DeliveryError."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def send_message(
        self,
        room: str,
        message_id: str,
        text: str,
        *,
        attachments: list[dict[str, Any]] | None = None,
        as_user: Credentials | None = None,
        alias: str | None = None,
        avatar: str | None = None,
        thread: str = "",
        blocks: list[dict[str, Any]] | None = None,
    ) -> None:
        """`chat.sendMessage` with our id. alias, avatar (address of a picture): need `message-impersonate`; staff see
        them, visitors do not (5.2).

        A repeated id, which the hub answers with the text of a crash, raises DeliveryUncertain
        `maybe-duplicate`: read back (5.3).
        """
        message: dict[str, Any] = {"_id": message_id, "rid": room, "msg": text}
        if attachments:
            message["attachments"] = attachments
        if alias:
            message["alias"] = alias
        if avatar:
            message["avatar"] = avatar
        if thread:
            message["tmid"] = thread
        if blocks:
            message["blocks"] = blocks
        content = encode({"message": message})
        answer = await self._calls.exchange("POST", "/api/v1/chat.sendMessage", content=content, as_user=as_user)
        if not answer.is_success and says_duplicate(answer.body):
            raise DeliveryUncertain("a message of this id may be there already", code="maybe-duplicate")
        checked(answer)

    async def get_message(self, message_id: str, as_user: Credentials | None = None) -> HubMessage | None:
        """A message by id, None when there is none. The relay account may read all livechat rooms."""
        try:
            body = await self._calls.get("chat.getMessage", {"msgId": message_id}, as_user)
        except DeliveryRejected as exc:
            if exc.code in NOT_FOUND:
                return None
            raise
        found = read_message(table_of(body.get("message")))
        if found.id != message_id:
            raise unreadable()
        return found

    async def raw_message(self, message_id: str) -> dict[str, Any] | None:
        """As the hub shows it, with its blocks; None when there is none."""
        try:
            body = await self._calls.get("chat.getMessage", {"msgId": message_id})
        except DeliveryRejected as exc:
            if exc.code in NOT_FOUND:
                return None
            raise
        return table_of(body.get("message"))

    async def update_text(self, room: str, message_id: str, text: str, as_user: Credentials | None = None) -> None:
        """`chat.update`: text alone can be changed over REST, by its author or with `edit-message` (5.4)."""
        await self._calls.post("chat.update", {"roomId": room, "msgId": message_id, "text": text}, as_user)

    async def confirm_message(self, room: str, message_id: str, author: str | None, text: str) -> bool:
        """Read back a send: True when it is there as we sent it, False when it is not there.

        An edited message counts as ours whatever it says now. Raises DeliveryRejected `id-taken` when the id
        belongs to something else: visitors choose the ids of their messages.
        """
        found = await self.get_message(message_id)
        if found is None:
            return False
        is_author = not found.from_visitor and author in (None, found.author_id)
        is_content = found.text.strip() == text.strip() or found.edited_at_ms is not None
        if found.room == room and is_author and is_content:
            return True
        raise DeliveryRejected("the message id is taken by another message", code="id-taken")

    async def changes_since(self, room: str, since_ms: int) -> tuple[list[HubMessage], list[str]]:
        """Messages stored or changed after a time, oldest first, system messages among them; ids of those deleted."""
        body = await self._calls.get("chat.syncMessages", {"roomId": room, "lastUpdate": iso_of(since_ms)})
        result = table_of(body.get("result"))
        updated, deleted = result.get("updated"), list_of(result.get("deleted"))
        if not isinstance(updated, list):
            raise unreadable()
        read = (read_message(table_of(each)) for each in updated)
        gone = (text_of(table_of(each).get("_id")) for each in deleted)
        return sorted((each for each in read if each.id), key=lambda each: each.ts_ms), [each for each in gone if each]
