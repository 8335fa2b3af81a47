"""What is registered of a bot: capabilities, its second address, its secret, what it says that it understands."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from omnibridge.botapi.orders import BotOrder, write_order
from omnibridge.domain.interactions import Action
from omnibridge.storage.bots import Bot
from tests.integration.botapi.conftest import KEY, Api, MakeApi
from tests.integration.botapi.test_interactions import used
from tests.integration.botapi.test_webhook import Called
from tests.integration.botapi.test_webhook import called as called


async def order(api: Api, kind: Any, **fields: Any) -> bool:
    """As a command of the operator's."""
    service, done = api.world.node.service, [False]
    assert service._database and service._bots
    wish = BotOrder(kind, Bot("helper", 0, 0, "", **fields))
    await service._database.writer.submit(lambda cursor: done.append(write_order(cursor, wish, 5)))
    service._bots.queue.ring("helper")
    return done[-1]


def reasons(api: Api) -> list[str]:
    """Why the turns of the bot ended as they did, as `omnibridge trace` shows it."""
    sql = "SELECT reason FROM events WHERE kind = 'PartyReplied' ORDER BY id"
    return [each[0] for each in api.world.rows(sql)]


async def called_off(api: Api, turns: int) -> None:
    """Until so many turns ended."""
    async with asyncio.timeout(30):
        while len(reasons(api)) < turns:
            await asyncio.sleep(0.01)


async def test_s3_30_disabled_capability_is_not_delivered_and_the_trace_says_so(make_api: MakeApi) -> None:
    api = await make_api()
    assert await order(api, "allow", capabilities='["interactions"]')
    visitor = await api.world.visitor()
    await visitor.say("hello")
    await called_off(api, 2)
    await used(api, visitor, Action("button", "a1", value="x"))
    updates = await api.updates(1)
    await api.world.quiet()

    assert [sorted(each) for each in updates] == [["callback_query", "update_id"]]
    assert reasons(api) == [
        "helper was not given the turn: its capability 'commands' is switched off",
        "helper was not given the turn: its capability 'messages' is switched off",
        "helper took the turn; it answers by itself",
    ]
    refused = await api.raw("editMessageText", chat_id=1, message_id=1, text="x")
    assert "capability 'edits'" in refused["description"]
    refused = await api.raw(
        "sendDocument", chat_id=updates[0]["callback_query"]["from"]["id"], document="https://a.example/b"
    )
    assert "capability 'files'" in refused["description"]
    assert await order(api, "allow", capabilities="")
    await visitor.say("again")
    assert (await api.updates(2))[1]["message"]["text"] == "again"


async def test_s3_30_allowed_updates_leave_a_kind_out_visibly(make_api: MakeApi) -> None:
    api = await make_api()
    await api.call("getUpdates", allowed_updates=["message"])
    visitor = await api.world.visitor()
    await api.updates(1)
    await used(api, visitor, Action("button", "a1", value="x"))
    await api.world.quiet()

    assert reasons(api)[-1] == "helper was not given the turn: its allowed_updates leave callback_query out"
    assert len(await api.updates(1)) == 1


async def test_s3_31_presses_go_to_their_own_address_signed(make_api: MakeApi, called: Called) -> None:
    from standardwebhooks import Webhook

    api = await make_api()
    presses = called.url.replace("/hook", "/press")
    await api.call("setWebhook", url=called.url, interaction_url=presses, secret_token="s3cret")
    visitor = await api.world.visitor()
    await called.until(lambda: called.seen)
    await used(api, visitor, Action("button", "a1", value="x"))
    await called.until(lambda: len(called.seen) == 2)

    assert called.paths == ["/hook", "/press"]
    assert called.seen[1]["callback_query"]["data"] == "x"
    assert called.headers[1]["X-Telegram-Bot-Api-Secret-Token"] == "s3cret"
    Webhook(KEY).verify(called.bodies[1], {name.lower(): value for name, value in called.headers[1].items()})
    assert (await api.call("getWebhookInfo"))["interaction_url"] == presses


async def test_secret_is_sealed_also_one_of_before(make_api: MakeApi, called: Called) -> None:
    api = await make_api()
    await api.call("setWebhook", url=called.url, secret_token="first")
    (sealed,) = api.world.rows("SELECT webhook_secret FROM bots")[0]
    assert sealed.startswith("installation:") and "first" not in sealed
    service = api.world.node.service
    assert service._database and service._bots
    await service._database.writer.submit(lambda cursor: cursor.execute("UPDATE bots SET webhook_secret = 'older'"))
    await api.world.restart()
    await called.until(lambda: api.world.rows("SELECT 1 FROM bots WHERE webhook_secret LIKE 'installation:%'"))
    await api.world.visitor()
    await called.until(lambda: called.seen)

    assert called.headers[0]["X-Telegram-Bot-Api-Secret-Token"] == "older"


async def test_s3_51_operator_sets_the_address(make_api: MakeApi, called: Called) -> None:
    api = await make_api()
    await api.world.visitor()
    await api.updates(1)
    assert await order(api, "set-webhook", webhook_url=called.url)
    await called.until(lambda: called.seen)

    assert called.texts() == ["/start"]
    assert (await api.raw("getUpdates"))["_status"] == 409


async def test_commands_are_kept(make_api: MakeApi) -> None:
    api = await make_api()
    wish = [{"command": "start", "description": "begin"}]
    assert await api.call("getMyCommands") == []
    assert await api.call("setMyCommands", commands=json.dumps(wish)) is True
    assert await api.call("getMyCommands") == wish
    bad = await api.raw("setMyCommands", commands=[{"command": "Not A Command", "description": "x"}])
    assert bad["description"] == "Bad Request: BOT_COMMAND_INVALID"
    assert await api.call("deleteMyCommands") is True
    assert await api.call("getMyCommands") == []


async def test_place_is_a_link_and_copies_are_refused(make_api: MakeApi) -> None:
    api = await make_api()
    visitor = await api.world.visitor()
    chat_id = (await api.updates(1))[0]["message"]["chat"]["id"]
    await api.call("sendVenue", chat_id=chat_id, latitude=52.52, longitude="13.4", title="Café", address="Way 1")
    said = (await visitor.wait_for("bot", 1))[0]["text"]
    wrong = await api.raw("sendLocation", chat_id=chat_id, latitude="nan", longitude=0)
    copied = await api.raw("forwardMessage", chat_id=chat_id, from_chat_id=chat_id, message_id=1)

    assert said.splitlines()[:2] == ["Café", "Way 1"]
    assert "mlat=52.520000&mlon=13.400000" in said
    assert wrong["description"] == "Bad Request: latitude must be from -90 to 90"
    assert (copied["_status"], copied["description"].startswith("Bad Request: messages can't be")) == (400, True)
