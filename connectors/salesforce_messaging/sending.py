"""What a visitor does, on its way to the agent: one turn, perhaps several messages, each under an id of its own.

Ids are made of the turn's, so that a turn is sent again as often as needed and arrives once (reference 2.5).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from connectors.salesforce.calls import fetched, over
from connectors.salesforce.opening import plain
from connectors.salesforce_messaging.beginning import PATIENCE
from connectors.salesforce_messaging.chat import Chat, Shared
from connectors.salesforce_messaging.client import NewSession
from connectors.salesforce_messaging.content import (
    choice_message,
    file_message,
    form_message,
    pieces,
    text_message,
)
from connectors.salesforce_messaging.forms import OpenForm, answers_of
from connectors.salesforce_messaging.reading import look_again
from connectors.salesforce_messaging.state import uuid4_of
from omnibridge.connector import (
    DeliveryError,
    DeliveryRejected,
    DeliveryRetryable,
    Reply,
    Turn,
    TurnFile,
)

MAY_END = ("bad-request", "not-found", "forbidden", "redirect")
"""Beside `http-…`. What is wrong with the words themselves is believed at once."""
SHORT_S, DEAF_PAUSE_S = 1.0, 10.0
ECHO_S = 4.0
"""The stream tells of a message at once, or has lost it."""
DEAF_S = 10.0
"""Without a stream, words that are not among the entries wait so long for it."""

Send = Callable[[], Awaitable[None]]


async def send(chat: Chat, shared: Shared, turn: Turn) -> Reply:
    """Raises as `Connector.on_message`.

    A message that Salesforce takes after the agent's end begins a session that nobody is in (reference 2.4). Which was
    first is told by the order of the stream, so a turn is over when the stream has told of its messages.
    """
    if chat.turn != turn.delivery_id:
        chat.turn, chat.awaited, chat.form = turn.delivery_id, {}, chat.kept.form
        chat.sent.clear()
    form = chat.form  # what is asked between two attempts is not answered by it, and would change what was half sent
    messages = messages_of(shared, turn, form)
    if not messages and not turn.files:
        return Reply(accepted=True, declined="nothing that could be sent")
    for each in messages:
        await _once(chat, shared, str(each["id"]), partial(_say, chat, shared, each))
    for at, file in enumerate(turn.files):
        message_id = uuid4_of(turn.session_id, turn.delivery_id, "file", str(at))
        said = file_message(message_id, uuid4_of(message_id, "data"))
        await _once(chat, shared, message_id, partial(_upload, chat, shared, file, said))
    await _told_of(chat, shared)
    if form is not None and chat.kept.form == form and messages and "formResponse" in messages[0]:
        await chat.change(form=None)
    chat.turn, chat.awaited = "", {}
    chat.sent.clear()
    return Reply(accepted=True)


async def _told_of(chat: Chat, shared: Shared) -> None:
    """By the stream, or else by the entries. Raises `over` where the end was told first: the words are for who comes
    next."""
    await asyncio.wait(chat.awaited.values(), timeout=ECHO_S)
    is_known = all(each.done() for each in chat.awaited.values()) or await look_again(chat, shared)
    done = [each for each in chat.awaited.values() if each.done()]
    if not all(each.result() for each in done):
        shared.context.count("words_after_the_end", 1)
        raise over()
    missing = len(chat.awaited) - len(done)
    if not missing:
        return
    since = chat.deaf_since
    if not is_known or (since is not None and asyncio.get_running_loop().time() - since < DEAF_S):
        raise DeliveryRetryable("nothing tells of it yet", code="deaf", retry_after_s=SHORT_S, answered=True)
    shared.context.count("echoes_missing", missing)


def messages_of(shared: Shared, turn: Turn, form: OpenForm | None = None) -> list[dict[str, Any]]:
    """All but files, in order. form: the one that was asked last and is open."""

    def message_id(at: int) -> str:
        return uuid4_of(turn.session_id, turn.delivery_id, str(at))

    chosen = choice_message(message_id(0), turn.choice_value) if turn.choice_value else None
    if chosen is not None:
        return [chosen]
    values = turn.interaction.actions[0].values if turn.interaction and turn.interaction.actions else {}
    if form is not None and not values:
        values = answers_of(form, plain(turn.text)) or {}
    filled = form_message(message_id(0), values) if values else None
    if filled is not None:
        return [filled]
    found = pieces(plain(turn.text), shared.settings.longest_text)
    return [text_message(message_id(at), each) for at, each in enumerate(found) if each.strip()]


async def _upload(chat: Chat, shared: Shared, file: TurnFile, said: dict[str, Any]) -> None:
    data = await fetched(shared.files, file.url)
    kind = file.media_type or "application/octet-stream"
    session = _session(chat, said["id"])
    await shared.org.send_file(chat.access, chat.kept.conversation, said, data, file.name, kind, session)


async def _say(chat: Chat, shared: Shared, message: dict[str, Any]) -> None:
    await shared.org.send(chat.access, chat.kept.conversation, message, _session(chat, message["id"]))


def _session(chat: Chat, message_id: str) -> NewSession | None:
    """What begins one, where Salesforce says that there is none."""
    return chat.kept.session if chat.refused[0] == message_id and chat.refused[1] >= PATIENCE else None


async def _once(chat: Chat, shared: Shared, message_id: str, call: Send) -> None:
    """Within the limit, unless it was taken."""
    chat.await_echo(message_id)
    if message_id in chat.kept.taken:  # by the agent before, in the conversation that this one goes on from
        chat.echoed(message_id)
        return
    if message_id in chat.sent or chat.awaited[message_id].done():
        return
    conversation = chat.kept.conversation
    wait_s = shared.pacer.wait_s(conversation)
    if wait_s > SHORT_S:
        shared.context.count("messages_paced", 1)
        raise DeliveryRetryable(
            "over the limit of messages a minute", code="paced", retry_after_s=wait_s, answered=True
        )
    try:
        async with shared.pacer.turn(conversation):
            await call()
    except DeliveryRetryable as exc:
        raise _later(chat, shared, message_id, exc) from exc
    except DeliveryRejected as exc:
        if exc.code not in MAY_END and not exc.code.startswith("http-"):
            raise
        if chat.deaf_since is not None:  # nobody can say whether the session still is, or it is a page of maintenance
            raise _soon(exc, DEAF_PAUSE_S) from exc
        if not _is_first(chat, message_id):
            raise
        raise _soon(exc) from exc
    chat.sent.add(message_id)


def _later(chat: Chat, shared: Shared, message_id: str, exc: DeliveryRetryable) -> DeliveryError:
    if exc.code == "http-429":
        shared.pacer.pause(chat.kept.conversation, exc.retry_after_s or SHORT_S)
        return exc
    if exc.code == "token":  # the follower gets another one, or ends the chat
        chat.interrupt()
        return _soon(exc)
    if exc.code == "no-session":  # it ended, and we are about to hear it; else the next attempt begins another
        _is_first(chat, message_id)
        if chat.refused[1] == 1:  # the stream may have lost it: the entries are read with the next one
            chat.interrupt()
        return _soon(exc)
    return exc


def _is_first(chat: Chat, message_id: str) -> bool:
    """Counts."""
    known, times = chat.refused
    chat.refused = (message_id, times + 1 if known == message_id else 1)
    return chat.refused[1] < PATIENCE


def _soon(exc: DeliveryError, pause_s: float = SHORT_S) -> DeliveryRetryable:
    return DeliveryRetryable(str(exc), code=exc.code, retry_after_s=pause_s, answered=True)
