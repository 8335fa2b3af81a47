"""What the tests about users say again and again."""

from __future__ import annotations

from typing import Any

import aiohttp
import msgspec

from omnibridge.sandbox.accounts import digest_of
from omnibridge.sandbox.visitor import AgentClient

from .conftest import Hub

PASSWORD = "Correct-Horse-42"
SECOND_FACTOR = {"X-2FA-Method": "password", "X-2FA-Code": digest_of("secret")}
DECLARED = {
    "externalAgentId": {
        "type": "text",
        "maxLength": 18,
        "sendToIntegrations": True,
        "modifyRecordField": {"array": True, "field": "importIds"},
    }
}


def wish(username: str, **more: Any) -> dict[str, Any]:
    return {
        "username": username,
        "name": username.title(),
        "email": f"{username}@agents.test",
        "password": PASSWORD,
        **more,
    }


async def made(hub: Hub, username: str, **more: Any) -> dict[str, Any]:
    found = await hub.admin.post("users.create", wish(username, **more))
    assert found["_status"] == 200, found
    return dict(found["user"])


async def declare(hub: Hub, **fields: Any) -> None:
    text = msgspec.json.encode({**DECLARED, **fields}).decode()
    await hub.client.control(settings={"Accounts_CustomFields": text})


async def log_in(hub: Hub, username: str) -> AgentClient:
    return await AgentClient.login(hub.client, username, PASSWORD)


async def update(hub: Hub, user_id: str, **data: Any) -> dict[str, Any]:
    return await hub.admin.request("POST", "users.update", {"userId": user_id, "data": data}, SECOND_FACTOR)


async def account_log(hub: Hub, *what: str) -> list[dict[str, Any]]:
    return [each for each in (await hub.client.ledger())["accounts"] if each["what"] in what]


async def set_avatar(hub: Hub, account: str, content: bytes, **fields: str) -> dict[str, Any]:
    """By multipart, as `account` (a key of the description)."""
    told = hub.running.description[account]
    form = aiohttp.FormData(fields)
    form.add_field("image", content, filename="face.png", content_type="image/png")
    headers = {"X-User-Id": told["user_id"], "X-Auth-Token": told["auth_token"]}
    url = f"{hub.client.url}/api/v1/users.setAvatar"
    async with aiohttp.ClientSession(headers=headers) as session, session.post(url, data=form) as answer:
        return {**await answer.json(), "_status": answer.status}
