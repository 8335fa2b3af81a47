"""A whole chat, disturbed at each of its steps: what the steps are is read from a chat that nothing disturbs.

All chats of a test run beside each other in one world; each has its own user at Salesforce, so that only its own
token dies.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

import connectors.salesforce_messaging.follow as follow_module
import connectors.salesforce_messaging.stream as stream_module
from omnibridge.errors import DeliveryError
from omnibridge.sandbox.visitor import Visitor
from tests.connectors.salesforce.relays import ALEX, BEA, MakeRelay
from tests.connectors.salesforce_messaging.orgs import RunningOrg
from tests.connectors.salesforce_messaging.relays import Relay
from tests.connectors.salesforce_messaging.test_trouble import verified
from tests.scripted import ScriptedConnector

HEARD = ["v0", "v1", "blue", "look", "", "v2"]
SHOWN = ["a0", "Which one?", "see this", "a1", "Bea here."]
ATTRIBUTES = 'routing_attributes = { Room_Id = "room" }\nupload_files = true'
LOST = "You are with our assistant again."
Step = tuple[str, int]
"""Name of a call, and the how manieth of that name in its chat."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again soon: pauses are not what these tests are about."""
    monkeypatch.setattr(stream_module, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(follow_module, "FIRST_PAUSE_S", 0.02)


class OneChat:
    """Everything that a chat may have, one thing after the other, until it is over on both sides.

    dies: the step before which its token dies, or which is answered with `status`. steps: what came. is_lost: what the
    visitor reads when the chat went back to the bot, which ends the play. most_unwritten: so many events need not have
    come by a stream when the last agent has spoken.
    """

    def __init__(self, relay: Relay, dies: Step | None = None, is_lost: str = "", status: int = 0) -> None:
        self.relay, self.dies, self.is_lost, self.status = relay, dies, is_lost, status
        self.visitor = Visitor(relay.world.hub, "Vera")
        self.steps: list[str] = []
        self.is_dead, self.most_unwritten = False, 1000

    @property
    def cid(self) -> str:
        found = self.relay.sf.org.conversations.values()
        return next(each.id for each in found if each.sessions[0].attributes.get("Room_Id") == self.visitor.rid)

    def is_made(self) -> bool:
        return any(each.sessions[0].attributes.get("Room_Id") == self.visitor.rid for each in _all(self.relay))

    def subject(self) -> str:
        return self.relay.sf.org.conversations[self.cid].subject

    def events(self) -> list[str]:
        return [name for _, name, _ in self.relay.sf.org.feeds.by_subject[self.subject()].events]

    def unwritten(self) -> set[int]:
        """Numbers of events that no stream has brought: they came as entries, or are to come."""
        events = self.relay.sf.org.feeds.by_subject[self.subject()].events
        return {number for number, _, _ in events} - {number for _, number, _ in self.relay.sf.org.feeds.written}

    def heard(self) -> list[str]:
        kinds = ("message", "file")
        cid = self.cid
        rows = [each for each in self.relay.sf.org.desk if each["conversation"] == cid and each["kind"] in kinds]
        assert sum(each["repeats"] for each in rows) <= 1
        return [each["text"] for each in rows if not each["text"].startswith("Conversation so far:")]

    def is_over(self) -> bool:
        """A guest whose token is dead ends nothing at Salesforce."""
        rooms = [each.session.room for each in _connector(self.relay)._chats.values()]
        return bool(self.is_lost) and self.is_dead and self.visitor.rid not in rooms

    def words(self) -> list[str]:
        return self.relay.words(self.visitor)

    def shown(self) -> list[str]:
        return [next(part for part in SHOWN if part in each) for each in self.words() if any(p in each for p in SHOWN)]

    def step(self, name: str, subject: str) -> int | None:
        self.steps.append(name)
        if (name, self.steps.count(name)) != self.dies or self.is_dead:
            return None
        self.is_dead = True
        if not self.status:
            self.relay.sf.kill_tokens(subject)
        return self.status

    async def until(self, holds: Callable[[], object]) -> None:
        """Raises EOFError when it was lost, and may be."""
        async with asyncio.timeout(30):
            while not holds():
                if self.is_lost and self.is_lost in self.words():
                    raise EOFError
                await asyncio.sleep(0.02)

    async def say(self, text: str, heard: str = "") -> None:
        await self.visitor.say(text)
        await self.until(lambda: (heard or text) in self.heard())

    async def play(self) -> None:
        relay, desk, visitor = self.relay, self.relay.desk, self.visitor
        await visitor.open_room()
        await visitor.say("talk to a human")
        await self.until(self.is_made)
        await self.say("v0")
        desk.queue_position(self.cid, 1)
        desk.accept(self.cid, ALEX, "Alex Agent")
        desk.typing(self.cid)
        desk.say(self.cid, "a0")
        await self.until(lambda: "a0" in self.words())
        await self.types()
        await self.say("v1")
        desk.ask(self.cid, "Which one?", [{"title": "Red", "id": "red"}, {"title": "Blue", "id": "blue"}])
        await self.until(lambda: any("Which one?" in each for each in self.words()))
        await self.say("2", "blue")
        desk.send_file(self.cid, "note.txt", "text/plain", "see this")
        desk.say(self.cid, "a1")
        await self.until(lambda: "a1" in self.words())
        await relay.world.upload(visitor, "cat.png", text="look")
        await self.until(lambda: "" in self.heard())
        (*_, last) = [each for each in relay.sf.org.desk if each["conversation"] == self.cid and "id" in each]
        desk.receipt(self.cid, last["id"])
        desk.inactive(self.cid)
        desk.transfer(self.cid, BEA, "Bea Boss")
        desk.say(self.cid, "Bea here.")
        await self.until(lambda: "Bea here." in self.words() and len(self.unwritten()) <= self.most_unwritten)
        await self.say("v2")
        await visitor.close()
        await self.until(lambda: relay.sf.org.conversations[self.cid].sessions[-1].status == "Ended" or self.is_over())

    async def types(self) -> None:
        """A call that is lost when it fails."""
        connector = _connector(self.relay)
        (name,) = [each.session.id for each in connector._chats.values() if each.session.room == self.visitor.rid]
        try:
            await connector.on_typing(name, True)
        except DeliveryError:
            return

    def check(self) -> None:
        """Once, in order, nothing missing, and files are files."""
        assert self.heard() == HEARD
        assert self.shown() == SHOWN
        assert not any("[note.txt]" in each for each in self.words())


def _all(relay: Relay) -> list[Any]:
    return [each for each in relay.sf.org.conversations.values() if each.sessions]


def _connector(relay: Relay) -> Any:
    return relay.world.node.service._connectors["sales"]


def watch(relay: Relay, chats: list[OneChat]) -> None:
    """Tell each chat of its calls."""

    def before(name: str, subject: str) -> int | None:
        if not subject:  # it asks for a token: there is none that could die
            return None
        found = [each for each in _connector(relay)._chats.values() if each.access.subject == subject]
        rooms = [each.session.room for each in found]
        for each in chats:
            if each.visitor.rid in rooms:
                return each.step(name, subject)
        return None

    relay.sf.before = before


async def test_token_of_a_verified_user_dies_at_each_step(make_relay: MakeRelay, sf: RunningOrg) -> None:
    """It is renewed, and nobody notices."""
    relay = await make_relay(settings=f"{verified(sf)}\n{ATTRIBUTES}")
    sf.wish({"options": {"starts_per_30_s": 0}})
    calm = OneChat(relay)
    watch(relay, [calm])
    await calm.play()
    calm.check()
    steps = Counter(calm.steps)
    assert {"stream", "create", "message", "entry", "acknowledge", "download", "file", "close"} <= set(steps)

    chats = [OneChat(relay, (name, nth)) for name, times in steps.items() for nth in range(1, times + 1)]
    watch(relay, chats)
    await asyncio.gather(*(each.play() for each in chats))

    for each in chats:
        assert each.is_dead, each.dies
        each.check()
    assert sf.api.limited == []
    assert {each["asked"] for each in sf.api.issued} == {"verified"}
    files = [each.name for each in relay.world.sandbox.hub.files.by_id.values()]
    assert files.count("note.txt") == 1 + len(chats)


async def test_token_of_a_guest_dies_at_each_step(make_relay: MakeRelay, sf: RunningOrg) -> None:
    """He is told, and the bot goes on with what no agent had got; nothing is given to both."""
    relay = await make_relay(
        settings=f'{ATTRIBUTES}\non_left = "bot"\non_declined = "bot"',
        texts=f'desk_left = "{LOST}"\nnobody_online = "{LOST}"',
    )
    sf.wish({"options": {"starts_per_30_s": 0}})
    calm = OneChat(relay)
    watch(relay, [calm])
    await calm.play()
    calm.check()

    steps = Counter(calm.steps)
    chats = [OneChat(relay, (name, nth), LOST) for name, times in steps.items() for nth in range(1, times + 1)]
    watch(relay, chats)
    ended = await asyncio.gather(*(each.play() for each in chats), return_exceptions=True)
    lost = [each for each, how in zip(chats, ended, strict=True) if isinstance(how, EOFError)]
    assert {each.dies for each, how in zip(chats, ended, strict=True) if how is None} == {("close", 1)}

    for each in lost:
        await each.visitor.say("echo and now")
        each.is_lost = ""
        await each.until(lambda each=each: "and now" in each.words())
        assert each.is_dead
        heard = each.heard() if each.is_made() else []
        given = [turn.text for turn in ScriptedConnector.bot.given if turn.room == each.visitor.rid]
        assert heard == HEARD[: len(heard)], each.dies
        assert each.shown() == SHOWN[: len(each.shown())], each.dies
        said = [text for text in ("v0", "v1", "v2") if text in each.words()]
        assert [text for text in said if (text in heard) == (text in given)] == [], (each.dies, heard, given)
        assert each.words().count(LOST) == 1
    await lost[0].until(lambda: relay.world.rows("SELECT count(*) FROM desk_sessions") == [(0,)])
    assert {each["asked"] for each in sf.api.issued} == {"guest"}


@pytest.mark.parametrize("within", [False, True], ids=["after each", "within each"])
async def test_stream_is_cut_at_each_event(make_relay: MakeRelay, sf: RunningOrg, within: bool) -> None:
    """Each connection brings one event; none is missing of those that a calm chat has, and none is told twice."""
    relay = await make_relay(settings=ATTRIBUTES)
    sf.wish({"options": {"starts_per_30_s": 0}})
    calm = OneChat(relay)
    await calm.play()
    calm.check()
    expected = calm.events()
    assert len(set(expected)) >= 9

    sf.wish({"stream": {"cut_every": 1, "within": within}})
    cut = OneChat(relay)
    cut.most_unwritten = 2
    await cut.play()
    cut.check()

    assert cut.events() == expected
    feed = sf.org.feeds.by_subject[cut.subject()]
    written = {number for who, number, _ in sf.org.feeds.written if who == cut.subject()}
    last = max(at for at, (_, _, data) in enumerate(feed.events) if "Bea here." in data)
    assert {number for number, _, _ in feed.events[: last - 2]} <= written  # the last of all may come as entries only
    assert feed.opened >= len(written)
    assert feed.most_open == 1


NOT_BELIEVED = {"stream": (400, 403, 404), "message": (400, 404, 417), "entries": (404,), "entry": (400,)}
"""What is tried again, or does without, because the next attempt may be answered otherwise. Of the message that tells
what was said before the refusal is believed: the desk is not offered the chat then."""


async def test_each_call_is_answered_once_with_each_status(make_relay: MakeRelay, sf: RunningOrg) -> None:
    """Those of the reference that are over soon, for each call: nothing is lost, doubled or out of order."""
    relay = await make_relay(settings=ATTRIBUTES)
    sf.wish({"options": {"starts_per_30_s": 0, "tokens_per_minute": 0}})
    calm = OneChat(relay)
    watch(relay, [calm])
    await calm.play()
    calm.check()
    names = set(calm.steps)
    assert {"stream", "create", "message", "entry", "entries", "acknowledge", "download", "file", "close"} == names

    cases = [(name, status) for name in sorted(names) for status in (429, 500, 503, *NOT_BELIEVED.get(name, ()))]
    chats = [OneChat(relay, (name, 2 if name == "message" else 1), status=status) for name, status in cases]
    watch(relay, chats)
    ended = await asyncio.gather(*(each.play() for each in chats), return_exceptions=True)

    assert [(each.dies, each.status, how) for each, how in zip(chats, ended, strict=True) if how is not None] == []
    for each in chats:
        assert each.is_dead, (each.dies, each.status)
        each.check()
    assert sf.api.limited == []
