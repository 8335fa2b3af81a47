"""A visitor, the sandbox, the bridge, and a bot that polls, all over sockets (S3-36, S3-38, S3-42, S3-43)."""

from __future__ import annotations

import asyncio
import json

from tests.integration.botapi.conftest import MakeApi


async def test_s3_38_conversation_by_polling(make_api: MakeApi) -> None:
    api = await make_api()
    visitor = await api.world.visitor()
    await visitor.say("hello")
    start, hello = await api.updates(2)

    assert [each["update_id"] for each in (start, hello)] == [1, 2]
    assert start["message"]["text"] == "/start"
    assert start["message"]["entities"] == [{"type": "bot_command", "offset": 0, "length": 6}]
    assert hello["message"]["text"] == "hello"
    chat = hello["message"]["chat"]
    assert chat == {"id": 1, "type": "private", "first_name": "Vera"}
    assert await api.updates(2) == [start, hello], "what is not confirmed comes again"
    assert await api.updates(1, offset=2) == [hello]
    assert await api.call("getUpdates", offset=3) == []

    sent = await api.call("sendMessage", chat_id=chat["id"], text="Hello <b>Vera</b> &amp; all", parse_mode="HTML")
    said = await visitor.wait_for("bot", 1)
    assert said[0]["text"] == "Hello *Vera* & all"
    assert (sent["chat"]["id"], sent["text"], sent["message_id"]) == (1, "Hello *Vera* & all", 3)
    assert sent["from"] == {key: (await api.call("getMe"))[key] for key in ("id", "is_bot", "first_name", "username")}


async def test_s3_42_choice_is_a_callback_query(make_api: MakeApi) -> None:
    api = await make_api()
    visitor = await api.world.visitor()
    chat_id = (await api.updates(1))[0]["message"]["chat"]["id"]
    keyboard = {"inline_keyboard": [[{"text": "Yes", "callback_data": "y"}], [{"text": "No", "callback_data": "n"}]]}
    asked = await api.call("sendMessage", chat_id=chat_id, text="Sure?", reply_markup=keyboard)
    await visitor.wait_for("bot", 1)
    await visitor.say("2")
    query = (await api.updates(2))[1]["callback_query"]

    assert (query["data"], query["message"]) == ("n", asked)
    assert query["from"]["first_name"] == "Vera"
    assert await api.call("answerCallbackQuery", callback_query_id=query["id"], text="noted") is True
    await visitor.say("yes")
    assert (await api.updates(3))[2]["callback_query"]["data"] == "y", "as long as the bot leaves the keyboard there"
    assert await api.call("answerCallbackQuery", callback_query_id=query["id"], text="No it is.", show_alert=True)
    assert (await visitor.wait_for("bot", 2))[-1]["text"] == "No it is."
    await visitor.say("yes")
    assert (await api.updates(4))[3]["message"]["text"] == "yes", "the keyboard is not the last thing said any more"


async def test_choice_of_a_reply_keyboard_is_a_message(make_api: MakeApi) -> None:
    api = await make_api()
    visitor = await api.world.visitor()
    chat_id = (await api.updates(1))[0]["message"]["chat"]["id"]
    await api.call(
        "sendMessage", chat_id=chat_id, text="Which?", reply_markup={"keyboard": [["Tea", {"text": "Mate"}]]}
    )
    await visitor.wait_for("bot", 1)
    await visitor.say("2")

    assert (await api.updates(2))[1]["message"]["text"] == "Mate"


async def test_second_poller_ends_the_first(make_api: MakeApi) -> None:
    api = await make_api('start = ""\nallow_private = true')
    first = asyncio.create_task(api.raw("getUpdates", timeout=30))
    async with asyncio.timeout(30):
        while not api.world.node.service._bots._polling._generation:  # type: ignore[union-attr]
            await asyncio.sleep(0.01)
        second = asyncio.create_task(api.raw("getUpdates", timeout=30))
        conflict = await first
    assert (conflict["_status"], conflict["error_code"], conflict["ok"]) == (409, 409, False)
    assert conflict["description"].startswith("Conflict: terminated by other getUpdates request")
    visitor = await api.world.visitor()
    await visitor.say("hello")

    async with asyncio.timeout(30):
        assert [each["message"]["text"] for each in (await second)["result"]] == ["hello"]


async def test_s3_33_and_36_wrong_token_unknown_method_and_wrong_chat(make_api: MakeApi) -> None:
    api = await make_api()
    posted = await api.raw("sendMessage", token="1234567890:" + "x" * 43, chat_id=1, text="x")
    assert (posted["_status"], posted["description"]) == (401, "Unauthorized")
    other = await api.raw("getMe", token="1234567890:" + "x" * 43)
    none = await api.raw("sendDice", chat_id=1)
    nowhere = await api.raw("sendMessage", chat_id=77, text="x")

    assert (other["_status"], other["description"]) == (401, "Unauthorized")
    assert (none["_status"], none["description"]) == (
        404, "Not Found: method sendDice is not offered here; see README, bots of your own"
    )  # fmt: skip
    assert (nowhere["_status"], nowhere["description"]) == (400, "Bad Request: chat not found")


async def test_bot_that_leaves_gives_way_to_people(make_api: MakeApi) -> None:
    api = await make_api()
    visitor = await api.world.visitor()
    chat_id = (await api.updates(1))[0]["message"]["chat"]["id"]
    await api.call("sendMessage", chat_id=chat_id, text="A colleague takes over.")
    await api.call("leaveChat", chat_id=chat_id, reason="asked for a person")
    await api.world.quiet()
    await visitor.wait_for("bot", 1)
    room = await api.world.room(visitor.rid)
    refused = await api.raw("sendMessage", chat_id=chat_id, text="still here")
    kicked = (await api.updates(2))[1]

    assert room["served_by"] != "bot"
    assert (refused["_status"], refused["description"]) == (
        403, "Forbidden: somebody else serves this conversation now"
    )  # fmt: skip
    assert kicked["my_chat_member"]["new_chat_member"]["status"] == "kicked"


async def test_bot_that_takes_nothing_gives_way_when_told_so(make_api: MakeApi) -> None:
    api = await make_api("absent_after_s = 0.2", engine="bot_turn_deadline_s = 1")
    visitor = await api.world.visitor()
    async with asyncio.timeout(30):
        age = "SELECT 1 FROM bot_updates WHERE created_at < ?"
        while not api.world.rows(age, api.world.node.service._clock.now_ms() - 300):
            await asyncio.sleep(0.02)
    await visitor.say("is anybody there?")
    async with asyncio.timeout(30):
        while not api.world.rows("SELECT 1 FROM deliveries WHERE code = 'bot-absent' AND state = 3"):
            await asyncio.sleep(0.02)

    texts = [
        json.loads(each[0]).get("message", {}).get("text") for each in api.world.rows("SELECT body FROM bot_updates")
    ]
    assert "is anybody there?" not in texts
    assert texts[0] == "/start"


async def test_stop_does_not_wait_for_a_poll(make_api: MakeApi) -> None:
    api = await make_api()
    polling = asyncio.create_task(api.raw("getUpdates", timeout=50))
    service = api.world.node.service
    async with asyncio.timeout(30):
        while not (service._bots and service._bots._polling._generation):
            await asyncio.sleep(0.01)
    began = asyncio.get_running_loop().time()
    await api.world.node.stop()

    assert asyncio.get_running_loop().time() - began < 4, "uvicorn waits 5 s for requests that do not end"
    assert (await polling)["result"] == []
