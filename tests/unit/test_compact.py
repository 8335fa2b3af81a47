"""A session event's history shrinks to what nothing else holds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omnibridge.rocketchat.webhook import read_webhook
from omnibridge.storage.compact import without_known_messages

LONG = "many words " * 100


def session(*messages: Any) -> bytes:
    return json.dumps({"_id": "r", "type": "LivechatSession", "visitor": {"_id": "v"}, "messages": messages}).encode()


def message(identity: Any) -> dict[str, Any]:
    return {"_id": identity, "msg": LONG, "u": {"_id": "v"}}


def test_known_messages_shrink_to_their_id() -> None:
    body = session(message("m0"), message("m1"), message("only here"))
    shorter = without_known_messages(body, {"msg:m0", "msg:m1"}.__contains__)
    found = json.loads(shorter)

    assert len(shorter) < len(body) / 2
    assert found["messages"] == [{"_id": "m0"}, {"_id": "m1"}, message("only here")]
    assert (found["$compacted"], found["visitor"]) == (2, {"_id": "v"})
    assert read_webhook(shorter).kind == "LivechatSession"


@pytest.mark.parametrize(
    "body",
    [
        session(),
        session(message("unknown")),
        session({"msg": "no id"}, {"_id": ""}),
        session({"_id": 7}),
        session("no object"),
        b'{"messages": {"a": 1}}',
        b'{"messages": null}',
        b"[1]",
        b"\xff",
        b"",
    ],
)
def test_what_has_nothing_to_lose_stays_as_it_came(body: bytes) -> None:
    assert without_known_messages(body, {"msg:m0", "msg:"}.__contains__) is body
