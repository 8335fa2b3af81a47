"""A process that dies at each thing it writes, before it is durable or right after; the next one goes on with what is.

Without processes and without the engine, so that a hundred deaths take seconds; test_kill.py has real ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import connectors.salesforce_live_agent.chat as chat_module
import connectors.salesforce_live_agent.follow as follow_module
import connectors.salesforce_live_agent.sending as sending_module
from omnibridge.connector import DeliveryRetryable
from omnibridge.connector.desks import Left
from tests.conftest import until
from tests.connectors.salesforce_live_agent.alone import Alone, Held
from tests.connectors.salesforce_live_agent.services import checked
from tests.connectors.salesforce_live_agent.test_steps import AT_A_TIME, HEARD, WORDS, Stopped, agents_words, whole_chat


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_module, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(follow_module, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(sending_module, "SOON_S", 0.01)


class Mortal(Held):
    """die_at: the number of a write that is the process's last. kept: whether that one is durable."""

    n_writes, die_at, kept = 0, -1, False

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.died = asyncio.Event()

    async def tell(self, key: str, body: bytes, state: bytes | None = None) -> None:
        await self._write(lambda: super(Mortal, self).tell(key, body, state))

    async def save(self, state: bytes) -> None:
        await self._write(lambda: super(Mortal, self).save(state))

    def read_or_not(self, body: bytes) -> tuple[Any, ...]:
        """What cannot be read is put aside, and ends nothing."""
        try:
            return self.read(body)
        except ValueError:
            return ()

    async def _write(self, write: Callable[[], Any]) -> None:
        at, self.n_writes = self.n_writes, self.n_writes + 1
        if at != self.die_at or self.kept:
            await write()
        if at == self.die_at:
            self.died.set()
            await asyncio.Event().wait()


class Killed(Alone):
    """Calls of a process that died end, and are made again of the next one."""

    def __init__(self, sf: Any, die_at: int, kept: bool) -> None:
        super().__init__(sf, {})
        self._dies, self._is_back = (die_at, kept), asyncio.Event()
        self._undertaker: asyncio.Task[None] | None = None
        self.at_death: Callable[[], None] = lambda: None

    async def begin(self, **opening: Any) -> None:
        await super().begin(**opening)
        self._undertaker = asyncio.create_task(self._go_on())

    def held(self, state: bytes) -> Held:
        found = Mortal(state, self.connector.read_session)
        found.die_at, found.kept = self._dies
        return found

    async def _go_on(self) -> None:
        assert isinstance(self.session, Mortal)
        await self.session.died.wait()
        self.at_death()
        await self.restart()
        self._is_back.set()

    async def outlived(self, call: Callable[[], Any]) -> Any:
        assert isinstance(self.session, Mortal)
        if self.session.died.is_set():
            await self._is_back.wait()
        calling, dying = asyncio.ensure_future(call()), asyncio.ensure_future(self.session.died.wait())
        was_dead = self.session.died.is_set()
        try:
            await asyncio.wait({calling} if was_dead else {calling, dying}, return_when=asyncio.FIRST_COMPLETED)
            if calling.done():
                return calling.result()
            raise DeliveryRetryable("the process died", code="died")
        finally:
            for each in (calling, dying):
                each.cancel()
            await asyncio.gather(calling, dying, return_exceptions=True)

    async def end(self) -> None:
        if self._undertaker is not None and self._undertaker is not asyncio.current_task():
            self._undertaker.cancel()
            await asyncio.gather(self._undertaker, return_exceptions=True)
        await super().end()


async def unreadable_chat(one: Killed) -> None:
    """A batch that is told in three parts, because nobody can read the middle one; and it grows meanwhile."""
    await one.begin()
    await one.accepted()
    one.sf.wish({"options": {"paused": True}})
    one.desk.say(one.sid, "a0")
    one.desk.push(one.sid, "ChatMessage", text=7)
    one.desk.say(one.sid, "a1")
    if not died(one):
        one.at_death = lambda: one.desk.say(one.sid, "a2")
    one.sf.wish({"options": {"paused": False}})
    await until(lambda: len(one.words()) >= 2 or died(one))
    if not any(each["content"] == "a2" for each in one.sf.service.sessions[one.sid].lines):
        one.at_death = lambda: None
        one.desk.say(one.sid, "a2")
    await until(lambda: len(one.words()) >= 3)
    one.desk.end(one.sid)
    await until(lambda: one.kept.is_over)


def died(one: Alone) -> bool:
    assert isinstance(one.session, Mortal)
    return one.session.died.is_set()


async def chat(die_at: int, kept: bool, resend: str, play: Callable[[Killed], Any] = whole_chat) -> Killed:
    async with checked(poll_s=30, resend=resend, connection_timeout_s=30) as sf:
        one = Killed(sf, die_at, kept)
        try:
            await play(one)
        except Stopped:
            pass
        finally:
            await one.end()
    return one


@pytest.mark.parametrize(("kept", "resend"), [(False, "grown"), (True, "same")])
async def test_death_at_any_write_loses_doubles_and_reorders_nothing(kept: bool, resend: str) -> None:
    whole = await chat(-1, kept, resend)
    assert isinstance(whole.session, Mortal) and whole.session.n_writes > 30
    gate, wrong = asyncio.Semaphore(AT_A_TIME), list[str]()

    async def case(at: int) -> None:
        async with gate:
            try:
                one = await chat(at, kept, resend)
                assert (one.heard(), agents_words(one)) == (HEARD, WORDS)
                assert one.session.events[-1] == Left("agent")
                assert isinstance(one.session, Mortal) and one.session.died.is_set()
                assert len(one.of_kind("request")) == 1
            except Exception as exc:  # told below, with its place
                wrong.append(f"{at}: {type(exc).__name__} {exc}")

    await asyncio.gather(*(case(at) for at in range(whole.session.n_writes - 1)))
    assert wrong == []


@pytest.mark.parametrize("kept", [False, True])
async def test_death_between_the_parts_of_a_batch_tells_none_twice(kept: bool) -> None:
    whole = await chat(-1, kept, "grown", unreadable_chat)
    assert isinstance(whole.session, Mortal)
    for at in range(whole.session.n_writes - 1):
        one = await chat(at, kept, "grown", unreadable_chat)
        assert agents_words(one) == [("Alex Agent", f"a{n}") for n in range(3)], at
