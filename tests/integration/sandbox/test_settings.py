"""Settings, second factors, personal tokens, the limiter, and licences."""

from __future__ import annotations

from typing import Any

import pytest

from omnibridge.sandbox.accounts import digest_of
from omnibridge.sandbox.state import now_ms
from omnibridge.sandbox.two_factor import totp_code
from omnibridge.sandbox.visitor import AgentClient

from .conftest import Hub, Start
from .people import PASSWORD, SECOND_FACTOR, account_log, log_in, made, wish

SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # RFC 6238, appendix B
PATH = "settings/Accounts_AvatarCacheTime"
VALUE = {"value": 60}


async def test_setting_is_written_after_the_password_was_asked(hub: Hub) -> None:
    asked = await hub.admin.post(PATH, VALUE)
    wrong = await hub.admin.request("POST", PATH, VALUE, {**SECOND_FACTOR, "X-2FA-Code": digest_of("wrong")})
    done = await hub.admin.request("POST", PATH, VALUE, SECOND_FACTOR)
    again = await hub.admin.post(PATH, {"value": 61})
    elsewhere = await hub.admin.request("POST", PATH, VALUE, {"User-Agent": "another"})

    assert (asked["_status"], asked["errorType"]) == (400, "totp-required")
    assert asked["details"] == {"method": "password", "codeGenerated": False, "availableMethods": []}
    assert wrong["errorType"] == "totp-invalid"
    assert (done["_status"], again["_status"]) == (200, 200)  # remembered for this token, agent and address
    assert elsewhere["errorType"] == "totp-required"
    assert (await hub.admin.get(PATH))["value"] == 61
    assert [(each["before"], each["after"]) for each in await account_log(hub, "setting")] == [(3600, 60), (60, 61)]


def test_codes_are_those_of_the_standard() -> None:
    assert [totp_code(SECRET, at * 1000) for at in (59, 1111111109, 2000000000)] == ["287082", "081804", "279037"]


async def test_time_codes(hub: Hub) -> None:
    await hub.client.control(two_factor={"admin": {"totp": SECRET}})
    asked = await hub.admin.post(PATH, VALUE)
    by_password = await hub.admin.request("POST", PATH, VALUE, SECOND_FACTOR)
    code = {"X-2FA-Method": "totp", "X-2FA-Code": totp_code(SECRET, now_ms())}

    assert asked["details"] == {"method": "totp", "codeGenerated": False, "availableMethods": ["totp"]}
    assert by_password["errorType"] == "totp-invalid"  # who has a better factor cannot fall back
    assert (await hub.admin.request("POST", PATH, VALUE, code))["_status"] == 200


async def test_mailed_codes(hub: Hub) -> None:
    await hub.client.control(two_factor={"admin": {"email": True}})
    asked = await hub.admin.post(PATH, VALUE)
    twice = await hub.admin.post(PATH, VALUE)
    mails = (await hub.client.ledger())["mails"]
    wrong = [
        await hub.admin.request("POST", PATH, VALUE, {"X-2FA-Method": "email", "X-2FA-Code": "nonsense"})
        for _ in range(6)
    ]

    assert asked["details"] == {"method": "email", "codeGenerated": True, "availableMethods": ["email"]}
    assert (twice["details"]["codeGenerated"], [each["to"] for each in mails]) == (False, ["admin@example.test"])
    assert [each["errorType"] for each in wrong] == ["totp-invalid"] * 5 + ["totp-max-attempts"]


async def test_mailed_code_is_accepted_once(hub: Hub) -> None:
    await hub.client.control(
        two_factor={"admin": {"email": True}}, settings={"Accounts_TwoFactorAuthentication_RememberFor": 0}
    )
    await hub.admin.post(PATH, VALUE)
    code = {"X-2FA-Method": "email", "X-2FA-Code": (await hub.client.ledger())["mails"][0]["code"]}

    assert (await hub.admin.request("POST", PATH, VALUE, code))["_status"] == 200
    assert (await hub.admin.request("POST", PATH, VALUE, code))["errorType"] == "totp-invalid"


async def test_log_in_with_a_second_factor(hub: Hub) -> None:
    await hub.client.control(two_factor={"alice": {"totp": SECRET}})
    body = {"user": "alice", "password": "secret"}
    asked = await hub.client.call("POST", "/api/v1/login", body)
    done = await hub.client.call("POST", "/api/v1/login", {**body, "code": totp_code(SECRET, now_ms())})

    assert (asked["_status"], asked["error"], asked["details"]["method"]) == (401, "totp-required", "totp")
    assert done["status"] == "success"


async def test_nothing_is_asked_where_nothing_is_enforced(hub: Hub) -> None:
    await hub.client.control(settings={"Accounts_TwoFactorAuthentication_Enforce_Password_Fallback": False})

    assert (await hub.admin.post(PATH, VALUE))["_status"] == 200


async def test_new_account_is_spared_for_a_while(hub: Hub) -> None:
    await made(hub, "second", roles=["admin"])
    second = await log_in(hub, "second")

    assert (await second.post(PATH, VALUE))["_status"] == 200
    await hub.client.control(settings={"Accounts_TwoFactorAuthentication_RememberFor": 0})
    assert (await second.post(PATH, VALUE))["errorType"] == "totp-required"


@pytest.mark.parametrize("bypasses", [True, False])
async def test_personal_token_may_spare_the_second_factor(hub: Hub, bypasses: bool) -> None:
    body = {"tokenName": "bridge", "bypassTwoFactor": bypasses}
    asked = await hub.admin.post("users.generatePersonalAccessToken", body)
    token = (await hub.admin.request("POST", "users.generatePersonalAccessToken", body, SECOND_FACTOR))["token"]
    twice = await hub.admin.post("users.generatePersonalAccessToken", body)
    bridge = AgentClient(hub.client, {"user_id": hub.admin.user_id, "auth_token": token})
    found = await bridge.post(PATH, VALUE)
    listed = (await hub.admin.get("users.getPersonalAccessTokens"))["tokens"]

    assert (asked["errorType"], twice["errorType"]) == ("totp-required", "error-token-already-exists")
    assert found.get("errorType") == (None if bypasses else "totp-required")
    assert [(each["name"], each["bypassTwoFactor"]) for each in listed] == [("bridge", bypasses)]
    await hub.admin.post("users.removePersonalAccessToken", {"tokenName": "bridge"})
    assert (await bridge.get("me"))["_status"] == 401


async def test_personal_tokens_are_not_for_bots(hub: Hub) -> None:
    found = await hub.relay.request("POST", "users.generatePersonalAccessToken", {"tokenName": "x"}, SECOND_FACTOR)

    assert found["errorType"] == "not-authorized"


async def test_settings_act_where_they_live(hub: Hub) -> None:
    changes: dict[str, Any] = {
        "Livechat_Routing_Method": "Manual_Selection",
        "Livechat_assign_new_conversation_to_bot": False,
        "Livechat_webhook_on_start": False,
        "Livechat_request_comment_when_closing_conversation": False,
        "Message_MaxAllowedSize": 3,
    }
    for name, value in changes.items():
        assert (await hub.admin.request("POST", f"settings/{name}", {"value": value}, SECOND_FACTOR))["_status"] == 200
    visitor = await hub.visitor()
    await hub.alice.take(visitor.rid)
    long = await hub.alice.post("chat.sendMessage", {"message": {"rid": visitor.rid, "msg": "long"}})
    closed = await hub.alice.post("livechat/room.closeByUser", {"rid": visitor.rid})

    assert (long["errorType"], closed["_status"]) == ("error-message-size-exceeded", 200)
    assert "LivechatSessionStart" not in await hub.settled_types()
    shown = (await hub.client.call("GET", "/_sandbox/workspace"))["settings"]
    assert changes.items() <= shown.items()


async def test_settings_that_are_not_there_or_of_another_type(hub: Hub) -> None:
    unknown = await hub.admin.request("POST", "settings/Nothing", {"value": 1}, SECOND_FACTOR)
    wrong = await hub.admin.post("settings/Livechat_enabled", {"value": "yes"})
    listed = await hub.alice.get("settings", count="0")
    everything = await hub.admin.get("settings", count="0")

    assert unknown == {"success": False, "_status": 400} == await hub.admin.get("settings/Nothing")
    assert wrong["errorType"] == "invalid-params"
    assert "Livechat_secret_token" not in {each["_id"] for each in listed["settings"]}
    assert "Livechat_secret_token" in {each["_id"] for each in everything["settings"]}


# -- the limiter ----------------------------------------------------------------------------------------


async def test_limit_is_lifted_by_permission_and_set_by_setting(start_hub: Start) -> None:
    hub = await start_hub(rate_limit=True)
    await hub.client.control(settings={"API_Enable_Rate_Limiter_Limit_Calls_Default": 3})
    alice = [(await hub.alice.get("me"))["_status"] for _ in range(5)]
    other = await hub.alice.get("users.info", username="bot")
    relay = [(await hub.relay.get("me"))["_status"] for _ in range(5)]
    await hub.client.control(permissions={"api-bypass-rate-limit": []})
    limited = await hub.relay.get("me")

    assert (alice, other["_status"]) == ([200] * 3 + [429] * 2, 200)
    assert relay == [200] * 5
    assert limited["error"].endswith("before trying this endpoint again. [error-too-many-requests]")


async def test_own_profile_may_be_changed_once_a_minute(start_hub: Start) -> None:
    hub = await start_hub(rate_limit=True)
    body = {"data": {"name": "Alice"}}

    assert [(await hub.alice.post("users.updateOwnBasicInfo", body))["_status"] for _ in range(2)] == [200, 429]


# -- licences -------------------------------------------------------------------------------------------


async def test_seats_run_out(start_hub: Start) -> None:
    """Bots take seats too; guests do not."""
    hub = await start_hub(licence="enterprise")
    await hub.client.control(seats=5)
    fifth = await made(hub, "fifth", roles=["bot"])
    sixth = await hub.admin.post("users.create", wish("sixth", roles=["bot"]))
    guest = await hub.admin.post("users.create", wish("guest", roles=["guest"]))
    off = {"userId": fifth["_id"], "activeStatus": False}
    await hub.admin.post("users.setActiveStatus", off)
    assert (await hub.admin.post("users.create", wish("sixth", roles=["bot"])))["_status"] == 200
    back = await hub.admin.post("users.setActiveStatus", {**off, "activeStatus": True})
    limits = (await hub.admin.get("licenses.info"))["license"]["limits"]

    assert sixth["error"] == "The maximum number of users has been reached. [error-license-user-limit-reached]"
    assert (guest["_status"], back["errorType"]) == (200, "error-license-user-limit-reached")
    assert limits["activeUsers"] == {"max": 5, "value": 5}
    assert "limits" not in (await hub.alice.get("licenses.info"))["license"]


async def test_community_has_no_seats_to_run_out_of(hub: Hub) -> None:
    with pytest.raises(RuntimeError, match="limits need a licence"):
        await hub.client.control(seats=5)


async def test_contacts_run_out(start_hub: Start) -> None:
    hub = await start_hub(licence="enterprise", bot_first=False)
    visitor = await hub.visitor()
    await hub.client.control(contacts_used_up=True)
    said = await hub.alice.post("chat.sendMessage", {"message": {"rid": visitor.rid, "msg": "hello"}})
    moved = await hub.relay.post("livechat/room.forward", {"roomId": visitor.rid, "userId": "botId"})

    assert (said["errorType"], moved["errorType"]) == ("error-mac-limit-reached", "error-mac-limit-reached")
    await visitor.say("visitors may still write")


async def test_agents_have_a_limit_with_the_waiting_queue(start_hub: Start) -> None:
    hub = await start_hub(licence="enterprise", bot_first=False)
    limits = {"agentId": "aliceId", "agentData": {"maxNumberSimultaneousChat": 1}, "agentDepartments": []}
    await hub.relay.post("livechat/agents.saveInfo", limits)
    await hub.client.control(settings={"Livechat_waiting_queue": True}, available={"bot": False})
    first, second = await hub.visitor(), await hub.visitor()
    inquiry = (await hub.alice.get("livechat/inquiries.getOne", roomId=second.rid))["inquiry"]
    taken = await hub.alice.post("livechat/inquiries.take", {"inquiryId": inquiry["_id"]})

    assert taken["errorType"] == "error-max-number-simultaneous-chats-reached"
    await hub.alice.close(first.rid)
    assert (await hub.alice.post("livechat/inquiries.take", {"inquiryId": inquiry["_id"]}))["_status"] == 200


async def test_enterprise_setting_is_off_without_a_licence(start_hub: Start) -> None:
    for licence, expected in (("community", False), ("enterprise", True)):
        hub = await start_hub(licence=licence)
        await hub.client.control(settings={"Livechat_waiting_queue": True})
        assert (await hub.admin.get("settings/Livechat_waiting_queue"))["value"] is expected


async def test_expired_log_in(hub: Hub) -> None:
    await made(hub, "agent.one")
    agent = await log_in(hub, "agent.one")
    await hub.client.control(expire_tokens=["agent.one"])

    assert (await agent.get("me"))["_status"] == 401
    assert (await hub.client.call("POST", "/api/v1/login", {"user": "agent.one", "password": PASSWORD}))["data"]
