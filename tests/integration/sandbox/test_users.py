"""Users over REST: made, found, changed, switched off."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from omnibridge.sandbox.accounts import digest_of

from .conftest import Hub, Start
from .people import PASSWORD, account_log, declare, log_in, made, update, wish

VERSIONS = ("6.14", "7.7", "8.3")


@pytest.mark.parametrize("version", VERSIONS)
async def test_new_user_is_found_by_id_name_and_import_id(start_hub: Start, version: str) -> None:
    hub = await start_hub(version)
    await declare(hub)
    user = await made(hub, "agent.one", roles=["bot"], customFields={"externalAgentId": "0055g", "hat": "red"})

    assert user["customFields"] == {"externalAgentId": "0055g"}
    assert (user["roles"], user["type"], user["importIds"], "services" in user) == (["bot"], "user", ["0055g"], False)
    for query in ({"userId": user["_id"]}, {"username": "AGENT.one"}, {"importId": "0055g"}):
        assert (await hub.admin.get("users.info", **query))["user"]["_id"] == user["_id"]
    hidden = await hub.relay.get("users.info", importId="0055g")
    assert (hidden["_status"], hidden["error"]) == (400, "User not found.")


async def test_undeclared_fields_are_dropped_silently(hub: Hub) -> None:
    user = await made(hub, "agent.one", customFields={"externalAgentId": "0055g"})

    assert "customFields" not in user and "importIds" not in user
    assert (await account_log(hub, "custom_fields"))[0]["dropped"] == ["externalAgentId"]


async def test_wrong_field_makes_no_user(hub: Hub) -> None:
    await declare(hub)
    found = await hub.admin.post("users.create", wish("agent.one", customFields={"externalAgentId": "x" * 19}))

    assert (found["_status"], found["errorType"]) == (400, "error-user-registration-custom-field")
    assert "agent.one" not in hub.running.hub.by_name


async def test_declaration_that_is_no_json_stops_every_write(hub: Hub) -> None:
    await hub.client.control(settings={"Accounts_CustomFields": "{oops"})
    found = await hub.admin.post("users.create", wish("agent.one", customFields={"externalAgentId": "x"}))

    assert found["errorType"] == "error-invalid-customfield-json"


async def test_import_ids_are_added_and_never_taken_away(hub: Hub) -> None:
    await declare(hub)
    user = await made(hub, "agent.one", customFields={"externalAgentId": "old"})
    changed = await update(hub, user["_id"], customFields={"externalAgentId": "new"})

    assert changed["user"]["importIds"] == ["old", "new"]
    assert changed["user"]["customFields"] == {"externalAgentId": "new"}


async def test_anybody_may_claim_an_external_id(hub: Hub) -> None:
    """The attacker of the issue: his own field is his to write, and the oldest account is the one that is found."""
    await declare(hub)
    first = await made(hub, "agent.one", customFields={"externalAgentId": "0055g"})
    younger = await made(hub, "agent.two")
    body = {"data": {}, "customFields": {"externalAgentId": "0055g"}}
    await (await log_in(hub, "agent.two")).post("users.updateOwnBasicInfo", body)
    assert (await hub.admin.get("users.info", importId="0055g"))["user"]["_id"] == first["_id"]
    claimed = await hub.alice.post("users.updateOwnBasicInfo", body)

    assert claimed["user"]["importIds"] == ["0055g"]
    assert (await hub.admin.get("users.info", importId="0055g"))["user"]["_id"] == "aliceId"
    assert [each["by"] for each in await account_log(hub, "custom_fields")] == ["admin", "agent.two", "alice"]
    await hub.admin.post("users.delete", {"username": "alice"})
    await hub.admin.post("users.delete", {"username": "agent.one"})
    assert (await hub.admin.get("users.info", importId="0055g"))["user"]["_id"] == younger["_id"]


async def test_field_reaches_webhook_and_visitor_only_when_declared_so(hub: Hub) -> None:
    await declare(hub, secret={"type": "text"})
    fields = {"externalAgentId": "0055g", "secret": "x"}
    await hub.alice.post("users.updateOwnBasicInfo", {"data": {}, "customFields": fields})
    await hub.client.control(bot_first=False, available={"bot": False})
    visitor = await hub.visitor()
    await visitor.say("hello")
    assert await hub.client.settled()

    assert hub.receiver.last("Message")["agent"]["customFields"] == {"externalAgentId": "0055g"}
    assert "customFields" not in (await hub.relay.get("users.info", username="alice"))["user"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"username": "ALICE"}, "error-field-unavailable"),
        ({"email": "Alice@example.test"}, "error-field-unavailable"),
        ({"username": "a b"}, "error-input-is-not-a-valid-field"),
        ({"roles": ["wizard"]}, "error-action-not-allowed"),
        ({"password": "short"}, "error-password-policy-not-met"),
        ({"email": "nowhere"}, "error-invalid-email"),
        ({"name": 7}, "invalid-params"),
        ({"mood": "good"}, "invalid-params"),
    ],
)
async def test_users_that_are_refused(hub: Hub, change: dict[str, Any], code: str) -> None:
    found = await hub.admin.post("users.create", {**wish("agent.one"), **change})

    assert (found["_status"], found["errorType"]) == (400, code)
    assert await account_log(hub, "created") == []


@pytest.mark.parametrize(("version", "status"), [("6.14", 200), ("7.7", 400), ("8.3", 400)])
async def test_names_with_markup_are_refused_from_7(start_hub: Start, version: str, status: int) -> None:
    hub = await start_hub(version)
    for number, name in enumerate(("<b>Anna</b>", "100% Anna", "a/b", "%3Cb%3E")):
        assert (await hub.admin.post("users.create", {**wish(f"a{number}"), "name": name}))["_status"] == status
    assert (await hub.admin.post("users.create", {**wish("b"), "name": "Žofie O'Neil 50%25"}))["_status"] == 200


async def test_who_may_make_and_change_users(hub: Hub) -> None:
    user = await made(hub, "agent.one")
    refused = await hub.relay.post("users.create", wish("agent.two"))
    edited = await hub.relay.request("POST", "users.update", {"userId": user["_id"], "data": {"name": "X"}})
    named = await update(hub, user["_id"], name="Anna Example", username="anna", email="anna@agents.test")
    gone = await hub.admin.get("users.info", username="agent.one")

    assert (refused["_status"], refused["error"]) == (400, "Adding user is not allowed [error-action-not-allowed]")
    assert edited["errorType"] == "totp-required"  # the second factor is asked before the permission
    assert (named["user"]["name"], named["user"]["username"], gone["_status"]) == ("Anna Example", "anna", 400)
    assert (await hub.admin.post("users.create", wish("agent.one")))["_status"] == 200  # name and address are free


async def test_one_of_many_wins_a_name(hub: Hub) -> None:
    """The look finds nobody for all of them; the index of the data base lets one in."""
    await hub.client.control(create_race_ms=20)
    answers = await asyncio.gather(*(hub.admin.post("users.create", wish("agent.one")) for _ in range(8)))
    others = await asyncio.gather(
        *(hub.admin.post("users.create", {**wish(f"o{n}"), "email": "o@x.test"}) for n in (1, 2))
    )

    assert sorted(each["_status"] for each in answers) == [200] + [400] * 7
    assert {each.get("error") for each in answers} - {None} == {"Username already exists. [403]"}
    assert sorted(each.get("error", "") for each in others) == ["", "Email already exists. [403]"]
    assert len(await account_log(hub, "created")) == 2


@pytest.mark.parametrize("status", [500, 429, "cut"])
async def test_answer_is_lost_after_the_user_was_made(hub: Hub, status: int | str) -> None:
    await hub.client.control(fail_next=[{"path": "users.create", "status": status, "after_effect": True}])
    try:
        seen: int | str = (await hub.admin.post("users.create", wish("agent.one")))["_status"]
    except aiohttp.ClientPayloadError:
        seen = "cut"

    assert seen == status
    again = await hub.admin.post("users.create", wish("agent.one"))
    assert again["errorType"] == "error-field-unavailable"


async def test_half_made_user_has_no_fields(hub: Hub) -> None:
    await declare(hub)
    await hub.client.control(fail_next=[{"path": "users.create", "half": True}])
    found = await hub.admin.post("users.create", wish("agent.one", customFields={"externalAgentId": "0055g"}))
    user = (await hub.admin.get("users.info", username="agent.one"))["user"]

    assert found["_status"] == 500
    assert "customFields" not in user
    repaired = await update(hub, user["_id"], customFields={"externalAgentId": "0055g"})
    assert repaired["user"]["importIds"] == ["0055g"]


async def test_switched_off_user_loses_every_token(hub: Hub) -> None:
    user = await made(hub, "agent.one", roles=["bot"])
    await hub.admin.post("livechat/users/agent", {"username": "agent.one"})
    agent = await log_in(hub, "agent.one")
    off = await hub.admin.post("users.setActiveStatus", {"userId": user["_id"], "activeStatus": False})
    refused = await hub.client.call("POST", "/api/v1/login", {"user": "agent.one", "password": PASSWORD})
    seen = (await hub.admin.get("users.info", userId=user["_id"]))["user"]

    assert off["user"] == {"_id": user["_id"], "active": False}
    assert (await agent.get("me"))["_status"] == 401
    assert (refused["_status"], refused["error"]) == (401, "error-user-is-not-activated")
    assert seen["statusLivechat"] == "not-available"
    await hub.admin.post("users.setActiveStatus", {"userId": user["_id"], "activeStatus": True})
    assert (await agent.get("me"))["_status"] == 401
    assert (await (await log_in(hub, "agent.one")).get("me"))["username"] == "agent.one"


async def test_deleted_user_leaves_his_departments(start_hub: Start) -> None:
    hub = await start_hub(department="Support")
    department = (await hub.relay.get("livechat/department"))["departments"][0]
    found = await hub.admin.post("users.delete", {"username": "alice"})
    last = await hub.admin.post("users.delete", {"username": "admin"})
    members = await hub.relay.get(f"livechat/department/{department['_id']}/agents")

    assert found["deletedRooms"] == []
    assert [each["username"] for each in members["agents"]] == ["bot"]
    assert last["errorType"] == "error-action-not-allowed"
    assert (await hub.alice.get("me"))["_status"] == 401


@pytest.mark.parametrize(("version", "count"), [("6.14", 1), ("7.7", 5), ("8.3", 5)])
async def test_query_by_custom_field_works_until_6(start_hub: Start, version: str, count: int) -> None:
    hub = await start_hub(version)
    await declare(hub)
    await made(hub, "agent.one", customFields={"externalAgentId": "0055g"})
    query = '{"customFields.externalAgentId": "0055g"}'
    found = await hub.admin.get("users.list", query=query, fields='{"customFields": 1}')
    alone = await hub.admin.get("users.list", query=query)

    assert len(found["users"]) == count
    assert alone["_status"] == (400 if version == "6.14" else 200)


async def test_users_of_a_role_are_listed(hub: Hub) -> None:
    user = await made(hub, "agent.one", roles=["bot"])
    await hub.admin.post("users.setActiveStatus", {"userId": user["_id"], "activeStatus": False})
    off = await hub.admin.get("users.listByStatus", **{"roles[]": "bot", "status": "deactivated"})
    never = await hub.admin.get("users.listByStatus", hasLoggedIn="false", searchTerm="agent.one", status="deactivated")

    assert [each["username"] for each in off["users"]] == ["agent.one"] == [each["username"] for each in never["users"]]
    assert "customFields" not in off["users"][0]


async def test_directory_searches_custom_fields_when_it_is_told_to(hub: Hub) -> None:
    await declare(hub)
    await made(hub, "agent.one", customFields={"externalAgentId": "0055gXYZ"})
    before = await hub.admin.get("directory", type="users", text="55gx", workspace="local")
    await hub.client.control(settings={"Accounts_SearchFields": "username, customFields.externalAgentId"})
    found = await hub.admin.get("directory", type="users", text="55gx", workspace="local")
    refused = await hub.relay.get("directory", type="users", text="55gx")

    assert (before["result"], [each["username"] for each in found["result"]]) == ([], ["agent.one"])
    assert "customFields" not in found["result"][0]
    assert refused["_status"] == 403


async def test_presence_is_set_and_is_not_availability(hub: Hub) -> None:
    await hub.alice.post("users.setStatus", {"status": "away", "message": "lunch"})
    other = await hub.alice.post("users.setStatus", {"status": "away", "username": "bot"})
    wrong = await hub.alice.post("users.setStatus", {"status": "asleep"})
    seen = await hub.relay.get("users.getStatus", username="alice")
    present = await hub.relay.get("users.presence", ids="aliceId,botId")
    agent = (await hub.relay.get("livechat/users/agent/aliceId"))["user"]
    suggested = await hub.alice.get("users.autocomplete", selector='{"term": "ali", "exceptions": ["bot"]}')

    assert (other["error"], wrong["errorType"]) == ("unauthorized", "error-invalid-status")
    assert (seen["status"], seen["message"]) == ("away", "lunch")
    assert {each["username"]: each["status"] for each in present["users"]} == {"alice": "away", "bot": "online"}
    assert (agent["status"], agent["statusLivechat"]) == ("away", "available")
    assert [each["username"] for each in suggested["items"]] == ["alice"]


async def test_own_password_wants_the_old_one(hub: Hub) -> None:
    data = {"newPassword": "Correct-Horse-43"}
    asked = await hub.alice.post("users.updateOwnBasicInfo", {"data": data})
    wrong = await hub.alice.post("users.updateOwnBasicInfo", {"data": {**data, "currentPassword": digest_of("x")}})
    done = await hub.alice.post("users.updateOwnBasicInfo", {"data": {**data, "currentPassword": digest_of("secret")}})

    assert (asked["errorType"], wrong["errorType"], done["_status"]) == ("totp-required", "totp-invalid", 200)
    assert (await hub.client.call("POST", "/api/v1/login", {"user": "alice", "password": "Correct-Horse-43"}))["data"]


async def test_presence_counts_where_idle_agents_do_not_serve(hub: Hub) -> None:
    """A new user is offline until a realtime connection says otherwise; bots are spared that (7.2)."""
    for name, roles in (("person", ["user"]), ("machine", ["bot"])):
        await made(hub, name, roles=roles)
        await hub.admin.post("livechat/users/agent", {"username": name})
        await log_in(hub, name)
    before = await hub.relay.get("livechat/users/agent", onlyAvailable="true")
    await hub.client.control(settings={"Livechat_enabled_when_agent_idle": False})
    await hub.alice.post("users.setStatus", {"status": "away"})
    after = await hub.relay.get("livechat/users/agent", onlyAvailable="true")

    assert {each["username"] for each in before["users"]} == {"bot", "alice", "person", "machine"}
    assert {each["username"] for each in after["users"]} == {"bot", "machine"}
