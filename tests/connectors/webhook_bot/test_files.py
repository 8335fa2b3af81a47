"""Visitors' files reach the bot byte by byte, changes of what they wrote reach it in order."""

from __future__ import annotations

from hashlib import sha256

import aiohttp
import pytest

from tests.conftest import MakeWorld, World


@pytest.fixture
def bot_kind() -> str:
    return "webhook_bot"


def payload(size: int) -> bytes:
    return bytes(range(256)) * (size // 256) + b"z" * (size % 256)


async def files_of(world: World) -> list[dict[str, object]]:
    return [file for turn in await world.bot.turns() for file in turn.get("files", ())]


@pytest.mark.parametrize("restricted", [True, False])
async def test_s1_visitors_file_reaches_the_bot_byte_by_byte(make_world: MakeWorld, restricted: bool) -> None:
    """Where only members of a room may read its files, the relay account asks as the visitor."""
    world = await make_world(connection="files = true\nfallbacks = 0")
    settings = {"FileUpload_Restrict_to_room_members": restricted}
    await world.hub.control(settings=settings | {"FileUpload_Restrict_to_users_who_can_access_room": True})
    visitor = await world.visitor()
    content = payload(300_001)
    await world.upload(visitor, "../../holiday \u202e.png", content, "image/png", text="echo see this")
    heard = await visitor.wait_for("bot", 1)
    found = await files_of(world)

    assert heard[0]["text"] == "see this"
    assert [(each["status"], each["sha256"]) for each in found] == [(200, sha256(content).hexdigest())]
    assert (found[0]["name"], found[0]["media_type"], found[0]["size"]) == ("holiday _.png", "image/png", 300_001)
    assert str(found[0]["note"]).startswith("attachment;")
    assert world.node.service.counters.value("files", "downloaded") == 1


async def test_policy_is_told_to_the_sender_and_his_words_go_on(make_world: MakeWorld) -> None:
    options = 'files = true\nfile_types = ["image/*"]\nmax_file_bytes = 1024'
    world = await make_world(connection=options)
    visitor = await world.visitor()
    await world.upload(visitor, "big.png", payload(2000), "image/png", text="echo big")
    await visitor.wait_for("bot", 2)
    await world.upload(visitor, "x.exe", b"MZ", "application/x-msdownload")
    heard = [each["text"] for each in await visitor.wait_for("bot", 3)]

    assert sorted(heard[:2]) == ["big", "big.png is too big: at most 1 KB can be read here."]
    assert heard[2] == "x.exe cannot be read here: files of this type are not taken."
    assert await files_of(world) == []


async def test_bot_that_takes_no_files_is_spoken_for(make_world: MakeWorld) -> None:
    world = await make_world()
    visitor = await world.visitor()
    await world.upload(visitor, "cat.png", b"x", "image/png")

    assert (await visitor.wait_for("bot", 1))[0]["text"] == "I cannot read files. Please describe it in words."


async def test_download_is_refused_without_a_good_link_and_breaks_off_with_the_hub(make_world: MakeWorld) -> None:
    world = await make_world(connection="files = true")
    visitor = await world.visitor()
    await world.upload(visitor, "cat.png", payload(200_000), "image/png")
    await world.answered()
    url = str((await files_of(world))[0]["url"])
    async with aiohttp.ClientSession() as session:
        async with session.get(url[:-2] + "AA") as answer:
            assert answer.status == 404
        async with session.get(url) as answer:
            assert answer.status == 200
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-type"] == "image/png"
            assert len(await answer.read()) == 200_000
        await world.hub.control(files={"logs_in": True})
        async with session.get(url) as answer:
            assert (answer.status, await answer.text()) == (502, "not-the-file\n")
        await world.hub.control(files={"cut_after": 100_000})
        with pytest.raises(aiohttp.ClientPayloadError):
            async with session.get(url) as answer:
                await answer.read()
        world.sandbox.hub.files.by_id.clear()
        async with session.get(url) as answer:
            assert answer.status == 404


async def test_edits_and_deletions_follow_the_turn(make_world: MakeWorld) -> None:
    world = await make_world(connection="edits = true\nfallbacks = 0", workspace="realtime = true")
    await world.live()
    visitor = await world.visitor()
    said = await visitor.say("echo helo")
    await visitor.wait_for("bot", 1)
    await visitor.edit(said, "echo hello")
    await world.answered(2)
    await world.hub.call("DELETE", f"/api/v1/livechat/message/{said}", {"token": visitor.token, "rid": visitor.rid})
    await world.answered(3)
    turns = [(each["event"], each["message"]) for each in await world.bot.turns()]

    assert turns == [("message", "echo helo"), ("edited", "echo hello"), ("deleted", "")]
    assert {each["message_id"] for each in await world.bot.turns()} == {said}
    assert len(await visitor.wait_for("bot", 1)) == 1


async def test_bytes_of_the_bot_are_in_the_room(make_world: MakeWorld) -> None:
    world = await make_world(connection="upload_files = true")
    visitor = await world.visitor()
    await visitor.say("give abc")
    await visitor.wait_for("bot", 1)
    await world.quiet()
    files = (await world.hub.ledger())["files"]

    assert [(each["name"], each["type"], each["sha256"]) for each in files] == [
        ("given.txt", "text/plain", sha256(b"abc" * 1000).hexdigest())
    ]
    assert world.rows("SELECT max(length(body)) < 1000 FROM deliveries") == [(1,)]


async def test_bytes_that_cannot_be_shown_are_told_to_the_visitor(make_world: MakeWorld) -> None:
    world = await make_world()
    visitor = await world.visitor()
    await visitor.say("give abc")

    assert (await visitor.wait_for("bot", 1))[0]["text"] == "A file for you could not be delivered: given.txt."
