"""Files and changes of visitors as Telegram's clients know them, and files that bots send."""

from __future__ import annotations

from hashlib import sha256

import aiohttp
import pytest

from tests.integration.botapi.conftest import CONNECTION, MakeApi

CONTENT = bytes(range(256)) * 500


@pytest.mark.parametrize(("kind", "key"), [("application/pdf", "document"), ("image/png", "photo")])
async def test_visitors_file_is_downloaded_as_from_telegram(make_api: MakeApi, kind: str, key: str) -> None:
    api = await make_api(f"{CONNECTION}\nfiles = true\nstart = ''")
    visitor = await api.world.visitor()
    await api.world.upload(visitor, "a file.bin", CONTENT, kind, text="look")
    message = (await api.updates(1))[0]["message"]
    shown = message[key][0] if key == "photo" else message[key]
    file = await api.call("getFile", file_id=shown["file_id"])
    address = f"{api.world.node.url}/file/bot{api.token}/{file['file_path']}"
    async with api.session.get(address) as answer:
        content = await answer.read()

    assert (message["caption"], "text" in message, shown["file_size"]) == ("look", False, len(CONTENT))
    assert (answer.status, sha256(content).hexdigest()) == (200, sha256(CONTENT).hexdigest())
    async with api.session.get(address.replace(api.token, "1:wrong")) as answer:
        assert answer.status == 404
    assert (await api.raw("getFile", file_id="nonsense"))["_status"] == 400


async def test_without_the_setting_the_visitor_is_told(make_api: MakeApi) -> None:
    api = await make_api(f"{CONNECTION}\nstart = ''")
    visitor = await api.world.visitor()
    await api.world.upload(visitor, "a.pdf", CONTENT, "application/pdf")

    assert (await visitor.wait_for("bot", 1))[0]["text"] == "I cannot read files. Please describe it in words."


async def test_edited_message_is_an_update(make_api: MakeApi) -> None:
    api = await make_api(f"{CONNECTION}\nhears_edits = true\nstart = ''")
    visitor = await api.world.visitor()
    said = await visitor.say("helo")
    before = (await api.updates(1))[0]["message"]
    await visitor.edit(said, "hello")
    after = (await api.updates(2))[1]["edited_message"]

    assert (after["message_id"], after["text"]) == (before["message_id"], "hello")
    assert after["edit_date"] >= after["date"]


async def test_document_sent_as_bytes_is_in_the_room(make_api: MakeApi) -> None:
    api = await make_api(f"{CONNECTION}\nupload_files = true\nstart = ''")
    visitor = await api.world.visitor()
    await visitor.say("hello")
    chat = (await api.updates(1))[0]["message"]["chat"]["id"]
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("chat_id", str(chat))
    form.add_field("caption", "the prices")
    content = CONTENT + b"\r\n--x\r\n\n\r"
    form.add_field("document", content, filename="../a b.pdf", content_type="application/pdf")
    async with api.session.post(f"{api.world.node.url}/bot{api.token}/sendDocument", data=form) as answer:
        found = await answer.json()
    await visitor.wait_for("bot", 2)
    files = (await api.world.hub.ledger())["files"]

    assert (found["ok"], found["result"]["caption"]) == (True, "the prices")
    assert found["result"]["document"]["file_size"] == len(content)
    assert [(each["name"], each["sha256"]) for each in files] == [("a b.pdf", sha256(content).hexdigest())]


async def test_bytes_that_could_not_be_shown_are_refused(make_api: MakeApi) -> None:
    api = await make_api(f"{CONNECTION}\nstart = ''")
    visitor = await api.world.visitor()
    await visitor.say("hello")
    chat = (await api.updates(1))[0]["message"]["chat"]["id"]
    form = aiohttp.FormData()
    form.add_field("chat_id", str(chat))
    form.add_field("photo", b"x", filename="a.png")
    async with api.session.post(f"{api.world.node.url}/bot{api.token}/sendPhoto", data=form) as answer:
        assert (answer.status, "upload_files" in (await answer.json())["description"]) == (400, True)
    await api.call("sendPhoto", chat_id=chat, photo="https://example.com/cat.png", caption="a cat")
    heard = await visitor.wait_for("bot", 2)

    assert [each["text"] for each in heard] == ["", "a cat"]
    assert heard[0]["attachments"][0]["image_url"] == "https://example.com/cat.png"


async def test_picture_without_a_name_is_seen_as_one(make_api: MakeApi) -> None:
    api = await make_api(f"{CONNECTION}\nupload_files = true\nstart = ''")
    visitor = await api.world.visitor()
    await visitor.say("hello")
    chat = (await api.updates(1))[0]["message"]["chat"]["id"]
    form = aiohttp.FormData()
    form.add_field("chat_id", str(chat))
    form.add_field("pic", b"\x89PNG\r\n\x1a\n...", filename="application.octet-stream")
    form.add_field("photo", "attach://pic")
    async with api.session.post(f"{api.world.node.url}/bot{api.token}/sendPhoto", data=form) as answer:
        assert answer.status == 200
    await visitor.wait_for("bot", 1)

    assert [(each["name"], each["type"]) for each in (await api.world.hub.ledger())["files"]] == [
        ("photo.png", "image/png")
    ]
