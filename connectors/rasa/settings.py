"""Settings of a `[[connection]]` of kind `rasa`."""

from __future__ import annotations

from typing import Literal

import msgspec

Detection = Literal["custom", "texts", "tracker"]


class RasaSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """url: of the Rasa server. token: its `--auth-token`, for the HTTP API (`--enable-api`); the channel itself
    is not protected by it, keep Rasa on a private network.

    turn_timeout_s: longer than the slowest action, because hanging up makes Rasa forget the turn.
    welcome: message sent when a conversation starts, such as `/greet`; empty = none.
    fallback_detection: how an answer that was not understood is told from others: a custom payload
    `{"type": "fallback"}`, one of `fallback_texts`, or the tracker's intent `nlu_fallback` (one more request).
    channel: `rest` gets the bot's messages in the answer; `callback` has Rasa send each to our address
    `/connections/NAME/callback` as it is said, reminders and external triggers too.
    callback_token: the secret that Rasa sends there, at least 8 characters; with `rest` too, for triggers that
    are sent to the callback channel.
    mark_turns: callback channel only, which drops metadata: note each turn in the tracker first, so that one
    that was cut off can be looked up; needs the HTTP API.
    file_message: message that stands for a turn with files and without words, such as `/file`; a turn with files has
    them in its metadata. Empty = Rasa gets no files, and visitors are told so.
    goodbye_intent: triggered when the conversation ends; needs the HTTP API.
    ask_tracker_when_silent: tell a silent bot from a broken one; needs the HTTP API.
    silent_text: what the visitor reads when Rasa says nothing, which is also how it fails; counts as not
    understood. Empty = nothing. With ask_tracker_when_silent, a paused bot is left silent.
    suggest_replies: when it is asked what it would say (`suggest`), give it the text in a session of its own; its
    actions run then. Without, only its intent is asked for, of the HTTP API.
    """

    url: str
    token: str = ""
    turn_timeout_s: float = 60.0
    welcome: str = ""
    fallback_detection: tuple[Detection, ...] = ("custom",)
    fallback_texts: tuple[str, ...] = ()
    goodbye_intent: str = ""
    input_channel: str = ""
    ask_tracker_when_silent: bool = False
    silent_text: str = ""
    channel: Literal["rest", "callback"] = "rest"
    callback_token: str = ""
    mark_turns: bool = True
    suggest_replies: bool = False
    file_message: str = ""
