"""What is kept of a chat over restarts. The engine encrypts it: it has the session's key."""

from __future__ import annotations

import msgspec

from connectors.salesforce.chat import KeptChat
from connectors.salesforce_live_agent.client import Visitor
from connectors.salesforce_live_agent.idle import Silence
from connectors.salesforce_live_agent.messages import FileWanted, Idle
from connectors.salesforce_live_agent.poll import Session
from connectors.salesforce_live_agent.rules import Rule

NOT_SENT = "not sent"


class Upload(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file that may have arrived. name: of the turn's file. outcome: as the poll told, empty = not yet. times: how
    often it was given."""

    name: str
    token: str
    since_ms: int
    outcome: str = ""
    times: int = 1


class Kept(KeptChat, frozen=True, omit_defaults=True):
    """session: None where the desk has declined before there was one. declined: why.

    visitor: who asks, until somebody accepted: with it a chat that is lost before is begun anew; begins: how often it
    was begun. is_begun: ChasitorInit was taken. history: what the agent reads first, until he has it.
    agents: (name, Salesforce user id) of those who spoke last. wanted: a file that the agent asked for.
    rules: what agents must not read. upload: of which nobody knows yet. uploaded: names of the last that arrived.
    event: what who accepts is told first.
    """

    session: Session | None = None
    declined: str = ""
    visitor: Visitor | None = None
    begins: int = 1
    is_begun: bool = False
    history: tuple[str, ...] = ()
    idle: Idle | None = None
    silence: Silence = Silence()
    agents: tuple[tuple[str, str], ...] = ()
    wanted: FileWanted | None = None
    rules: tuple[Rule, ...] = ()
    upload: Upload | None = None
    uploaded: tuple[str, ...] = ()
    event: dict[str, str] = msgspec.field(default_factory=dict)


_kept = msgspec.json.Decoder(Kept)
encode = msgspec.json.Encoder().encode


def decode(state: bytes) -> Kept:
    return _kept.decode(state)
