"""A chat as this process has it: its state, what is told of it, the visitor's silence, typing; and what all share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor
from typing import Any, TypeVar

import msgspec

from connectors.salesforce import chat
from connectors.salesforce_live_agent.chat import Chat
from connectors.salesforce_live_agent.client import LiveAgent
from connectors.salesforce_live_agent.errors import Switched
from connectors.salesforce_live_agent.idle import Silence
from connectors.salesforce_live_agent.messages import (
    Agent,
    Ended,
    Established,
    Event,
    Failed,
    FileOutcome,
    FileWanted,
    Requested,
    Requeued,
    Rules,
    Said,
    SwitchServer,
    Typing,
    Unreadable,
)
from connectors.salesforce_live_agent.poll import Post, Session
from connectors.salesforce_live_agent.rules import Masked, Rule, mask
from connectors.salesforce_live_agent.settings import SalesforceLiveAgentSettings
from connectors.salesforce_live_agent.state import Kept, decode
from connectors.salesforce_live_agent.told import Told, encode, matters, waits_again
from omnibridge.connector import ConnectorContext, DeliveryError, Flag
from omnibridge.connector.desks import Session as DeskSession

TYPING_S = 8.0
"""So long an indicator is shown after it was told last: it is repeated every few seconds."""
AGAIN_S = 1.0
LATE_S = 5.0
"""So late a look at the visitor's silence may come; later, the process was stopped, or nothing could be told."""
MOST_AGENTS = 4

_T = TypeVar("_T")


class Shared(chat.Shared[SalesforceLiveAgentSettings]):
    """base: where new sessions are asked for. threads: for patterns that may take long."""

    def __init__(
        self, context: ConnectorContext, settings: SalesforceLiveAgentSettings, api: LiveAgent, threads: Executor
    ) -> None:
        super().__init__(context, settings)
        self.api, self.base, self.threads = api, api.base, threads

    async def at_base(self, call: Callable[[str], Awaitable[_T]]) -> _T:
        """A call where the org is; once more where it says that it moved to."""
        try:
            return await call(self.base)
        except Switched as exc:
            self.context.log("org_moved")
            self.base = exc.new_base
            return await call(exc.new_base)

    async def aclose(self) -> None:
        await self.api.aclose()
        await super().aclose()


class LiveChat(chat.Chat[Kept]):
    """kept: durable but for a silence that ended. chat: drives the session that there is now. ready: the agent has what
    was said before. is_heard: the service answers those who read, without a break since heard_ms, as we listen."""

    def __init__(self, session: DeskSession, shared: Callable[[], Shared]) -> None:
        super().__init__(session, decode)
        self.shared, self.established, self.is_followed = shared, Flag(), False
        self.noticed: Callable[[bool], None] = lambda answered: None
        self._quiet: asyncio.TimerHandle | None = None
        self._silent: asyncio.TimerHandle | None = None
        self._acting: asyncio.Task[None] | None = None
        self.typed = 0
        self.is_heard, self.heard_ms = True, self.shared().now_ms()
        self.chat: Chat | None = None
        self.renew()
        self._arm()

    def renew(self) -> None:
        """For the session that there is now."""
        found = self.kept.session
        if found is not None:
            self.chat = Chat(self.shared().api, found, self._keep, held=self.session.held, noticed=self._answers)
        if found is not None and found.has_agent:
            self.established.set()
        if self.kept.is_accepted and not self.kept.history and not self.kept.event:
            self.ready.set()

    # -- what the service tells ---------------------------------------------------------------------------

    async def _keep(self, session: Session, events: tuple[Event, ...]) -> None:
        """Of `Chat`: each state with what led to it, one after the other."""
        settings = self.shared().settings
        for each in events:
            if isinstance(each, Typing):
                self._types(each.is_typing)
            elif isinstance(each, Said):
                self._types(False)
            elif isinstance(each, SwitchServer):
                self._moved_to(session.base)
            elif not matters(each, settings):
                self.shared().context.count("events_not_told", 1)
        fields = self._follows(events)
        fields["session"] = session
        begins_anew = session.phase == "over" and self._may_begin_anew(events)
        agents = dict(fields.get("agents", self.kept.agents))
        news = () if begins_anew else events
        upload = self.kept.upload
        if upload is not None:  # it goes as a link if that failed
            news = tuple(each for each in news if not isinstance(each, FileOutcome) or not _is_of(each, upload.token))
        told = tuple(_named(each, agents) for each in news if matters(each, settings))
        if session.phase == "over" and not begins_anew:
            fields["is_over"] = True
        was_accepted, key = self.kept.is_accepted, f"{self.kept.begins}.{session.told_key}"
        before = self.kept.session
        was_requeued = was_accepted and before is not None and not before.has_agent
        batches = list(_apart(told))
        for at, batch in enumerate(batches[:-1]):  # one that cannot be read keeps no other from being told
            part = Told(batch, is_accepted=was_accepted, is_requeued=was_requeued)
            # Named by the state before: after a crash the batch may come again under another number, and longer.
            await self.session.tell(f"{self.kept.begins}.{before.told_key if before else ''}.part{at}", encode(part))
            was_accepted = was_accepted or any(isinstance(each, Established) for each in batch)
            for each in batch:
                was_requeued = waits_again(each, was_requeued)
        if batches:
            last = Told(batches[-1], is_accepted=was_accepted, is_requeued=was_requeued)
            await self.change(key, last, **fields)
        else:
            await self.change(**fields)
        if session.has_agent:
            self.established.set()
        else:
            self.established.clear()
        self._arm()

    def _moved_to(self, base: str) -> None:
        """Of the whole org: new chats begin there."""
        shared, before = self.shared(), self.kept.session
        if before is not None and before.base != base:
            shared.base = base
            shared.context.log("org_moved", room=self.session.room)
        else:
            shared.context.count("foreign_hosts", 1)

    def _follows(self, events: tuple[Event, ...]) -> dict[str, Any]:
        """Of our own state from what happened."""
        kept, now_ms = self.kept, self.shared().now_ms()
        fields: dict[str, Any] = {}
        silence, agents = kept.silence, kept.agents
        for each in events:
            match each:
                case Established(agent=who, idle=idle):
                    fields |= {"is_accepted": True, "visitor": None, "idle": idle}
                    agents, silence = _with_agent(agents, who), Silence()
                case Requeued():
                    silence = Silence()  # he waits for somebody
                case Said(agent=who):
                    silence = silence.agent_said(now_ms)
                    agents = _with_agent(agents, who)
                case Requested(rules=rules) | Rules(rules=rules):
                    fields["rules"] = rules
                case FileWanted():
                    fields["wanted"] = each
                case FileOutcome():
                    wanted = fields.get("wanted", kept.wanted)
                    if wanted is not None and _is_of(each, wanted.token):
                        fields["wanted"] = None
                    if kept.upload is not None and _is_of(each, kept.upload.token):
                        fields["upload"] = msgspec.structs.replace(kept.upload, outcome=each.outcome)
                    if each.outcome == "Failure":
                        self.shared().context.count("files_failed", 1)
        if silence is not kept.silence:
            fields["silence"] = silence
        if agents is not kept.agents:
            fields["agents"] = agents
        return fields

    def _may_begin_anew(self, events: tuple[Event, ...]) -> bool:
        """Lost before anybody accepted; an end, or a refusal, is none."""
        kept = self.kept
        if any(isinstance(each, Failed | Ended) for each in events) or self.is_closing:
            return False
        return not kept.is_accepted and kept.visitor is not None and kept.begins <= self.shared().settings.restarts

    # -- sensitive data -----------------------------------------------------------------------------------

    async def masked(self, text: str) -> tuple[str | None, tuple[Rule, ...]]:
        """What agents may read, and the rules that changed it. None: nobody can tell."""
        shared, rules = self.shared(), self.kept.rules
        if not rules or not text or shared.settings.sensitive_data == "off":
            return text, ()
        try:
            found = await asyncio.get_running_loop().run_in_executor(shared.threads, mask, text, rules)
        except Exception as exc:  # a rule of theirs may be anything, and what is told first waits for none
            found = Masked(text, (), (f"the rules: {type(exc).__name__}",))
        if found.failed:
            shared.context.count("rules_failed", len(found.failed))
            shared.context.log("rules_failed", room=self.session.room, rules=[each[:80] for each in found.failed[:5]])
            if shared.settings.sensitive_data == "withhold":
                return None, ()
        return found.text, found.hits

    # -- typing and silence -------------------------------------------------------------------------------

    def _types(self, is_typing: bool) -> None:
        if not is_typing and self._quiet is None:
            return
        if self._quiet is not None:
            self._quiet.cancel()
            self._quiet = None
        self.session.typing(is_typing)
        if is_typing:
            self._quiet = asyncio.get_running_loop().call_later(TYPING_S, self._types, False)

    def hears(self) -> None:
        """From now on, again: what was before was no silence of his."""
        self.heard_ms = self.shared().now_ms()
        self._arm()

    def _answers(self, is_reachable: bool) -> None:
        """Of `Chat`, as often as it is known."""
        if is_reachable and not self.is_heard:
            self.hears()
        self.is_heard = is_reachable
        self.noticed(is_reachable)

    async def visitor_spoke(self) -> None:
        """His silence is over; what is posted next makes it durable. An end that may not have arrived comes no more."""
        async with self._lock:
            since = self.kept.silence.since_ms
            silence, clears = self.kept.silence.visitor_said()
            self.kept = msgspec.structs.replace(self.kept, silence=silence)
        if since:
            self._arm()
            if self.chat is not None:
                await self.chat.give_up(f"idle-{since}")
        if clears and self.chat is not None:
            body = {"idleTimeoutWarningEvent": "cleared"}
            try:
                await self.chat.post(Post(f"cleared-{since}", "ChasitorIdleTimeoutWarningEvent", body))
            except DeliveryError:  # what he says tells the same
                self.shared().context.count("idle_notices_lost", 1)

    def _arm(self) -> None:
        """Look again when his silence is due."""
        if self._silent is not None:
            self._silent.cancel()
            self._silent = None
        kept, shared = self.kept, self.shared()
        next_ms = kept.silence.next_ms(kept.idle, self.heard_ms) if shared.settings.idle and not kept.is_over else None
        if next_ms is not None:
            self._rearm(max(0.0, (next_ms - shared.now_ms()) / 1000))

    def _rearm(self, wait_s: float) -> None:
        self._silent = asyncio.get_running_loop().call_later(wait_s, self._silence_due)

    def _silence_due(self) -> None:
        next_ms = self.kept.silence.next_ms(self.kept.idle, self.heard_ms)
        if next_ms is not None and self.shared().now_ms() - next_ms > LATE_S * 1000:
            self.hears()
        elif self._acting is None or self._acting.done():
            self._acting = asyncio.create_task(self._act())

    async def _act(self) -> None:
        kept, shared, chat = self.kept, self.shared(), self.chat
        due = kept.silence.due(kept.idle, shared.now_ms(), self.heard_ms)
        if kept.is_over or self.is_closing or chat is None:
            return
        if not due:  # the clocks of timers and of the day are two
            self._arm()
            return
        if not self.is_heard or not self.ready.is_set():
            self._rearm(AGAIN_S)
            return
        since = kept.silence.since_ms
        try:
            if due == "end":
                await chat.post(Post(f"idle-{since}", "ChatEnd", {"reason": "clientIdleTimeout"}))
                return  # its end is told by the poll
            body = {"idleTimeoutWarningEvent": "triggered"}
            await chat.post(Post(f"warned-{since}", "ChasitorIdleTimeoutWarningEvent", body))
            if self.kept.silence.since_ms == since:
                told = Told(notice="idle-warning")
                await self.change(f"warned-{since}", told, silence=self.kept.silence.warned())
                self._arm()
        except Exception as exc:  # the service is down, or the database is: tried again
            shared.context.count("idle_notices_lost", 1)
            shared.context.log("idle_notice_failed", room=self.session.room, reason=type(exc).__name__)
            self._rearm(AGAIN_S)

    def forget(self) -> None:
        for each in (self._quiet, self._silent, self._acting):
            if each is not None:
                each.cancel()
        self._quiet = self._silent = self._acting = None


def _is_of(outcome: FileOutcome, token: str) -> bool:
    """One without a token is of whatever was asked for."""
    return outcome.token in ("", token)


def _with_agent(agents: tuple[tuple[str, str], ...], who: Agent) -> tuple[tuple[str, str], ...]:
    if not who.id or not who.name or (who.name, who.id) in agents:
        return agents
    return (*agents, (who.name, who.id))[-MOST_AGENTS:]


def _named(event: Event, agents: dict[str, str]) -> Event:
    """The record of a conversation has names only (reference 1.8): who said it is known from before."""
    if isinstance(event, Said) and not event.agent.id and event.agent.name in agents:
        return msgspec.structs.replace(event, agent=Agent(event.agent.name, agents[event.agent.name]))
    return event


def _apart(events: tuple[Event, ...]) -> Iterator[tuple[Event, ...]]:
    """What cannot be read stands alone."""
    together: list[Event] = []
    for each in events:
        if isinstance(each, Unreadable):
            if together:
                yield tuple(together)
            yield (each,)
            together = []
        else:
            together.append(each)
    if together:
        yield tuple(together)
