"""Bots that are called at their webhook (S3-39, S3-40, S3-41, S3-45, S3-50, S3-55, S3-56)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from standardwebhooks import Webhook

from omnibridge import bootstrap
from omnibridge.clock import SystemClock
from omnibridge.storage import bot_updates
from tests.integration.botapi.conftest import KEY, Api, MakeApi
from tests.web_server import web_server


class Called:
    """A bot's webhook. status: what it answers; answers: by the text that it is told. seen: taken updates, in order."""

    def __init__(self) -> None:
        self.status = 200
        self.answers: dict[str, Any] = {}
        self.seen: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.paths: list[str] = []
        self.tries = 0
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.tries += 1
        body = await request.read()
        update = await request.json()
        if self.status != 200:
            return web.Response(status=self.status)
        self.seen.append(update)
        self.paths.append(request.path)
        self.headers.append(dict(request.headers))
        self.bodies.append(body)
        answer = self.answers.get(update.get("message", {}).get("text", ""))
        return web.json_response(answer) if answer else web.Response(text="ok")

    async def until(self, is_so: Callable[[], Any]) -> None:
        async with asyncio.timeout(30):
            while not is_so():
                await asyncio.sleep(0.01)

    def texts(self) -> list[str]:
        return [each["message"]["text"] for each in self.seen if "message" in each]


@pytest_asyncio.fixture
async def called() -> AsyncIterator[Called]:
    bot = Called()
    app = web.Application()
    app.router.add_post("/hook", bot.take)
    app.router.add_post("/press", bot.take)
    async with web_server(app) as url:
        bot.url = f"{url}/hook"
        yield bot


class MovedClock(SystemClock):
    ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + type(self).ahead_ms


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> type[MovedClock]:
    monkeypatch.setattr(MovedClock, "ahead_ms", 0)
    monkeypatch.setattr(bootstrap, "SystemClock", MovedClock)
    return MovedClock


async def registered(make_api: MakeApi, called: Called, **options: Any) -> Api:
    api = await make_api()
    assert await api.call("setWebhook", url=called.url, secret_token="s3cret", **options) is True
    return api


async def test_s3_39_and_50_and_55_and_56_updates_come_signed_and_the_answer_speaks_once(
    make_api: MakeApi, called: Called
) -> None:
    api = await registered(make_api, called)
    called.answers["hello"] = {"method": "sendMessage", "chat_id": 1, "text": "Good day."}
    visitor = await api.world.visitor()
    await visitor.say("hello")
    said = await visitor.wait_for("bot", 1)

    assert [each["text"] for each in said] == ["Good day."]
    assert called.texts() == ["/start", "hello"]
    assert {each["X-Telegram-Bot-Api-Secret-Token"] for each in called.headers} == {"s3cret"}
    for headers, body in zip(called.headers, called.bodies, strict=True):
        Webhook(KEY).verify(body, {name.lower(): value for name, value in headers.items()})
    await called.until(lambda: not api.world.rows("SELECT 1 FROM bot_updates WHERE state = 0"))
    info = await api.call("getWebhookInfo")
    assert (info["url"], info["pending_update_count"]) == (called.url, 0)
    assert (await api.raw("getUpdates"))["error_code"] == 409
    assert (await api.raw("setWebhook", token="1:x", url=called.url))["_status"] == 401


async def test_s3_56_answer_is_said_once_though_its_update_comes_again(make_api: MakeApi, called: Called) -> None:
    """As after a crash between the answer and its settling."""
    api = await registered(make_api, called)
    called.answers["hello"] = {"method": "sendMessage", "chat_id": 1, "text": "Good day."}
    visitor = await api.world.visitor()
    await visitor.say("hello")
    await visitor.wait_for("bot", 1)
    await called.until(lambda: not api.world.rows("SELECT 1 FROM bot_updates WHERE state = 0"))
    service, database = api.world.node.service, api.world.node.service._database
    assert service._bots and database
    await database.writer.submit(lambda cursor: cursor.execute("UPDATE bot_updates SET state = 0"))
    service._bots.queue.ring("helper")
    await called.until(lambda: not api.world.rows("SELECT 1 FROM bot_updates WHERE state = 0"))
    await api.world.quiet()

    assert called.texts() == ["/start", "hello", "/start", "hello"]
    assert len(await visitor.wait_for("bot", 1)) == 1


async def test_s3_41_and_45_webhook_down_for_an_hour(
    make_api: MakeApi, called: Called, moved: type[MovedClock]
) -> None:
    called.status = 503
    api = await registered(make_api, called)
    visitors = [await api.world.visitor(name) for name in ("Vera", "Otto")]
    for number in range(3):
        for each in visitors:
            await each.say(f"{each.name} {number}")
    await called.until(lambda: called.tries >= 2)
    await called.until(lambda: len(api.world.rows("SELECT 1 FROM bot_updates")) == 8)
    info = await api.call("getWebhookInfo")
    moved.ahead_ms += 30 * 60_000
    tries = called.tries
    await called.until(lambda: called.tries > tries)
    called.status = 200
    moved.ahead_ms += 30 * 60_000
    await called.until(lambda: len(called.seen) == 8)

    assert (info["pending_update_count"], info["last_error_message"]) == (8, "Wrong response from the webhook: 503")
    await called.until(lambda: not api.world.rows("SELECT 1 FROM bot_updates WHERE state = 0"))
    for name in ("Vera", "Otto"):
        mine = [each for each in called.seen if each["message"]["from"]["first_name"] == name]
        assert [each["message"]["text"] for each in mine] == ["/start", f"{name} 0", f"{name} 1", f"{name} 2"]
        assert [each["update_id"] for each in mine] == sorted(each["update_id"] for each in mine)
    assert (await api.call("getWebhookInfo"))["pending_update_count"] == 0


async def test_s3_45_dead_letters_are_counted_and_tried_again(
    make_api: MakeApi, called: Called, moved: type[MovedClock]
) -> None:
    called.status = 500
    api = await registered(make_api, called)
    await api.world.visitor()
    await called.until(lambda: called.tries >= 1)
    moved.ahead_ms += 25 * 3_600_000
    await called.until(lambda: api.world.rows("SELECT 1 FROM bot_updates WHERE state = 2"))
    service = api.world.node.service
    assert service._bots and service._database
    reader = service._database.reader

    assert (await api.call("getWebhookInfo"))["pending_update_count"] == 0
    assert (bot_updates.n_given_up(reader, "helper"), called.seen) == (1, [])
    called.status = 200
    now = service._clock.now_ms()
    await service._database.writer.submit(lambda cursor: bot_updates.try_again(cursor, "helper", now))
    service._bots.queue.ring("helper")
    await called.until(lambda: called.seen)
    assert called.texts() == ["/start"]
    await called.until(lambda: bot_updates.n_given_up(reader, "helper") == bot_updates.n_waiting(reader, "helper") == 0)


async def test_s3_45_pause_holds_deliveries_back(make_api: MakeApi, called: Called) -> None:
    api = await registered(make_api, called)
    service = api.world.node.service
    assert service._bots and service._database
    await service._database.writer.submit(lambda cursor: cursor.execute("UPDATE bots SET paused = 1"))
    visitor = await api.world.visitor()
    await visitor.say("hello")
    await called.until(lambda: len(api.world.rows("SELECT 1 FROM bot_updates")) == 2)
    assert called.seen == []
    await service._database.writer.submit(lambda cursor: cursor.execute("UPDATE bots SET paused = 0"))
    service._bots.queue.ring("helper")
    await called.until(lambda: len(called.seen) == 2)

    assert called.texts() == ["/start", "hello"]


async def test_s3_40_private_address_is_refused(make_api: MakeApi) -> None:
    api = await make_api("")
    found = await api.raw("setWebhook", url="https://127.0.0.1/hook")

    assert found["_status"] == 400
    assert found["description"].startswith("Bad Request: bad webhook: IP address is reserved")


async def test_private_address_is_refused_when_it_is_called_too(make_api: MakeApi, called: Called) -> None:
    """A name may lead elsewhere after setWebhook looked at it."""
    api = await make_api("")
    database = api.world.node.service._database
    assert database
    url = called.url.replace("127.0.0.1", "localhost")
    await database.writer.submit(lambda cursor: cursor.execute("UPDATE bots SET webhook_url = ?", (url,)))
    await api.world.visitor()
    await called.until(lambda: api.world.rows("SELECT 1 FROM bots WHERE last_error = 'Connection failed'"))

    assert called.tries == 0
