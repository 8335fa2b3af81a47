"""Our own client, over sockets: a bot, its webhook, who talks to it, and a bot with a log-in at the hub."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from omnibridge.client import BotApiError, BotClient, Button, HubUser, Update, send_to_bot, verify
from omnibridge.connector.signing import read_secrets, signed_headers
from tests.integration.botapi.conftest import KEY, Api, MakeApi
from tests.integration.botapi.test_editing import shown
from tests.integration.botapi.test_webhook import Called
from tests.integration.botapi.test_webhook import called as called


@pytest_asyncio.fixture
async def api(make_api: MakeApi) -> Api:
    return await make_api()


@pytest_asyncio.fixture
async def bot(api: Api) -> AsyncIterator[BotClient]:
    async with BotClient(api.world.node.url, api.token) as found:
        yield found


async def serve(bot: BotClient) -> None:
    """A menu; what is chosen is shown in its place."""
    async for update in bot.updates(wait_s=5):
        if update.message and update.message.text == "/start":
            await bot.send(update.message.chat.id, "Tea or mate?", [Button("Tea", "t"), Button("Mate", "m")])
        elif update.callback_query:
            await bot.answer(update.callback_query.id)
            await bot.edit(update.callback_query.message, f"You get {update.callback_query.data}.")
        elif update.message and update.message.text == "person":
            await bot.hand_over(update.message.chat.id, reason="asked")
        elif update.message:
            await bot.send(update.message.chat.id, f"pong {update.message.text}")


async def test_s3_44_bot_of_ours_asks_edits_answers_and_gives_way(api: Api, bot: BotClient) -> None:
    serving = asyncio.create_task(serve(bot))
    try:
        visitor = await api.world.visitor()
        asked = (await visitor.wait_for("bot", 1))[0]
        assert asked["text"] == "Tea or mate?\n1. Tea\n2. Mate"
        await visitor.say("ping")
        await visitor.wait_for("bot", 2)
        url, rid = api.world.node.url, visitor.rid
        sent = {"message_id": asked["id"], "visitor_token": visitor.token, "key": "once"}
        first = await send_to_bot(url, "helper", rid, "a1", "m", **sent)
        assert await send_to_bot(url, "helper", rid, "a1", "m", **sent) == first
        await shown(visitor, ["You get m.", "pong ping"])
        await visitor.say("person")
        await visitor.wait_event("unassigned")
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
    await api.world.quiet()
    with pytest.raises(BotApiError) as caught:
        await bot.send(1, "still here")

    assert (caught.value.code, caught.value.description) == (
        403, "Forbidden: somebody else serves this conversation now"
    )  # fmt: skip
    assert (await bot.me()).username == "helper_bot"


async def test_update_that_the_bot_failed_at_comes_again(api: Api, bot: BotClient) -> None:
    await api.world.visitor()
    again: list[Update] = []
    for _ in range(2):
        async for update in bot.updates(wait_s=5):
            again.append(update)
            break

    assert again[0] == again[1]
    assert again[0].message and again[0].message.text == "/start"


async def test_webhook_is_believed_by_its_signature_alone(api: Api, bot: BotClient, called: Called) -> None:
    await bot.set_webhook(called.url, secret_token="s3cret")
    await api.world.visitor()
    await called.until(lambda: called.seen)
    headers, body = called.headers[0], called.bodies[0]
    update = verify(KEY, headers, body)

    assert update.message and update.message.text == "/start"
    other = "whsec_" + "b3RoZXJvdGhlcm90aGVyb3RoZXJvdGhlcm90aGVy"
    assert verify(f"{other} {KEY}", headers, body) == update, "while secrets are exchanged"
    for wrong in ((other, headers, body), (KEY, headers, body + b" "), (KEY, {}, body)):
        with pytest.raises(ValueError, match=r"signature|missing"):
            verify(*wrong)
    old = signed_headers(read_secrets(KEY), "update_1_1", 1_000_000, body)
    with pytest.raises(ValueError, match="clocks"):
        verify(KEY, old, body)


async def test_refusals_are_raised_with_what_to_do(api: Api, bot: BotClient) -> None:
    visitor = await api.world.visitor()
    with pytest.raises(BotApiError, match="401 Not proved"):
        await send_to_bot(api.world.node.url, "helper", visitor.rid, "a", "v", visitor_token="another")
    with pytest.raises(BotApiError, match="400 Bad Request: chat not found"):
        await bot.send(77, "x")
    async with BotClient(api.world.node.url, "1234567890:" + "x" * 43) as other:
        with pytest.raises(BotApiError, match="401 Unauthorized"):
            await other.me()
    async with BotClient("http://127.0.0.1:9", api.token) as nowhere:
        with pytest.raises(BotApiError) as caught:
            await nowhere.me()
    assert caught.value.code == 0
    assert api.token not in str(caught.value)


async def test_s3_58_and_59_bot_with_a_log_in_sends_and_changes_at_the_hub(api: Api) -> None:
    """In the room that its bot user serves."""
    visitor = await api.world.visitor()
    await api.updates(1)
    account = api.world.sandbox.description["bot_account"]
    user = HubUser(api.world.sandbox.url, account["user_id"], account["auth_token"])
    identity = await user.send(visitor.rid, "A card", [{"title": "Mate", "text": "Hot"}])
    before = (await visitor.wait_for("bot", 1))[0]
    await user.update(visitor.rid, identity, "Another card")
    after = (await visitor.wait_for("bot", 1))[0]
    with pytest.raises(BotApiError):
        await user.update("nowhere", identity, "x")
    await user.aclose()

    assert (before["id"], before["text"], before["author"]) == (identity, "A card", "bot")
    assert before["attachments"][0]["title"] == "Mate"
    assert (after["id"], after["text"], after["attachments"]) == (identity, "Another card", before["attachments"])


async def test_s3_58_log_in(api: Api) -> None:
    admin = api.world.sandbox.description["admin"]
    user = await HubUser.log_in(api.world.sandbox.url, admin["username"], admin["password"])
    await user.aclose()
    assert user.user_id == admin["user_id"]
    with pytest.raises(BotApiError, match="401"):
        await HubUser.log_in(api.world.sandbox.url, "alice", "wrong")


def test_client_brings_nothing_of_the_server() -> None:
    look = "sorted(m for m in sys.modules if m.startswith('omnibridge') and not m.startswith('omnibridge.client'))"
    code = f"import sys, omnibridge.client; print({look})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "['omnibridge']"
