"""What the visitor sees of people whom an external system names and the hub has never heard of: the pool, for real.

`omnibridge serve` beside the hub; mode pooled, three proxies, pictures may be kept for two seconds.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from faces import BLUE, GREEN, RED, Colour
from playwright.sync_api import Browser, Response
from widget import Hub, Memory, Widget

PURPLE = (140, 30, 160)
FAR_MS = 250
"""Of a visitor's way to the hub. The widget learns who serves from its stream only, and listens a moment after it was
told of the room: who is given the room before that would not be shown until the page is loaded anew."""

SIZE = {"width": 900, "height": 720}


class Router:
    """The external system: says who serves, when it is asked and by itself."""

    def __init__(self, hub: Hub) -> None:
        self._told = hub.told

    def names(self, external_id: str, name: str, face: Colour) -> None:
        """From now on, whoever asks is told this one."""
        wish: dict[str, Any] = {"agents": {"": [external_id]}, "people": {external_id: self._person(name, face)}}
        _post(f"{self._told['router_url']}/_sandbox/control", wish)

    def pushes(self, rid: str, external_id: str, name: str, face: Colour) -> None:
        body = {"external_system": "crm", "external_id": external_id, **self._person(name, face)}
        url = f"{self._told['bridge_url']}/api/v1/conversations/{rid}/assignment"
        _post(url, body, {"Authorization": f"Bearer {self._told['push_token']}"})

    def _person(self, name: str, face: Colour) -> dict[str, str]:
        return {"name": name, "avatar_url": f"{self._told['router_url']}/faces/{bytes(face).hex()}.png"}


def unknown_people_one_after_another(browser: Browser, hub: Hub, pictures: Path) -> None:
    """Two whom the hub never saw, in one chat; a third in the next chat of the same page. Then somebody else sits down
    at the same browser, with its cache, and gets the first one's proxy as a fourth person; the first visitor never
    does."""
    router, context = Router(hub), browser.new_context(viewport=SIZE)
    memory, faces = Memory(context, hub), dict[str, set[str]]()
    context.on("response", lambda answer: _note(faces, answer))
    router.names("0055gA", "Maria Fox", RED)
    widget = Widget(context.new_page(), hub, pictures)
    widget.open()
    widget.register("Vera Faces", "vera@example.test")
    widget.say("hello")
    maria = shows(widget, hub, "Maria Fox", RED)
    widget.picture("first-person")
    first_room = hub.last_room()["rid"]
    router.pushes(first_room, "0055gB", "Tom Grant", GREEN)
    tom = shows(widget, hub, "Tom Grant", GREEN)
    widget.picture("transferred-to-the-second")
    close(hub, first_room)

    router.names("0055gC", "Nora Lind", BLUE)
    widget.frame.get_by_role("button", name="New Chat").click()
    widget.say("hello again")
    nora = shows(widget, hub, "Nora Lind", BLUE)
    widget.picture("third-person-without-a-reload")
    if len({maria, tom, nora}) != 3:
        raise AssertionError("the same page got a proxy twice, as somebody else")
    close(hub, hub.last_room()["rid"])
    until(lambda: not any(serves(hub, each) for each in (maria, tom, nora)))
    widget.page.wait_for_timeout(2500)  # the time that browsers may keep a picture

    vera = memory.take()
    router.names("0055gD", "Omar Reed", PURPLE)
    other = Widget(context.new_page(), hub, pictures, widget.n_pictures)
    other.open()
    other.register("Viktor Other", "viktor@example.test")
    other.say("good morning")
    omar = shows(other, hub, "Omar Reed", PURPLE)
    other.picture("same-browser-same-proxy-another-person")
    if omar != maria:
        raise AssertionError("of three proxies the one that is unused for longest had to become Omar")
    if len(faces[omar]) != 2:
        raise AssertionError(f"this browser had to be shown two faces of {omar}: {faces}")
    close(hub, hub.last_room()["rid"])

    memory.put(vera)
    widget = Widget(context.new_page(), hub, pictures, other.n_pictures)
    widget.say("me once more")  # the widget remembers that it was open
    widget.shows_agent("Assistant", "bot")  # the shared bot: she knows every proxy as somebody else
    widget.picture("first-visitor-gets-the-shared-bot")
    for each in (widget, other):
        if each.errors:
            raise AssertionError(f"errors in the page: {each.errors}")


def who_serves_at_once_is_shown_far_away_too(browser: Browser, hub: Hub, pictures: Path) -> None:
    """The proxy has its name and face already, so the room is given to it before the widget knows of the room."""
    router = Router(hub)
    router.names("0055gD", "Omar Reed", PURPLE)
    for name, way_ms in (("Nea Near", 0), ("Fay Far", FAR_MS)):
        page = browser.new_context(viewport=SIZE).new_page()
        widget = Widget(page, hub, pictures)
        widget.open()
        slow = {"offline": False, "latency": way_ms, "downloadThroughput": -1, "uploadThroughput": -1}
        page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", slow)
        widget.register(name, f"{name.split()[1].lower()}@example.test")
        widget.say("good evening")
        shows(widget, hub, "Omar Reed", PURPLE)
        widget.picture(name.lower().replace(" ", "-"))
        close(hub, hub.last_room()["rid"])


def shows(widget: Widget, hub: Hub, name: str, face: Colour) -> str:
    """Until the widget shows this person; the user name behind him."""
    until(lambda: name in widget.title())
    username = str(hub.last_room()["served_by"])
    widget.shows_agent(name, username)
    until(lambda: widget.face() == face)
    if widget.face_sha256() != hub.avatar(username):
        raise AssertionError(f"{username} has another picture on the hub than before the visitor")
    return username


def _note(faces: dict[str, set[str]], answer: Response) -> None:
    """Which pictures the browser was sent of whom."""
    _, is_avatar, username = answer.url.partition("/avatar/")
    if is_avatar and answer.status == 200:
        faces.setdefault(username, set()).add(sha256(answer.body()).hexdigest())


def serves(hub: Hub, username: str) -> bool:
    """Whether he holds the role of an agent."""
    found = hub.call("GET", f"/api/v1/users.info?username={username}", None, "admin")
    return "livechat-agent" in found["user"]["roles"]


def close(hub: Hub, rid: str) -> None:
    hub.call("POST", "/api/v1/livechat/room.closeByUser", {"rid": rid, "comment": "Done."}, "service_account")


def until(look: Callable[[], bool]) -> None:
    """Looks for half a minute: a proxy keeps its role for 15 s after it was chosen."""
    deadline = time.monotonic() + 30
    while not look():
        if time.monotonic() > deadline:
            raise AssertionError("it did not come to pass")
        time.sleep(0.05)


def _post(url: str, body: dict[str, Any], more: dict[str, str] | None = None) -> None:
    headers = {"Content-Type": "application/json", **(more or {})}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - of this machine
    urllib.request.urlopen(request, timeout=20).close()  # noqa: S310
