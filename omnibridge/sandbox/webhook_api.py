"""Settings of the webhook over REST. Source: rocketchat-api 2.1."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from omnibridge.sandbox.http import Api, body_of, need
from omnibridge.sandbox.payloads import sample_body
from omnibridge.sandbox.state import HubError

_SWITCH_KEYS = {
    "LivechatWebhookOnStart": "Livechat_webhook_on_start",
    "LivechatWebhookOnClose": "Livechat_webhook_on_close",
    "LivechatWebhookOnChatTaken": "Livechat_webhook_on_chat_taken",
    "LivechatWebhookOnChatQueued": "Livechat_webhook_on_chat_queued",
    "LivechatWebhookOnForward": "Livechat_webhook_on_forward",
    "LivechatWebhookOnOfflineMsg": "Livechat_webhook_on_offline_msg",
    "LivechatWebhookOnVisitorMessage": "Livechat_webhook_on_visitor_message",
    "LivechatWebhookOnAgentMessage": "Livechat_webhook_on_agent_message",
}
"""Key of `omnichannel/integrations` -> setting; there is none for lead capture."""

_KEYS = {"LivechatWebhookUrl", "LivechatSecretToken", "LivechatHttpTimeout", *_SWITCH_KEYS}


class WebhookApi:
    """Write, read back, try out."""

    def __init__(self, api: Api) -> None:
        self._api, self._hub = api, api.hub

    def routes(self) -> list[Route]:
        route = self._api.route
        return [
            route("POST", "omnichannel/integrations", self._change),
            route("GET", "livechat/integrations.settings", self._show),
            route("POST", "livechat/webhook.test", self._test),
        ]

    async def _change(self, request: Request) -> dict[str, Any]:
        """All keys are optional, unknown ones refused; everything is checked before anything changes."""
        caller = self._api.permitted(request, "view-livechat-manager")
        wish = await body_of(request)
        if set(wish) - _KEYS:
            raise HubError("invalid-params", "must NOT have additional properties")
        switches = {_SWITCH_KEYS[key]: need(wish, key, bool) for key in wish if key in _SWITCH_KEYS}
        sender = self._hub.sender
        url = need(wish, "LivechatWebhookUrl", str) if "LivechatWebhookUrl" in wish else sender.url
        token = need(wish, "LivechatSecretToken", str) if "LivechatSecretToken" in wish else sender.token
        if "LivechatHttpTimeout" in wish:
            sender.http_timeout_ms = need(wish, "LivechatHttpTimeout", int)
        sender.url, sender.token = url, token
        self._hub.switches |= switches
        self._hub.accounts.note("webhook", caller, keys=sorted(wish))
        return {}

    async def _show(self, request: Request) -> dict[str, Any]:
        self._api.permitted(request, "view-livechat-manager")
        sender = self._hub.sender
        values: dict[str, Any] = {
            "Livechat_webhookUrl": sender.url,
            "Livechat_secret_token": sender.token,
            "Livechat_http_timeout": sender.http_timeout_ms,
            **{key: self._hub.switches[key] for key in _SWITCH_KEYS.values()},
        }
        return {"settings": [{"_id": key, "value": value} for key, value in values.items()]}

    async def _test(self, request: Request) -> dict[str, Any]:
        """Anything but 200 from the receiver is 400 here."""
        self._api.permitted(request, "view-livechat-webhooks")
        if not self._hub.sender.url:
            raise HubError("Webhook_URL_not_set", coded=False)
        if await self._hub.sender.test(sample_body()) != 200:
            raise HubError("error-invalid-webhook-response")
        return {}
