"""Files of bots into rooms: both generations of the API, once each, byte by byte, from allowed places only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from omnibridge.analysis.transcript import so_far
from omnibridge.engine.transcripts import lines_of
from omnibridge.sandbox.server import Socket
from omnibridge.sandbox.visitor import SandboxClient, Visitor
from tests.conftest import MakeWorld, World
from tests.soak.processes import Bridge, Sandbox

CONTENT = bytes(range(256)) * 1000 + b"end"
DIGEST = sha256(CONTENT).hexdigest()


class Shelf:
    """A bot's file server. asked: paths."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        routes = [Route("/moved", self.moved), Route("/endless", self.endless), Route("/{name:path}", self.file)]
        self.socket = Socket(Starlette(routes=routes), "127.0.0.1", 0)

    @property
    def url(self) -> str:
        return self.socket.url

    async def file(self, request: Request) -> Response:
        self.asked.append(request.url.path)
        if "missing" in request.url.path:
            return Response(status_code=404)
        return Response(CONTENT, media_type="application/pdf" if "." in request.url.path else "image/png")

    async def moved(self, request: Request) -> Response:
        self.asked.append("/moved")
        return RedirectResponse(f"{self.url}/a.pdf")

    async def endless(self, request: Request) -> Response:
        """Tells no size."""

        async def pieces() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 65536
                await asyncio.sleep(0)  # so that it notices when nobody reads any more

        return StreamingResponse(pieces(), media_type="application/pdf")


@pytest_asyncio.fixture
async def shelf() -> AsyncIterator[Shelf]:
    found = Shelf()
    await found.socket.start()
    yield found
    await found.socket.stop()


def uploading(shelf: Shelf, *more: str) -> str:
    return "\n".join([f'url = "{shelf.url}/hook"', "upload_files = true", "fallbacks = 0", *more])


async def shown(world: World, rid: str) -> list[tuple[str, str, str]]:
    """Name, digest and caption of the file of each message that shows one: a file may be shown twice by mistake."""
    ledger = await world.hub.ledger(rid)
    files = {each["id"]: each for each in ledger["files"]}
    found = []
    for message in ledger["rooms"][0]["messages"]:
        for each in message["attachments"]:
            if each.get("title_link"):
                file = files[each["title_link"].split("/")[2]]
                found.append((file["name"], file["sha256"], message["text"]))
    return found


@pytest.mark.parametrize("version", ["6.14", "7.7", "8.3"])
async def test_bots_file_is_in_the_room_byte_by_byte(make_world: MakeWorld, shelf: Shelf, version: str) -> None:
    world = await make_world(connection=uploading(shelf), hub_version=version)
    visitor = await world.visitor()
    await visitor.say(f"file {shelf.url}/a%20b.pdf The prices")
    heard = await visitor.wait_for("bot", 1)
    await world.quiet()

    assert await shown(world, visitor.rid) == [("a b.pdf", DIGEST, "The prices")]
    assert heard[0]["author"] == "bot"
    assert world.node.service.counters.value("files", "uploaded") == 1


@pytest.mark.parametrize(("largest", "told"), [(-1, "[file: a b.pdf]"), (1000, None)])
async def test_records_and_who_takes_over_read_what_became_of_a_file(
    make_world: MakeWorld, shelf: Shelf, largest: int, told: str | None
) -> None:
    """Not what would have been said if it could not be uploaded, and not twice."""
    world = await make_world(connection=uploading(shelf))
    await world.hub.control(settings={"FileUpload_MaxFileSize": largest})
    visitor = await world.visitor()
    await visitor.say(f"file {shelf.url}/a%20b.pdf")
    await visitor.wait_for("bot", 1)
    await world.hub.settled()
    await world.quiet()
    (conversation,) = world.rows("SELECT id FROM conversations")[0]
    database = world.node.service._database
    assert database
    wanted = [told or f"{shelf.url}/a%20b.pdf"]

    assert [each.text for each in lines_of(database.reader, conversation, 0, 9, to_the_end=True)][1:] == wanted
    assert [each.text for each in so_far(database.reader, conversation)][1:] == wanted


async def test_old_generation_is_used_where_there_is_no_other(make_world: MakeWorld, shelf: Shelf) -> None:
    world = await make_world(connection=uploading(shelf), hub_version="6.5")
    visitor = await world.visitor()
    await visitor.say(f"picture {shelf.url}/cat")
    await visitor.wait_for("bot", 1)
    await world.quiet()
    calls = (await world.hub.ledger())["rest_calls"]

    assert await shown(world, visitor.rid) == [("cat.png", DIGEST, "")]
    assert (calls.get("rooms.media/{rid}", 0), calls["rooms.upload/{rid}"]) == (0, 1)


@pytest.mark.parametrize(
    ("version", "path"), [("8.3", "rooms.mediaConfirm/{rid}/{file}"), ("6.5", "rooms.upload/{rid}")]
)
@pytest.mark.parametrize(
    "how", [{"status": 500, "after_effect": True}, {"status": "cut", "after_effect": True}, {"status": 503}]
)
async def test_upload_that_ended_badly_is_there_once(
    make_world: MakeWorld, shelf: Shelf, version: str, path: str, how: dict[str, Any]
) -> None:
    world = await make_world(connection=uploading(shelf), hub_version=version)
    visitor = await world.visitor()
    await world.hub.control(fail_next=[{"path": path, **how}])
    await visitor.say(f"file {shelf.url}/a.pdf")
    await visitor.wait_for("bot", 1)
    await world.quiet()
    await visitor.say(f"file {shelf.url}/a.pdf")  # the same again is another one
    await world.answered(2)

    assert await shown(world, visitor.rid) == [("a.pdf", DIGEST, "")] * 2


@pytest.mark.parametrize("version", ["8.3", "6.5"])
async def test_upload_that_a_dead_process_had_under_way_is_found(
    make_world: MakeWorld, shelf: Shelf, version: str
) -> None:
    """It died between the hub's answer and our settling."""
    world = await make_world(connection=uploading(shelf), hub_version=version)
    visitor = await world.visitor()
    await visitor.say(f"file {shelf.url}/a.pdf")
    await visitor.wait_for("bot", 1)
    await world.quiet()
    database = world.node.service._database
    assert database
    await database.writer.submit(lambda cursor: cursor.execute("UPDATE uploads SET message_id = ''"))
    sql = "UPDATE deliveries SET state = 0, attempts = 0, settled_at = NULL WHERE command = 'SendToVisitor'"
    await database.writer.submit(lambda cursor: cursor.execute(sql))
    await world.restart()
    await world.quiet()

    assert await shown(world, visitor.rid) == [("a.pdf", DIGEST, "")]
    assert world.rows("SELECT state FROM deliveries WHERE command = 'SendToVisitor'") == [(1,)]


@pytest.mark.parametrize("crash_at", ["sent_to_response:2", "response_to_settle/SendToVisitor:1"])
async def test_kill_while_a_file_is_posted_neither_loses_nor_doubles_it(
    tmp_path: Path, shelf: Shelf, crash_at: str
) -> None:
    sandbox = Sandbox()
    told = await sandbox.start()
    hosts = f'file_hosts = ["{shelf.url.removeprefix("http://")}"]'
    bridge = Bridge(tmp_path, told, "webhook_bot", options=f"upload_files = true\n{hosts}")
    hub, session = SandboxClient(told["url"]), aiohttp.ClientSession()
    try:
        await bridge.start(crash_at)
        await bridge.ready(session)
        await hub.control(webhook_url=f"{bridge.url}/webhooks/rocketchat/soak")
        visitor = Visitor(hub, "Vera")
        await visitor.open_room()
        await visitor.say(f"file {shelf.url}/a.pdf")
        assert await bridge.died(20)
        await bridge.start()
        await bridge.ready(session)
        await visitor.say("echo done")
        await visitor.wait_for("bot", 2)
        ledger = await hub.ledger(visitor.rid)
        said = [each for each in ledger["rooms"][0]["messages"] if each["kind"] == "bot"]
        files = [(each["name"], each["sha256"]) for each in ledger["files"] if each["message"]]
    finally:
        await hub.aclose()
        await session.close()
        await bridge.stop()
        await sandbox.stop()

    assert files == [("a.pdf", DIGEST)]
    assert len(said) == 2
    assert said[1]["text"] == "done"


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest/meta-data.pdf",
        "http://localhost:1/secret.pdf",
        "http://[::1]/secret.pdf",
        "http://127.0.0.1:1/secret.pdf",
        "http://user:pass@127.0.0.1/secret.pdf",
        "{shelf}/moved",
        "{shelf}/missing.pdf",
        "{shelf}/endless",
    ],
)
async def test_what_must_not_be_fetched_is_shown_as_a_link(make_world: MakeWorld, shelf: Shelf, address: str) -> None:
    world = await make_world(connection=uploading(shelf))
    visitor = await world.visitor()
    url = address.replace("{shelf}", shelf.url)
    await visitor.say(f"file {url} Prices")
    heard = await visitor.wait_for("bot", 1)
    await world.quiet()

    assert heard[0]["text"] == f"[Prices]({url})"
    assert await shown(world, visitor.rid) == []
    assert world.node.service.counters.value("files", "not-uploaded") == 1
    assert "/a.pdf" not in shelf.asked  # the redirect was not followed


async def test_name_that_leads_to_this_machine_is_refused_though_it_is_listed(
    make_world: MakeWorld, shelf: Shelf
) -> None:
    port = shelf.url.rpartition(":")[2]
    world = await make_world(connection=f'upload_files = true\nfile_hosts = ["localhost:{port}"]')
    visitor = await world.visitor()
    await visitor.say(f"file http://localhost:{port}/a.pdf")
    heard = await visitor.wait_for("bot", 1)

    assert heard[0]["text"] == f"http://localhost:{port}/a.pdf"
    assert shelf.asked == []


@pytest.mark.parametrize(
    "settings",
    [{"FileUpload_MaxFileSize": 1000}, {"FileUpload_MediaTypeWhiteList": "image/*"}, {"FileUpload_Enabled": False}],
)
async def test_hub_that_refuses_the_file_leads_to_the_link(
    make_world: MakeWorld, shelf: Shelf, settings: dict[str, Any]
) -> None:
    world = await make_world(connection=uploading(shelf))
    await world.hub.control(settings=settings)
    visitor = await world.visitor()
    await visitor.say(f"file {shelf.url}/a.pdf")

    assert (await visitor.wait_for("bot", 1))[0]["text"] == f"{shelf.url}/a.pdf"


async def test_without_the_setting_nothing_is_fetched(make_world: MakeWorld, shelf: Shelf) -> None:
    world = await make_world(connection=f'url = "{shelf.url}"')
    visitor = await world.visitor()
    await visitor.say(f"file {shelf.url}/a.pdf")
    await visitor.wait_for("bot", 1)

    assert shelf.asked == []


async def test_file_of_a_bot_that_lost_control_is_not_posted(make_world: MakeWorld, shelf: Shelf) -> None:
    world = await make_world(connection=uploading(shelf))
    visitor = await world.visitor()
    await world.hub.control(fail_next=[{"path": "rooms.media/{rid}", "status": 503, "count": 99}])
    await visitor.say(f"file {shelf.url}/a.pdf")
    await world.bot_started()
    await world.relay.post("livechat/room.forward", {"roomId": visitor.rid, "userId": world.alice.user_id})
    await visitor.wait_event("assigned", "alice")
    await world.hub.settled()
    await world.quiet()

    assert await shown(world, visitor.rid) == []
    assert world.rows("SELECT state, code FROM deliveries WHERE command = 'SendToVisitor'") == [(2, "control-changed")]
