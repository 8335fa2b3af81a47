"""Session events carry the whole history of their room: what is stored as an event already is referred to by its id."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_messages = msgspec.json.Decoder(list[msgspec.Raw])
_encode = msgspec.json.Encoder().encode


class _MessageId(msgspec.Struct):
    id: str = msgspec.field(name="_id", default="")


_message_id = msgspec.json.Decoder(_MessageId)


def without_known_messages(body: bytes, is_known: Callable[[str], bool]) -> bytes:
    """A session event's body, of each known message only the id; as it was when nothing goes.

    is_known: whether the event of this key is stored. Unknown messages stay whole. Marked by `$compacted`, so that
    nobody takes it for what the hub sent.
    """
    try:
        fields = _fields.decode(body)
        messages = _messages.decode(fields.get("messages", msgspec.Raw(b"[]")))
        ids = [_message_id.decode(each).id for each in messages]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body
    known = [bool(identity) and is_known(f"msg:{identity}") for identity in ids]
    if not any(known):
        return body
    kept: list[Any] = [
        {"_id": identity} if is_stored else raw for raw, identity, is_stored in zip(messages, ids, known, strict=True)
    ]
    return _encode({**fields, "messages": kept, "$compacted": sum(known)})
