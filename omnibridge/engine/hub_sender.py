"""Deliveries to Rocket.Chat: words and reads, with the read-back that each allows. Moves are in `hub_moves.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec

from omnibridge.clock import Clock, SystemClock
from omnibridge.domain import commands as cmd
from omnibridge.domain.conversation import Conversation
from omnibridge.domain.events import AgentsListed, UserRef
from omnibridge.engine import speaking, updating
from omnibridge.engine.faults import Faults, InFlight
from omnibridge.engine.hub import Hub
from omnibridge.engine.hub_moves import Moves
from omnibridge.engine.interpreter import HISTORY
from omnibridge.engine.sender import CONTROL_CHANGED, Sender, Sent
from omnibridge.errors import DeliveryRejected, DeliveryUncertain
from omnibridge.rocketchat.client import Credentials
from omnibridge.rocketchat.reconcile import RoomHistory
from omnibridge.rocketchat.render import OutgoingMessage
from omnibridge.storage.outbox import Delivery

_message = msgspec.json.Decoder(OutgoingMessage)
_close = msgspec.json.Decoder(cmd.CloseConversation)
_fields = msgspec.json.Decoder(cmd.SetRoomFields)
_change = msgspec.json.Decoder(updating.Change)
_remove = msgspec.json.Decoder(cmd.RemoveChoices)
_encode = msgspec.json.Encoder().encode

NOT_SERVING = ("error-not-allowed", "error-not-authorized", "unauthorized")
CLOSED_ALREADY = ("error-room-already-closed", "room-closed", "This_conversation_is_already_closed")


class Uploader(Protocol):
    """Puts a bot's file into the room."""

    async def find(self, hub: Hub, row: Delivery, conversation: Conversation, message: OutgoingMessage) -> bool:
        """Whether an earlier attempt arrived. Raises DeliveryError."""

    async def post(
        self, hub: Hub, row: Delivery, conversation: Conversation, message: OutgoingMessage, in_flight: InFlight[str]
    ) -> Sent | None:
        """None: it cannot be uploaded, and certainly is not there: show what stands in for it. Raises DeliveryError."""


class HubSender(Sender):
    """One method per command, in a table. credentials: of users that we made for external agents. may_be_shown:
    whether staff's browsers may fetch a picture of theirs from this address. listens_ms: a room that is younger is not
    given to a person yet, because the visitor's widget would not hear of it. clock: should agree with the hub's.
    posted: blocks of a message as we posted it. count: told how a message was changed.
    """

    def __init__(
        self,
        hubs: Mapping[str, Hub],
        faults: Faults,
        credentials: speaking.CredentialsOf = speaking.nobody,
        may_be_shown: Callable[[str], bool] = lambda url: False,
        listens_ms: int = 0,
        clock: Clock | None = None,
        posted: updating.Posted = updating.nothing_posted,
        count: Callable[[str], None] = lambda way: None,
        uploader: Uploader | None = None,
    ) -> None:
        self._posted, self._count, self._uploader = posted, count, uploader
        self._moves = Moves(faults, clock or SystemClock(), listens_ms)
        self._hubs, self._faults, self._credentials, self._may_be_shown = hubs, faults, credentials, may_be_shown
        self._table: dict[str, Callable[[Hub, Delivery, Conversation, bool], Awaitable[Sent]]] = {
            "SendToVisitor": self._say,
            "SystemText": self._say,
            "UpdateMessage": self._update,
            "RemoveChoices": self._remove,
            "AssignAgent": self._moves.assign,
            "TransferToDepartment": self._moves.transfer,
            "ReturnToQueue": self._moves.return_to_queue,
            "RequeueStray": self._moves.requeue_stray,
            "CloseConversation": self._close,
            "SetRoomFields": self._set_fields,
            "ListAgents": self._list,
            "ReadRoom": self._read,
        }

    async def find_arrived(self, row: Delivery, conversation: Conversation) -> Sent | None:
        """Words are read back; a person who serves, or a department that is reached, tells of a move."""
        hub = self._hubs.get(conversation.workspace)
        if hub is None:
            return None
        if row.command == "UpdateMessage":  # the same change once more changes nothing
            return None
        if row.external_id is not None:
            message = _message.decode(row.body)
            if message.file is not None and self._uploader is not None:
                if await self._uploader.find(hub, row, conversation, message):
                    return Sent(resolved=True)
            if message.speaker is not None:
                return await speaking.find(hub.client, conversation.room, row, message)
            arrived = await self._confirm(hub, row, conversation, message)
            return Sent(resolved=True) if arrived else None
        return await self._moves.find_arrived(hub, row, conversation)

    async def send(self, row: Delivery, workspace: str, conversation: Conversation, *, maybe_sent: bool) -> Sent:
        hub = self._hubs.get(workspace)
        if hub is None:
            raise DeliveryRejected(f"workspace {workspace!r} is not configured any more", code="workspace-unknown")
        return await self._table[row.command](hub, row, conversation, maybe_sent)

    async def _say(self, hub: Hub, row: Delivery, conversation: Conversation, maybe_sent: bool) -> Sent:
        """Post with our id. A repeat is refused by the hub, so an uncertain attempt is simply sent again."""
        message = _message.decode(row.body)
        poster = hub.posters.get(row.connection) if row.connection else None
        author = hub.bot_ids.get(row.connection) if row.connection else None
        assert row.external_id is not None
        if conversation.closed:
            raise DeliveryRejected("the conversation is closed", code=CONTROL_CHANGED)
        if message.file is not None and self._uploader is not None:
            outcome = await self._uploader.post(hub, row, conversation, message, self._faults.in_flight)
            if outcome is not None:
                return outcome
        if not message.text and not message.attachments:
            raise DeliveryRejected("a file could not be uploaded, and there is no link to show", code="file-lost")
        if message.speaker is not None:
            return await self._say_for(hub, row, conversation, message, message.speaker, maybe_sent=maybe_sent)
        if maybe_sent and await hub.client.confirm_message(conversation.room, row.external_id, author, message.text):
            return Sent(resolved=True)
        try:
            await self._faults.in_flight(
                hub.client.send_message(
                    conversation.room,
                    row.external_id,
                    message.text,
                    attachments=list(message.attachments) or None,
                    as_user=poster,
                    thread=message.tmid,
                    blocks=list(message.blocks) or None,
                )
            )
        except DeliveryUncertain:
            if await self._confirm(hub, row, conversation, message):
                return Sent(resolved=True)
            raise
        except DeliveryRejected as exc:
            if exc.code in NOT_SERVING and row.connection:
                return await self._say_without_serving(hub, row, conversation, message, exc)
            raise
        return Sent()

    async def _update(self, hub: Hub, row: Delivery, conversation: Conversation, maybe_sent: bool) -> Sent:
        """By the app, which can change all of it; else its text, and where that is refused the words anew."""
        change = _change.decode(row.body)
        if conversation.closed:
            raise DeliveryRejected("the conversation is closed", code=CONTROL_CHANGED)
        room = conversation.room
        if hub.app is not None:
            posted = self._posted(row.conversation_id, conversation, change.message_id)
            await self._faults.in_flight(updating.by_app(hub.app, hub.client, room, change, posted))
            self._count("app")
            return Sent()
        if not change.text:
            return Sent()
        try:
            await self._faults.in_flight(updating.by_rest(hub.client, room, change, hub.posters.get(row.connection)))
        except DeliveryRejected:
            if change.only_choices:
                return Sent()
            anew = OutgoingMessage(change.text, change.attachments)
            self._count("posted-anew")
            return await self._say(hub, msgspec.structs.replace(row, body=_encode(anew)), conversation, True)
        self._count("text")
        return Sent()

    async def _remove(self, hub: Hub, row: Delivery, conversation: Conversation, maybe_sent: bool) -> Sent:
        """Without the app there are no buttons: choices are numbered words."""
        if hub.app is not None:
            wanted = _remove.decode(row.body)
            try:
                await self._faults.in_flight(hub.app.remove_choices(conversation.room, wanted.message_id))
            except DeliveryRejected as exc:
                if exc.code != updating.GONE:
                    raise
        return Sent()

    async def _say_for(
        self,
        hub: Hub,
        row: Delivery,
        conversation: Conversation,
        message: OutgoingMessage,
        speaker: cmd.Speaker,
        *,
        maybe_sent: bool,
    ) -> Sent:
        """Words of somebody of an external system; under whose name they are shown is told as an event."""
        found = await speaking.find(hub.client, conversation.room, row, message) if maybe_sent else None
        if found:
            return found
        account = await speaking.account_of(self._credentials, conversation.workspace, speaker)

        async def check_control() -> None:
            room = await hub.client.room(conversation.room)
            server = room.served_by
            if not room.open or (server and not hub.is_ours(server)):
                raise DeliveryRejected("somebody else serves the room", code=CONTROL_CHANGED)

        async def renew(refused: Credentials) -> Credentials | None:
            return await speaking.account_of(self._credentials, conversation.workspace, speaker, refused)

        return await self._faults.in_flight(
            speaking.post(
                hub.client, conversation.room, row, message, account, check_control, renew, self._may_be_shown
            )
        )

    async def _confirm(self, hub: Hub, row: Delivery, conversation: Conversation, message: OutgoingMessage) -> bool:
        # Whoever posted it: the relay account stands in where the bot user does not serve.
        assert row.external_id is not None
        return await hub.client.confirm_message(conversation.room, row.external_id, None, message.text)

    async def _say_without_serving(
        self,
        hub: Hub,
        row: Delivery,
        conversation: Conversation,
        message: OutgoingMessage,
        error: DeliveryRejected,
    ) -> Sent:
        """The bot user may not post: somebody else serves (then our words are refused), or nobody does."""
        room = await hub.client.room(conversation.room)
        server = room.served_by
        if not room.open or (server and server.id != hub.bot_ids.get(row.connection)):
            raise DeliveryRejected("somebody else serves the room", code=CONTROL_CHANGED) from error
        if server:
            raise error
        assert row.external_id is not None
        await hub.client.send_message(
            conversation.room,
            row.external_id,
            message.text,
            attachments=list(message.attachments) or None,
            blocks=list(message.blocks) or None,
        )
        return Sent()

    async def _close(self, hub: Hub, row: Delivery, conversation: Conversation, maybe_sent: bool) -> Sent:
        try:
            await self._faults.in_flight(hub.client.close(conversation.room, _close.decode(row.body).comment))
        except DeliveryRejected as exc:
            if exc.code not in CLOSED_ALREADY:
                raise
        return Sent()

    async def _set_fields(self, hub: Hub, row: Delivery, conversation: Conversation, maybe_sent: bool) -> Sent:
        missing = await hub.client.set_room_fields(conversation.room, _fields.decode(row.body).fields)
        if missing:
            names = ", ".join(missing)
            raise DeliveryRejected(
                f"declare these under Omnichannel > Custom Fields with scope Room: {names}", code="fields-not-declared"
            )
        return Sent()

    async def _list(self, hub: Hub, row: Delivery, conversation: Conversation, maybe_sent: bool) -> Sent:
        agents, departments = await asyncio.gather(hub.client.available_agents(), hub.client.departments())
        marked = tuple(
            msgspec.structs.replace(each, is_bot=each.is_bot or hub.is_ours(UserRef(each.id, each.username, each.name)))
            for each in agents
        )
        return Sent(AgentsListed(row.id, marked, tuple(departments), can_return_to_queue=True))

    async def _read(self, hub: Hub, row: Delivery, conversation: Conversation, maybe_sent: bool) -> Sent:
        # With who served when it was asked: an answer that a later report overtook is not believed.
        known = conversation.served_by.id if conversation.served_by else ""
        room = await hub.client.room(conversation.room)
        read = RoomHistory(room, (), known_server=known, known_changes=conversation.changes)
        return Sent(raw=_encode(read), source="hub-read", kind=HISTORY)
