"""The companion app and a real bridge, over a real socket: `make test-app` gives this file to pytest."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from standardwebhooks import Webhook, WebhookVerificationError

from omnibridge.rocketchat.leaves import iso_of
from tests.conftest import MakeWorld, World, until
from tests.integration.test_app_events import send

HERE = Path(__file__).parent
APP = HERE.parent.parent / "deploy" / "rocketchat-app"
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
WORKSPACE = f'app_secret = "{SECRET}"'
MINUTE_MS = 60_000


class App:
    """The compiled app in a node process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def do(self, **wish: Any) -> dict[str, Any]:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(wish).encode() + b"\n")
        async with asyncio.timeout(30):
            answer: dict[str, Any] = json.loads(await self.process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer

    async def start(self, url: str, clock_ms: int) -> None:
        settings = {"bridge_url": f"{url}/webhooks/rocketchat-app/main", "bridge_secret": SECRET}
        await self.do(start=settings, clock=clock_ms)


@pytest_asyncio.fixture
async def app() -> AsyncIterator[App]:
    node = shutil.which("node")
    assert node
    process = await asyncio.create_subprocess_exec(
        node, str(HERE / "driver.js"),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**24,
    )  # fmt: skip
    yield App(process)
    process.kill()
    await process.wait()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def room_of(rid: str, **more: Any) -> dict[str, Any]:
    """As the engine hands it over."""
    visitor = {"id": "v1", "token": "visitor-token", "username": "guest-1", "name": "Vera"}
    return {"id": rid, "type": "l", "isOpen": True, "visitor": visitor, "createdAt": iso_of(now_ms()), **more}


def words_of(rid: str, identity: str, text: str, at_ms: int, **more: Any) -> dict[str, Any]:
    sender = {"id": "v1", "username": "guest-1", "name": "Vera"}
    by = {} if "sender" in more else {"token": "visitor-token"}
    created = iso_of(at_ms)
    return {"id": identity, "room": room_of(rid), "text": text, "sender": sender, "createdAt": created, **by, **more}


def journalled(world: World) -> list[dict[str, Any]]:
    """What came from the app, in the order of the journal."""
    rows = world.rows("SELECT body, state FROM observations WHERE source = 'app' ORDER BY id")
    assert {state for _, state in rows} <= {1, 2}, "nothing waits, nothing is quarantined"
    return [json.loads(body) for body, _ in rows]


def keep_port(world: World) -> None:
    """The bridge comes back where it was."""
    path, port = world.folder / "omnibridge.toml", world.node.url.rpartition(":")[2]
    path.write_text(path.read_text("utf-8").replace("port = 0", f"port = {port}"), "utf-8")


async def test_an_hour_without_the_bridge_every_event_arrives_once_in_order(make_world: MakeWorld, app: App) -> None:
    """Real rooms of a hub whose webhook is off: what the app tells is also what the reconciler finds."""
    world = await make_world(webhook=False, workspace=WORKSPACE)
    keep_port(world)
    visitors = [await world.visitor(name) for name in ("Vera", "Vic", "Val")]
    await world.node.stop()

    began = now_ms() - 60 * MINUTE_MS
    await app.start(world.node.url, began)
    fired: dict[str, list[tuple[str, str]]] = {each.rid: [] for each in visitors}
    for each in visitors:
        await app.do(fire="executePostLivechatRoomStarted", context=room_of(each.rid))
        fired[each.rid].append(("room.started", ""))
    for minute in range(58):
        visitor = visitors[minute % 3]
        said = await visitor.say(f"words {minute}")
        at_ms = began + minute * MINUTE_MS
        context = words_of(visitor.rid, said, f"words {minute}", at_ms)
        await app.do(fire="executePostMessageSent", context=context)
        fired[visitor.rid].append(("message.posted", said))
        if minute % 7 == 0:
            click = {
                "actionId": "a", "blockId": "b", "value": "1", "triggerId": "t", "container": {"type": "message"},
                "room": room_of(visitor.rid), "visitor": room_of(visitor.rid)["visitor"], "message": context,
            }  # fmt: skip
            await app.do(click=click)
            fired[visitor.rid].append(("interaction", said))
        await app.do(tick=6, every=10_000)
    found = await app.do(clock=now_ms())
    assert found["waiting"] == sum(len(each) for each in fired.values())

    await world.begin()
    await app.do(tick=8, every=10_000)
    assert (await app.do(state=True))["waiting"] == 0
    await world.quiet()

    told = journalled(world)
    for rid, wanted in fired.items():
        mine = [(each["type"], each["data"].get("message", {}).get("_id", "")) for each in told if each["rid"] == rid]
        assert mine == wanted
    assert len(told) == len({each["id"] for each in told}) == 3 + 58 + 9
    posted = Counter(
        json.loads(data)["message_id"]
        for (data,) in world.rows("SELECT data FROM events WHERE kind = 'MessagePosted' AND data LIKE '%words%'")
    )
    assert len(posted) == 58
    assert set(posted.values()) == {1}, "also found by the reconciler, and still one event each"


async def test_answers_that_are_lost_do_not_double_anything(make_world: MakeWorld, app: App) -> None:
    """The bridge journals and the app never hears of it: the event comes again under its id."""
    world = await make_world(webhook=False, workspace=WORKSPACE)
    visitor = await world.visitor()
    await app.start(world.node.url, now_ms())
    said = await visitor.say("hello")
    await app.do(fire="executePostMessageSent", context=words_of(visitor.rid, said, "hello", now_ms()))
    request = (await app.do(state=True))["requests"][0]
    assert request["status"] == 200
    assert (await send(world, request["options"]["content"].encode(), headers=request["options"]["headers"]))[0] == 200
    await world.quiet()

    assert len(journalled(world)) == 1
    assert world.node.service.counters.value("app_events_repeated") == 1


async def test_s1_14_the_bar_shows_what_the_bridge_knows(make_world: MakeWorld, app: App) -> None:
    world = await make_world(webhook=False, workspace=WORKSPACE)
    visitor = await world.visitor()
    await app.start(world.node.url, now_ms())
    agent = {"id": "aliceId", "username": "alice", "name": "Alice"}
    pressed = {"actionId": "omnibridge-assist", "triggerId": "t", "user": agent, "room": room_of("unknown")}
    nothing = await app.do(press=pressed)
    await app.do(fire="executePostLivechatRoomStarted", context=room_of(visitor.rid))
    await world.quiet()
    view = (await app.do(press={**pressed, "room": room_of(visitor.rid)}))["view"]

    assert nothing["view"]["blocks"][0]["text"]["text"].startswith("Nothing is known")
    assert [each["text"]["text"].split(":")[0] for each in view["blocks"]] == [
        "In control", "Served by", "Last decision",
    ]  # fmt: skip
    assert "helper" in view["blocks"][0]["text"]["text"]


async def test_signatures_verify_with_the_standards_own_library(make_world: MakeWorld, app: App) -> None:
    """What leaves the app, and what the app takes."""
    world = await make_world(webhook=False, workspace=WORKSPACE)
    await app.start(world.node.url, now_ms())
    await app.do(fire="executePostLivechatGuestSaved", context={"id": "v1", "token": "t", "name": "Vera"})
    sent = (await app.do(state=True))["requests"][0]["options"]
    Webhook(SECRET).verify(sent["content"], sent["headers"])
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(sent["content"].replace("Vera", "Vara"), sent["headers"])

    manifest = json.loads((APP / "app.json").read_text("utf-8"))
    payload, at = json.dumps({"app": manifest["id"], "action": "ping"}), datetime.now(UTC)
    signature = Webhook(SECRET).sign("ask-1", at, payload)
    headers = {
        "webhook-id": "ask-1", "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature,
    }  # fmt: skip
    content = {"payload": payload}
    first = await app.do(ask={"headers": headers, "content": content})
    again = await app.do(ask={"headers": headers, "content": content})
    assert (first["status"], again["status"]) == (200, 409)
    assert first["content"]["outbox"]["waiting"] == 0


async def test_the_sandboxes_app_makes_what_the_app_makes(make_world: MakeWorld, app: App) -> None:
    """Names of leaves of each type of envelope: those of the simulated one are all there in the real one."""
    world = await make_world(workspace=WORKSPACE)
    url = f"{world.node.url}/webhooks/rocketchat-app/main"
    await world.hub.control(app_url=url, app_secret=SECRET)
    visitor = await world.visitor()
    said = await visitor.say("hello")
    await visitor.edit(said, "hullo")
    await world.answered()
    await world.relay.post("livechat/room.forward", {"roomId": visitor.rid, "userId": world.alice.user_id})
    await world.alice.close(visitor.rid)
    simulated = world.sandbox.hub.app.sent
    await until(lambda: any(each["type"] == "room.closed" for each in simulated))

    agent = {"id": "a", "username": "a", "name": "A"}
    room = room_of("r", servedBy=agent, closer="user", closedBy=agent, closedAt=iso_of(now_ms()), livechatData={})
    room |= {"source": {"type": "api"}, "department": {"id": "d", "name": "D"}}
    words = {**words_of("r", "m", "x", now_ms(), editor=agent, editedAt=iso_of(now_ms())), "room": room}
    await app.start(world.node.url, now_ms())
    for handler, context in {
        "executePostLivechatRoomStarted": room,
        "executePostLivechatRoomClosed": room,
        "executePostLivechatRoomTransferred": {"type": "agent", "room": room, "from": agent, "to": agent},
        "executePostLivechatAgentAssigned": {"agent": agent, "room": room},
        "executePostLivechatAgentUnassigned": {"agent": agent, "room": room},
        "executePostMessageSent": words,
        "executePostMessageUpdated": words,
        "executePostLivechatGuestSaved": room["visitor"],
    }.items():
        await app.do(fire=handler, context=context)
    sent = (await app.do(state=True))["requests"]
    real = {each["type"]: leaves(each) for each in (json.loads(one["options"]["content"]) for one in sent)}
    assert set(real) >= {each["type"] for each in simulated}
    assert len(real) == 8
    for each in simulated:
        assert leaves(each) - real[each["type"]] == set(), each["type"]


def leaves(value: Any, path: str = "") -> set[str]:
    """`.data.room._id` and so on; of an empty object its own name."""
    if not isinstance(value, dict) or not value:
        return {path}
    return {leaf for key, each in value.items() for leaf in leaves(each, f"{path}.{key}")}


def test_the_zip_is_the_app() -> None:
    """What the server reads of it, and nothing else: no source, no package, no test."""
    found = {each.relative_to(os.environ["APP_DIR"]).as_posix() for each in Path(os.environ["APP_DIR"]).rglob("*.*")}
    sources = {each.relative_to(APP).with_suffix(".js").as_posix() for each in (APP / "src").glob("*.ts")}
    manifest = json.loads((APP / "app.json").read_text("utf-8"))

    assert found == {"app.json", manifest["iconFile"], "i18n/en.json", "OmnibridgeApp.js", *sources}
