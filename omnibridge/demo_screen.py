"""What the demo prints: the conversation on the left, the bridge's decisions on the right."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import pysqlite3.dbapi2 as sqlite

from omnibridge.operator.text import safe
from omnibridge.sandbox.visitor import SandboxClient, Visitor

WIDTH = 62
NAME = 7


class Screen:
    """database: of the bridge; its decisions are printed once. names: of users of the hub, by user name."""

    def __init__(self, client: SandboxClient, database: Path, out: TextIO) -> None:
        self.out = out
        self.names: Mapping[str, str] = {}
        self.name_width = NAME
        self._client, self._database = client, database
        self._shown = self._decided = 0
        self._is_headed = False

    def begin(self) -> None:
        """Another room is shown from now on."""
        self._shown = 0

    def tell(self, text: str = "") -> None:
        print(safe(text), file=self.out)

    async def show(self, visitor: Visitor) -> None:
        """New messages on the left, new decisions on the right."""
        await self._client.settled()
        ledger = await self._client.call("GET", "/_sandbox/ledger", None, None, rid=visitor.rid)
        room = ledger["rooms"][0]
        new, self._shown = room["messages"][self._shown :], len(room["messages"])
        left = [found for each in new if (found := self.line(each, visitor.name))]
        right = self._reasons()
        if not self._is_headed:
            self._is_headed = True
            self.tell(f"{'what is said in the room':<{WIDTH}}  | what the bridge decided since, and why")
        for at in range(max(len(left), len(right))):
            chat = left[at] if at < len(left) else ""
            reason = f"  | {right[at]}" if at < len(right) else ""
            self.tell(f"{chat:<{WIDTH}}{reason}".rstrip())

    def line(self, message: dict[str, Any], visitor: str = "Vera", width: int = WIDTH) -> str:
        """One message; empty for what is not to be seen."""
        author = message["author"]
        name = self.names.get(author, "Bot" if message["kind"] == "bot" else author.title())
        if message["t"]:
            serves = f"-- {self.names.get(author, author)} serves"
            return {"uj": serves, "livechat-close": "-- closed"}.get(message["t"], "")
        who = visitor if message["kind"] == "visitor" else name
        pictures = "".join(f"[{each.get('title', 'file')}]" for each in message["attachments"])
        text = f"{message['text']}{pictures}".replace("\n", " / ")
        return f"{who + ':':<{self.name_width}}{text}"[: width - 1]

    def _reasons(self) -> list[str]:
        with contextlib.closing(sqlite.connect(str(self._database))) as reader:
            found = reader.execute(
                "SELECT id, reason FROM events WHERE id > ? ORDER BY id", (self._decided,)
            ).fetchall()
        self._decided = found[-1][0] if found else self._decided
        return [each[1] for each in found]
