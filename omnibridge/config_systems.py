"""Systems beside the bots: who is asked, who looks, who keeps records, who routes; and whose agents serve."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from omnibridge.config_values import (
    FACTS,
    FactName,
    Name,
    OpenSection,
    OptionalSigningSecret,
    Secret,
    Section,
    SigningSecret,
    Url,
)

OVER_AUTO_SELECTION = "it decides too where Rocket.Chat gives new visitors to agents itself, until staff has written"


class DeciderSettings(Section):
    """One external system that is asked who serves."""

    name: Name = Field(description="name in rules and targets (decider:NAME)")
    url: Url = Field(description="address that the questions are posted to")
    secret: SigningSecret = Field(description="whsec_ and base64: signs our questions and its answers to tickets")
    system: str = Field("", description="whose agent ids it names; empty = its own name")
    facts: tuple[FactName, ...] = Field(
        (*FACTS, "room.*", "visitor.*"), description="facts that it is told; all of them by default"
    )
    timeout_ms: int = Field(3000, ge=50, le=60_000, description="it has this long to answer, attempts included")
    ticket_timeout_ms: int = Field(
        60_000, ge=100, description="a decision that it promised with a ticket is awaited this long at most"
    )
    move_timeout_ms: int = Field(30_000, ge=1000, description="the agent must have the room within this time")
    asks: int = Field(2, ge=1, le=5, description="questions per handover: again, when the named agent cannot serve")
    on_timeout: Literal["ladder", "queue", "bot"] = Field(
        "ladder",
        description="when it names nobody who can serve: people by the ladder, wait in the queue, or the bot goes on",
    )
    over_auto_selection: bool = Field(True, description=OVER_AUTO_SELECTION)


class AssignmentSettings(Section):
    """Agents of external systems."""

    agents: dict[str, dict[str, str]] = Field(
        {}, description="system = { external id = user name }: users who are there already"
    )
    only_by_decision: tuple[str, ...] = Field(
        (), description="user names who serve only when an external system decided so; others are requeued"
    )
    look_again_s: float = Field(
        30,
        ge=0.1,
        description="what nobody serves but a holding bot, and what waits for a seat, is looked at again after this",
    )
    widget_listens_ms: int = Field(
        500,
        ge=0,
        le=5000,
        description="a room younger than this is not given to a person yet: the widget would not show who it is",
    )
    public_url: str = Field("", description="address at which deciders reach this service; empty = the path alone")


class AnalyserSettings(OpenSection):
    """One connector that looks at conversations and says nothing. Further keys belong to it."""

    name: Name = Field(description="name in addresses and logs, and of what it found")
    kind: str = Field(min_length=1, description="which connector: the name of an installed one that analyses")
    workspace: str = Field("", description="which workspace it listens to; empty = all")
    secret: OptionalSigningSecret = Field(
        Secret(""), description="whsec_ and base64: what its system posts later is signed with, or is the bearer token"
    )
    timeout_s: float = Field(10, gt=0, le=120, description="for each message; a transcript too")
    keep_h: float = Field(24, gt=0, description="findings are shown so long")
    later_h: float = Field(1, gt=0, le=24, description="its system may post findings so long after the message")


class CrmSettings(OpenSection):
    """One system of records that keeps who wrote and what was said. Further keys belong to its connector."""

    name: Name = Field(description="name in logs, traces and deliveries")
    kind: str = Field(min_length=1, description="which connector: the name of an installed one for records")
    workspace: str = Field("", description="which workspace it keeps; empty = all")
    on: tuple[Literal["start", "handover", "live", "close"], ...] = Field(
        ("start", "handover", "close"), description="when it is told; live: also while people talk"
    )
    facts: tuple[FactName, ...] = Field(
        (*FACTS, "room.*", "visitor.*"), description="facts that it is told; all of them by default"
    )
    link_field: str = Field("", description="custom field of the room that gets the link to the record; empty = none")
    live_every_s: float = Field(30, ge=1, le=3600, description="pause between two syncs while people talk")
    timeout_s: float = Field(300, ge=1, le=3600, description="for a whole sync; each of its calls has its own limit")
    keep_trying_h: float = Field(72, gt=0, le=720, description="a sync is tried for so long")
    at_a_time: int = Field(8, ge=1, le=64, description="conversations that are written at a time")


class RouterSettings(OpenSection):
    """Another system's own routing: it decides like a decider, or we route for it. Further keys are its connector's."""

    name: Name = Field(description="name in rules and targets (decider:NAME), logs and traces")
    kind: str = Field(min_length=1, description="which connector: the name of an installed one for routing")
    system: str = Field("", description="whose agent ids it names; empty = its own name")
    facts: tuple[FactName, ...] = Field(
        (*FACTS, "room.*", "visitor.*"), description="facts that it is told; all of them by default"
    )
    ticket_timeout_ms: int = Field(300_000, ge=100, description="somebody there must have taken it within this time")
    move_timeout_ms: int = Field(30_000, ge=1000, description="the agent must have the room within this time")
    asks: int = Field(2, ge=1, le=5, description="questions per handover: again, when the named agent cannot serve")
    on_timeout: Literal["ladder", "queue", "bot"] = Field(
        "ladder", description="when nobody there serves: people by the ladder, wait in the queue, or the bot goes on"
    )
    over_auto_selection: bool = Field(True, description=OVER_AUTO_SELECTION)
    poll_s: float = Field(2, ge=0.05, le=60, description="pause between two looks for answers, while any is awaited")
    work_poll_s: float = Field(10, ge=0.05, le=300, description="pause between two looks for work that we route")
    sweep_s: float = Field(
        60, ge=0.05, le=3600, description="either pause while the other system tells of changes by itself, if longer"
    )
    work_page: int = Field(100, ge=1, le=1000, description="pieces of work in one look, the first to be served first")
    decider: str = Field("", description="[[decider]] that is asked who takes work; empty = the least busy agent")
    keep_days: float = Field(30, gt=0, le=3650, description="decisions about work can be looked at for so long")
