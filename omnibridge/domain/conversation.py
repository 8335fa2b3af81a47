"""One visitor's contact with a workspace, start to close: who is in control, and what is under way.

The whole state is one frozen value that only `route()` replaces; it is stored as JSON with each decision.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from omnibridge.domain.agents import ExternalAgent
from omnibridge.domain.content import Content, Option
from omnibridge.domain.events import UserRef
from omnibridge.domain.files import FileRef
from omnibridge.domain.interactions import Interaction

AGENTS = "agents"
"""Party: people in Rocket.Chat."""

QUEUE = "queue"
"""Party: nobody yet; the conversation waits for people."""

NOBODY = "nobody"
"""Party: before the first decision, and after the close."""


def bot_party(connection: str) -> str:
    """Party name of a connection."""
    return f"connection:{connection}"


class Control(msgspec.Struct, frozen=True):
    """Exactly one party is in control. Each change raises the epoch; deliveries carry the epoch they were
    decided in, so that words of a party that has lost control are refused right before sending."""

    party: str = NOBODY
    epoch: int = 0

    @property
    def connection(self) -> str:
        """The connection in control, or empty."""
        return self.party.removeprefix("connection:") if self.party.startswith("connection:") else ""


class Move(msgspec.Struct, frozen=True, omit_defaults=True):
    """One rung of the handover ladder, already resolved to a target."""

    kind: Literal["department", "agent", "queue"]
    id: str = ""
    name: str = ""


class VisitorTurn(msgspec.Struct, frozen=True, omit_defaults=True):
    """Words of the visitor on their way to a party, until it has answered.

    given: kept back while they are with the party, or have been tried: to be looked after, not to be given again.
    interaction: he pressed something instead; message_id is the interaction's then, because no message was written.
    """

    message_id: str = ""
    text: str = ""
    choice_value: str = ""
    welcome: bool = False
    late: bool = False
    given: bool = False
    interaction: Interaction | None = None
    files: tuple[FileRef, ...] = ()


class Handover(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where giving way to people stands.

    stage: `idle`; `deciding` = an external system decides; `listing` = asked who could serve; `moving` = a move is
    with the hub.
    moves: moves tried in this handover. started_at: recent handovers, ms, for the loop guard. said: what the bot
    answered meanwhile to turns that it had; the visitor gets it if the bot stays. was_served: people had the
    conversation after the last handover, and have it no more.
    """

    stage: Literal["idle", "deciding", "listing", "moving"] = "idle"
    from_connection: str = ""
    department: str = ""
    reason: str = ""
    rungs: tuple[Move, ...] = ()
    moves: int = 0
    started_at: tuple[int, ...] = ()
    said: tuple[Content, ...] = ()
    was_served: bool = False


class Speech(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a party that speaks by itself said since its last turn was accepted.

    said: digests of what it said while a turn was under way, in order. expected: what it will say again, because
    that turn was given again. offered: options to choose from. unclear: that it did not understand.
    """

    said: tuple[str, ...] = ()
    expected: tuple[str, ...] = ()
    offered: bool = False
    unclear: bool = False


class Assignment(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a decision of an external system about who serves stands.

    stage: `idle`; `asking` = the question is out; `waiting` = a ticket was given; `ensuring` = its agent's user is
    looked for or made; `seat` = there is no seat for one, the room waits in the queue until there is;
    `moving` = the room is on its way to him; `served` = he serves.
    decider: who was asked, empty when it was pushed. agent, by: what was decided, and by whom; while it is `asking`
    they are the answer to `ticket`, which came before its promise. excluded: ids that could not serve. moves: of the
    room to this agent. former: user id of who serves by an earlier decision until then. opened_at: hub time at which
    the room began, where the answer counts more than whom the hub chose for it at once; 0 = it does not. default: his
    user id, who serves until then.
    """

    stage: Literal["idle", "asking", "waiting", "ensuring", "seat", "moving", "served"] = "idle"
    decider: str = ""
    ticket: str = ""
    agent: ExternalAgent | None = None
    by: str = ""
    cause: str = ""
    user_id: str = ""
    username: str = ""
    mode: str = ""
    asked: int = 0
    excluded: tuple[str, ...] = ()
    moves: int = 0
    former: str = ""
    opened_at: int = 0
    default: str = ""


class Persona(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who of an external system speaks through the party in control.

    stage: `ensuring` = his user is looked for or made; `moving` = the room is on its way to him; `ready`.
    user_id: '' = he has none, so the relay account posts under his name. held: what he said while it was unknown.
    """

    agent: ExternalAgent
    stage: Literal["ensuring", "moving", "ready"] = "ensuring"
    user_id: str = ""
    username: str = ""
    mode: str = ""
    held: tuple[Content, ...] = ()


class DeskEnding(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a desk has a conversation no more. code: in a word; says: what the visitor reads if the operator has no
    sentence for the code."""

    reason: str
    code: str
    says: str = ""


class DeskState(msgspec.Struct, frozen=True, omit_defaults=True):
    """A desk has the conversation. stage: `offered` = nobody of it has accepted yet. giver: the bot that gave it.
    position, minutes: in its queue and of waiting, as the visitor was told. since: when it was offered, ms. ending: why
    it does not take it, if it said so before its user had the room. interrupted: it cannot be reached, as it told."""

    connection: str
    stage: Literal["offered", "accepted"] = "offered"
    giver: str = ""
    position: int = 0
    since: int = 0
    minutes: int = 0
    ending: DeskEnding | None = None
    interrupted: bool = False


class Conversation(msgspec.Struct, frozen=True, omit_defaults=True):
    """State of one conversation. `facts` are those of the start, `bot_facts` those of the bot's last answer; trust is
    added when they are read.

    waiting: turns given to the party and not answered yet, oldest first. held: turns kept back while a handover is
    under way; they go to the bot if nobody takes over. options: what the bot offered last. last_visitor_ts: newest
    hub time of a visitor message handled, ms. relay_posts: the bot user could not be made to serve, so the relay
    account posts for it. told: sentences of ours (names in `Texts`) that the visitor has read since he last wrote,
    of those that are said once. service_at: hub time of the last change of service, 0 = unknown. changes: how often
    somebody came or left. vacated: somebody served and nobody does since. queued: it was told that it waits.
    reported: who serves as the events tell; served_by is ahead of it from a move of ours until its report. persona:
    of the party in control. stray: user id of who got it though nobody decided that, while he is sent back to the
    queue. coming: user id of the connection in control to whom a move of ours is on its way; until it is known how that
    ended, reports may be of before it. pressed: what was pressed last of what can be used once; pressed_at: when, ms.
    """

    workspace: str
    room: str
    started: bool = False
    closed: bool = False
    control: Control = Control()
    served_by: UserRef | None = None
    department: str = ""
    facts: dict[str, Any] = {}
    bot_facts: dict[str, Any] = {}
    crm_facts: dict[str, Any] = {}
    crm_at: int = 0
    """When a system of records told them, ms; 0 = none did."""
    session: str = ""
    waiting: tuple[VisitorTurn, ...] = ()
    held: tuple[VisitorTurn, ...] = ()
    options: tuple[Option, ...] = ()
    fallbacks: int = 0
    handover: Handover = Handover()
    last_visitor_ts: int = 0
    relay_posts: bool = False
    told_delay: bool = False
    speech: Speech = Speech()
    told: tuple[str, ...] = ()
    service_at: int = 0
    changes: int = 0
    vacated: bool = False
    queued: bool = False
    assignment: Assignment = Assignment()
    reported: UserRef | None = None
    persona: Persona | None = None
    stray: str = ""
    desk: DeskState | None = None
    pressed: str = ""
    pressed_at: int = 0
    coming: str = ""
