"""Points the workspace's one webhook at us: address, secret token, events. Source: rocketchat-api 2.1.

`omnichannel/integrations` takes all of it in one call, without a second factor.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx2

from omnibridge.doctor.finding import HUB, OURS, Finding, ok, problem, warning
from omnibridge.doctor.network import is_plain_and_far
from omnibridge.doctor.view import HubView
from omnibridge.doctor.webhook import EVENTS, MENU
from omnibridge.errors import ConfigError
from omnibridge.http import create_client
from omnibridge.rocketchat.leaves import list_of, table_of, text_of
from omnibridge.setup.admin import SetupFailed
from omnibridge.setup.look import Seen
from omnibridge.setup.record import Record
from omnibridge.setup.step import Step, Work, may_write
from omnibridge.setup.wish import Wish

KEYS = {
    "Livechat_webhookUrl": "LivechatWebhookUrl",
    "Livechat_secret_token": "LivechatSecretToken",
    "Livechat_http_timeout": "LivechatHttpTimeout",
    "Livechat_webhook_on_start": "LivechatWebhookOnStart",
    "Livechat_webhook_on_close": "LivechatWebhookOnClose",
    "Livechat_webhook_on_chat_taken": "LivechatWebhookOnChatTaken",
    "Livechat_webhook_on_chat_queued": "LivechatWebhookOnChatQueued",
    "Livechat_webhook_on_forward": "LivechatWebhookOnForward",
    "Livechat_webhook_on_visitor_message": "LivechatWebhookOnVisitorMessage",
    "Livechat_webhook_on_agent_message": "LivechatWebhookOnAgentMessage",
}
"""Setting -> key of `omnichannel/integrations`."""

NEEDS = {"view-livechat-manager": "configures the webhook"}
TIMEOUT_MS, TOO_LONG_MS = 5000, 15_000
SHORTEST_TOKEN = 8
REACH_S = 5.0


def address(wish: Wish, hub: HubView) -> str:
    """Where the hub shall send. Raises ConfigError when nobody told, and the hub does not know it yet either."""
    path, now = f"/webhooks/rocketchat/{wish.name}", hub.setting("Livechat_webhookUrl")
    if wish.public_url:
        return f"{wish.public_url}{path}"
    if isinstance(now, str) and urlsplit(now).path.endswith(path):
        return now
    raise ConfigError("--public-url: missing: the address at which Rocket.Chat reaches omnibridge, https://…")


def token_of(wish: Wish, hub: HubView) -> str:
    """The configuration's; else the one that our address has there already; else a new one."""
    now, theirs = hub.setting("Livechat_webhookUrl"), hub.setting("Livechat_secret_token")
    if wish.webhook_token:
        return wish.webhook_token
    if now == address(wish, hub) and isinstance(theirs, str) and len(theirs) >= SHORTEST_TOKEN:
        return theirs
    return secrets.token_hex(32)


def check(wish: Wish, seen: Seen) -> Finding:
    """There is one address per workspace: what stands there now stops getting events."""
    now, ours = seen.hub.setting("Livechat_webhookUrl"), address(wish, seen.hub)
    if is_plain_and_far(ours):
        found = f"{ours}: the secret token and conversations would travel unencrypted"
        return warning("webhook", OURS, found, "--public-url https://…, with a proxy before omnibridge")
    if isinstance(now, str) and now not in ("", ours):
        return warning("webhook", HUB, f"{now} gets the events now, and will get none any more", "is that meant?")
    return ok("webhook", ours)


def steps(wish: Wish, seen: Seen, record: Record, token: str, *, write: bool) -> list[Step]:
    """token: that shall be in force."""
    found = []
    if write and not wish.webhook_token and may_write(wish, record, wish.webhook_file):
        found.append(Step("webhook token", f"keep the webhook's secret token in {wish.webhook_file}", {}, _keep(token)))
    wanted = _wanted(wish, seen, token)
    differing = [each for each in wanted if seen.hub.setting(each) != wanted[each]]
    if differing:
        text = f"send {len(EVENTS)} kinds of events to {address(wish, seen.hub)}, with a secret token"
        if "Livechat_http_timeout" in differing:
            text += f", and wait {TIMEOUT_MS} ms for our answer"
        found.append(Step("webhook", text, NEEDS, _configure(wanted)))
    return found


def _wanted(wish: Wish, seen: Seen, token: str) -> dict[str, Any]:
    wanted: dict[str, Any] = {"Livechat_webhookUrl": address(wish, seen.hub), "Livechat_secret_token": token}
    wanted |= dict.fromkeys(EVENTS, True)
    timeout = seen.hub.setting("Livechat_http_timeout")
    if not isinstance(timeout, int) or not wish.commit_timeout_s * 1000 < timeout <= TOO_LONG_MS:
        wanted["Livechat_http_timeout"] = TIMEOUT_MS
    return wanted


def _keep(token: str) -> Any:
    async def do(work: Work) -> None:
        work.keep(work.wish.webhook_file, token)

    return do


def _configure(wanted: Mapping[str, Any]) -> Any:
    async def do(work: Work) -> None:
        now = settings_in(await work.admin.get("livechat/integrations.settings"))
        before = {name: now[name] for name in wanted if name in now}
        change = work.record.begin("webhook", "webhook", before, dict(wanted))
        await work.admin.post("omnichannel/integrations", {KEYS[name]: each for name, each in wanted.items()}, *NEEDS)
        now = settings_in(await work.admin.get("livechat/integrations.settings"))
        missed = [name for name, each in wanted.items() if name in now and now[name] != each]
        if missed:
            raise SetupFailed(f"Rocket.Chat did not take {', '.join(missed)}", f"set it in {MENU}")
        work.record.done(change)

    return do


def settings_in(body: Mapping[str, Any]) -> dict[str, Any]:
    rows = [table_of(each) for each in list_of(body.get("settings"))]
    return {text_of(each.get("_id")): each.get("value") for each in rows if "value" in each}


async def test(url: str, work: Work, *, has_changed: bool) -> Finding:
    """Let Rocket.Chat send its sample, when our server answers there. has_changed: it may not know the token yet."""
    try:
        async with create_client(timeout_s=REACH_S) as client:
            seen = await client.get(url)
        is_ours = seen.status_code == 405 and b"POST" in seen.content
        why = f"something else than omnibridge answers there (HTTP {seen.status_code})"
    except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as exc:
        is_ours, why = False, f"nothing answers there ({type(exc).__name__})"
    next_step = "start `omnibridge serve` with this configuration, then `omnibridge doctor`"
    if not is_ours:
        return warning("webhook test", OURS, f"not tried: {url}: {why}", next_step)
    try:
        await work.admin.post("livechat/webhook.test", {}, "view-livechat-webhooks")
    except SetupFailed as exc:
        if has_changed:
            found = f"omnibridge answers there, but did not take Rocket.Chat's test ({exc.code or exc})"
            return warning(
                "webhook test", OURS, found, "restart `omnibridge serve` with this configuration, then doctor"
            )
        do = "`omnibridge doctor` finds out why"
        return problem("webhook test", HUB, f"Rocket.Chat's test did not get through: {exc}", do)
    return ok("webhook test", f"Rocket.Chat's test was answered 200 by {url}")
