"""A bot's file into the room, once: what cannot be repeated is looked up before it is repeated.

Two steps (6.10 and later): the file's id is committed before the step that posts it, so a message that shows this file
tells that it arrived, whatever happened to us. One step: who posted it, name and size tell.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from omnibridge.domain.conversation import Conversation
from omnibridge.domain.files import KEPT
from omnibridge.engine import speaking
from omnibridge.engine.faults import InFlight
from omnibridge.engine.hub import Hub
from omnibridge.engine.hub_sender import NOT_SERVING
from omnibridge.engine.sender import CONTROL_CHANGED, Sent
from omnibridge.errors import DeliveryRejected, DeliveryUncertain
from omnibridge.files.fetching import NotFetched, Source
from omnibridge.rocketchat.calls import Credentials
from omnibridge.rocketchat.render import OutgoingMessage
from omnibridge.rocketchat.uploads import FileCalls, Outgoing
from omnibridge.storage import uploads
from omnibridge.storage.database import Database
from omnibridge.storage.outbox import Delivery
from omnibridge.storage.uploads import Upload

_log = structlog.get_logger("omnibridge.files")
MOST_AT_ONCE = 4
LOOK_BACK_MS = 600_000
"""How far the hub's clock may be behind ours, and still what we posted is found."""

GONE = ("invalid-file", "error-invalid-file", "http-404")
"""The hub has forgotten a file that nobody confirmed: it is uploaded anew."""


@dataclass(frozen=True)
class Way:
    """Into one workspace. relay: who stands in where the bot user does not serve."""

    calls: FileCalls
    relay: Credentials


class FileUploader:
    """sources: by connection, those with `upload_files`. ways: by workspace. count: told how each ended.

    credentials: of users that we made for external agents, who show their files themselves.
    """

    def __init__(
        self,
        database: Database,
        sources: Mapping[str, Source],
        ways: Mapping[str, Way],
        count: Callable[[str], None],
        credentials: speaking.CredentialsOf = speaking.nobody,
    ) -> None:
        self._database, self._sources, self._ways, self._count = database, sources, ways, count
        self._credentials = credentials
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)

    async def find(self, hub: Hub, row: Delivery, conversation: Conversation, message: OutgoingMessage) -> bool:
        known = uploads.load(self._database.reader, row.id)
        return known is not None and await self._is_there(hub, row, conversation, message, known)

    async def post(
        self, hub: Hub, row: Delivery, conversation: Conversation, message: OutgoingMessage, in_flight: InFlight[str]
    ) -> Sent | None:
        source, way = self._sources.get(row.connection), self._ways.get(conversation.workspace)
        if source is None or way is None or message.file is None:
            return None
        known = uploads.load(self._database.reader, row.id)
        if known is not None and await self._is_there(hub, row, conversation, message, known):
            return Sent(resolved=True)
        try:
            async with self._slots:
                if known is not None and known.file_id:
                    try:
                        await self._confirm(way, hub, row, conversation, message, known, in_flight)
                        return Sent()
                    except DeliveryRejected as exc:
                        if exc.code not in GONE:
                            raise
                async with self._content(source, row, message) as file:
                    return await self._upload(way, hub, row, conversation, message, file, in_flight)
        except NotFetched as exc:
            await self._instead(row, exc.reason)
            return None

    async def _upload(
        self,
        way: Way,
        hub: Hub,
        row: Delivery,
        conversation: Conversation,
        message: OutgoingMessage,
        file: Outgoing,
        in_flight: InFlight[str],
    ) -> Sent | None:
        version = await hub.client.info()
        by_relay = False
        while True:
            account = await self._account(way, hub, row, conversation, message, by_relay=by_relay)
            try:
                if way.calls.in_two_steps(version):
                    file_id = await way.calls.media(conversation.room, file, account)
                    known = Upload(file_id, file.name, file.size, by_relay)
                    await self._save(row, known)
                    await self._confirm(way, hub, row, conversation, message, known, in_flight)
                else:
                    known = Upload("", file.name, file.size, by_relay)
                    await self._save(row, known)
                    caption = _caption(message, file)
                    shown = await in_flight(way.calls.one_step(conversation.room, file, caption, account))
                    await self._arrived(row, known, shown)
                return Sent()
            except DeliveryUncertain:
                known_now = uploads.load(self._database.reader, row.id)
                if known_now and await self._is_there(hub, row, conversation, message, known_now):
                    return Sent(resolved=True)
                raise
            except DeliveryRejected as exc:
                if exc.code == CONTROL_CHANGED:
                    raise
                if exc.code == "no-such-route" and way.calls.in_two_steps(version):
                    version = version._replace(major=0)  # the other generation, whatever it says it is
                    continue
                if exc.code in (*NOT_SERVING, *speaking.REFUSED) and not by_relay:
                    await self._nobody_serves(hub, row, conversation, message, exc)
                    by_relay = True
                    continue
                await self._instead(row, f"refused-{exc.code}")
                return None

    async def _confirm(
        self,
        way: Way,
        hub: Hub,
        row: Delivery,
        conversation: Conversation,
        message: OutgoingMessage,
        known: Upload,
        in_flight: InFlight[str],
    ) -> None:
        account = await self._account(way, hub, row, conversation, message, by_relay=known.by_relay)
        title = message.file.name if message.file else ""
        caption = title if title.strip() and title != known.name else ""
        shown = await in_flight(way.calls.confirm(conversation.room, known.file_id, caption, account))
        await self._arrived(row, known, shown)

    async def _is_there(
        self, hub: Hub, row: Delivery, conversation: Conversation, message: OutgoingMessage, known: Upload
    ) -> bool:
        """By the file's id; where that was not known before, by author, name and size of what no other row posted."""
        if known.message_id:
            return True
        changes, _ = await hub.client.changes_since(conversation.room, max(0, row.created_at - LOOK_BACK_MS))
        way = self._ways.get(conversation.workspace)
        ours = {_author(hub, row, message), way.relay.user_id if way else ""}
        for each in changes:
            for file in each.files:
                is_it = file.id == known.file_id if known.file_id else (
                    each.author_id in ours
                    and not each.from_visitor
                    and (file.name, file.size) == (known.name, known.size)
                    and not uploads.is_ours(self._database.reader, each.id)
                )  # fmt: skip
                if is_it:
                    await self._arrived(row, known, each.id)
                    return True
        return False

    @asynccontextmanager
    async def _content(self, source: Source, row: Delivery, message: OutgoingMessage) -> AsyncIterator[Outgoing]:
        wish = message.file
        assert wish is not None
        if not wish.url.startswith(KEPT):
            async with source.fetch(wish) as file:
                yield file
            return
        number = wish.url.removeprefix(KEPT)
        blob = uploads.kept(self._database.reader, int(number), row.connection) if number.isdigit() else None
        if blob is None:
            raise NotFetched("not-kept-any-more")
        yield source.kept(blob)

    async def _nobody_serves(
        self, hub: Hub, row: Delivery, conversation: Conversation, message: OutgoingMessage, error: DeliveryRejected
    ) -> None:
        """Who says it may not post: somebody else serves (then it is refused), or nobody does."""
        room = await hub.client.room(conversation.room)
        allowed = hub.no_people if message.speaker else {hub.bot_ids.get(row.connection)}
        if not room.open or (room.served_by and room.served_by.id not in {*allowed, _author(hub, row, message)}):
            raise DeliveryRejected("somebody else serves the room", code=CONTROL_CHANGED) from error

    async def _account(
        self,
        way: Way,
        hub: Hub,
        row: Delivery,
        conversation: Conversation,
        message: OutgoingMessage,
        *,
        by_relay: bool,
    ) -> Credentials:
        if by_relay:
            return way.relay
        if message.speaker is not None:
            own = await speaking.account_of(self._credentials, conversation.workspace, message.speaker)
            return own or way.relay
        return hub.posters.get(row.connection) or way.relay

    async def _save(self, row: Delivery, upload: Upload) -> None:
        await self._database.writer.submit(lambda cursor: uploads.save(cursor, row.id, upload))

    async def _arrived(self, row: Delivery, known: Upload, message_id: str) -> None:
        """Which message it is: so that the file of another row, of the same name and size, is not taken for this."""
        found = Upload(known.file_id, known.name, known.size, known.by_relay, message_id or "unknown")
        await self._save(row, found)
        self._count("uploaded")

    async def _instead(self, row: Delivery, reason: str) -> None:
        """What stands in for it is shown: a link, or that it is lost."""
        self._count("not-uploaded")
        _log.warning("file_not_uploaded", delivery=row.id, connection=row.connection, reason=reason[:80])
        await self._database.writer.submit(lambda cursor: uploads.forget(cursor, row.id))


def _author(hub: Hub, row: Delivery, message: OutgoingMessage) -> str | None:
    return message.speaker.user_id if message.speaker else hub.bot_ids.get(row.connection)


def _caption(message: OutgoingMessage, file: Outgoing) -> str:
    title = message.file.name if message.file else ""
    return title if title.strip() and title != file.name else ""
