"""One chat, from the open stream to its end: the stream first, then the conversation, then what was said before.

    open() kept a token ──▶ stream ──▶ create, history ──▶ news ──tell──▶ … ──▶ Ended
                              ▲ cut: resumed by event id, entries read again (stream.py)
                              │ token dead or near its end: a new one, if the visitor is a verified user

Nothing is at Salesforce before the state is durable, so a chat whose state was lost needs no end there.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

from connectors.salesforce.told import Trouble
from connectors.salesforce_messaging.beginning import FIRST_PAUSE_S, LONGEST_PAUSE_S, begin
from connectors.salesforce_messaging.breaks import Breaks, reason_of
from connectors.salesforce_messaging.chat import Chat, Shared
from connectors.salesforce_messaging.content import attachments_of, contents_of
from connectors.salesforce_messaging.entries import Echo, Event, Joined, Routed, Said, Typing
from connectors.salesforce_messaging.forms import form_of
from connectors.salesforce_messaging.reopen import reopen
from connectors.salesforce_messaging.stream import Events, NotTaken, Position
from connectors.salesforce_messaging.tokens import Access
from connectors.salesforce_messaging.told import Told, is_end, matters
from omnibridge.connector import DeliveryError, DeliveryRejected, DeliveryRetryable

TYPING_S = 5.0
"""So long an indicator is shown after it was told last (reference 2.7)."""
DOWNLOADS = 4
FILES_S = 30.0
"""Attempts for a file of an agent, and how long all of a message may take: his next words wait."""
LAST_TRY_S = 15.0
"""A guest's chat that could not be reopened by then is ended."""
REFUSALS, BELIEVED_S = 3, 1800.0
"""Refused streams in a row after which it is believed; of a chat that an agent may have, only after so long: a page of
maintenance refuses too."""


class _Over(Exception):
    """Nothing more is told."""


class Follower:
    """acknowledge: (chat, ids of entries) that were told and are durable; returns at once."""

    def __init__(
        self, chat: Chat, shared: Callable[[], Shared], acknowledge: Callable[[Chat, list[str]], None]
    ) -> None:
        self._chat, self._shared, self._acknowledge = chat, shared, acknowledge
        self._is_dead = False
        self._refused, self._refused_since, self._tries = 0, 0.0, 0
        self._margin_s: float | None = None
        # before its conversation is made the service itself says that it takes long
        self._trouble = Trouble(chat, shared, lambda: chat.kept.is_begun)
        context = shared().context
        self._breaks = Breaks(chat.session.room, context.clock.monotonic, context.log)

    async def run(self) -> None:
        try:
            await self._follow()
        finally:
            self._trouble.close()

    async def _follow(self) -> None:
        chat = self._chat
        if not chat.kept.is_over and chat.kept.access is None:
            await self._end(declined="closed")
        while not chat.kept.is_over and not chat.is_closing:
            await chat.session.held()
            if await self._has_token():
                await self._listen()

    # -- the token ----------------------------------------------------------------------------------------

    async def _has_token(self) -> bool:
        """False: the chat is over, or there is none yet, and a pause was made."""
        chat, shared = self._chat, self._shared()
        if not self._is_dead and self._left_s() > 0:
            return True
        if not chat.kept.user:
            return await self._reopened() or await self._lapse()
        try:
            access = await self._renew()
        except DeliveryError as exc:
            self._noticed(False, f"token: {reason_of(exc)}")
            asked_s = exc.retry_after_s if isinstance(exc, DeliveryRetryable) else None
            pause_s = LONGEST_PAUSE_S if isinstance(exc, DeliveryRejected) else asked_s or self._longer_s(4)
            await asyncio.sleep(pause_s * random.uniform(0.75, 1.25))  # noqa: S311 - no secret
            return False
        if self._is_dead:
            await asyncio.sleep(self._longer_s(1))  # where new tokens are dead too, they are not asked for at once
        # Also where a token lives for less than `renew_s` it is used for most of its life.
        self._margin_s = min(shared.settings.renew_s, (access.expires_s - shared.now_s()) / 4)
        self._is_dead = False
        return True

    def _longer_s(self, first: int) -> float:
        """A pause, each longer than the one before until a stream stands: all chats may be in the same trouble."""
        self._tries += 1
        return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * first * 2.0 ** min(self._tries - 1, 8))

    async def _renew(self) -> Access:
        """Of a verified user. Raises DeliveryError."""
        chat, shared = self._chat, self._shared()
        try:
            access = await shared.access(chat.kept.user)
        except DeliveryError:
            shared.context.count("tokens_failed", 1)
            raise
        await chat.change(access=access)
        shared.context.count("tokens_renewed", 1)
        return access

    def _left_s(self) -> float:
        shared = self._shared()
        margin_s = shared.settings.renew_s if self._margin_s is None else self._margin_s
        return self._chat.access.expires_s - shared.now_s() - margin_s

    async def _reopened(self) -> bool:
        """As another guest, while this one's token still lives; tried until shortly before it does not."""
        chat, shared = self._chat, self._shared()
        if shared.settings.guest_end != "reopen" or self._is_dead or not chat.kept.is_begun:
            return False
        while True:
            try:
                await reopen(chat, shared)
                break
            except DeliveryError as exc:
                shared.context.log("guest_not_reopened", room=chat.session.room, code=exc.code)
                left_s = chat.access.expires_s - shared.now_s()
                if exc.code == "token" or isinstance(exc, DeliveryRejected) or left_s < LAST_TRY_S:
                    return False
            await asyncio.sleep(FIRST_PAUSE_S * 4)
        self._margin_s = min(shared.settings.renew_s, (chat.access.expires_s - shared.now_s()) / 4)
        return True

    async def _lapse(self) -> bool:
        """A guest's token cannot be renewed, and no other user may see the conversation (reference 2.3)."""
        chat, shared = self._chat, self._shared()
        shared.context.count("guests_lapsed", 1)
        if not self._is_dead and chat.kept.is_begun:
            try:
                await shared.org.close(chat.access, chat.kept.conversation)
            except DeliveryError as exc:
                shared.context.log("conversation_not_closed", room=chat.session.room, code=exc.code)
        await self._end(left="token-ended")
        return False

    # -- the stream ---------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Until the token, the hold, the settings or the chat end."""
        chat, shared = self._chat, self._shared()
        events = Events(
            shared.org,
            chat.access,
            chat.kept.position,
            lambda: (chat.kept.conversation,),
            self._take,
            shared.context.count,
            noticed=self._noticed,
            recheck_s=shared.settings.recheck_s,
        )
        try:
            await self._stream(events)
        except NotTaken as exc:
            if not isinstance(exc.__cause__, _Over):
                raise
        except DeliveryRejected as exc:
            await self._refuse(exc)
        except DeliveryError as exc:
            if exc.code != "token":
                raise
            self._is_dead = True

    def _noticed(self, is_open: bool, reason: str = "") -> None:
        self._chat.listens(is_open)
        self._trouble.noticed(is_open)
        if is_open:
            self._refused = self._tries = 0
            self._breaks.stands()
        elif reason:
            self._breaks.broke(reason)

    async def _stream(self, events: Events) -> None:
        chat, side, scope = self._chat, list[asyncio.Task[None]](), asyncio.timeout(None)
        try:
            async with scope:
                chat.scope = scope
                side.append(asyncio.create_task(self._hold(scope)))
                if not chat.kept.is_begun:
                    side.append(asyncio.create_task(self._begin(events, scope)))
                await events.run()
        except TimeoutError:
            if not scope.expired():
                raise
        finally:
            chat.scope = None
            for each in side:
                each.cancel()
            await asyncio.gather(*side, return_exceptions=True)

    async def _hold(self, scope: asyncio.Timeout) -> None:
        """The stream is open while it is sure that nobody else may open one, and the token lives."""
        loop = asyncio.get_running_loop()
        while not scope.expired():
            left_s = min(await self._chat.session.held(), max(0.0, self._left_s()))
            if scope.expired():
                return
            scope.reschedule(loop.time() + left_s)
            await asyncio.sleep(left_s / 2 + 0.05)

    async def _refuse(self, exc: DeliveryRejected) -> None:
        now_s = self._shared().context.clock.monotonic()
        if not self._refused:
            self._refused_since = now_s
        self._refused += 1
        is_new = not self._chat.kept.is_begun
        if self._refused >= REFUSALS and (is_new or now_s - self._refused_since >= BELIEVED_S):
            await self._end(declined=f"stream-{exc.code}")
            return
        await asyncio.sleep(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._refused, 8)))

    # -- the beginning ------------------------------------------------------------------------------------

    async def _begin(self, events: Events, scope: asyncio.Timeout) -> None:
        chat, shared = self._chat, self._shared()
        await events.opened.wait()
        while True:
            try:
                await self._make(scope)
                return
            except Exception as exc:  # it could not be kept; ids are the same, so all of it may be done again
                shared.context.log("beginning_not_kept", room=chat.session.room, reason=type(exc).__name__)
            await asyncio.sleep(FIRST_PAUSE_S * 4)

    async def _make(self, scope: asyncio.Timeout) -> None:
        chat, shared = self._chat, self._shared()
        try:
            await begin(chat, shared)
        except DeliveryRejected as exc:
            shared.context.log("conversation_refused", room=chat.session.room, code=exc.code, reason=str(exc))
            await self._end(declined=exc.code)
            scope.reschedule(0.0)
        except DeliveryError:  # the token is dead
            self._is_dead = True
            scope.reschedule(0.0)

    # -- news ---------------------------------------------------------------------------------------------

    async def _take(self, position: Position, found: tuple[Event, ...]) -> None:
        """Each thing once and in order; the next waits until this one is durable."""
        chat, shared = self._chat, self._shared()
        await chat.session.held()
        if chat.is_closing:
            raise _Over
        chat.heard = position
        mine = [each for each in found if each.conversation in ("", chat.kept.conversation)]
        for each in mine:
            if isinstance(each, Typing):
                self._types(each.is_typing)
            elif isinstance(each, Echo):
                chat.echoed(each.id)
        told = tuple(each for each in mine if matters(each, shared.settings))
        if not told:
            return
        said = [each for each in told if isinstance(each, Said)]
        if said:
            self._types(False)
        files = {name: url for each in said for name, url in (await self._files(each)).items()}
        ends = any(map(is_end, told))
        fields: dict[str, Any] = {"position": position, "is_over": ends}
        is_requeued = chat.kept.is_requeued
        for each in told:
            match each:
                case Joined():
                    fields |= {"is_accepted": True, "is_requeued": False}
                case Said(abstract=abstract) if form := form_of(contents_of(abstract)):
                    fields["form"] = form
                case Routed(is_transfer=True):
                    is_requeued = fields["is_requeued"] = True
        kind = type(told[0]).__struct_config__.tag
        await chat.change(f"{kind}:{told[0].id}", Told(told, files, is_requeued), **fields)
        if said and shared.settings.receipts:
            self._acknowledge(chat, [each.id for each in said])
        if ends:
            chat.ended()
            raise _Over

    async def _end(self, *, declined: str = "", left: str = "") -> None:
        await self._chat.change("over", Told(declined=declined, left=left), is_over=True)
        self._chat.ended()

    def _types(self, is_typing: bool) -> None:
        chat = self._chat
        if not is_typing and chat.quiet is None:
            return
        chat.forget()
        chat.session.typing(is_typing)
        if is_typing:
            chat.quiet = asyncio.get_running_loop().call_later(TYPING_S, self._types, False)

    async def _files(self, said: Said) -> dict[str, str]:
        """Kept by us: Salesforce's addresses are for our token, and for a while. What cannot be had is named only."""
        found: dict[str, str] = {}
        try:
            async with asyncio.timeout(FILES_S) as limit:
                for each in attachments_of(said.abstract):
                    try:
                        found[each.id] = await self._file(each.url, each.name or "file", each.media_type)
                    except DeliveryError as exc:
                        self._lost(exc.code)
        except TimeoutError:
            if not limit.expired():
                raise
            self._lost("too-slow")
        return found

    def _lost(self, code: str) -> None:
        self._shared().context.count("files_lost", 1)
        self._shared().context.log("file_not_fetched", room=self._chat.session.room, code=code)

    async def _file(self, url: str, name: str, media_type: str) -> str:
        chat = self._chat
        for attempt in range(1, DOWNLOADS + 1):
            shared = self._shared()
            try:
                content = await shared.org.download(chat.access, url)
                return await shared.context.keep_file(content, name, media_type)
            except DeliveryRejected:
                raise
            except DeliveryError as exc:
                is_dead = exc.code == "token"
                if attempt == DOWNLOADS or (is_dead and not chat.kept.user):
                    raise
                if is_dead:  # the stream's will be found dead too
                    await self._renew()
            await asyncio.sleep(FIRST_PAUSE_S * 2**attempt)
        raise AssertionError("unreachable")
