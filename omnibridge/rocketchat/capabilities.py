"""What a side shows of neutral content, and which side a room is. Pure.

A message is seen by the visitor on his side and by staff in the web client. The visitor's side decides how it is
rendered; what staff see of it is never less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec

Choosing = Literal["auto", "text", "blocks"]
"""How a connection's choices are shown. auto: as blocks where the workspace has our app and the visitor is in the
widget, or may be. blocks: wherever the workspace has our app and the visitor does not read plain text. text: never."""

Markup = Literal["markdown", "plain"]
"""What a bot's texts are: Rocket.Chat's markdown, or plain text of which each character is meant."""

PLAIN_SOURCES = frozenset({"sms", "email", "app"})
"""`source.type` of rooms (9.2) whose visitor reads plain text: SMS, e-mail, and apps for WhatsApp, Telegram, ..."""

WIDGET_SOURCE = "widget"


class Capabilities(msgspec.Struct, frozen=True):
    """side: the livechat widget, or a channel of plain text. app_id: of the installed app that hears of presses; empty
    = there is none, so nothing can be pressed. markup: what the bot's texts are. is_guess: it may be another side,
    which draws no blocks: then the words say all of it too."""

    side: Literal["widget", "plain"] = "widget"
    app_id: str = ""
    markup: Markup = "markdown"
    is_guess: bool = False


WIDGET = Capabilities()
"""The widget of a workspace without our app."""

PLAIN = Capabilities("plain")


@dataclass(frozen=True)
class Sides:
    """app_ids: of the workspaces that have our app. choices: of the connections where it is not `auto`. plain: the
    connections whose bots mean each character as it is."""

    app_ids: Mapping[str, str] = field(default_factory=dict)
    choices: Mapping[str, Choosing] = field(default_factory=dict)
    plain: frozenset[str] = frozenset()

    def of(self, workspace: str, connection: str, source: str) -> Capabilities:
        """What a connection may show in a room. source: the room's `source.type`, empty = not told."""
        is_plain = source in PLAIN_SOURCES
        if not self.app_ids and not self.plain:
            return PLAIN if is_plain else WIDGET
        choosing = self.choices.get(connection, "auto")
        # The webhook does not tell the source; the app and a read room do, and may be slower.
        has_blocks = not is_plain and choosing != "text" and (choosing == "blocks" or source in (WIDGET_SOURCE, ""))
        app_id = self.app_ids.get(workspace, "") if has_blocks else ""
        return Capabilities(
            "plain" if is_plain else "widget",
            app_id,
            "plain" if connection in self.plain else "markdown",
            bool(app_id) and not source and choosing == "auto",
        )
