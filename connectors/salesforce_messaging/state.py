"""What is kept of a chat over restarts, and the ids that are made of it."""

from __future__ import annotations

import hashlib
import uuid

import msgspec

from connectors.salesforce.chat import KeptChat
from connectors.salesforce_messaging.client import NewSession
from connectors.salesforce_messaging.forms import OpenForm
from connectors.salesforce_messaging.stream import Position
from connectors.salesforce_messaging.tokens import Access


class Old(msgspec.Struct, frozen=True):
    """A conversation that went on in another one, and is to be ended."""

    conversation: str
    access: Access


class Kept(KeptChat, frozen=True, omit_defaults=True):
    """conversation: its id at Salesforce. access: None where the desk is closed. user: the verified one's name.

    history: what the agent reads first; given away when `is_begun`.
    old: of the guest before this one, whose token ended; taken: his messages that had arrived there.
    form: an agent asked it, and nobody has answered. is_requeued: it waits again after one had accepted.
    is_begun: the conversation is known to be there.
    """

    conversation: str
    access: Access | None = None
    user: str = ""
    session: NewSession = NewSession()
    history: tuple[str, ...] = ()
    position: Position | None = None
    old: Old | None = None
    taken: tuple[str, ...] = ()
    form: OpenForm | None = None
    is_requeued: bool = False
    is_begun: bool = False


_kept = msgspec.json.Decoder(Kept)
encode = msgspec.json.Encoder().encode


def decode(state: bytes) -> Kept:
    return _kept.decode(state)


def uuid4_of(*parts: str) -> str:
    """Always the same of the same: Salesforce takes a thing once under its id, and no other kind of UUID."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()[:16]
    return str(uuid.UUID(bytes=digest, version=4))
