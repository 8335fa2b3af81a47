"""Envelopes, credentials and errors of the REST API, by version."""

from __future__ import annotations

import aiohttp
import pytest

from omnibridge.sandbox.visitor import AgentClient

from .conftest import Hub, Start


async def test_info_tells_the_version_without_log_in(start_hub: Start) -> None:
    for version in ("6.14", "7.7", "8.3"):
        hub = await start_hub(version)
        assert await hub.client.call("GET", "/api/info") == {"version": version, "success": True, "_status": 200}


async def test_content_type_is_exactly_json(hub: Hub) -> None:
    async with aiohttp.ClientSession() as session, session.get(hub.running.url + "/api/info") as answer:
        assert answer.headers["content-type"] == "application/json"


async def test_login_gives_a_token_that_works(hub: Hub) -> None:
    alice = await AgentClient.login(hub.client, "alice", "secret")

    assert (await alice.get("me"))["username"] == "alice"
    refused = await hub.client.call("POST", "/api/v1/login", {"user": "alice", "password": "wrong"})
    assert (refused["_status"], refused["message"]) == (401, "Unauthorized")


@pytest.mark.parametrize(("version", "tells_success"), [("6.14", False), ("7.7", True), ("8.3", True)])
async def test_no_log_in_is_401(start_hub: Start, version: str, tells_success: bool) -> None:
    hub = await start_hub(version)

    found = await hub.client.call("GET", "/api/v1/me")

    assert (found["_status"], found["status"], "success" in found) == (401, "error", tells_success)


async def test_missing_permission_is_403(hub: Hub) -> None:
    visitor = await hub.visitor()
    found = await hub.bot.post("livechat/room.forward", {"roomId": visitor.rid, "userId": hub.alice.user_id})

    assert (found["_status"], found["success"]) == (403, False)
    assert found["error"].endswith("[error-unauthorized]")


async def test_unknown_route_is_404(hub: Hub) -> None:
    found = await hub.alice.get("livechat/nothing")

    assert found == {"success": False, "error": "Resource not found", "_status": 404}


async def test_coded_error_tells_its_type(hub: Hub) -> None:
    found = await hub.alice.post("livechat/room.closeByUser", {"rid": "nowhere", "comment": "x"})

    assert (found["_status"], found["errorType"]) == (400, "error-invalid-room")
    assert found["error"].endswith("[error-invalid-room]")


@pytest.mark.parametrize(("version", "status"), [("6.14", 200), ("7.7", 400), ("8.3", 400)])
async def test_unknown_body_key_is_refused_from_7(start_hub: Start, version: str, status: int) -> None:
    hub = await start_hub(version)
    visitor = await hub.visitor()

    found = await hub.bot.post("livechat/room.closeByUser", {"rid": visitor.rid, "comment": "x", "mood": "good"})

    assert found["_status"] == status


async def test_wrong_json_type_is_not_coerced(hub: Hub) -> None:
    found = await hub.alice.post("chat.sendMessage", {"message": {"rid": 7, "msg": "x"}})

    assert (found["_status"], found["errorType"]) == (400, "invalid-params")


async def test_injected_failure_comes_before_or_after_the_effect(hub: Hub) -> None:
    visitor = await hub.visitor()
    await hub.client.control(fail_next=[{"path": "chat.sendMessage", "status": 500}])
    before = await hub.bot.post("chat.sendMessage", {"message": {"_id": "a", "rid": visitor.rid, "msg": "x"}})
    await hub.client.control(fail_next=[{"path": "chat.sendMessage", "status": 500, "after_effect": True}])
    after = await hub.bot.post("chat.sendMessage", {"message": {"_id": "b", "rid": visitor.rid, "msg": "y"}})

    assert (before["_status"], after["_status"]) == (500, 500)
    assert [each["id"] for each in await visitor.wait_for("bot", 1)] == ["b"]


async def test_unknown_switch_is_told(hub: Hub) -> None:
    with pytest.raises(RuntimeError, match="duplicate_rat"):
        await hub.client.control(duplicate_rat=1)


@pytest.mark.parametrize(("version", "lifted"), [("7.7", False), ("8.3", True)])
async def test_rate_limit_on_public_routes_is_lifted_from_8_only(start_hub: Start, version: str, lifted: bool) -> None:
    hub = await start_hub(version, rate_limit=True)
    body = {"visitor": {"token": "t"}}

    answers = [await hub.relay.post("livechat/visitor", body) for _ in range(6)]

    assert answers[-1]["_status"] == (200 if lifted else 429)
    assert lifted or answers[-1]["error"].endswith("[error-too-many-requests]")


async def test_rate_limit_tells_when_to_come_back(start_hub: Start) -> None:
    hub = await start_hub(rate_limit=True)
    url, body = f"{hub.running.url}/api/v1/livechat/visitor", {"visitor": {"token": "t"}}
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
        limits = {key: value for key, value in answer.headers.items() if key.startswith("X-RateLimit")}

    assert limits.pop("X-RateLimit-Reset").isdigit()
    assert limits == {"X-RateLimit-Limit": "5", "X-RateLimit-Remaining": "4"}


async def test_settings_show_what_the_caller_may_read(hub: Hub) -> None:
    await hub.client.control(settings={"Livechat_enabled": False})
    wanted = "Livechat_enabled, Livechat_Routing_Method,Livechat_assign_new_conversation_to_bot"
    public = await hub.client.call("GET", "/api/v1/settings.public", _id=wanted)
    refused = await hub.relay.get("settings/Livechat_assign_new_conversation_to_bot")
    told = await hub.admin.get("settings/Livechat_assign_new_conversation_to_bot")

    assert {each["_id"]: each["value"] for each in public["settings"]} == {
        "Livechat_enabled": False,
        "Livechat_Routing_Method": "Auto_Selection",
    }
    assert (refused["_status"], told["value"]) == (403, True)


async def test_roles_of_others_are_for_the_privileged(hub: Hub) -> None:
    await hub.client.control(users={"alice": {"roles": ["bot", "livechat-agent"]}})
    seen, own = await hub.relay.get("users.info", username="alice"), await hub.alice.get("me")
    listed = await hub.relay.get("users.listByStatus", **{"roles[]": "bot", "status": "active"})

    assert "roles" not in seen["user"] and seen["user"]["active"] is True
    assert own["roles"] == ["bot", "livechat-agent"]
    assert {each["username"] for each in listed["users"]} == {"omnibridge", "bot", "alice"}
    assert (await hub.relay.get("livechat/users/agent/nobody"))["user"] is None


async def test_who_is_not_active_is_not_logged_in(hub: Hub) -> None:
    await hub.client.control(users={"bot": {"active": False}})

    assert (await hub.bot.get("me"))["_status"] == 401
    assert (await hub.relay.get("users.info", username="bot"))["user"]["active"] is False


@pytest.mark.parametrize(("licence", "modules"), [("community", 0), ("enterprise", 4)])
async def test_licence_and_avatars_are_told(start_hub: Start, licence: str, modules: int) -> None:
    hub = await start_hub(licence=licence)

    assert len((await hub.relay.get("licenses.info"))["license"]["activeModules"]) == modules
    async with aiohttp.ClientSession() as session, session.get(f"{hub.client.url}/avatar/bot") as answer:
        assert answer.headers["Cache-Control"] == "public, max-age=3600"
