"""The sandbox's side of a click: what the hub answers, and what a widget that listens is told of a change."""

from __future__ import annotations

import aiohttp
import pytest
import websockets

from omnibridge.rocketchat.app_client import APP_ID
from tests.conftest import MakeWorld
from tests.integration.interaction.clicking import as_visitor, blocks_now, clicked, post, press, shown_by_bot, with_app
from tests.integration.sandbox.ddp import Ddp
from tests.integration.sandbox.ddp import as_visitor as visitor_arguments


async def test_a_widget_that_listens_is_told_that_the_buttons_are_gone(make_world: MakeWorld) -> None:
    world = await with_app(make_world)
    visitor = await world.visitor()
    await visitor.say("echo hello")
    await world.answered()
    message = await shown_by_bot(world, visitor)
    async with websockets.connect(f"{world.sandbox.url.replace('http', 'ws')}/websocket", ping_interval=None) as socket:
        ddp = await Ddp(socket).connect()
        arguments = visitor_arguments(visitor.token)
        assert (await ddp.subscribe("stream-room-messages", visitor.rid, arguments))["msg"] == "ready"
        await press(world, visitor.rid, message, "button.1", "/support", as_visitor(visitor), viewId=None)
        await clicked(world)
        while (frame := (await ddp.heard("stream-room-messages", visitor.rid))[0])["_id"] != message:
            pass

    assert frame["blocks"] == blocks_now(world, message)
    assert [each.get("blockId") for each in frame["blocks"]] == ["ob1.once.1", None, "ob1.keep.4"]
    assert frame["editedAt"]
    (shown,) = [each for each in await visitor.history() if each["_id"] == message]
    assert shown["blocks"] == frame["blocks"]


@pytest.mark.parametrize(("kind", "status"), [("blockAction", 401), ("viewSubmit", 400), ("viewClosed", 400)])
async def test_clicks_without_a_login_and_of_another_type_are_refused(
    make_world: MakeWorld, kind: str, status: int
) -> None:
    world = await with_app(make_world)
    visitor = await world.visitor()
    url = f"{world.sandbox.url}/api/apps/ui.interaction/{APP_ID}"
    headers = None if status == 401 else as_visitor(visitor)
    assert (await post(url, {"type": kind, "rid": visitor.rid}, headers))[0] == status


async def test_s3_60_no_message_holds_a_response_object(make_world: MakeWorld) -> None:
    """Suggestion 2 of the seed, hidden messages with the object in attachments, is not adopted."""
    world = await with_app(make_world)
    visitor = await world.visitor()
    await visitor.say("echo hello")
    await world.answered()
    message = await shown_by_bot(world, visitor)
    await press(world, visitor.rid, message, "button.0", "/sales", as_visitor(visitor))
    await clicked(world)
    account = world.sandbox.description["service_account"]
    headers = {"x-user-id": account["user_id"], "x-auth-token": account["auth_token"]}
    query = f"roomId={visitor.rid}&lastUpdate=2020-01-01T00:00:00.000Z"
    url = f"{world.sandbox.url}/api/v1/chat.syncMessages?{query}"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        text = await answer.text()

    assert "Which one?" in text
    assert "block_actions" not in text
    assert "response_url" not in text
