"""On request: Rocket.Chat's routing method External asks us, and gets the holding bot. Source: rocketchat-api 7.1, 7.3.

The method itself is changed last, and taken back first: it never asks an address that is not set. Bot-first goes before
every method, so it is switched off.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from typing import Any

import httpx2

from omnibridge.doctor.external import ask
from omnibridge.doctor.finding import OURS, Finding, ok, warning
from omnibridge.doctor.hub_settings import ROUTING
from omnibridge.setup import webhook
from omnibridge.setup.admin import SetupFailed
from omnibridge.setup.look import Seen
from omnibridge.setup.record import Record
from omnibridge.setup.step import Step, Work, may_write
from omnibridge.setup.wish import Wish

URL, TOKEN = "Livechat_External_Queue_URL", "Livechat_External_Queue_Token"
METHOD, BOT_FIRST = "Livechat_Routing_Method", "Livechat_assign_new_conversation_to_bot"
NEEDS = {"edit-privileged-setting": "sets the routing method and whom it asks"}
STARTS = "from now on every new conversation asks omnibridge: without an answer visitors are told that nobody is online"


def address(wish: Wish, seen: Seen) -> str:
    """Where the hub shall ask: beside the webhook's address. Raises ConfigError when nobody told."""
    path = f"/webhooks/rocketchat/{wish.name}"
    return f"{webhook.address(wish, seen.hub).removesuffix(path)}/external/{wish.name}"


def token_of(wish: Wish, seen: Seen) -> str:
    """The configuration's; else the one that our address has there already; else a new one."""
    theirs = seen.setting(TOKEN)
    if wish.external_token:
        return wish.external_token
    if seen.setting(URL) == address(wish, seen) and isinstance(theirs, str) and len(theirs) >= webhook.SHORTEST_TOKEN:
        return theirs
    return secrets.token_hex(32)


def plan(wish: Wish, seen: Seen) -> dict[str, Any]:
    """Setting -> value as it shall be, but for the token, in the order of changing; empty when it is not asked for."""
    if not wish.external:
        return {}
    return {URL: address(wish, seen), BOT_FIRST: False, METHOD: "External"}


def check(wish: Wish, seen: Seen) -> Finding | None:
    """What it means for visitors, before it is done."""
    if not wish.external:
        return None
    holder = next(each.username for each in wish.accounts if each.kind == "holding")
    url = seen.setting(URL)
    if isinstance(url, str) and url not in ("", address(wish, seen)) and seen.setting(METHOD) == "External":
        return warning("routing", OURS, f"{url} decides now, and will not be asked any more", "is that meant?")
    return ok("routing", f"External Service: answered with {holder}; our rules decide from there")


def steps(wish: Wish, seen: Seen, record: Record, token: str, *, write: bool) -> list[Step]:
    """token: that shall be in force."""
    if not wish.external:
        return []
    found, wanted = [], plan(wish, seen)
    if write and not wish.external_token and may_write(wish, record, wish.external_file):
        text = f"keep the token of the routing method in {wish.external_file}"
        found.append(Step("external token", text, {}, _keep(token)))
    theirs = seen.setting(TOKEN)
    is_same = isinstance(theirs, str) and hmac.compare_digest(theirs.encode(), token.encode())
    if not is_same or any(seen.setting(name) != value for name, value in wanted.items()):
        text = f"let the routing method External Service ask {wanted[URL]}, with a secret token"
        if seen.setting(BOT_FIRST):
            text += "; new conversations no longer go to a bot first"
        found.append(Step("external routing", text, NEEDS, _configure({URL: wanted[URL], TOKEN: token, **wanted})))
    return found


def _keep(token: str) -> Any:
    async def do(work: Work) -> None:
        work.keep(work.wish.external_file, token)

    return do


def _configure(wanted: Mapping[str, Any]) -> Any:
    async def do(work: Work) -> None:
        for name, value in wanted.items():
            before = await read(work, name)  # anew: others may have changed it
            if before == value and work.record.find("setting", name) is None:
                continue
            change = work.record.begin("setting", name, {"value": before}, {"value": value})
            if before != value:
                await write(work, name, value)
            work.record.done(change)

    return do


async def read(work: Work, name: str) -> Any:
    return (await work.admin.get(f"settings/{name}")).get("value")


async def write(work: Work, name: str, value: Any) -> None:
    """Raises SetupFailed, also when it was taken and not kept."""
    await work.admin.post(f"settings/{name}", {"value": value}, *NEEDS)
    if await read(work, name) != value:
        raise SetupFailed(f"Rocket.Chat did not keep {name}", f"set it in {ROUTING}")


async def test(wish: Wish, seen: Seen, token: str) -> Finding:
    """Ask our own address as Rocket.Chat would, once."""
    url, do = address(wish, seen), "start or restart `omnibridge serve` with this configuration, now; then doctor"
    try:
        status, name = await ask(url, token)
    except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as exc:
        return warning("external routing", OURS, f"{STARTS}; nothing answers at {url} ({type(exc).__name__})", do)
    if not name:
        found = f"{STARTS}; {url} answers HTTP {status} to our token, and names nobody"
        return warning("external routing", OURS, found, do)
    return ok("external routing", f"{url} names {name}")
