"""Analysers for tests of the core: they find what they are told to, and remember what they were shown."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import msgspec

from omnibridge.connector import (
    ConnectorContext,
    Findings,
    Intent,
    Note,
    Observed,
    SuggestedReply,
    Transcript,
)


class ToySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """fails: raises at each message. hangs_s: sleeps before it answers. later: posts its findings later.
    garbage: answers what is no finding."""

    fails: bool = False
    hangs_s: float = 0.0
    later: bool = False
    garbage: bool = False
    refuses_to_start: bool = False
    api_key: str = ""


class ToyAnalyser:
    """Implements Analyzes, ReadsTranscripts and HearsSettings. `toys`: every instance of a test, by name."""

    settings_type: ClassVar[type[msgspec.Struct]] = ToySettings
    version = "toy-1"
    toys: ClassVar[dict[str, list[ToyAnalyser]]] = {}
    hold: ClassVar[asyncio.Event | None] = None
    """While it is set and not rung, on_observed waits after it has read its message."""

    def __init__(self) -> None:
        self.seen: list[Observed] = []
        self.transcripts: list[Transcript] = []
        self.initialized, self.closed, self.under_way = 0, False, 0
        self.changes: list[tuple[Any, Any]] = []

    async def initialize(self, context: ConnectorContext) -> None:
        assert not self.under_way, "initialized while it is asked"
        self.settings: ToySettings = context.settings
        self.context = context
        self.initialized += 1
        known = self.toys.setdefault(context.name, [])
        if self not in known:
            known.append(self)
        if self.settings.refuses_to_start:
            raise RuntimeError("the toy is broken")

    async def on_observed(self, message: Observed) -> Findings | None:
        self.seen.append(message)
        self.under_way += 1
        try:
            if self.hold is not None:
                await self.hold.wait()
            if self.settings.hangs_s:
                await asyncio.sleep(self.settings.hangs_s)
        finally:
            self.under_way -= 1
        if self.settings.fails:
            raise RuntimeError("the toy is broken")
        if self.settings.garbage:
            return ["nonsense"]  # type: ignore[return-value]
        if self.settings.later:
            return Findings(later=True)
        if message.change == "deleted":
            return None
        return Findings((Intent(f"about {message.text}"[:60], 0.5), SuggestedReply("Of course."), Note("<b>hm</b>")))

    async def on_transcript(self, transcript: Transcript) -> None:
        self.transcripts.append(transcript)

    async def settings_changed(self, old: Any, new: Any) -> None:
        self.changes.append((old, new))

    async def aclose(self) -> None:
        self.closed = True


def analyser(name: str = "toy", **settings: object) -> str:
    """A table for the configuration."""
    lines = [f"{key} = {msgspec.json.encode(value).decode()}" for key, value in settings.items()]
    return "\n".join(["", "[[analyser]]", f'name = "{name}"', 'kind = "toy"', *lines, ""])
