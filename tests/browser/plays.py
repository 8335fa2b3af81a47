"""What visitors live through in the widget. Usage: plays.py CHROMIUM FOLDER [WORD], and on stdin a JSON object:
`bots` = the description of a sandbox with a bot, `router` = of one where an external system decides, `salesforce` = of
one whose bots hand over to Salesforce, `dialogflow`, `rasa`, `bot_api` = of ones with the companion app and such a bot.
WORD: of a name.

One line per play; exit 1 when one fails. Pictures of each step go into FOLDER: they are for people to look at.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from buttons import a_quick_reply_is_pressed
from faces import BLUE, GREEN, RED, Staff
from people import unknown_people_one_after_another, who_serves_at_once_is_shown_far_away_too
from playwright.sync_api import Browser, expect, sync_playwright
from salesforce import from_the_bot_to_salesforce_and_back
from widget import Hub, Widget


def bot_choice_and_person(browser: Browser, hub: Hub, pictures: Path) -> None:
    """The bot answers, a choice is typed, a person takes over: name and face are his, nothing is said twice."""
    page = browser.new_page(viewport={"width": 900, "height": 720})
    widget = Widget(page, hub, pictures)
    widget.open()
    widget.picture("opened")
    widget.register("Vera Visitor", "vera@example.test")
    widget.say("hello")
    widget.reads("Hello, this is the test bot.")
    widget.shows_agent("Assistant", "bot")
    widget.picture("bot-answers")
    widget.say("menu")
    widget.reads("Talk to a person")
    widget.say("1")
    widget.reads("Here is the picture.")
    widget.picture("choice-typed")
    widget.say("talk to a human")
    room = hub.last_room()
    hub.wait_event(room["rid"], "assigned", "alice")
    hub.say(room["rid"], "Hello Vera, this is Alice.")
    widget.reads("Hello Vera, this is Alice.")
    widget.shows_agent("Alice Example", "alice")
    widget.reads("transferred the chat to Alice Example")
    widget.picture("person-took-over")
    widget.say("My parcel is broken.")
    page.reload()
    widget.open()
    widget.reads("Hello Vera, this is Alice.")
    widget.reads("My parcel is broken.")
    widget.shows_agent("Alice Example", "alice")
    widget.picture("after-a-reload")
    close = {"rid": room["rid"], "comment": "Done."}
    hub.call("POST", "/api/v1/livechat/room.closeByUser", close, "agent_account")
    expect(widget.frame.get_by_text("Conversation finished")).to_be_visible()
    widget.picture("closed")
    if widget.errors:
        raise AssertionError(f"errors in the page: {widget.errors}")


def faces_change_with_the_agent(browser: Browser, hub: Hub, pictures: Path) -> None:
    """Two agents one after another, then the first account with another person's name and face.

    The widget asks for `/avatar/USERNAME` without the picture's tag. So who has seen the account before sees its old
    face with the new name, until the hub's `Accounts_AvatarCacheTime` is over and the page was loaded anew: within one
    page Chromium does not ask again, however old the picture is.
    """
    staff = Staff(hub)
    maria, tom = staff.hire("proxy.one", "Maria Fox", RED), staff.hire("proxy.two", "Tom Grant", GREEN)
    staff.keep_pictures_for(2)
    page = browser.new_page(viewport={"width": 900, "height": 720})
    widget = Widget(page, hub, pictures)
    widget.open()
    widget.register("Vera Faces", "faces@example.test")
    widget.say("hello")
    widget.reads("Hello, this is the test bot.")
    room = hub.last_room()["rid"]
    staff.forward(room, maria)
    widget.shows_agent("Maria Fox", "proxy.one")
    until(widget.face, RED)
    widget.picture("first-agent")
    staff.forward(room, tom)
    widget.shows_agent("Tom Grant", "proxy.two")
    until(widget.face, GREEN)
    widget.picture("second-agent")
    staff.close(room)
    staff.rename(maria, "Nora Lind")
    staff.paint(maria, BLUE)
    page.wait_for_timeout(2500)  # the time that browsers may keep a picture
    widget.frame.get_by_role("button", name="New Chat").click()
    widget.say("hello again")
    room = hub.last_room()["rid"]
    staff.forward(room, maria)
    widget.shows_agent("Nora Lind", "proxy.one")
    widget.picture("another-name-and-the-old-face")
    if widget.face() != RED:
        raise AssertionError("the widget asks again for faces it has seen: README says that it does not")
    page.reload()
    widget.open()
    widget.shows_agent("Nora Lind", "proxy.one")
    until(widget.face, BLUE)
    widget.picture("another-name-and-face-after-a-reload")


def until(look: Callable[[], object], wanted: object) -> None:
    """Looks for five seconds."""
    deadline = time.monotonic() + 5
    while (found := look()) != wanted:
        if time.monotonic() > deadline:
            raise AssertionError(f"{found} is not {wanted}")
        time.sleep(0.05)


def what_the_hub_hides_is_not_shown(browser: Browser, hub: Hub, pictures: Path) -> None:
    """`Hide_System_Messages` counts for the widget too: while it listens, and when it reads what was said."""
    hub.hide("livechat_transfer_history", "livechat-started")
    page = browser.new_page(viewport={"width": 900, "height": 720})
    widget = Widget(page, hub, pictures)
    widget.open()
    widget.register("Vera Quiet", "quiet@example.test")
    widget.say("talk to a human")
    room = hub.last_room()
    hub.wait_event(room["rid"], "assigned", "alice")
    hub.say(room["rid"], "Hello, this is Alice.")
    widget.shows_agent("Alice Example", "alice")
    for when in ("live", "after-a-reload"):
        widget.reads("Hello, this is Alice.")
        for hidden in ("transferred the chat", "Chat started"):
            expect(widget.frame.get_by_text(hidden)).to_have_count(0)
        widget.picture(when)
        page.reload()
        widget.open()
    hub.hide()


PLAYS = [
    (bot_choice_and_person, "bots"),
    (what_the_hub_hides_is_not_shown, "bots"),
    (faces_change_with_the_agent, "bots"),
    (unknown_people_one_after_another, "router"),
    (who_serves_at_once_is_shown_far_away_too, "router"),
    (a_quick_reply_is_pressed, "dialogflow"),
    (a_quick_reply_is_pressed, "rasa"),
    (a_quick_reply_is_pressed, "bot_api"),
    (from_the_bot_to_salesforce_and_back, "salesforce"),
]
"""With the world that each needs."""


def main() -> int:
    chromium, folder = sys.argv[1], Path(sys.argv[2])
    told, failed = json.load(sys.stdin), 0
    chosen = [each for each in PLAYS if "".join(sys.argv[3:4]) in f"{each[0].__name__}-{each[1]}".replace("_", "-")]
    with sync_playwright() as playwright:
        # Chromium's own sandbox does not work for root in containers; it only opens pages of this machine.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for play, world in chosen:
            name = f"{play.__name__}-{world}".replace("_", "-")
            (folder / name).mkdir(parents=True, exist_ok=True)
            try:
                play(browser, Hub(told[world]), folder / name)
            except Exception:
                traceback.print_exc()
                for page in [page for context in browser.contexts for page in context.pages]:
                    page.screenshot(path=folder / name / "failed.png")
                failed += 1
                print(f"{name}: FAILED", flush=True)
            else:
                print(f"{name}: passed, pictures in {folder / name}", flush=True)
        browser.close()
    print(f"{len(chosen) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
