"""Settings of a `[[connection]]` of kind `webhook_bot`."""

from __future__ import annotations

import msgspec


class WebhookBotSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """url: where turns are posted. secret: `whsec_…`, several with a blank between them while they are rotated;
    empty = requests are not signed.

    turn_timeout_s: for a whole call. welcome: text of the turn that begins a conversation; empty = none.
    typing: whether the bot is told that the visitor types.
    health_url: asked with GET by `connections test`; empty = `url` itself, and any answer will do.
    """

    url: str
    secret: str = ""
    turn_timeout_s: float = 30.0
    welcome: str = ""
    typing: bool = False
    health_url: str = ""
