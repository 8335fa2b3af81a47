"""Bodies that are odd but real, and what reading them costs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omnibridge.rocketchat.leaves import iso_of, ms_of
from omnibridge.rocketchat.webhook import check_depth, peek, read_history, read_webhook

VISITOR = {"_id": "v1", "username": "guest-1", "name": "Vera"}
WRITTEN = {"_id": "m1", "u": {"_id": "v1", "username": "guest-1"}, "username": "guest-1", "msg": "hi"}


def event(**fields: Any) -> bytes:
    return json.dumps({"_id": "r1", "type": "Message", "visitor": VISITOR, "messages": [WRITTEN], **fields}).encode()


def test_half_an_emoji_does_not_lose_the_message() -> None:
    """JavaScript sends what a client cut in two as `\\ud83d`; msgspec refuses it, the hub will not send it again."""
    body = event(messages=[{**WRITTEN, "msg": "hi \ud83d"}], label="\ude00")

    assert peek(body) == ("Message", "r1")
    assert read_webhook(body).messages[0].text == "hi \ufffd"


def test_whole_emoji_stays_whole() -> None:
    assert (
        read_webhook(event(messages=[{**WRITTEN, "msg": "\U0001f600 \ud83d"}])).messages[0].text == "\U0001f600 \ufffd"
    )


@pytest.mark.parametrize("messages", [None, 7, {}, [], [None], [{"msg": "no id"}], [WRITTEN, {"msg": "no id"}]])
def test_message_event_without_its_message_is_a_problem_of_that_room(messages: Any) -> None:
    """Kept for a later version, under its room; a note would lose it."""
    reading = read_webhook(event(messages=messages))

    assert (reading.kind, reading.room, bool(reading.problem)) == ("Message", "r1", True)


@pytest.mark.parametrize("messages", [None, 7, {}, [None, {"msg": 3}]])
def test_history_of_a_session_event_never_spoils_it(messages: Any) -> None:
    reading = read_webhook(event(type="LivechatSessionTaken", messages=messages))

    assert (reading.problem, reading.messages) == ("", ())


def test_history_is_read_when_asked_for() -> None:
    body = event(type="LivechatSession", messages=[WRITTEN, {**WRITTEN, "_id": "m2", "closingMessage": True}, {}])

    assert [(each.id, each.closing) for each in read_history(body)] == [("m1", False), ("m2", True)]
    assert read_history(b"[]") == ()


@pytest.mark.parametrize(
    ("fields", "visitor", "is_visitor"),
    [
        ({}, VISITOR, True),
        ({"agentId": "v1"}, VISITOR, False),
        ({"u": {"_id": "other", "username": "guest-1"}}, VISITOR, True),
        ({"u": {"_id": "v1", "username": "renamed"}, "username": "renamed"}, VISITOR, True),
        ({"u": {"_id": "aliceId", "username": "alice"}, "username": "alice"}, VISITOR, False),
        ({"u": {}, "username": ""}, {"_id": "", "username": ""}, False),
        ({"u": None, "username": None}, None, False),
    ],
)
def test_visitor_is_who_the_hub_says_and_nobody_by_absence(fields: Any, visitor: Any, is_visitor: bool) -> None:
    reading = read_webhook(event(visitor=visitor, messages=[{**WRITTEN, **fields}]))

    assert reading.messages[0].from_visitor is is_visitor


def test_blocks_sent_as_text_are_no_words() -> None:
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "Pick"}}]
    bare, worded = ({**WRITTEN, "blocks": blocks, "msg": msg} for msg in (json.dumps(blocks), "[1] is mine"))

    assert [(each.text, each.has_blocks) for each in read_history(event(messages=[bare, worded]))] == [
        ("", True), ("[1] is mine", True),
    ]  # fmt: skip


def test_file_is_described() -> None:
    upload = {"publicFilePath": "https://hub/file-upload/1/a.pdf", "type": "application/pdf", "size": 1}
    [found] = read_webhook(
        event(messages=[{**WRITTEN, "file": {"_id": "f", "name": "a.pdf"}, "fileUpload": upload}])
    ).messages

    assert (found.has_file, found.file_name, found.file_url, found.file_type) == (
        True, "a.pdf", "https://hub/file-upload/1/a.pdf", "application/pdf",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("email", "expected"),
    [([{"address": "a@b.c"}], "a@b.c"), ("a@b.c", "a@b.c"), ([], ""), ([7], ""), (None, ""), ([{"address": 1}], "")],
)
def test_email_as_list_or_text(email: Any, expected: str) -> None:
    assert read_webhook(event(visitor={**VISITOR, "email": email})).visitor.email == expected


def test_department_of_the_visitor_stands_in_only_where_the_room_is_silent() -> None:
    visitor = {**VISITOR, "department": "wished"}

    assert read_webhook(event(visitor=visitor)).department == "wished"
    assert read_webhook(event(visitor=visitor, type="LivechatSessionForwarded")).department == ""


@pytest.mark.parametrize("kind", ["LivechatEdit", "LeadCapture", "Later"])
def test_what_is_recorded_only_says_why(kind: str) -> None:
    reading = read_webhook(event(type=kind))

    assert (reading.acted_on, bool(reading.note)) == (False, True)
    assert read_webhook(event()).note == ""


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("2026-11-21T10:00:00.123Z", 1795255200123),
        ("2026-11-21T11:00:00.123+01:00", 1795255200123),
        ("2026-11-21T10:00:00.123", 1795255200123),
        ({"$date": 1795255200123}, 1795255200123),
        (1795255200123, 1795255200123),
        ("soon", 0), (None, 0), (True, 0), (-5, 0), (1e300, 0), ([], 0), ("0001-01-01T00:00:00", 0),
    ],
)  # fmt: skip
def test_times(raw: Any, expected: int) -> None:
    assert ms_of(raw) == expected


def test_time_goes_there_and_back() -> None:
    assert all(ms_of(iso_of(ms)) == ms for ms in range(1_795_255_200_000, 1_795_255_202_000))


@pytest.mark.parametrize("text", ["\\", '"', '\\"', '"[[[[[[[', "\\[[[[[[[", '\\\\"[[[[[[[', "[[[[[[[\n\\", '\\"\\\\'])
def test_depth_knows_escapes(text: str) -> None:
    """Each text, as JSON escapes it, beside five brackets that count."""
    body = json.dumps({text: text, "deep": [[[[[text]]]]]}).encode()

    assert check_depth(body, 6)
    assert not check_depth(body, 5)


def test_many_shallow_brackets_are_not_deep() -> None:
    assert check_depth(b"[" + b",".join([b"[{}]"] * 1000) + b"]", 3)
    assert not check_depth(b"]]]" + b"[" * 10, 5)
