"""The companion app of a workspace, when `app_secret` is set: asked for a sign of life. Source: its README."""

from __future__ import annotations

from omnibridge.bootstrap_app import app_client_of
from omnibridge.clock import Clock
from omnibridge.doctor.finding import HUB, NETWORK, OURS, Finding, ok, problem, warning
from omnibridge.doctor.view import HubView
from omnibridge.errors import DeliveryError, DeliveryRejected

CHECK = "companion app"
MANY = 50
"""Events that wait; a few may be on their way while we look."""

_WHERE = "Administration > Marketplace > Private Apps > omnibridge > Settings"
_TO_DO = {
    "app-not-signed": (
        "app_secret of the workspace and bridge_secret of the app differ, or a clock is wrong: set "
        f"the same on both sides ({_WHERE})"
    ),
    "app-not-configured": f"set bridge_url (…/webhooks/rocketchat-app/NAME of this service), bridge_secret: {_WHERE}",
    "app-missing": "install and enable deploy/rocketchat-app (`make rocketchat-app`), or take app_secret out",
}


async def check(view: HubView, clock: Clock) -> Finding | None:
    """None where no app is configured."""
    app = app_client_of(view.settings, clock)
    if app is None:
        told = "choices are shown as buttons (blocks = true), but nobody tells us of presses: app_secret is not set"
        do = "set app_secret as in the app's settings, or take blocks = true out"
        return problem(CHECK, OURS, told, do) if view.settings.blocks else None
    try:
        found = await app.ping()
    except DeliveryRejected as exc:
        return problem(CHECK, HUB, str(exc), _TO_DO.get(exc.code, "look into the app's log"))
    except DeliveryError as exc:
        return problem(CHECK, NETWORK, str(exc), "let /api/apps/ of Rocket.Chat be reached from here; look at its log")
    finally:
        await app.aclose()
    told = f"version {found.version or 'unknown'}, {found.waiting} events wait, {found.dropped} were given up"
    if found.waiting > MANY:
        do = f"see whether the app reaches us: bridge_url in {_WHERE}; its log says what answered"
        return warning(CHECK, NETWORK, told, do)
    if found.dropped:
        do = "rooms were compared then, so messages came late at most; raise outbox_events or outbox_hours of the app"
        return warning(CHECK, HUB, told, do)
    return ok(CHECK, told)
