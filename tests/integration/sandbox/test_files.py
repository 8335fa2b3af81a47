"""The simulated hub's files: who may upload and read them, what is refused and how, both generations."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from omnibridge.sandbox.server import SandboxOptions, start
from omnibridge.sandbox.visitor import SandboxClient, Visitor


class Bench:
    """One hub, one visitor, one room that the bot serves."""

    def __init__(self, version: str) -> None:
        self._version = version

    async def __aenter__(self) -> Bench:
        self.sandbox = await start(SandboxOptions(hub_version=self._version, simulators=False))
        self.client, self.session = SandboxClient(self.sandbox.url), aiohttp.ClientSession()
        self.visitor = Visitor(self.client, "Vera")
        await self.visitor.open_room()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()
        await self.client.aclose()
        await self.sandbox.stop()

    def account(self, name: str = "bot_account") -> dict[str, str]:
        told = self.sandbox.description[name]
        return {"X-User-Id": told["user_id"], "X-Auth-Token": told["auth_token"]}

    async def post(self, path: str, headers: dict[str, str], **wish: Any) -> tuple[int, dict[str, Any]]:
        url = f"{self.sandbox.url}/api/v1/{path}"
        async with self.session.post(url, headers=headers, **wish) as answer:
            return answer.status, await answer.json()

    async def get(self, path: str, headers: dict[str, str] | None = None) -> int:
        async with self.session.get(f"{self.sandbox.url}{path}", headers=headers or {}) as answer:
            return answer.status


def form(content: bytes = b"x", kind: str = "text/plain", name: str = "a.txt", field: str = "file") -> aiohttp.FormData:
    found = aiohttp.FormData()
    found.add_field("description", "mine")
    found.add_field(field, content, filename=name, content_type=kind)
    return found


async def test_visitor_uploads_with_his_token_only() -> None:
    async with Bench("8.3") as bench:
        rid, token = bench.visitor.rid, {"x-visitor-token": bench.visitor.token}
        good = await bench.post(f"livechat/upload/{rid}", token, data=form())
        wrong = await bench.post(f"livechat/upload/{rid}", {"x-visitor-token": "no"}, data=form())
        svg = await bench.post(f"livechat/upload/{rid}", token, data=form(kind="image/svg+xml"))
        await bench.client.control(settings={"FileUpload_MaxFileSize": 3})
        large = await bench.post(f"livechat/upload/{rid}", token, data=form(b"four"))
        await bench.client.control(settings={"Livechat_fileupload_enabled": False})
        off = await bench.post(f"livechat/upload/{rid}", token, data=form())

    assert (good[0], good[1]["file"]["name"], good[1]["attachments"][0]["description"]) == (200, "a.txt", "mine")
    assert (wrong[0], svg, large[0], large[1]["errorType"]) == (
        403, (400, {"success": False, "reason": "error-type-not-allowed"}), 400, "error-file-too-large",
    )  # fmt: skip
    assert off == (400, {"success": False, "reason": "error-file-upload-disabled"})


async def test_files_are_protected_as_the_settings_say() -> None:
    async with Bench("8.3") as bench:
        rid, token = bench.visitor.rid, bench.visitor.token
        _, saved = await bench.post(f"livechat/upload/{rid}", {"x-visitor-token": token}, data=form())
        path = saved["attachments"][0]["title_link"]
        as_visitor = f"rc_room_type=l; rc_rid={rid}; rc_token={token}"
        bot, relay = bench.account(), bench.account("service_account")
        cookies = f"rc_uid={bot['X-User-Id']}; rc_token={bot['X-Auth-Token']}"
        before = [
            await bench.get(path),
            await bench.get(path, bot),
            await bench.get(path, {"Cookie": cookies}),
            await bench.get(path, relay),  # sees the room, but is no member
            await bench.get(path, {"Cookie": as_visitor}),
            await bench.get(path, {"Cookie": as_visitor.replace(token, "other")}),
            await bench.get(f"{path}?rc_uid={bot['X-User-Id']}&rc_token={bot['X-Auth-Token']}"),
        ]
        await bench.client.control(settings={"FileUpload_ProtectFiles": False})

        assert before == [403, 200, 200, 403, 200, 403, 200]
        assert (await bench.get(path), await bench.get("/file-upload/none/a")) == (200, 404)


@pytest.mark.parametrize(("version", "media", "one_step"), [("6.5", 404, 200), ("7.7", 200, 200), ("8.3", 200, 404)])
async def test_generations(version: str, media: int, one_step: int) -> None:
    async with Bench(version) as bench:
        rid = bench.visitor.rid
        first = await bench.post(f"rooms.media/{rid}", bench.account(), data=form())
        second = await bench.post(f"rooms.upload/{rid}", bench.account(), data=form())
        wrong = await bench.post(f"rooms.upload/{rid}", bench.account(), data=form(field="picture"))

    assert (first[0], second[0], wrong[0] in (400, 404)) == (media, one_step, True)


async def test_confirming_is_not_idempotent_and_the_uploaders_own() -> None:
    async with Bench("8.3") as bench:
        rid, bot = bench.visitor.rid, bench.account()
        _, kept = await bench.post(f"rooms.media/{rid}", bot, data=form())
        path = f"rooms.mediaConfirm/{rid}/{kept['file']['_id']}"
        hidden = [each["message"] for each in (await bench.client.ledger())["files"]]
        other = await bench.post(path, bench.account("service_account"), json={})
        unknown = await bench.post(path, bot, json={"_id": "mine"})
        twice = [(await bench.post(path, bot, json={"msg": "hi"}))[1]["message"]["_id"] for _ in range(2)]

    assert (hidden, other[0], unknown[0]) == ([""], 400, 400)
    assert len(set(twice)) == 2
