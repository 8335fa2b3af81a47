"""What external systems send us about who serves, read into events. Their words are checked, cut, and never trusted.

`{"external_id": "0055", "external_system": "crm", "name": "Ann", "avatar_url": "...", "language": "en",
"departments": ["sales"], "cause": "skill 12"}`; `external_id` null or empty = nobody.
"""

from __future__ import annotations

import re

import msgspec

from omnibridge.domain.agent_events import AssignmentRequested, DecisionFailed
from omnibridge.domain.agents import ExternalAgent
from omnibridge.rocketchat.derive import Derivation, DerivedEvent
from omnibridge.storage.journal import Observation

PUSHED, DECIDED = "api", "decision"
"""Sources of observations: pushed with a token (kind = its name), the answer to a ticket (kind = the decider)."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SYSTEM = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
MOST_DEPARTMENTS = 20


class Named(msgspec.Struct, frozen=True):
    """An answer or a pushed decision as it comes. reason: why nobody is named."""

    external_id: str | None = None
    external_system: str = ""
    name: str = ""
    avatar_url: str = ""
    language: str = ""
    departments: tuple[str, ...] = ()
    cause: str = ""
    reason: str = ""
    ticket: str = ""
    expires_in_ms: int = 0


_named = msgspec.json.Decoder(Named)


def read_named(body: bytes) -> Named:
    """Raises ValueError with what is wrong, without the body's words."""
    try:
        return _named.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ValueError(f"not a decision: {exc}") from exc


def agent_of(named: Named, system: str) -> ExternalAgent:
    """system: that of the decider or token, when the body names none. Raises ValueError."""
    system = named.external_system or system
    identity = named.external_id or ""
    if not _SYSTEM.fullmatch(system):
        raise ValueError("external_system must be lower-case letters, digits and -, 32 at most")
    if not identity.strip() or len(identity) > 128 or _CONTROL.search(identity):
        raise ValueError("external_id must have 1 to 128 characters, none of them a control character")
    if named.avatar_url and not re.match(r"https?://\S{1,2000}$", named.avatar_url):
        raise ValueError("avatar_url must begin with http:// or https://")
    return ExternalAgent(
        system,
        identity,
        plain(named.name, 128),
        named.avatar_url,
        plain(named.language, 16),
        tuple(plain(each, 128) for each in named.departments[:MOST_DEPARTMENTS]),
    )


def speaker_of(agent: ExternalAgent | None) -> ExternalAgent | None:
    """Whom a connector names, checked like those of deciders; None for nobody, or an id that cannot be one: the words
    are said all the same, as the connection's own."""
    if agent is None:
        return None
    named = Named(agent.id, agent.system, agent.name, agent.avatar_url, agent.language, agent.departments)
    try:
        return agent_of(named, "")
    except ValueError:
        return None


def plain(text: str, longest: int) -> str:
    """One line without control characters, cut."""
    return _CONTROL.sub(" ", text).strip()[:longest]


def derive_decision(row: Observation, system: str) -> Derivation:
    """The event of a journalled decision. system: of the decider. Raises ValueError."""
    named = read_named(row.body)
    if row.source == PUSHED:
        event = AssignmentRequested(agent_of(named, ""), f"token:{row.kind}", plain(named.cause, 500))
        return Derivation((DerivedEvent(row.dedupe or "", event),))
    if not named.external_id:
        failed = DecisionFailed(row.kind, "no-agent", plain(named.reason, 500), named.ticket)
        return Derivation((DerivedEvent(row.dedupe or "", failed),))
    agent = agent_of(named, system)
    cause = plain(named.cause, 500)
    answer = AssignmentRequested(agent, f"decider:{row.kind}", cause, row.kind, named.ticket)
    return Derivation((DerivedEvent(row.dedupe or "", answer),))
