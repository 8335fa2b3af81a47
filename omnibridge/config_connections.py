"""[[connection]]: backends that speak with visitors, bots and desks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from omnibridge.config_values import FactName, Name, OpenSection, RequiredSecret, Ways

DEFAULT_FACTS = ("workspace", "room", "department", "visitor_name")


class ConnectionSettings(OpenSection):
    """One backend. Further keys belong to its connector; see the README in its folder."""

    name: Name = Field(description="name in rules, logs and targets (bot:NAME)")
    kind: str = Field(min_length=1, description="which connector: the name of an installed one")
    workspace: str = Field("", description="which workspace; may be left out when there is one")
    rocketchat_user: str = Field(
        min_length=1, description="user name that posts the bot's words (roles bot, livechat-agent)"
    )
    rocketchat_user_id: str = Field("", description="user id of that user; asked of the server when left out")
    rocketchat_token: RequiredSecret = Field(description="personal access token of that user")
    facts: tuple[FactName, ...] = Field(
        DEFAULT_FACTS, description="facts that the backend is told; room.* and visitor.* name whole groups"
    )
    on_uncertain: Literal["ask", "resend", "bury"] = Field(
        "ask", description="a turn that may have arrived: ask the backend, send again, or give it up"
    )
    fallbacks: int = Field(3, ge=0, description="answers not understood in a row before people are asked; 0 = never")
    bot_down: Literal["handover", "tell"] = Field(
        "handover", description="when the backend cannot be reached: hand over to people, or only tell the visitor"
    )

    choices: Literal["auto", "text", "blocks"] = Field(
        "auto",
        description="numbered text, or buttons; auto: buttons in the widget, if its workspace has blocks = true",
    )
    markup: Literal["markdown", "plain"] = Field(
        "markdown", description="what the bot writes: Rocket.Chat's markdown, or text of which each character is meant"
    )
    upload_files: bool = Field(
        False, description="upload the bot's pictures and files into the room; off: the visitor gets links"
    )
    file_hosts: tuple[str, ...] = Field(
        (), description="HOST or HOST:PORT that its files may be fetched from, besides that of its url"
    )
    decider: str = Field("", description="decider that is asked first when this bot gives way; else [handover] decider")
    analyses: bool = Field(False, description="it also looks at what is said while others are in control")
    hands_to: str = Field("", description="desk (another connection) that is offered the conversation before that")
    offer_s: float = Field(180.0, ge=1, le=86_400, description="of a desk: somebody has to accept within this time")
    on_declined: Ways = Field(
        "ladder",
        description="of a desk: when nobody accepts; people by the ladder, the queue, the bot, or the end (close); "
        'or by why: `{ default = "ladder", closed = "close" }`',
    )
    on_left: Ways = Field(
        "close", description="of a desk: what follows when its agent has ended the chat, as on_declined"
    )
    desk_deadline_s: float = Field(
        86_400.0, ge=30, description="of a desk: words of the visitor wait for it this long while it is down"
    )
