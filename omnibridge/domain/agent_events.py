"""Who of another system shall serve: decided, found as a user of the hub, and shown to the visitor."""

from __future__ import annotations

from omnibridge.domain.agents import AgentFound, AgentRefused, ExternalAgent
from omnibridge.domain.events import Event


class AssignmentRequested(Event, frozen=True, tag="AssignmentRequested"):
    """An external system says who shall serve.

    by: `decider:NAME` for the answer to a question of ours, `token:NAME` for what was pushed. decider, ticket: of the
    question that it answers; empty when it was pushed.
    """

    agent: ExternalAgent
    by: str
    cause: str = ""
    decider: str = ""
    ticket: str = ""


class DecisionPending(Event, frozen=True, tag="DecisionPending"):
    """A decider took the question and will answer later, under this ticket, within this time."""

    decider: str
    ticket: str
    within_ms: int


class DecisionFailed(Event, frozen=True, tag="DecisionFailed"):
    """A decider names nobody. code: no-agent, or what was wrong with its answer; text: its own words."""

    decider: str
    code: str
    text: str = ""
    ticket: str = ""


class AgentEnsured(Event, frozen=True, tag="AgentEnsured"):
    """There is a user for an external agent."""

    found: AgentFound


class AgentNotEnsured(Event, frozen=True, tag="AgentNotEnsured"):
    """There is none, and why."""

    refused: AgentRefused


class PersonaShown(Event, frozen=True, tag="PersonaShown"):
    """Words of an external agent are in the room. user_id: who posted them; own: that was his own user, whose name and
    face are shown; otherwise the relay account, and his name stands in front of the words."""

    delivery_id: int
    message_id: str
    system: str
    external_id: str
    name: str
    user_id: str = ""
    own: bool = False
