"""Turns of visitors -> updates in Telegram's form, and messages of bots. Pure.

Shapes: core.telegram.org/bots/api, from memory of its version 7, checked by the client libraries of
`make test-clients`. What is not Telegram's is under the key `omnibridge`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from omnibridge.connector import Turn
from omnibridge.domain.interactions import Actor, Interaction
from omnibridge.storage.bots import Bot, Capability

_COMMAND = re.compile(r"/[A-Za-z0-9_]{1,32}(?:@\w+)?(?=\s|$)")
LONGEST_NAME = 64


def first_name(turn: Turn) -> str:
    """Of the visitor, if the connection's facts hold it."""
    name = turn.facts.get("visitor_name") or turn.facts.get("visitor_username") or ""
    return (str(name).strip() or "Visitor")[:LONGEST_NAME]


def visitor(chat_id: int, name: str) -> dict[str, Any]:
    """In a private chat its number is the person's."""
    return {"id": chat_id, "is_bot": False, "first_name": name}


def chat(chat_id: int, name: str) -> dict[str, Any]:
    return {"id": chat_id, "type": "private", "first_name": name}


def bot_user(bot_id: int, connection: str, name: str) -> dict[str, Any]:
    """username: Telegram's end with bot, and clients compare it in commands."""
    return {"id": bot_id, "is_bot": True, "first_name": name, "username": f"{connection.replace('-', '_')}_bot"}


def message_of(turn: Turn, text: str, chat_id: int, message_id: int, at_ms: int) -> dict[str, Any]:
    """A visitor's words. Facts of the conversation come along, as the connection's `facts` allow."""
    name = first_name(turn)
    found: dict[str, Any] = {
        "message_id": message_id,
        "from": visitor(chat_id, name),
        "chat": chat(chat_id, name),
        "date": at_ms // 1000,
        "text": text,
        "omnibridge": {"facts": turn.facts, "late": turn.late, "message_id": turn.message_id},
    }
    if command := _COMMAND.match(text):
        found["entities"] = [{"type": "bot_command", "offset": 0, "length": command.end()}]
    return found


def callback_query_of(
    turn: Turn, choice: str, chat_id: int, update_id: int, message: dict[str, Any] | None
) -> dict[str, Any]:
    """A choice. message: the bot's own that offered it, None = it is not known any more.

    What Telegram has no place for is under `omnibridge`: who did what, and the response object as other bots get it.
    """
    name = first_name(turn)
    gone = {"message_id": 0, "chat": chat(chat_id, name), "date": 0}
    found: dict[str, Any] = {
        "id": f"{chat_id}-{update_id}",
        "from": visitor(chat_id, name),
        "message": message or gone,
        "chat_instance": turn.session_id,
        "data": choice,
    }
    did = turn.interaction
    if did is not None:
        if not did.actor.is_visitor:
            found["from"] = staff(did.actor)
        found["omnibridge"] = {
            "interaction_id": did.id,
            "trigger_id": did.trigger_id,
            "actions": [msgspec.to_builtins(each) for each in did.actions],
            "user": msgspec.to_builtins(did.actor),
            "facts": turn.facts,
        }
    if turn.response_object is not None:
        found.setdefault("omnibridge", {})["response_object"] = turn.response_object
    return found


def staff(actor: Actor) -> dict[str, Any]:
    """A user of the workspace. His number is above all chats' and below 2^53: the same for the same user."""
    number = int.from_bytes(blake2b(actor.id.encode(), digest_size=6).digest(), "big") | 1 << 49
    found = {"id": number, "is_bot": False, "first_name": (actor.name or actor.username or "Agent")[:LONGEST_NAME]}
    return {**found, "username": actor.username} if actor.username else found


def data_of(interaction: Interaction) -> str:
    """What a bot is told as `data`: the value, or of a form all values as JSON. Actions after the first are only in
    `omnibridge`."""
    first = interaction.actions[0]
    return msgspec.json.encode(first.values).decode() if first.values else first.value or first.action_id


def why_not(bot: Bot, kind: str, text: str) -> str:
    """Why an update is not for this bot; empty when it is."""
    capability: Capability = "interactions"
    if kind == "message":
        capability = "commands" if _COMMAND.match(text) else "messages"
    if not bot.may(capability):
        return f"its capability {capability!r} is switched off"
    return "" if bot.wants(kind) else f"its allowed_updates leave {kind} out"


def left(bot: dict[str, Any], chat_id: int, name: str, at_ms: int) -> dict[str, Any]:
    """my_chat_member: the conversation is over for this bot."""
    return {
        "chat": chat(chat_id, name),
        "from": visitor(chat_id, name),
        "date": at_ms // 1000,
        "old_chat_member": {"status": "member", "user": bot},
        "new_chat_member": {"status": "kicked", "user": bot, "until_date": 0},
    }


def bot_message(
    bot: dict[str, Any], chat_id: int, name: str, message_id: int, at_ms: int, text: str, markup: Any
) -> dict[str, Any]:
    """What sendMessage is answered. markup: kept for inline keyboards, as Telegram does."""
    found = {
        "message_id": message_id,
        "from": bot,
        "chat": chat(chat_id, name),
        "date": at_ms // 1000,
        "text": text,
    }
    return {**found, **kept_markup(markup)}


def kept_markup(markup: Any) -> dict[str, Any]:
    """What a message keeps of its buttons."""
    found: dict[str, Any] = {}
    if isinstance(markup, dict) and markup.get("inline_keyboard"):
        found["reply_markup"] = {"inline_keyboard": markup["inline_keyboard"]}
    elif isinstance(markup, dict) and markup.get("keyboard"):
        found["omnibridge"] = {"keyboard": markup["keyboard"]}  # ours: a choice of it is a message, not a query
    return found


def find_offer(messages: Iterable[bytes], choice: str) -> tuple[dict[str, Any] | None, bool]:
    """(the newest message that offers this choice, whether by an inline keyboard); (None, False) when none does.

    messages: newest first.
    """
    for body in messages:
        message: dict[str, Any] = msgspec.json.decode(body)
        inline = message.get("reply_markup", {}).get("inline_keyboard", [])
        if any(each.get("callback_data") == choice for each in buttons(inline)):
            return message, True
        if any(each.get("text") == choice for each in buttons(message.get("omnibridge", {}).get("keyboard", []))):
            return message, False
    return None, False


def buttons(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Of a keyboard, row by row; a text alone is a button of that name."""
    flat = [each for row in rows if isinstance(row, list) for each in row]
    return [{"text": each} if isinstance(each, str) else each for each in flat if isinstance(each, str | dict)]
