"""Agents, departments, and pictures: what makes a user somebody whom a visitor can see."""

from __future__ import annotations

import secrets

import aiohttp
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from omnibridge.sandbox.server import Socket

from .conftest import Hub, Start
from .people import PASSWORD, account_log, log_in, made, set_avatar, update


async def test_three_ways_to_an_agent_and_what_they_leave(hub: Hub) -> None:
    """Only the proper way makes him available (3.6)."""
    await made(hub, "proper", roles=["bot"])
    await hub.admin.post("livechat/users/agent", {"username": "proper"})
    at_once = await made(hub, "at.once", roles=["bot", "livechat-agent"])
    await made(hub, "by.role", roles=["bot"])
    await hub.admin.post("roles.addUserToRole", {"username": "by.role", "roleId": "livechat-agent"})
    found = await hub.relay.get("livechat/users/agent")
    status = {each["username"]: each.get("statusLivechat") for each in found["users"]}
    free = await hub.relay.get("livechat/users/agent", onlyAvailable="true")

    assert status == {
        "bot": "available", "alice": "available", "proper": "available", "at.once": "not-available", "by.role": None
    }  # fmt: skip
    assert "roles" not in found["users"][0]
    assert {each["username"] for each in free["users"]} == {"bot", "alice", "proper"}
    await hub.admin.post("livechat/agent.status", {"agentId": at_once["_id"], "status": "available"})
    assert (await hub.relay.get(f"livechat/users/agent/{at_once['_id']}"))["user"]["statusLivechat"] == "available"


async def test_agent_is_unmade(start_hub: Start) -> None:
    hub = await start_hub(department="Support")
    found = await hub.relay.request("DELETE", "livechat/users/agent/aliceId")
    department = (await hub.relay.get("livechat/department"))["departments"][0]

    assert found == {"success": True, "_status": 200}
    assert department["numAgents"] == 1
    assert (await hub.relay.get("livechat/users/agent/aliceId"))["user"] is None
    assert (await hub.relay.request("DELETE", "livechat/users/agent/aliceId"))["errorType"] == "error-invalid-user"
    assert (await account_log(hub, "roles"))[0]["removed"] == ["livechat-agent"]


async def test_roles_replaced_by_an_update(start_hub: Start) -> None:
    hub = await start_hub(department="Support")
    await update(hub, "aliceId", roles=["user"])
    rested = (await hub.admin.get("users.info", userId="aliceId"))["user"]
    await update(hub, "aliceId", roles=["user", "livechat-agent"])
    back = (await hub.admin.get("users.info", userId="aliceId"))["user"]

    assert (rested["roles"], "statusLivechat" in rested) == (["user"], False)
    assert back["statusLivechat"] == "available"  # she is online
    assert (await hub.relay.get("livechat/department"))["departments"][0]["numAgents"] == 1


async def test_availability_of_others_needs_a_permission(hub: Hub) -> None:
    other = await hub.alice.post("livechat/agent.status", {"agentId": "botId", "status": "not-available"})
    toggled = await hub.alice.post("livechat/agent.status", {})
    await hub.client.control(users={"alice": {"active": False}})
    off = await hub.relay.post("livechat/agent.status", {"agentId": "aliceId", "status": "available"})

    assert (other["_status"], other["error"]) == (403, "unauthorized")
    assert toggled["status"] == "not-available"
    assert off["errorType"] == "error-user-deactivated"


async def test_managers_are_made_and_listed(hub: Hub) -> None:
    await hub.relay.post("livechat/users/manager", {"username": "alice"})
    found = await hub.alice.get("livechat/users/manager")

    assert {each["username"] for each in found["users"]} == {"omnibridge", "alice"}
    assert (await hub.relay.get("livechat/users/manager/aliceId"))["user"]["username"] == "alice"
    assert (await hub.relay.request("DELETE", "livechat/users/manager/aliceId"))["_status"] == 200
    assert (await hub.relay.get("livechat/users/manager/aliceId"))["user"] is None


@pytest.mark.parametrize("licence", ["community", "enterprise"])
async def test_second_department_needs_a_licence(start_hub: Start, licence: str) -> None:
    hub = await start_hub(licence=licence)
    bodies = [{"department": {"name": name, "enabled": True}, "agents": [{"agentId": "botId"}]} for name in "AB"]
    first, second = [await hub.relay.post("livechat/department", each) for each in bodies]

    assert first["agents"][0]["username"] == "bot"
    assert second.get("errorType") == (None if licence == "enterprise" else "error-max-departments-number-reached")
    assert len((await hub.relay.get("livechat/department", onlyMyDepartments="true"))["departments"]) == 0


async def test_members_change(start_hub: Start) -> None:
    hub = await start_hub(department="Support")
    path = f"livechat/department/{(await hub.relay.get('livechat/department'))['departments'][0]['_id']}"
    user = await made(hub, "agent.one")
    add = [{"agentId": user["_id"], "username": "agent.one", "count": 3, "order": 1}]
    await hub.relay.post(f"{path}/agents", {"upsert": add, "remove": [{"agentId": "botId", "username": "bot"}]})
    shown = {each["username"]: (each["count"], each["order"]) for each in (await hub.relay.get(path))["agents"]}
    mine = await hub.relay.get(f"livechat/agents/{user['_id']}/departments")
    removed = await hub.relay.request("DELETE", path)

    assert shown == {"agent.one": (3, 1), "alice": (0, 0)}
    assert len(mine["departments"]) == 1
    assert removed["error"] == "error-department-removal-disabled"
    assert (await account_log(hub, "members"))[0]["members"] == ["agent.one", "alice"]


async def test_departments_of_an_agent_are_set_at_once_from_8(start_hub: Start) -> None:
    new, old = await start_hub("8.3", department="Support"), await start_hub("7.7")
    body = {"agentId": "aliceId", "agentData": {}, "agentDepartments": []}

    assert (await new.relay.post("livechat/agents.saveInfo", body))["_status"] == 200
    assert (await new.relay.get("livechat/agents/aliceId/departments"))["departments"] == []
    assert (await old.relay.post("livechat/agents.saveInfo", body))["_status"] == 404


# -- pictures -------------------------------------------------------------------------------------------


async def picture(hub: Hub, path: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    async with aiohttp.ClientSession() as session, session.get(hub.client.url + path, headers=headers) as answer:
        return answer.status, await answer.read(), dict(answer.headers)


async def test_picture_is_shown_as_it_was_sent(hub: Hub) -> None:
    content = secrets.token_bytes(2000) + b"\r\n--x\r\n\n\x00\x85\x0c"
    await made(hub, "agent.one")
    before = await picture(hub, "/avatar/agent.one")
    assert (await set_avatar(hub, "admin", content, username="agent.one"))["_status"] == 200
    status, shown, headers = await picture(hub, "/avatar/agent.one")
    known = await picture(hub, "/avatar/agent.one", **{"If-Modified-Since": headers["Last-Modified"]})
    letters = await picture(hub, "/avatar/@agent.one")

    assert (status, shown, headers["Content-Type"]) == (200, content, "image/png")
    assert headers["Cache-Control"] == "public, max-age=3600" and "ETag" not in headers
    assert known[:2] == (304, b"")
    assert before[2]["Content-Type"] == letters[2]["Content-Type"] == "image/svg+xml" and b">A<" in before[1]
    user = (await hub.admin.get("users.info", username="agent.one"))["user"]
    assert (await picture(hub, f"/avatar/uid/{user['_id']}?etag={user['avatarETag']}"))[1] == content


async def test_each_picture_has_an_etag_of_its_own(hub: Hub) -> None:
    tags = []
    for content in (b"one", b"two"):
        await set_avatar(hub, "bot_account", content)
        tags.append((await hub.admin.get("users.info", username="bot"))["user"]["avatarETag"])
    await hub.client.control(settings={"Accounts_AvatarCacheTime": 60})

    assert len(set(tags)) == 2
    assert (await picture(hub, "/avatar/bot"))[2]["Cache-Control"] == "public, max-age=60"


async def test_pictures_of_others_need_a_permission(hub: Hub) -> None:
    refused = await set_avatar(hub, "bot_account", b"x", username="alice")
    nobody = await set_avatar(hub, "admin", b"x", username="nobody")
    await hub.client.control(settings={"Accounts_AllowUserAvatarChange": False})
    own = await set_avatar(hub, "bot_account", b"x")

    assert [each["errorType"] for each in (refused, nobody, own)] == [
        "error-not-allowed",
        "error-invalid-user",
        "error-not-allowed",
    ]


@pytest.mark.parametrize(("version", "is_fetched"), [("7.7", True), ("8.3", False)])
async def test_picture_by_address_is_guarded_from_8_2(start_hub: Start, version: str, is_fetched: bool) -> None:
    async def serve(_: Request) -> Response:
        return Response(b"face", media_type="image/png")

    socket = Socket(Starlette(routes=[Route("/face.png", serve)]), "127.0.0.1", 0)
    await socket.start()
    hub = await start_hub(version)
    body = {"avatarUrl": f"{socket.url}/face.png", "username": "alice"}
    found = await hub.admin.post("users.setAvatar", body)
    await hub.client.control(settings={"SSRF_Allowlist": "127.0.0.1"})
    allowed = await hub.admin.post("users.setAvatar", body)
    await socket.stop()
    closed = await hub.admin.post("users.setAvatar", body)

    assert found.get("errorType") == (None if is_fetched else "error-avatar-invalid-url")
    assert (allowed["_status"], closed["errorType"]) == (200, "error-avatar-invalid-url")
    assert (await picture(hub, "/avatar/alice"))[1] == b"face"


async def test_user_is_there_when_his_picture_fails(hub: Hub) -> None:
    await made(hub, "agent.one")
    await hub.client.control(fail_next=[{"path": "users.setAvatar", "status": 500}])

    assert (await set_avatar(hub, "admin", b"x", username="agent.one"))["_status"] == 500
    assert "avatarETag" not in (await hub.admin.get("users.info", username="agent.one"))["user"]


# -- log-ins --------------------------------------------------------------------------------------------


async def test_log_in_by_form_mail_digest_and_token(hub: Hub) -> None:
    await made(hub, "agent.one")
    url = f"{hub.client.url}/api/v1/login"
    async with aiohttp.ClientSession() as session:
        async with session.post(url, data={"user": "agent.one@agents.test", "password": PASSWORD}) as answer:
            token = (await answer.json())["data"]["authToken"]
        async with session.post(url, json={"resume": token}) as answer:
            resumed = (await answer.json())["data"]

    assert (resumed["authToken"], resumed["me"]["username"]) == (token, "agent.one")
    agent = await log_in(hub, "agent.one")
    assert (await agent.post("logout", {}))["status"] == "success"
    assert (await agent.get("me"))["_status"] == 401


@pytest.mark.parametrize(("version", "told"), [("6.14", "Incorrect password"), ("8.3", "Unauthorized")])
async def test_wrong_password(start_hub: Start, version: str, told: str) -> None:
    hub = await start_hub(version)
    found = await hub.client.call("POST", "/api/v1/login", {"user": "alice", "password": "wrong"})

    assert (found["_status"], found["error"], found["message"]) == (401, "Unauthorized", told)


@pytest.mark.parametrize("version", ["6.14", "7.7", "8.3"])
async def test_tokens_for_others_need_the_servers_consent(start_hub: Start, version: str) -> None:
    hub = await start_hub(version)
    body = {"userId": "aliceId", **({"secret": "s3cret"} if version == "8.3" else {})}
    before = await hub.admin.post("users.createToken", body)
    await hub.client.control(create_tokens_secret="s3cret")
    found = await hub.admin.post("users.createToken", body)
    stranger = await hub.bot.post("users.createToken", {**body, **({"secret": "x"} if version == "8.3" else {})})

    assert before["errorType"] == stranger["errorType"] == "error-not-authorized"
    assert found["data"]["userId"] == "aliceId"


async def test_oldest_of_many_log_ins_dies(hub: Hub) -> None:
    first = await log_in_as_alice(hub)
    for _ in range(50):
        await log_in_as_alice(hub)

    assert hub.running.hub.by_token.get(first) is None


async def log_in_as_alice(hub: Hub) -> str:
    found = await hub.client.call("POST", "/api/v1/login", {"user": "alice", "password": "secret"})
    return str(found["data"]["authToken"])
