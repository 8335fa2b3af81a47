"""Bots change what they said: the hub's message is named, and Telegram's words are used for what cannot be."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from omnibridge.sandbox.visitor import Visitor
from tests.integration.botapi.conftest import MakeApi

KEYBOARD = {"inline_keyboard": [[{"text": "More", "callback_data": "m"}]]}


async def shown(visitor: Visitor, texts: list[str]) -> list[dict[str, Any]]:
    """The bot's messages, once their first lines are these."""
    async with asyncio.timeout(30):
        while True:
            found = await visitor.wait_for("bot", len(texts))
            if [each["text"].splitlines()[0] for each in found] == texts:
                return found
            await asyncio.sleep(0.01)


async def test_s3_43_and_59_edit_names_the_message_that_the_visitor_sees(make_api: MakeApi) -> None:
    api = await make_api()
    visitor = await api.world.visitor()
    chat_id = (await api.updates(1))[0]["message"]["chat"]["id"]
    await api.call("sendMessage", chat_id=chat_id, text="Before")
    sent = await api.call("sendMessage", chat_id=chat_id, text="Page 1", reply_markup=KEYBOARD)
    edited = await api.call(
        "editMessageText", chat_id=chat_id, message_id=sent["message_id"], text="Page 2", reply_markup=KEYBOARD
    )
    first, second = await shown(visitor, ["Before", "Page 2"])

    assert "edited_at" in second and "edited_at" not in first
    assert second["author"] == "bot"
    assert (edited["message_id"], edited["text"]) == (sent["message_id"], "Page 2")
    assert edited["reply_markup"] == KEYBOARD and edited["edit_date"] >= edited["date"]
    await visitor.say("1")
    query = (await api.updates(2))[1]["callback_query"]
    assert (query["data"], query["message"]) == ("m", edited)


async def test_buttons_alone_are_taken_away_without_a_word(make_api: MakeApi) -> None:
    api = await make_api()
    visitor = await api.world.visitor()
    chat_id = (await api.updates(1))[0]["message"]["chat"]["id"]
    sent = await api.call("sendMessage", chat_id=chat_id, text="Page 1", reply_markup=KEYBOARD)
    bare = await api.call("editMessageReplyMarkup", chat_id=chat_id, message_id=sent["message_id"])
    async with asyncio.timeout(30):
        while (await visitor.wait_for("bot", 1))[0]["text"] != "Page 1":
            await asyncio.sleep(0.01)

    assert (bare["text"], "reply_markup" in bare) == ("Page 1", False)
    await visitor.say("More")
    assert (await api.updates(2))[1]["message"]["text"] == "More", "nothing offers it any more"


async def test_s3_54_rich_message_is_updated_under_our_own_name_of_it(make_api: MakeApi) -> None:
    api = await make_api()
    visitor = await api.world.visitor()
    chat_id = (await api.updates(1))[0]["message"]["chat"]["id"]
    sent = await api.call("sendMessage", chat_id=chat_id, text="Page 1")
    await api.call("updateMessage", chat_id=chat_id, message_id=sent["message_id"], text="2", reply_markup=KEYBOARD)
    (message,) = await shown(visitor, ["2"])

    assert message["text"] == "2\n1. More"


async def test_what_cannot_be_edited_is_said_as_telegram_says_it(make_api: MakeApi) -> None:
    api = await make_api()
    await api.world.visitor()
    chat_id = (await api.updates(1))[0]["message"]["chat"]["id"]
    sent = await api.call("sendMessage", chat_id=chat_id, text="Page 1")
    place = {"chat_id": chat_id, "message_id": sent["message_id"]}
    nowhere = {"chat_id": chat_id, "message_id": 99}
    told = {
        "same": await api.raw("editMessageText", **place, text="Page 1"),
        "gone": await api.raw("editMessageText", **nowhere, text="x"),
        "empty": await api.raw("editMessageText", **place, text=" "),
        "caption": await api.raw("editMessageCaption", **place, caption="x"),
        "delete": await api.raw("deleteMessage", **place),
        "delete gone": await api.raw("deleteMessage", **nowhere),
        "inline": await api.raw("editMessageText", inline_message_id="x", text="x"),
    }

    assert {each["_status"] for each in told.values()} == {400}
    found = {name: each["description"].removeprefix("Bad Request: ") for name, each in told.items()}
    assert found["same"].startswith("message is not modified: specified new message content")
    assert found["gone"] == "message to edit not found"
    assert found["empty"] == "message text is empty"
    assert found["caption"] == "there is no caption in the message to edit"
    assert found["delete"].startswith("message can't be deleted for everyone")
    assert found["delete gone"] == "message to delete not found"
    assert found["inline"].startswith("inline messages are not offered")
    assert not api.world.rows("SELECT 1 FROM deliveries WHERE command IN ('UpdateMessage', 'RemoveChoices')")


@pytest.mark.parametrize(("edits", "expected"), [("post", ["Page 1", "Page 2"]), ("refuse", ["Page 1"])])
async def test_edits_may_be_posted_anew_or_refused(make_api: MakeApi, edits: str, expected: list[str]) -> None:
    api = await make_api(f'edits = "{edits}"')
    visitor = await api.world.visitor()
    chat_id = (await api.updates(1))[0]["message"]["chat"]["id"]
    sent = await api.call("sendMessage", chat_id=chat_id, text="Page 1")
    found = await api.raw("editMessageText", chat_id=chat_id, message_id=sent["message_id"], text="Page 2")
    await api.world.quiet()

    assert [each["text"] for each in await visitor.wait_for("bot", 1)] == expected
    assert found.get("description", "") == ("" if edits == "post" else "Bad Request: message can't be edited")
