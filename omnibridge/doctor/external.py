"""The routing method External, when it is on: the bot that we answer with, and whether our address answers.

Source: rocketchat-api 7.2, 7.3. It asks with a token in a header, and reads `username` of the JSON.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit, urlunsplit

import httpx2
import msgspec

from omnibridge.doctor.bots import MAKE_AVAILABLE
from omnibridge.doctor.finding import ACCOUNT, HUB, NETWORK, OURS, Finding, look, ok, problem
from omnibridge.doctor.view import HubView
from omnibridge.http import create_client
from omnibridge.rocketchat.leaves import text_of

HEADER = "X-RocketChat-Secret-Token"
CALL_S = 3.0
LOOK = "Workspace > Settings > Omnichannel > Routing > External Service"


class _Answer(msgspec.Struct):
    username: str = ""


async def ask(url: str, token: str) -> tuple[int, str]:
    """(status, user name) as the hub would hear it; "" for none. Raises httpx2.HTTPError, InvalidURL, TimeoutError."""
    async with asyncio.timeout(CALL_S), create_client(timeout_s=CALL_S) as client:
        answer = await client.get(url, headers={HEADER: token, "Accept": "application/json"})
    try:
        return answer.status_code, msgspec.json.decode(answer.content, type=_Answer).username
    except msgspec.MsgspecError:
        return answer.status_code, ""


def holders(view: HubView) -> list[str]:
    """User names that we answer with."""
    return sorted({view.settings.holding_bot, *view.settings.holding_bots.values()} - {""})


def is_on(view: HubView) -> bool:
    """The method is External, and we are set up to answer it. What is not is said by `routing`."""
    is_ours = bool(view.settings.external_token.reveal() and holders(view))
    return view.setting("Livechat_Routing_Method") == "External" and is_ours


async def checks(view: HubView) -> list[Finding]:
    """Empty while the method is another one."""
    if not is_on(view):
        return []
    found = [_holder(view, each) for each in holders(view)] if view.is_known else []
    url = address(view)
    return [*found, *([await _answers(url, view), _compare(url)] if url else [])]


def address(view: HubView) -> str:
    """Beside the webhook's; empty while that is not known."""
    base, path = view.setting("Livechat_webhookUrl"), f"/webhooks/rocketchat/{view.settings.name}"
    parts = urlsplit(base if isinstance(base, str) else "")
    if not parts.netloc or not parts.path.endswith(path):
        return ""
    return urlunsplit(
        (parts.scheme, parts.netloc, f"{parts.path.removesuffix(path)}/external/{view.settings.name}", "", "")
    )


def _holder(view: HubView, name: str) -> Finding:
    """Whom Rocket.Chat does not take, it discards: then visitors are told that nobody is online."""
    agents = {text_of(each.get("username")) for each in view.rows("agents", "users")}
    available = {text_of(each.get("username")) for each in view.rows("available", "users")}
    bots = {text_of(each.get("username")) for each in view.rows("bots", "users")}
    if name in available and name in bots:
        return ok("holding bot", f"{name} is bot, agent and available")
    if name in available:
        do = f"Workspace > Users > {name} > Edit > Roles: add bot"
        return problem("holding bot", ACCOUNT, f"{name} lacks bot: offline, he is passed over", do)
    if name in agents:
        found = f"{name} is not available: Rocket.Chat takes nobody then, and visitors are told that nobody is online"
        return problem("holding bot", ACCOUNT, found, MAKE_AVAILABLE.format(user=name))
    do = f"Omnichannel > Agents > Add agent: {name}; or `omnibridge setup --external`, which makes one"
    return problem("holding bot", ACCOUNT, f"{name} is no agent, or there is no such user", do)


async def _answers(url: str, view: HubView) -> Finding:
    """As Rocket.Chat would ask, but from this machine."""
    try:
        status, name = await ask(url, view.settings.external_token.reveal())
    except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as exc:
        do = f"start `omnibridge serve`; let {urlsplit(url).netloc} lead to it"
        return problem("external routing", NETWORK, f"{url} does not answer from here ({type(exc).__name__})", do)
    if name in holders(view):
        return ok("external routing", f"{url} names {name}")
    if status == 401:
        found = f"{url} refuses the configuration's external_token: another configuration is running"
        return problem("external routing", OURS, found, "restart `omnibridge serve`")
    do = "restart `omnibridge serve` with this configuration; look at the proxy in front of it"
    return problem("external routing", NETWORK, f"{url} answers HTTP {status} and names nobody", do)


def _compare(url: str) -> Finding:
    """Address and token are not shown to the relay account, by design."""
    do = f"{LOOK}: URL {url}, and the secret token is external_token; `omnibridge setup --external` sets both"
    return look("external settings", HUB, "address and token that Rocket.Chat asks with cannot be read here", do)
