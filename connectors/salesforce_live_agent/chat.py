"""Drives one session: the one request that reads, and posts in their order. Thin: what to do says `poll.py`.

Whoever holds the session runs exactly one of these, on one machine (a second poll ends the chat), and keeps its state.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from connectors.salesforce_live_agent.client import LiveAgent, Reply
from connectors.salesforce_live_agent.errors import ServerMoved, SessionGone
from connectors.salesforce_live_agent.messages import Event, SwitchServer
from connectors.salesforce_live_agent.poll import (
    Post,
    Request,
    Session,
    Step,
    answered,
    at_base,
    begun,
    given_up,
    lost,
    moved,
    next_request,
    not_sent,
    posted,
    refused,
)
from omnibridge.connector import ConfigError, DeliveryError, DeliveryRejected, DeliveryRetryable, DeliveryUncertain

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 10.0
STEADY_S = 5.1
"""A request that waits for so long is connected: connecting takes 5 s at most. With the first pause it is less than
`trouble_s`, so that one failure of a silent chat is told to nobody."""

QUICK_S, MOST_QUICK = 0.5, 10
"""Polls wait for most of a minute. When so many told nothing and took less, each next one is followed by a pause."""

MUST_ARRIVE = frozenset({"ChasitorInit", "ChatMessage", "ChatEnd"})
MOST_FAILURES = 3
"""Of any other post, answered with 5xx each time: words of the visitor wait behind it. A number that was taken is
dropped with 200 when it comes again, so this one was not."""

_T = TypeVar("_T")
Keep = Callable[[Session, tuple[Event, ...]], Awaitable[None]]


class NotKept(Exception):
    """`keep` failed; its error is the cause. The state is what was kept before."""


class Chat:
    """keep: is given each new state with what happened, in order, and makes both durable together.

    held: seconds for which nobody else may read this session, waits until there are any; asked before each request, and
    for one that reads again while it waits. None lasts longer.

    noticed: told after each request that reads whether the service answered it; and that it does, when one
    waits for STEADY_S after a failure: in a silent chat a poll is answered after most of a minute.

    keep is also called before each post, with nothing: otherwise a crash while posting could lose the next one, because
    the server drops a number that it took.
    """

    def __init__(
        self,
        api: LiveAgent,
        session: Session,
        keep: Keep,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        held: Callable[[], Awaitable[float]] | None = None,
        noticed: Callable[[bool], None] | None = None,
    ) -> None:
        self._held, self._noticed, self._has_failed = held, noticed, False
        self._api, self._keep, self._sleep = api, keep, sleep
        self.session = session
        self._changing, self._order = asyncio.Lock(), asyncio.Lock()
        self._reading: asyncio.Task[Reply] | None = None
        self._posting: asyncio.Task[int] | None = None
        self._limit: asyncio.Timeout | None = None
        self._at_half: asyncio.TimerHandle | None = None
        self._asking: asyncio.Task[None] | None = None
        self._moves = 0
        self._failing = ("", 0)  # id of a post, how often it failed

    def use(self, api: LiveAgent) -> None:
        """From the next request on; close the old one, which ends what is under way."""
        self._api = api

    async def run(self, *, until_ready: bool = False) -> None:
        """Until the session is over. Cancel it to stop reading; the session lives on for a while.

        until_ready: only until posts may be sent: after a move, where nobody reads any more.
        """
        pause_s, n_quick = FIRST_PAUSE_S, 0
        while next_request(self.session) is not None and not (until_ready and self.session.is_ready):
            limit_s = await self._held() if self._held else None
            session = self.session  # a post may have changed it meanwhile
            request = next_request(session)
            if request is None:
                return
            # What was before is not kept while this one waits.
            moves, answer, step, is_too_large = self._moves, None, None, False
            began = asyncio.get_running_loop().time()
            self._reading = asyncio.create_task(self._read(session, request, limit_s))
            steady = asyncio.get_running_loop().call_later(STEADY_S, self._tell, True) if self._has_failed else None
            try:
                answer = await _result(self._reading)
            except DeliveryError as exc:
                is_too_large = exc.code == "answer-too-large"
            finally:
                if steady is not None:
                    steady.cancel()
            if self._moves != moves:
                continue  # a post was told that the session moved
            async with self._changing:
                if is_too_large:
                    step = lost(self.session, "too-large")  # it would be so for ever
                elif answer is not None:
                    step = self._at_new_base(answered(self.session, request.kind, answer.status, answer.body))
                if step is not None:
                    await self._change(step)
            self._tell(step is not None and not step.pauses)
            is_quick = asyncio.get_running_loop().time() - began < QUICK_S
            n_quick = n_quick + 1 if is_quick and step is not None and not step.events else 0
            if step is None or step.pauses:
                await self._sleep(pause_s * random.uniform(0.75, 1.0))  # noqa: S311 - no secret
                pause_s = min(LONGEST_PAUSE_S, pause_s * 2)
            else:
                pause_s = FIRST_PAUSE_S
                if n_quick > MOST_QUICK:
                    await self._sleep(FIRST_PAUSE_S)

    def _tell(self, answers: bool) -> None:
        self._has_failed = not answers
        if self._noticed:
            self._noticed(answers)

    def _at_new_base(self, step: Step) -> Step:
        """Where the org says that it moved to, if that is an address of Salesforce's."""
        for each in step.events:
            if isinstance(each, SwitchServer):
                try:
                    step = step._replace(session=at_base(step.session, self._api.judged(each.url)))
                except (ConfigError, DeliveryRejected):
                    continue  # whoever keeps the state sees that the base is as before
        return step

    async def _read(self, session: Session, request: Request, limit_s: float | None) -> Reply:
        try:
            async with asyncio.timeout(limit_s) as limit:
                self._ask_at_half(limit, limit_s)
                try:
                    return await self._api.read(session, request)
                finally:
                    self._ask_no_more()
        except TimeoutError as exc:
            raise DeliveryUncertain("nobody may read this session any longer", code="not-held") from exc

    # A poll waits longer than a session is held at once. Ended by us every time, it would look as if the service did
    # not answer, and each next one would need a connection of its own.

    def _ask_at_half(self, limit: asyncio.Timeout, limit_s: float | None) -> None:
        self._limit = limit
        if limit_s is not None:
            self._at_half = asyncio.get_running_loop().call_later(limit_s / 2, self._ask)

    def _ask(self) -> None:
        self._asking = asyncio.create_task(self._hold_on())

    async def _hold_on(self) -> None:
        limit = self._limit
        assert self._held is not None and limit is not None
        left_s = await self._held()
        if self._limit is limit and not limit.expired():
            limit.reschedule(asyncio.get_running_loop().time() + left_s)
            self._ask_at_half(limit, left_s)

    def _ask_no_more(self) -> None:
        for each in (self._at_half, self._asking):
            if each is not None:
                each.cancel()
        self._limit = self._at_half = self._asking = None

    async def post(self, post: Post) -> None:
        """In the order of the calls; once for each id, however often. Raises DeliveryError.

        What was uncertain before is posted first, under its number.
        """
        async with self._order:
            if post.id in self.session.done:
                return
            pending = self.session.pending
            if pending is not None and pending.id != post.id:
                try:
                    await self._post(pending)
                except SessionGone:
                    raise
                except DeliveryRejected:
                    pass  # it was refused, and takes no number; whose it was asks again and is told
            await self._post(post)

    async def give_up(self, post_id: str) -> None:
        """A post whose outcome is not known shall not be repeated any more."""
        async with self._changing:
            session = given_up(self.session, post_id)
            if session is not self.session:
                await self._change(Step(session))

    async def _post(self, post: Post) -> None:
        if self._held:
            await self._held()  # a process that slept for a minute may not be the one any more
        async with self._changing:
            if post.id in self.session.done:
                return
            again = self.session.pending is not None
            if self.session.pending is not None and self.session.pending.id == post.id:
                post = self.session.pending  # as it may have arrived, word for word
            session = begun(self.session, post)
            if session != self.session:
                await self._change(Step(session))
            moves = self._moves
            self._posting = asyncio.create_task(self._api.post(session, post))
        try:
            status = await _result(self._posting)
        except DeliveryRetryable:
            async with self._changing:
                if self._moves == moves:
                    await self._change(Step(not_sent(self.session, again=again)))
            raise
        finally:
            self._posting = None
        async with self._changing:
            if self._moves != moves or status is None:
                # The number counts no more. The record of the conversation will tell whether it arrived.
                if post.id in self.session.done:
                    return
                raise ServerMoved("the chat moved to another server while it was posted", code="moved")
            step, error = posted(self.session, status, again=again)
            if isinstance(error, DeliveryUncertain) and status != 503 and post.noun not in MUST_ARRIVE:
                before, n_failed = self._failing
                self._failing = (post.id, n_failed + 1 if before == post.id else 1)
                if self._failing[1] >= MOST_FAILURES:
                    step, error = refused(self.session, status)
            await self._change(step)
        if error is not None:
            raise error

    async def _change(self, step: Step) -> None:
        """Keep, then go on from there. A move ends what is under way."""
        was_moved = step.session.phase == "moved" and self.session.phase != "moved"
        if step.session is not self.session or step.events:
            try:
                await self._keep(step.session, step.events)
            except Exception as exc:
                raise NotKept("the state of the chat could not be kept") from exc
        self.session = step.session
        if was_moved:
            self._moves += 1
            for task in (self._reading, self._posting):
                if task is not None:
                    task.cancel()

    async def moved(self) -> None:
        """Somebody else was told 503."""
        async with self._changing:
            await self._change(moved(self.session))


async def _result(task: asyncio.Task[_T]) -> _T | None:
    """None: it was cancelled by a move. When we are cancelled, its connection is closed before this returns."""
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait({task})
        raise
    return None if task.cancelled() else task.result()
