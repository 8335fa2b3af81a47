"""Handles of the widget for playwright: runs in `.venv-browser`, where nothing of omnibridge is installed."""

from __future__ import annotations

import hashlib
import json
import re
import urllib.request
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, FrameLocator, Locator, Page, expect

NO_SOUND = "The element has no supported sources."
"""The hub of the plays has no sound to give for new messages."""

expect.set_options(timeout=10_000)


class Hub:
    """The simulated hub over REST. told: what `omnibridge sandbox --json` prints."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.told, self.url = told, str(told["url"])

    def headers(self, account: str) -> dict[str, str]:
        told = self.told[account]
        return {"X-User-Id": told["user_id"], "X-Auth-Token": told["auth_token"]}

    def call(
        self, method: str, path: str, body: Any = None, account: str = "", more: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Raises urllib.error.HTTPError for what the hub refuses."""
        headers = {"Content-Type": "application/json", **(self.headers(account) if account else {}), **(more or {})}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)  # noqa: S310 - of this machine
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
        return found

    def say(self, rid: str, text: str, account: str = "agent_account") -> None:
        self.call("POST", "/api/v1/chat.sendMessage", {"message": {"rid": rid, "msg": text}}, account)

    def wait_event(self, rid: str, event: str, by: str) -> None:
        found = self.call("GET", f"/_sandbox/wait_event?rid={rid}&event={event}&by={by}&timeout_ms=10000")
        if not found["ok"]:
            raise AssertionError(f"no {event} by {by}: {found['log']}")

    def hide(self, *kinds: str) -> None:
        """`Hide_System_Messages`."""
        password = hashlib.sha256(self.told["admin"]["password"].encode()).hexdigest()
        proof = {"X-2FA-Method": "password", "X-2FA-Code": password}
        self.call("POST", "/api/v1/settings/Hide_System_Messages", {"value": kinds}, "admin", proof)

    def avatar(self, username: str) -> str:
        """SHA-256 of a user's picture, as the hub has it."""
        users = self.call("GET", "/_sandbox/workspace")["users"]
        return str(users[username]["avatar_sha256"])

    def last_room(self) -> dict[str, Any]:
        rooms = self.call("GET", "/_sandbox/ledger")["rooms"]
        return dict(rooms[-1])


class Widget:
    """The widget in the corner of a page. Its class names end in hashes, so parts of them are looked for.

    n_pictures: that were taken before."""

    def __init__(self, page: Page, hub: Hub, pictures: Path, n_pictures: int = 0) -> None:
        self.page, self._hub, self._pictures, self.n_pictures = page, hub, pictures, n_pictures
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)) if str(error) != NO_SOUND else None)
        page.goto(f"{hub.url}/_sandbox/site")

    @property
    def frame(self) -> FrameLocator:
        return self.page.frame_locator("iframe")

    def open(self) -> None:
        self.frame.locator("[class*=screen__chat-button]").click()

    def register(self, name: str, email: str) -> None:
        self.frame.locator("input[name=name]").fill(name)
        self.frame.locator("input[name=email]").fill(email)
        self.frame.get_by_role("button", name="Start chat").click()
        expect(self.frame.locator("[contenteditable]")).to_be_visible()

    def say(self, text: str) -> None:
        composer = self.frame.locator("[contenteditable]")
        composer.click()
        composer.press_sequentially(text)
        composer.press("Enter")
        whole = re.compile(rf"^\s*{re.escape(text)}\s*$")
        expect(self.frame.locator('[class*="message-bubble--inverse"]').filter(has_text=whole)).to_have_count(1)

    def reads(self, text: str, count: int = 1) -> None:
        """Until so many bubbles with the text are to be seen."""
        expect(self.bubbles.filter(has_text=text)).to_have_count(count)

    @property
    def bubbles(self) -> Locator:
        return self.frame.locator('[class*="message-bubble__"]')

    def title(self) -> str:
        """What the header says now."""
        return self.frame.locator("[class*=header__title]").inner_text()

    def shows_agent(self, name: str, username: str) -> None:
        """In the header, with a picture that has loaded."""
        expect(self.frame.locator("[class*=header__title]")).to_have_text(name)
        picture = self.frame.locator("header [class*=avatar__image]")
        expect(picture).to_have_attribute("src", f"{self._hub.url}/avatar/{username}")
        self.page.wait_for_function(
            "() => { const i = document.querySelector('iframe').contentDocument"
            ".querySelector('header [class*=avatar__image]'); return i && i.complete && i.naturalWidth > 0 }"
        )

    def face(self) -> tuple[int, int, int]:
        """The colour in the middle of the agent's picture in the header."""
        red, green, blue = self.page.evaluate(
            """() => {
              const image = document.querySelector('iframe').contentDocument
                .querySelector('header [class*=avatar__image]')
              const canvas = document.createElement('canvas')
              canvas.width = canvas.height = 1
              const context = canvas.getContext('2d')
              context.drawImage(image, 0, 0, 1, 1)
              return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3)
            }"""
        )
        return red, green, blue

    def face_sha256(self) -> str:
        """Of the picture in the header, out of this browser's own cache if it has it there."""
        content: list[int] = self.page.evaluate(
            """async () => {
              const image = document.querySelector('iframe').contentDocument
                .querySelector('header [class*=avatar__image]')
              const answer = await fetch(image.currentSrc, { cache: 'force-cache' })
              return [...new Uint8Array(await answer.arrayBuffer())]
            }"""
        )
        return hashlib.sha256(bytes(content)).hexdigest()

    def picture(self, name: str) -> None:
        self.n_pictures += 1
        self.page.screenshot(path=self._pictures / f"{self.n_pictures:02}-{name}.png", animations="disabled")


class Memory:
    """What the widget keeps in a browser: with another one, another visitor sits before it. Its cache stays."""

    def __init__(self, context: BrowserContext, hub: Hub) -> None:
        self._context, self._hub = context, hub

    def take(self) -> str:
        """Closes all pages; afterwards the widget knows nobody. Returns what is to be given to `put`."""
        for page in self._context.pages:
            page.close()
        self._context.clear_cookies()
        return self._run("() => { const kept = JSON.stringify(localStorage); localStorage.clear(); return kept }")

    def put(self, kept: str) -> None:
        """In place of what is there."""
        self.take()
        self._run("kept => Object.entries(JSON.parse(kept)).forEach(each => localStorage.setItem(...each))", kept)

    def _run(self, script: str, argument: str = "") -> str:
        """In a page of the hub without a widget."""
        page = self._context.new_page()
        page.goto(f"{self._hub.url}/_sandbox/pending")
        found = page.evaluate(script, argument)
        page.close()
        return str(found)
