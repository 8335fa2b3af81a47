"""What the livechat widget asks for, without a browser; the widget itself is played in `make test-browser`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from omnibridge.sandbox.server import SandboxOptions, start

from .conftest import Hub, Start


async def test_config_tells_the_visitor_who_serves(hub: Hub) -> None:
    visitor = await hub.visitor()

    async def ask(path: str, **query: str) -> dict[str, Any]:
        return await hub.client.call("GET", f"/api/v1/livechat/{path}", None, None, **query)

    stranger = (await ask("config"))["config"]
    config = (await ask("config", token=visitor.token))["config"]
    assert {"settings", "theme", "messages", "departments", "resources", "triggers"} <= set(stranger)
    assert not {"guest", "room", "agent"} & set(stranger)
    assert (config["guest"]["token"], config["room"]["_id"]) == (visitor.token, visitor.rid)
    assert (config["agent"]["username"], config["agent"]["name"]) == ("bot", "Assistant")
    assert (await ask(f"agent.info/{visitor.rid}/{visitor.token}"))["agent"] == config["agent"]
    assert (await ask(f"agent.info/{visitor.rid}/wrong"))["error"] == "invalid-token"


@pytest.mark.parametrize("licence", ["enterprise", "community"])
async def test_what_the_widget_hides_is_an_enterprise_setting(start_hub: Start, licence: str) -> None:
    hub = await start_hub(licence=licence)
    hub.running.hub.change_setting("Livechat_hide_system_messages", ["livechat_transfer_history"])
    shown = (await hub.client.call("GET", "/api/v1/livechat/config"))["config"]["settings"]["hiddenSystemMessages"]
    assert (shown == ["livechat_transfer_history"]) is (licence == "enterprise")
    assert "uj" in shown or licence == "enterprise"


async def test_what_the_widget_reports(hub: Hub) -> None:
    visitor = await hub.visitor()

    async def tell(path: str, **body: Any) -> dict[str, Any]:
        return await hub.client.call("POST", f"/api/v1/livechat/{path}", {"token": visitor.token, **body})

    page = {"change": "url", "title": "A site", "location": {"href": "http://127.0.0.1/"}}
    assert (await tell("page.visited", rid=visitor.rid, pageInfo=page))["page"]["navigation"] == {"page": page}
    assert (await tell("visitor.status", status="online"))["status"] == "online"
    fields = [{"key": "tier", "value": "gold", "overwrite": True}]
    assert (await tell("custom.fields", customFields=fields))["fields"][0]["Key"] == "tier"
    shown = await hub.client.call("GET", f"/api/v1/livechat/visitor/{visitor.token}")
    assert shown["visitor"]["livechatData"] == {"tier": "gold"}
    assert (await tell("room.survey", rid=visitor.rid, data=[{"name": "satisfaction", "value": "5"}]))["success"]
    assert (await tell("transcript", rid="other", email="v@example.test"))["error"] == "invalid-room"


async def test_widget_is_served_with_the_hubs_address(start_hub: Start, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<html><head></head></html>")
    (tmp_path / "bundle.js").write_text("1")
    hub = await start_hub(widget=str(tmp_path))
    async with aiohttp.ClientSession(hub.client.url) as browser:
        async with browser.get("/livechat") as page:
            assert "SERVER_URL = location.origin" in await page.text()
        async with browser.get("/livechat/bundle.js") as script:
            assert await script.text() == "1"
        async with browser.get("/_sandbox/site") as site:
            assert "/rocketchat-livechat.min.js" in await site.text()
    with pytest.raises(ValueError, match=r"index\.html"):
        await start(SandboxOptions(widget=str(tmp_path / "nothing")))
