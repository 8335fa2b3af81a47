"""What a desk told, as events of the conversation. The connector reads; what it names is checked as a decider's is."""

from __future__ import annotations

from collections.abc import Mapping

from omnibridge.connector.desks import Accepted, Declined, HoldsSessions, Left, Notice, Queued, SessionEvent, Spoke
from omnibridge.domain.conversation import DeskState
from omnibridge.domain.desk_events import NoticeGiven, PartyAccepted, PartyDeclined, PartyLeft, QueuePositionChanged
from omnibridge.domain.events import Event, PartySpoke
from omnibridge.engine.decisions import plain, speaker_of
from omnibridge.rocketchat.derive import Derivation, DerivedEvent
from omnibridge.routing.facts import told_facts
from omnibridge.storage.journal import Observation

DESK = "desk"
"""Source of what desks told."""

LONGEST_TEXT, LONGEST_VALUE = 500, 100


def derive_desk(row: Observation, desks: Mapping[str, HoldsSessions]) -> Derivation:
    """Raises ValueError for a body that the connector cannot read, and for a connection that is gone."""
    connector = desks.get(row.kind)
    if connector is None:
        raise ValueError(f"connection {row.kind!r} holds no sessions any more")
    told = connector.read_session(row.body)
    return Derivation(
        tuple(DerivedEvent(f"{row.dedupe}:{at}", event_of(row.kind, each)) for at, each in enumerate(told))
    )


def told_key(session: str, opened_at: int, name: str) -> str:
    """Of an observation. The session id is the conversation's; opened_at tells its sessions from one another, whose
    news may have the same names."""
    return f"{DESK}:{session}:{opened_at}:{name}"


def is_of_earlier(row: Observation, desk: DeskState | None) -> bool:
    """Whether a session told it that was over before the desk was asked again: it answers nothing of now."""
    parts = (row.dedupe or "").split(":", 3)
    return desk is not None and len(parts) == 4 and parts[2].isdigit() and int(parts[2]) < desk.since


def event_of(connection: str, told: SessionEvent) -> Event:
    match told:
        case Accepted(agent):
            return PartyAccepted(connection, speaker_of(agent))
        case Declined(code, text, says):
            return PartyDeclined(connection, plain(code, 64), plain(text, LONGEST_TEXT), plain(says, LONGEST_TEXT))
        case Left(reason):
            return PartyLeft(connection, plain(reason, LONGEST_TEXT))
        case Queued(position, wait_s, again):
            return QueuePositionChanged(connection, position, wait_s, again)
        case Notice(code, text, values, line):
            known = {name: plain(value, LONGEST_VALUE) for name, value in values.items()}
            return NoticeGiven(connection, plain(code, 64), plain(text, LONGEST_TEXT), known, line)
        case Spoke(reply):
            handover = reply.handover
            return PartySpoke(
                connection=connection,
                parts=reply.parts,
                handover=handover is not None,
                handover_department=handover.department if handover else "",
                handover_reason=handover.reason if handover else "",
                close=reply.close,
                fields=reply.fields,
                agent=speaker_of(reply.agent),
                updates=reply.updates,
                facts=told_facts(reply.facts),
            )
