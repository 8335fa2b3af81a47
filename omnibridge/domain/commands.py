"""What to do, imperative. Each command becomes one delivery of a stream; nothing else leaves the service."""

from __future__ import annotations

from typing import Literal

import msgspec

from omnibridge.domain.content import Content

Voice = Literal["bot", "system"]
"""Whose words: the bot's (refused when it has lost control) or ours (always said)."""


class _Command(msgspec.Struct, frozen=True, tag_field="command", omit_defaults=True):
    pass


class SendToVisitor(_Command, frozen=True, tag="SendToVisitor"):
    """Post in the room. `connection` names whose bot user posts; empty = the relay account."""

    content: Content
    connection: str = ""
    voice: Voice = "bot"


class SendToParty(_Command, frozen=True, tag="SendToParty"):
    """One turn for a backend: a visitor's words, or the welcome of a fresh conversation."""

    connection: str
    message_id: str = ""
    text: str = ""
    choice_value: str = ""
    """Payload of the offered option that the visitor meant by number or label; empty = free text."""
    welcome: bool = False
    late: bool = False


class CloseSession(_Command, frozen=True, tag="CloseSession"):
    """Tell a backend that the conversation is over for it."""

    connection: str
    reason: str = ""


class ListAgents(_Command, frozen=True, tag="ListAgents"):
    """Read who could serve now; answered by the event AgentsListed."""


class AssignAgent(_Command, frozen=True, tag="AssignAgent"):
    """Let a user serve: take a waiting inquiry for him, or forward the room to him."""

    user_id: str
    username: str = ""
    connection: str = ""
    """Set when the user is that connection's bot user; empty when a person."""


class TransferToDepartment(_Command, frozen=True, tag="TransferToDepartment"):
    department_id: str
    name: str = ""


class ReturnToQueue(_Command, frozen=True, tag="ReturnToQueue"):
    department: str = ""


class CloseConversation(_Command, frozen=True, tag="CloseConversation"):
    comment: str


class SetRoomFields(_Command, frozen=True, tag="SetRoomFields"):
    """Write custom fields of the conversation's room; repeating it changes nothing."""

    fields: dict[str, str]


Command = (
    SendToVisitor
    | SendToParty
    | CloseSession
    | ListAgents
    | AssignAgent
    | TransferToDepartment
    | ReturnToQueue
    | CloseConversation
    | SetRoomFields
)

HUB_STREAM = "hub"
"""Stream of everything that goes to Rocket.Chat, one per conversation: a text said before a transfer
arrives before the transfer."""


def stream_of(command: Command) -> str:
    """Destination of a command: the hub, or one connection."""
    if isinstance(command, SendToParty | CloseSession):
        return f"connection:{command.connection}"
    return HUB_STREAM


def kind_of(command: Command) -> str:
    """Name of the command's class, as stored."""
    return type(command).__name__
