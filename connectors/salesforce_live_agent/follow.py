"""One chat, from ChasitorInit to its end: the beginning, the poll, what was said before; begun anew when it was lost.

    open() kept a session ──▶ ChasitorInit ──▶ poll ──▶ ChatEstablished ──▶ history ──▶ visitor's words
                                  ▲               │ lost before anybody accepted
                                  └── new session ◀┘

A session without ChasitorInit is nothing to Salesforce: one whose state was lost needs no end there.
"""

from __future__ import annotations

import asyncio
import random

import msgspec

from connectors.salesforce.told import Trouble
from connectors.salesforce_live_agent.errors import SessionGone
from connectors.salesforce_live_agent.live import LiveChat
from connectors.salesforce_live_agent.opening import pieces
from connectors.salesforce_live_agent.poll import Post
from connectors.salesforce_live_agent.sending import MOST_POSTS
from connectors.salesforce_live_agent.told import Told
from omnibridge.connector import DeliveryError, DeliveryRejected

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 10.0


class Follower:
    def __init__(self, live: LiveChat) -> None:
        self._live = live
        # before an agent has accepted the visitor waits anyway
        self._trouble = Trouble(live, live.shared, lambda: live.kept.is_accepted)

    async def run(self) -> None:
        live = self._live
        if live.kept.session is None and not live.kept.is_over:
            await self._decline(live.kept.declined or "lost")
        live.noticed, live.is_followed = self._trouble.noticed, True
        live.hears()
        try:
            while not live.kept.is_over and not live.is_closing:
                session = live.kept.session
                assert session is not None
                if session.phase == "over":
                    await self._begin_anew()
                elif not live.kept.is_begun:
                    await self._init()
                else:
                    await self._talk()
        finally:
            live.is_followed = False
            self._trouble.close()

    # -- the beginning ------------------------------------------------------------------------------------

    async def _init(self) -> None:
        """ChasitorInit, under the first number until it is known that it was taken."""
        live, pause_s = self._live, FIRST_PAUSE_S
        chat, session, visitor = live.chat, live.kept.session, live.kept.visitor
        assert chat is not None and session is not None and visitor is not None
        while not live.kept.is_over and not live.is_closing and chat.session.phase != "over":
            await live.session.held()
            try:
                await chat.post(live.shared().api.init(session, visitor))
                await live.change(is_begun=True)
                return
            except SessionGone:
                return
            except DeliveryRejected as exc:
                live.shared().context.log("chat_refused", room=live.session.room, code=exc.code, reason=str(exc))
                await self._decline(exc.code)
                return
            except DeliveryError as exc:
                live.shared().context.count("openings_retried", 1)
                live.shared().context.log("chat_not_begun", room=live.session.room, code=exc.code)
            await _pause(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _begin_anew(self) -> None:
        """It was lost, and nobody had accepted."""
        live, shared = self._live, self._live.shared()
        visitor, begins = live.kept.visitor, live.kept.begins
        if visitor is None or begins > shared.settings.restarts:
            await self._decline("lost")
            return
        shared.context.count("chats_begun_anew", 1)
        pause_s = FIRST_PAUSE_S
        while not live.is_closing:
            try:
                session = await shared.at_base(shared.api.begin)
                break
            except DeliveryRejected as exc:
                await self._decline(exc.code)
                return
            except DeliveryError:
                await _pause(pause_s)
                pause_s, shared = min(2 * pause_s, LONGEST_PAUSE_S), live.shared()
        else:
            return
        await live.change(session=session, begins=begins + 1, is_begun=False)
        live.renew()

    async def _decline(self, code: str) -> None:
        """Where somebody had accepted, the engine takes it as an end."""
        await self._live.change("over", Told(declined=code), is_over=True)

    # -- from then on -------------------------------------------------------------------------------------

    async def _talk(self) -> None:
        live, chat = self._live, self._live.chat
        assert chat is not None
        telling = None if live.ready.is_set() else asyncio.create_task(self._tell_history())
        try:
            await chat.run()
        finally:
            if telling is not None:
                telling.cancel()
                await asyncio.gather(telling, return_exceptions=True)

    async def _tell_history(self) -> None:
        """Before anything of the visitor's: who accepts reads first what was said before."""
        live = self._live
        await live.established.wait()
        if not await self._tell_event():
            return
        whole, _ = await live.masked("".join(live.kept.history))
        # A rule may put in more than it takes away; which posts were taken is remembered of so many.
        longest = max(live.shared().settings.longest_text, -(-2 * len(whole or "") // MOST_POSTS))
        for at, text in enumerate(pieces(whole or "", longest)):
            if not await self._told(Post(f"history-{at}", "ChatMessage", {"text": text})):
                return
        pause_s = FIRST_PAUSE_S
        while live.kept.history or live.kept.event:
            try:
                await live.change(history=(), event={})
            except Exception as exc:  # a database that is not to be written
                live.shared().context.log("history_not_kept", room=live.session.room, reason=type(exc).__name__)
                await _pause(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        live.ready.set()

    async def _tell_event(self) -> bool:
        """Facts for the agent's console, where they are wanted. False: the chat is over."""
        live = self._live
        kind, facts = live.shared().settings.event_on_accept, live.kept.event
        if not kind or not facts:
            return True
        shown = {name: (await live.masked(value))[0] or "" for name, value in facts.items()}
        data = msgspec.json.encode(shown).decode()
        return await self._told(Post("event", "CustomEvent", {"type": kind, "data": data}))

    async def _told(self, post: Post) -> bool:
        """Until it is known that it was taken. False: the chat is over."""
        live, pause_s = self._live, FIRST_PAUSE_S
        assert live.chat is not None
        while True:
            try:
                await live.chat.post(post)
                return True
            except SessionGone:
                return False
            except DeliveryRejected as exc:
                live.shared().context.count("history_lost", 1)
                live.shared().context.log("history_refused", room=live.session.room, code=exc.code)
                return True
            except Exception as exc:  # the service is down, or the database is
                live.shared().context.log("history_waits", room=live.session.room, reason=type(exc).__name__)
            await _pause(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


async def _pause(seconds: float) -> None:
    await asyncio.sleep(seconds * random.uniform(0.75, 1.0))  # noqa: S311 - no secret
