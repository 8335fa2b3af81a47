"""A visitor who knows what to expect, and the transcript of what was really said."""

from __future__ import annotations

import re
from typing import Any

from omnibridge.sandbox.visitor import Visitor
from tests.real_rasa.processes import Site

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Chat:
    """Every message of the bot must be expected: `end` fails when there was one more."""

    def __init__(self, site: Site, name: str) -> None:
        self._site, self.visitor = site, Visitor(site.client, name)
        self._heard = 0

    async def begin(self, *greeting: str) -> None:
        await self.visitor.open_room()
        await self.expect(*greeting)

    async def say(self, text: str, *answers: str) -> None:
        await self.visitor.say(text)
        await self.expect(*answers)

    async def expect(self, *beginnings: str, timeout_s: float = 20.0) -> None:
        for each in beginnings:
            self._heard += 1
            messages = await self.visitor.wait_for("bot", self._heard, timeout_ms=int(timeout_s * 1000))
            found = messages[self._heard - 1]["text"]
            if not found.startswith(each):
                raise AssertionError(f"{self.visitor.name}: expected {each!r}, heard {found!r}")

    async def hand_over(self) -> None:
        """A person serves now, speaks and closes."""
        await self.visitor.wait_event("assigned", "alice")
        await self._site.alice.say(self.visitor.rid, f"Hello {self.visitor.name}, this is Alice.")
        await self._site.alice.close(self.visitor.rid)

    async def end(self) -> None:
        """Print what was said. Raises AssertionError when the bot said more than was expected."""
        await self._site.client.settled()
        ledger: dict[str, Any] = await self._site.client.ledger(self.visitor.rid)
        print(f"\n--- {self.visitor.name}")
        messages = ledger["rooms"][0]["messages"]
        for each in messages:
            said = each["text"].replace("\n", " / ") + "".join(f" [{a.get('image_url')}]" for a in each["attachments"])
            who = self.visitor.name if each["kind"] == "visitor" else each["author"]
            line = f"{who:>9}: {said}" if not each["t"] else f"{'':>9}  ({each['t']} {each['author']})"
            print(_CONTROL.sub(" ", line), flush=True)
        spoken = [each["text"] for each in messages if each["kind"] == "bot"]
        if len(spoken) != self._heard:
            raise AssertionError(f"{self.visitor.name}: {self._heard} answers expected, the bot said {spoken}")
