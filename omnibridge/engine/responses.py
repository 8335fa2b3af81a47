"""What a bot posts to a response_url, journalled -> what it says: the named block anew, or a message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from omnibridge.connector import Content, Handover, Reply, Text
from omnibridge.domain.events import PartySpoke
from omnibridge.domain.interactions import MessageUpdate
from omnibridge.rocketchat.derive import Derivation, DerivedEvent
from omnibridge.storage.journal import Observation

RESPONSE = "response"
"""Source of such observations; kind = the connection."""

ReadAnswer = Callable[[bytes], Reply]
"""A connector's own form of an answer. Raises ValueError, or DeliveryError, that names the wrong place."""


class Posted(msgspec.Struct, frozen=True, omit_defaults=True):
    """As it is journalled. message, block, thread: what the address was bound to. body: as it came."""

    message: str
    block: str
    thread: str
    body: msgspec.Raw


class _Wishes(msgspec.Struct, frozen=True):
    replace_original: bool = False
    delete_original: bool = False


class _Answer(msgspec.Struct, frozen=True):
    text: str = ""
    messages: tuple[Content, ...] = ()
    handover: Handover | bool | None = None
    close: bool = False
    fields: dict[str, str] = {}


_posted = msgspec.json.Decoder(Posted)
_wishes = msgspec.json.Decoder(_Wishes)
_answer = msgspec.json.Decoder(_Answer)
_object: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])


def read_neutral(body: bytes) -> Reply:
    """`{"text", "messages", "handover", "close", "fields"}`, for connectors without a form of their own.

    Raises ValueError with the place that is wrong.
    """
    try:
        found = _answer.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ValueError(str(exc)) from None
    words = (Text(found.text),) if found.text else ()
    handover = Handover() if found.handover is True else found.handover or None
    return Reply((*words, *found.messages), handover, found.close, fields=found.fields)


class Responses:
    """readers: connection -> how its bot's answers are read."""

    def __init__(self, readers: Mapping[str, ReadAnswer]) -> None:
        self._readers = readers

    def event(self, connection: str, posted: Posted) -> PartySpoke:
        """What it says. Raises ValueError for what cannot be read, DeliveryError as the connector does."""
        if connection not in self._readers:
            raise ValueError(f"connection {connection!r} is not configured any more")
        body = bytes(posted.body)
        try:
            wishes = _wishes.decode(body)
        except msgspec.DecodeError as exc:
            raise ValueError(str(exc)) from None
        reply = self._readers[connection](body)
        parts, updates = reply.parts, reply.updates
        if (wishes.replace_original or wishes.delete_original) and not posted.message:
            raise ValueError("the message that offered it is not kept any more: it cannot be replaced")
        if wishes.delete_original:
            updates = (*updates, MessageUpdate(posted.message, Text(""), posted.block))
        elif wishes.replace_original:
            if not parts:
                raise ValueError("replace_original needs text or messages to put in its place")
            updates, parts = (*updates, MessageUpdate(posted.message, parts[0], posted.block)), parts[1:]
        elif not (parts or updates or reply.handover or reply.close or reply.fields):
            raise ValueError("it says nothing: give text, messages, updates, handover, close or fields")
        handover = reply.handover
        return PartySpoke(
            connection=connection,
            parts=parts,
            handover=handover is not None,
            handover_department=handover.department if handover else "",
            handover_reason=handover.reason if handover else "",
            close=reply.close,
            fields=reply.fields,
            updates=updates,
            thread_id=posted.thread,
        )

    def derive(self, row: Observation) -> Derivation:
        """Of a journalled one. Raises as `event`."""
        return Derivation((DerivedEvent(row.dedupe or "", self.event(row.kind, _posted.decode(row.body))),))


def named_elsewhere(body: bytes, posted: Posted, room: str) -> str:
    """The key of a body that names another message, block or room than the address is for; empty when none does."""
    found = _object.decode(body)
    bound = {
        "message_id": posted.message,
        "original_message": posted.message,
        "block_id": posted.block,
        "room": room,
        "channel": room,
    }
    for name, value in bound.items():
        given = found.get(name)
        given = given.get("_id", given.get("id")) if isinstance(given, dict) else given
        if isinstance(given, str) and given != value:
            return name
    return ""
