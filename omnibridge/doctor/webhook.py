"""The webhook: settings in Rocket.Chat against ours, then a round trip. Source: rocketchat-api 2.1, 2.6."""

from __future__ import annotations

import asyncio
import hmac
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2

from omnibridge.config import Settings
from omnibridge.doctor.finding import ACCOUNT, HUB, NETWORK, OURS, Finding, ok, problem, warning
from omnibridge.doctor.journal import Journal
from omnibridge.doctor.local import OurServer
from omnibridge.doctor.network import explain, is_plain_and_far
from omnibridge.doctor.probe import CALL_S, Probe, Prober
from omnibridge.doctor.view import HubView
from omnibridge.http import create_client

MENU = "Omnichannel > Webhooks"

EVENTS = {
    "Livechat_webhook_on_start": ("Chat Start", "a conversation is noticed only when the visitor writes"),
    "Livechat_webhook_on_chat_queued": ("Chat Queued", "what waits in the queue is not seen"),
    "Livechat_webhook_on_chat_taken": ("Chat Taken", "who serves is noticed late"),
    "Livechat_webhook_on_forward": ("Forwarding", "a forward is noticed late"),
    "Livechat_webhook_on_close": ("Chat Close", "conversations never end for the bot"),
    "Livechat_webhook_on_visitor_message": ("Visitor Messages", "the bot hears nothing"),
    "Livechat_webhook_on_agent_message": ("Agent Messages", "what colleagues say is not seen"),
}
"""Setting -> box in the menu, and what is missing without it. `Offline Messages` is recorded only."""

JOURNAL_S = 2.0
"""For the sample to show up in the journal, after Rocket.Chat has told that it was taken."""


def path_of(view: HubView) -> str:
    """Last part of the address that the hub must have."""
    return f"/webhooks/rocketchat/{view.settings.name}"


def address(view: HubView) -> Finding | None:
    """Leads to this workspace of ours; the host cannot be judged, a proxy may stand before us."""
    if not _readable(view):
        return None
    url, path = view.setting("Livechat_webhookUrl"), path_of(view)
    do = f"{MENU} > Webhook URL: https://<our address>{path}, then Save"
    if not url or not isinstance(url, str):
        return problem("webhook address", HUB, "no webhook is set: omnibridge hears nothing", do)
    if urlsplit(url).path.rstrip("/") != urlsplit(url).path or not urlsplit(url).path.endswith(path):
        return problem("webhook address", HUB, f"{url} does not end with {path}", do)
    if is_plain_and_far(url):
        found = f"{url}: the secret token and conversations travel unencrypted"
        return warning("webhook address", HUB, found, f"{MENU} > Webhook URL: https://, with a proxy before omnibridge")
    return ok("webhook address", url)


def events(view: HubView) -> Finding | None:
    if not _readable(view):
        return None
    missing = [named for setting, named in EVENTS.items() if view.setting(setting) is not True]
    if not missing:
        return ok("webhook events", f"all {len(EVENTS)} that are needed")
    found = "not ticked: " + "; ".join(f"{box} ({without})" for box, without in missing)
    do = f"{MENU} > Send Request on: tick {', '.join(box for box, _ in missing)}, then Save"
    return problem("webhook events", HUB, found, do)


def secret(view: HubView) -> Finding | None:
    """Compared, never shown."""
    if not _readable(view):
        return None
    theirs, ours = view.setting("Livechat_secret_token"), view.settings.webhook_token.get_secret_value()
    setting = f"[[workspace]] {view.settings.name}: webhook_token"
    do = f"{MENU} > Secret Token: the value of {setting}, then Save"
    if theirs is None:
        return warning("webhook token", HUB, "Rocket.Chat does not show it, so it cannot be compared", do)
    if not isinstance(theirs, str) or not theirs:
        return problem("webhook token", HUB, "no secret token is set: omnibridge refuses every webhook (401)", do)
    if not hmac.compare_digest(theirs.encode(), ours.encode()):
        found = f"not the one of {setting}: omnibridge refuses every webhook (401)"
        return problem("webhook token", HUB, found, f"{do}; or correct {setting}")
    return ok("webhook token", "the same on both sides")


def timeout(view: HubView, settings: Settings) -> Finding | None:
    """Shorter than our commit: the hub gives up before we can say "not stored" and sends it twice."""
    value = view.setting("Livechat_http_timeout")
    if not _readable(view) or not isinstance(value, int) or isinstance(value, bool):
        return None
    ours_ms = int(settings.database.commit_timeout_s * 1000)
    retry = f"a lost webhook comes again after {4 * value / 1000:g} s"
    if value <= ours_ms:
        found = f"{value} ms, and omnibridge answers within {ours_ms} ms: late answers are sent again; {retry}"
        do = f"{MENU} > HTTP timeout (in milliseconds): 5000; or lower [database] commit_timeout_s"
        return warning("webhook timeout", HUB, found, do)
    if value > 15_000:
        do = f"{MENU} > HTTP timeout (in milliseconds): 5000"
        return warning("webhook timeout", HUB, f"{value} ms: {retry}", do)
    return ok("webhook timeout", f"{value} ms; {retry}")


@dataclass(frozen=True)
class RoundTrip:
    """What a round trip needs to know. server: whether ours runs here; many may await it. journal: its database."""

    server: asyncio.Task[OurServer]
    journal: Journal


async def round_trip(view: HubView, prober: Prober, our: RoundTrip, so_far: list[Finding]) -> Finding | None:
    """Let Rocket.Chat send its sample to us. Only to our own address, and not when it cannot work anyway."""
    of_webhook = [each for each in so_far if each.check in ("webhook address", "webhook token")]
    if not of_webhook or any(each.status == "problem" for each in of_webhook):
        return None
    if not (await our.server).is_serving:
        do = "start `omnibridge serve` and run doctor again"
        return warning("webhook round trip", OURS, "not tried: omnibridge does not run here", do)
    before = our.journal.newest()
    began = time.monotonic()
    sent = await prober.post("livechat/webhook.test", {})
    if sent.is_forbidden:
        do = f"press {MENU} > Send Test yourself, or tick view-livechat-webhooks for livechat-manager"
        return warning("webhook round trip", ACCOUNT, "the relay account may not start the test", do)
    if not sent.is_ok:
        return await _why_not(view, sent)
    while (found := our.journal.has_sample(view.settings.name, before)) is False:
        if time.monotonic() - began > JOURNAL_S + sent.took_ms / 1000:
            text = "Rocket.Chat's test was answered 200, but not by this omnibridge: it is not in the journal"
            do = f"{MENU} > Webhook URL: does it lead to another installation, or to a proxy that answers itself?"
            return problem("webhook round trip", HUB, text, do)
        await asyncio.sleep(0.05)
    if found is None:
        return ok("webhook round trip", f"answered 200 in {sent.took_ms} ms; the journal cannot be read here")
    return ok("webhook round trip", f"Rocket.Chat's test arrived in our journal in {sent.took_ms} ms, marked as a test")


async def _why_not(view: HubView, sent: Probe) -> Finding:
    """The test failed: ask the address ourselves. A GET is answered 405 by omnibridge and changes nothing."""
    url = str(view.setting("Livechat_webhookUrl"))
    if sent.trouble:
        return problem("webhook round trip", sent.trouble.side, sent.outcome(), sent.trouble.do)
    head = f"Rocket.Chat cannot deliver to {url} ({sent.code or sent.status})"
    try:
        async with asyncio.timeout(CALL_S), create_client(timeout_s=CALL_S) as client:
            seen = await client.get(url)
    except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as exc:
        why = explain(exc, url, f"{MENU} > Webhook URL")
        reason, do = (why.found, why.do) if why else (type(exc).__name__, f"correct {MENU} > Webhook URL")
        return problem("webhook round trip", NETWORK, f"{head}; from here: {reason}", do)
    if seen.status_code == 405 and b"POST" in seen.content:
        do = "let Rocket.Chat's machine reach this address: firewall, DNS there, a certificate that it trusts"
        return problem("webhook round trip", NETWORK, f"{head}, although omnibridge answers there from here", do)
    found = f"{head}; from here something else than omnibridge answers (HTTP {seen.status_code})"
    return problem("webhook round trip", NETWORK, found, f"correct {MENU} > Webhook URL, or the proxy behind it")


def _readable(view: HubView) -> bool:
    return "webhook" in view.probes and view.probes["webhook"].is_ok


CHECKS = (address, events, secret)
