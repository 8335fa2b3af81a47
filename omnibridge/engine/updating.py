"""Changing a message that was shown: all of it, or one block, the others as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from omnibridge.domain import commands as cmd
from omnibridge.domain.conversation import Conversation
from omnibridge.errors import DeliveryRejected
from omnibridge.rocketchat import uikit
from omnibridge.rocketchat.app_client import AppClient, message_blocks
from omnibridge.rocketchat.client import Credentials, RocketChatClient
from omnibridge.rocketchat.leaves import text_of
from omnibridge.rocketchat.render import OutgoingMessage
from omnibridge.rocketchat.uikit_actions import put_back, replaced

GONE = "message-unknown"
"""Code of a change of a message that is not there any more."""

Posted = Callable[[int, Conversation, str], list[dict[str, Any]]]
"""(conversation, its state, message id) -> its blocks before some of them were used and went."""


def nothing_posted(conversation_id: int, conversation: Conversation, message_id: str) -> list[dict[str, Any]]:
    """Where nothing is known of what was posted."""
    return []


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a message shall show. block_id: only there. keeps_text: none was given, so the old one stays.

    only_choices: its words are the old ones, so they are not said anew where they cannot be changed. lost: kinds of
    what could not be shown.
    """

    message_id: str
    block_id: str = ""
    text: str = ""
    attachments: tuple[dict[str, Any], ...] = ()
    blocks: tuple[dict[str, Any], ...] = ()
    keeps_text: bool = False
    only_choices: bool = False
    lost: tuple[str, ...] = ()


def change_of(command: cmd.UpdateMessage, messages: Sequence[OutgoingMessage]) -> Change:
    """messages: how the content is shown; in one message all of it."""
    update = command.update
    return Change(
        update.message_id,
        update.block_id,
        "\n".join(each.text for each in messages if each.text),
        tuple(one for each in messages for one in each.attachments),
        uikit.joined(each.blocks for each in messages),
        keeps_text=getattr(update.content, "text", None) == "",
        only_choices=update.only_choices,
        lost=tuple(dict.fromkeys(kind for each in messages for kind in each.lost)),
    )


async def by_app(
    app: AppClient, client: RocketChatClient, room: str, change: Change, posted: list[dict[str, Any]]
) -> None:
    """posted: its blocks before some went: one that was used is put back in its place. Raises DeliveryError."""
    blocks = list(change.blocks)
    if not change.block_id:
        text = None if change.keeps_text or not change.text else change.text
        await app.update(room, change.message_id, text=text, blocks=blocks, attachments=list(change.attachments))
        return
    raw = await client.raw_message(change.message_id)
    if raw is None or text_of(raw.get("rid")) != room:
        raise DeliveryRejected("the message is not there any more", code=GONE)
    now = message_blocks(raw)
    if not now and not posted:  # it has no blocks: it is one thing
        await app.update(room, change.message_id, text=change.text or None, blocks=blocks)
        return
    instead = _as_block(change)
    found = replaced(now, change.block_id, instead)
    if found is None:
        found = put_back(now, posted, change.block_id, instead)
    await app.update(room, change.message_id, blocks=found)


async def by_rest(client: RocketChatClient, room: str, change: Change, poster: Credentials | None) -> None:
    """Its text alone, by who posted it: the bot's user, or the relay account for it. Raises DeliveryError."""
    try:
        await client.update_text(room, change.message_id, change.text, poster)
    except DeliveryRejected:
        if poster is None:
            raise
        await client.update_text(room, change.message_id, change.text)


def _as_block(change: Change) -> list[dict[str, Any]]:
    """Words of a message are beside its blocks, those of a block are in it: for everybody, so not conditional ones."""
    words = [] if change.keeps_text or not change.text else [_section(change.text)]
    return [*words, *(each for each in change.blocks if each.get("type") != "conditional")]


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}
