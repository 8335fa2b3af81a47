"""What backends say by themselves: which conversation a callback belongs to, and what it means there.

The conversation is read from the session id that we gave the backend (engine/ids.py), so nothing has to be
remembered and a restart changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omnibridge.connector import ReceivesCallbacks
from omnibridge.domain.events import PartySpoke
from omnibridge.engine.decisions import speaker_of
from omnibridge.engine.ids import conversation_of
from omnibridge.engine.responses import Responses
from omnibridge.rocketchat.derive import Derivation, DerivedEvent
from omnibridge.storage import conversations
from omnibridge.storage.journal import Observation


class Callbacks:
    """connectors: connection -> its connector, of those that can. workspaces: connection -> its workspace.

    responses: reads what is posted to addresses of responses, of every connection."""

    def __init__(
        self,
        connectors: Mapping[str, ReceivesCallbacks],
        workspaces: Mapping[str, str],
        reader: Any,
        secret: bytes,
        responses: Responses | None = None,
    ) -> None:
        self.responses = responses or Responses({})
        self._connectors, self._workspaces, self._reader, self._secret = connectors, workspaces, reader, secret

    def place(self, connection: str, body: bytes) -> tuple[str, str]:
        """(workspace, room) that a body belongs to; room is empty when it names no conversation of ours."""
        workspace = self._workspaces[connection]
        try:
            session = self._connectors[connection].read_callback(body).session_id
        except ValueError:
            return workspace, ""
        conversation = conversation_of(self._secret, session, connection)
        found = conversations.room_of(self._reader, conversation) if conversation is not None else None
        return found if found and found[0] == workspace else (workspace, "")

    def derive(self, row: Observation) -> Derivation | None:
        """The event of a journalled callback; None when it belongs to no conversation.

        Raises ValueError for a body that the connector cannot read, and for a connection that is gone.
        """
        connector = self._connectors.get(row.kind)
        if connector is None:
            raise ValueError(f"connection {row.kind!r} takes no callbacks any more")
        reply = connector.read_callback(row.body).reply
        if not row.room:
            return None
        handover = reply.handover
        event = PartySpoke(
            connection=row.kind,
            parts=reply.parts,
            handover=handover is not None,
            handover_department=handover.department if handover else "",
            handover_reason=handover.reason if handover else "",
            close=reply.close,
            fallback=reply.fallback,
            fields=reply.fields,
            agent=speaker_of(reply.agent),
            intent=reply.intent,
            losses=reply.losses,
            updates=reply.updates,
        )
        return Derivation((DerivedEvent("", event),))
