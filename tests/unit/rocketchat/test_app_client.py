"""What the companion app answers us, by class: which side to correct, what is tried again."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from omnibridge.clock import SystemClock
from omnibridge.connector.signing import check_signature, read_secrets, signed_headers
from omnibridge.errors import DeliveryError, DeliveryRejected, DeliveryRetryable, DeliveryUncertain
from omnibridge.http import Client
from omnibridge.rocketchat.app_client import APP_ID, AppClient, AppStatus

KEYS = read_secrets("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")


def app_that(answer: Any, seen: list[httpx2.Request]) -> AppClient:
    def handle(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        if isinstance(answer, Exception):
            raise answer
        status, body = answer
        return httpx2.Response(status, content=body if isinstance(body, bytes) else json.dumps(body).encode())

    client = Client(base_url="http://hub", transport=httpx2.MockTransport(handle))
    return AppClient("http://hub", lambda *given: signed_headers(KEYS, *given), SystemClock(), client=client)


async def test_what_is_asked_is_signed_under_a_new_id_each_time() -> None:
    seen: list[httpx2.Request] = []
    app = app_that((200, {"message": "m1"}), seen)
    for _ in range(2):
        await app.update("r1", "m1", text="hi", blocks=[{"type": "divider"}])
    await app.aclose()

    payloads = [json.loads(each.content)["payload"] for each in seen]
    ids = {check_signature(KEYS, each.headers, payload.encode(), SystemClock().now_ms() / 1000)
           for each, payload in zip(seen, payloads, strict=True)}  # fmt: skip
    assert (len(ids), seen[0].url.path) == (2, f"/api/apps/public/{APP_ID}/bridge")
    assert json.loads(payloads[0]) == {
        "app": APP_ID, "action": "message.update", "room": "r1", "message": "m1", "text": "hi",
        "blocks": [{"type": "divider"}],
    }  # fmt: skip


async def test_ping_tells_version_and_what_waits() -> None:
    told = {"app": APP_ID, "version": "1.0.0", "outbox": {"waiting": 3, "dropped": {"count": 2}}}
    assert await app_that((200, told), []).ping() == AppStatus("1.0.0", 3, 2)
    assert await app_that((200, {"outbox": "?"}), []).ping() == AppStatus("", 0, 0)


@pytest.mark.parametrize(
    ("answer", "kind", "code", "says"),
    [
        ((401, {"error": "no signature fits"}), DeliveryRejected, "app-not-signed", "bridge_secret"),
        ((503, {"error": "the app is not configured"}), DeliveryRejected, "app-not-configured", "bridge_url"),
        ((503, b"<html>"), DeliveryUncertain, "app-503", "503"),
        ((404, {"error": "no such message in a livechat room"}), DeliveryRejected, "message-unknown", "no such"),
        ((404, {"success": False, "error": "App not found"}), DeliveryRejected, "app-missing", "app_secret"),
        ((404, b"Not Found"), DeliveryRejected, "app-missing", "app_secret"),
        ((409, {"error": "used before"}), DeliveryRetryable, "app-id-used", "id"),
        ((400, {"error": "blocks must be a list"}), DeliveryRejected, "app-refused", "blocks must"),
        ((429, b""), DeliveryRetryable, "rate-limited", "slow"),
        ((500, {"error": "x"}), DeliveryUncertain, "app-500", "500"),
        (httpx2.ConnectError("no"), DeliveryRetryable, "not-sent", "reached"),
        (httpx2.ReadError("cut"), DeliveryUncertain, "no-answer", "no answer"),
    ],
)
async def test_each_failure_says_what_to_do(answer: Any, kind: type[DeliveryError], code: str, says: str) -> None:
    with pytest.raises(kind) as failed:
        await app_that(answer, []).remove_choices("r1", "m1")
    assert failed.value.code == code
    assert says in str(failed.value)
