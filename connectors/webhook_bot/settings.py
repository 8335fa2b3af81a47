"""Settings of a `[[connection]]` of kind `webhook_bot`."""

from __future__ import annotations

import msgspec


class WebhookBotSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """url: where turns are posted. secret: `whsec_…`, several with a blank between them while they are rotated;
    empty = requests are not signed.

    turn_timeout_s: for a whole call. welcome: text of the turn that begins a conversation; empty = none.
    typing: whether the bot is told that the visitor types.
    files: whether it gets visitors' files, as links; file_types, max_file_bytes, max_files: which, empty or 0 = any.
    edits: whether it is told that a visitor changed or deleted a message.
    max_answer_bytes: of the bot's answers; raise it for a bot that puts files into them.
    health_url: asked with GET by `connections test`; empty = `url` itself, and any answer will do.
    """

    url: str
    secret: str = ""
    turn_timeout_s: float = 30.0
    welcome: str = ""
    typing: bool = False
    files: bool = False
    file_types: tuple[str, ...] = ()
    max_file_bytes: int = 0
    max_files: int = 0
    edits: bool = False
    max_answer_bytes: int = 1 << 20
    health_url: str = ""
