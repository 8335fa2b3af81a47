"""What people do with what a bot showed them: pressed, picked, filled in. Neutral of how it was reported.

Source of the names: the response object of interactive messages (features S3-10 to S3-25) and rocketchat-api 10.2.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from omnibridge.domain.content import Content

ElementKind = Literal["button", "static_select", "overflow", "datepicker", "form"]


class Action(msgspec.Struct, frozen=True, omit_defaults=True):
    """One element that was used.

    value: of the button, of the option picked, or the date `YYYY-MM-DD`; label: what people read there. values: of a
    form, by the fields' names. initial, placeholder: of the element as it was shown. keeps: it may be used again.
    """

    kind: ElementKind
    action_id: str
    block_id: str = ""
    value: str = ""
    label: str = ""
    initial: str = ""
    placeholder: str = ""
    values: dict[str, str] = {}
    keeps: bool = False


class Actor(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who did it: a user of the workspace, or the visitor. Never a token."""

    id: str
    username: str = ""
    name: str = ""
    is_visitor: bool = False
    roles: tuple[str, ...] = ()


class Interaction(msgspec.Struct, frozen=True, omit_defaults=True):
    """id: ours, unique. message_id: of the message that showed the elements, empty where that is not known.

    original: that message when it was used, with the names of the REST API. trigger_id: of the hub; empty for an
    answer that was typed. at: milliseconds, when it was done; received_at: when we were told.
    """

    id: str
    actor: Actor
    actions: tuple[Action, ...]
    message_id: str = ""
    trigger_id: str = ""
    original: dict[str, Any] = {}
    thread_id: str = ""
    at: int = 0
    received_at: int = 0


class MessageUpdate(msgspec.Struct, frozen=True, omit_defaults=True):
    """Another content for a message that was shown. block_id: only this block of it; empty = all of it.

    only_choices: nothing but what can be pressed goes, the words stay; where that cannot be, nothing happens.
    """

    message_id: str
    content: Content
    block_id: str = ""
    only_choices: bool = False
