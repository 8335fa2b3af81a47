"""sendToBot: tell a bot what somebody pressed, past the room."""

from __future__ import annotations

from typing import Any

import httpx2
import msgspec

from omnibridge.client.errors import BotApiError


class _Accepted(msgspec.Struct):
    id: str


async def send_to_bot(
    url: str,
    bot: str,
    room: str,
    action: str,
    value: str,
    *,
    message_id: str = "",
    api_token: str = "",
    user: tuple[str, str] | None = None,
    visitor_token: str = "",
    key: str = "",
    http: httpx2.AsyncClient | None = None,
) -> str:
    """The interaction's id, once it is durable. Who pressed is what one of these proves: api_token, of `omnibridge
    tokens create --scope interact`; user: id and token at Rocket.Chat; visitor_token. key: the same key is sent once.

    Raises BotApiError.
    """
    headers = {"Idempotency-Key": key, "X-Visitor-Token": visitor_token}
    headers["Authorization"] = f"Bearer {api_token}" if api_token else ""
    headers["X-User-Id"], headers["X-Auth-Token"] = user or ("", "")
    body: dict[str, Any] = {"room": room, "actions": [{"action_id": action, "value": value}]}
    if message_id:
        body["message_id"] = message_id
    client = http or httpx2.AsyncClient(timeout=10.0)
    try:
        found = await client.post(
            f"{url.rstrip('/')}/api/v1/bots/{bot}/interactions",
            json=body,
            headers={name: value for name, value in headers.items() if value},
        )
    except httpx2.HTTPError as exc:
        raise BotApiError(0, f"no answer ({type(exc).__name__})") from exc
    finally:
        if http is None:
            await client.aclose()
    try:
        if found.status_code == 202:
            return msgspec.json.decode(found.content, type=_Accepted).id
        told = msgspec.json.decode(found.content, type=dict[str, Any])
    except msgspec.DecodeError:
        raise BotApiError(found.status_code, "the answer is not one of the bridge") from None
    raise BotApiError(found.status_code, f"{told.get('title', '')}: {told.get('detail', '')}")
