"""Which frames are ours, and what the others cost: they are never decoded."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omnibridge.domain.events import UserRef
from omnibridge.rocketchat.realtime import frames
from omnibridge.rocketchat.realtime.connection import realtime_url
from omnibridge.rocketchat.realtime.frames import Change, Control, Dropped, read_frame
from omnibridge.rocketchat.realtime.translate import Typing, read_live, read_typing
from tests.unit.rocketchat.realtime.frames import (
    ALICE,
    BOT,
    changed,
    inquiry,
    message,
    of_room,
    room_changed,
)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (message(), ("message", "r1")),
        (inquiry("added"), ("inquiry", "r1")),
        (room_changed(), ("room", "r1")),
        (of_room("deleteMessage", {"_id": "m1"}), ("deleteMessage", "r1")),
        (of_room("user-activity", "guest-1", ["user-typing"]), ("user-activity", "r1")),
        (message(kind="c"), "other-room"),
        (message(kind="d"), "other-room"),
        (changed("stream-notify-user", "u/rooms-changed", "updated", {"_id": "GENERAL", "t": "c"}), "other-room"),
        (changed("stream-notify-user", "u/rooms-changed", "updated"), "other"),
        (changed("stream-notify-user", "u/notification", {"title": "x"}), "other"),
        (changed("stream-notify-logged", "user-status", ["u", "n", 1]), "other"),
        (changed("stream-room-messages", "r1", {"_id": "m1"}), "other"),
        (b'{"msg":"changed","collection":"users","id":"u","fields":{"status":"online","eventName":5}}', "other"),
        (b'{"msg":"added","collection":"users","id":"u","fields":{"emails":[]}}', "other"),
        (b'{"msg":"updated","methods":["1"]}', "other"),
        (b'{"server_id":"0"}', "other"),
        (b"not json", "unreadable"),
        (b"[1]", "unreadable"),
        (b'{"msg":"changed","collection":"stream-room-messages","fields":[]}', "unreadable"),
        (message(5), "unreadable"),  # type: ignore[arg-type]
        (message(""), "unreadable"),
        (message("x" * 65), "unreadable"),
    ],
)
def test_frames_are_classified(raw: bytes, expected: Any) -> None:
    frame = read_frame(raw)

    if isinstance(frame, Change):
        assert (frame.kind, frame.room, frame.raw) == (*expected, raw)
    else:
        assert frame == Dropped(expected)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"msg":"ping"}', Control("ping")),
        (b'{"msg":"ping","id":"7"}', Control("ping", "7")),
        (b'{"msg":"ready","subs":["s1","s2"]}', Control("ready", subs=("s1", "s2"))),
        (b'{"msg":"nosub","id":"s1","error":{"error":"not-allowed"}}', Control("nosub", "s1", error="not-allowed")),
        (b'{"msg":"nosub","id":"s1"}', Control("nosub", "s1")),
        (b'{"msg":"result","id":"1","error":{"error":403,"reason":"x"}}', Control("result", "1", error="403")),
        (b'{"msg":"failed","version":"1"}', Control("failed")),
    ],
)
def test_frames_of_the_protocol(raw: bytes, expected: Control) -> None:
    found = read_frame(raw)

    assert isinstance(found, Control)
    assert (found.msg, found.id, found.subs, found.error) == (
        expected.msg,
        expected.id,
        expected.subs,
        expected.error,
    )


def test_words_of_other_rooms_are_never_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even when the words look like the mark of a livechat room."""
    decoded: list[bytes] = []

    class Spy:
        def decode(self, raw: bytes) -> Any:
            decoded.append(bytes(raw))
            return real.decode(raw)

    real = frames._room
    monkeypatch.setattr(frames, "_room", Spy())

    for words in ("secret", '"roomType":"l"', '{"roomType":"l"}'):
        assert read_frame(message(kind="p", msg=words, customFields={"roomType": "l"})) == Dropped("other-room")
    assert decoded == []
    assert isinstance(read_frame(message()), Change)
    assert len(decoded) == 1


def test_half_an_emoji_is_read_and_kept_as_it_came() -> None:
    raw = message(msg="cut \ud83d")
    assert b"\\ud83d" in raw
    frame = read_frame(raw)

    assert isinstance(frame, Change)
    found = read_live(frame.kind, frame.room, frame.raw).message
    assert found is not None
    assert found.text == "cut \ufffd"


def test_what_messages_say() -> None:
    def read(**fields: Any) -> Any:
        return read_live("message", "r1", message(**fields))

    words = read(editedAt={"$date": 1500}).message
    assert (words.id, words.text, words.ts_ms, words.from_visitor, words.edited_at_ms) == ("m1", "hi", 1000, True, 1500)
    assert not read(u=ALICE).message.from_visitor

    alice = UserRef("aliceId", "alice", "Alice")
    for fields in ({"t": "uj", "msg": "alice"}, {"t": "command", "msg": "connected"}):
        found = read(u=ALICE, **fields)
        assert (found.service, found.agent, found.at_ms, found.message) == ("assigned", alice, 1000, None)
    assert read(u=ALICE, t="ul").service == "unassigned"
    assert read(u=ALICE, t="command", msg="promptTranscript").service == ""
    assert read(t="rm", editedAt={"$date": 2000}).deleted == ("m1",)
    closed = read(t="livechat-close", msg="bye")
    assert (closed.closed, closed.closer, closed.closed_by, closed.at_ms) == (True, "visitor", "guest-1", 1000)
    assert read(t="livechat-close", u=ALICE).closer == "user"
    assert read(t="livechat-started").note == "livechat-started: recorded only"
    assert read(_id=5).problem


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"scope": "department", "previousDepartment": "d1", "nextDepartment": {"_id": "d2"}}, ("department", "d2")),
        ({"scope": "queue"}, ("queued", "")),
        ({"scope": "autoTransferUnansweredChatsToQueue"}, ("queued", "")),
        ({"scope": "agent", "transferredTo": ALICE}, ("", "")),
        ({"scope": "department"}, ("", "")),
        (None, ("", "")),
    ],
)
def test_forwards(data: Any, expected: tuple[str, str]) -> None:
    found = read_live("message", "r1", message(u=BOT, t="livechat_transfer_history", transferData=data))

    assert (found.service, found.department) == expected
    assert found.old_department == ("d1" if expected[0] == "department" else "")


@pytest.mark.parametrize(
    ("raw", "waits"),
    [
        (inquiry("added"), True),
        (inquiry("changed", status="ready"), True),
        (inquiry("changed", status="taken"), False),
        (inquiry("removed"), False),
        (inquiry("", clientAction="removed", status="queued"), False),
        (inquiry("added", status="verifying"), None),
    ],
)
def test_inquiries(raw: bytes, waits: bool | None) -> None:
    assert read_live("inquiry", "r1", raw).waits is waits


def test_rooms_deletions_and_typing() -> None:
    state = read_live("room", "r1", room_changed(servedBy={**ALICE, "ts": {"$date": 900}})).state
    assert state is not None
    assert (state.served_at_ms, state.open) == (900, True)
    assert read_live("room", "r1", room_changed("removed")).state is None
    assert read_live("deleteMessage", "r1", of_room("deleteMessage", {"_id": "m1"})).deleted == ("m1",)
    assert read_live("deleteMessage", "r1", of_room("deleteMessage", "m1")).deleted == ()
    bulk = of_room("deleteMessageBulk", {"rid": "r1", "ids": ["m1", 5, "m2"]})
    assert read_live("deleteMessageBulk", "r1", bulk).deleted == ("m1", "m2")
    assert read_typing("r1", of_room("user-activity", "guest-1", ["user-typing"])) == Typing("r1", "guest-1", True)
    assert read_typing("r1", of_room("user-activity", "guest-1", [])) == Typing("r1", "guest-1", False)
    assert read_typing("r1", of_room("user-activity")) is None
    assert read_typing("r1", b"x") is None


@pytest.mark.parametrize("body", [b"x", b"{}", b"[]", json.dumps({"fields": {"args": 5}}).encode(), message("r1")])
@pytest.mark.parametrize("kind", ["message", "inquiry", "room", "deleteMessage", "deleteMessageBulk", "new"])
def test_reading_raises_nothing(kind: str, body: bytes) -> None:
    assert read_live(kind, "r1", body).kind == kind


def test_address_of_the_socket() -> None:
    assert realtime_url("https://chat.example.org") == "wss://chat.example.org/websocket"
    assert realtime_url("http://127.0.0.1:3000/sub/") == "ws://127.0.0.1:3000/sub/websocket"
