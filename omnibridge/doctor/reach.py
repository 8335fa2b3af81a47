"""Is there a Rocket.Chat at the address, which one, and do the clocks agree? Source: rocketchat-api 1.1, 14."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

from omnibridge.doctor.finding import HUB, MACHINE, NETWORK, OURS, Finding, ok, problem, warning
from omnibridge.doctor.network import is_plain_and_far
from omnibridge.doctor.view import HubView
from omnibridge.rocketchat.versions import Version

SLOW_MS = 1000
SKEW_MS, SKEW_TOO_FAR_MS = 5_000, 60_000

OLDEST, NEWEST = 6, 9


def reachable(view: HubView) -> Finding:
    """Name, connection, TLS, and whether what answers is Rocket.Chat."""
    info, url = view.info, view.settings.url
    setting = view.url_setting
    if info.trouble:
        return problem("reachable", info.trouble.side, f"{url}: {info.trouble.found}", info.trouble.do)
    if 300 <= info.status < 400:
        to = info.header("location") or "another address"
        return problem("reachable", OURS, f"{url} sends us on to {to}", f"set {setting} to the final address")
    if info.status in (429, 502, 503, 504):
        found = f"{url}: HTTP {info.status}, so the proxy works and Rocket.Chat behind it does not"
        return problem("reachable", NETWORK, found, "start Rocket.Chat, or correct the proxy's upstream")
    if view.version is None:
        found = f"{url}/api/info does not tell a version (HTTP {info.status}): this is not Rocket.Chat"
        return problem("reachable", OURS, found, f"correct {setting}; with ROOT_URL under a path, name that path too")
    if info.took_ms > SLOW_MS:
        found = f"{url} answers after {info.took_ms} ms"
        return warning("reachable", NETWORK, found, "every answer of the bot waits as long: look at load and route")
    return ok("reachable", f"{url} answers in {info.took_ms} ms")


def encrypted(view: HubView) -> Finding | None:
    """Only said when it is not."""
    if not is_plain_and_far(view.settings.url):
        return None
    found = f"{view.settings.url}: tokens and conversations travel unencrypted"
    return warning("encryption", OURS, found, f"use https:// in {view.url_setting}")


def version(view: HubView) -> Finding | None:
    """Supported, and what this one does differently."""
    found = view.version
    if found is None:
        return None
    name = f"Rocket.Chat {found.major}.{found.minor}"
    if found.major < OLDEST:
        return problem("version", HUB, f"{name} is too old: 6.x to 9.x are supported", "upgrade Rocket.Chat")
    if found.major > NEWEST:
        return warning("version", HUB, f"{name} is newer than this omnibridge knows", "upgrade omnibridge")
    if found == Version(7, 7):
        known = f"{name}: 7.7.1 sends `Chat Taken` only while its box is not ticked (fixed in 7.8.0)"
        return warning("version", HUB, known, "upgrade Rocket.Chat; until then omnibridge reads the room instead")
    if found.major >= NEWEST:
        known = f"{name}: nothing is known against it, but its API was not read for this omnibridge"
        return warning("version", HUB, known, "try handover and closing once by hand before visitors do")
    return ok("version", f"{name}: {_differences(found)}")


def _differences(found: Version) -> str:
    if found <= Version(7, 7):
        return (
            "supported; the first attempt of a webhook runs inside the save of a message, so a slow answer of ours "
            "slows the writer; ten attempts, 4 x HTTP timeout apart"
        )
    if found.major == 7:
        return "supported; somewhere from 7.8 to 8.2 webhooks went from ten attempts, inside the save, to five after it"
    return "supported; five attempts for a webhook that answers 429 or 5xx, none after any other status but 200"


def clock(view: HubView) -> Finding | None:
    """Our clock against the Date header; None when there is none."""
    try:
        told = parsedate_to_datetime(view.info.header("date"))
    except (TypeError, ValueError):
        return None
    theirs_ms = int(told.replace(tzinfo=told.tzinfo or UTC).timestamp() * 1000) + 500
    skew_ms = view.taken_at_ms - theirs_ms
    seconds = f"{abs(skew_ms) / 1000:.0f} s {'ahead of' if skew_ms > 0 else 'behind'} that of Rocket.Chat"
    if abs(skew_ms) < SKEW_MS:
        return ok("clock", "within 5 s of Rocket.Chat's")
    do = "set both by NTP: `timedatectl set-ntp true` here; look at the server's as well"
    if abs(skew_ms) > SKEW_TOO_FAR_MS:
        return problem("clock", MACHINE, f"our clock is {seconds}: what was missed is looked for at wrong times", do)
    return warning("clock", MACHINE, f"our clock is {seconds}", do)


CHECKS = (reachable, encrypted, version, clock)
