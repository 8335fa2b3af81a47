"""What no sane org tells, and what must not stop a chat: one odd event is one odd event."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

import connectors.salesforce_messaging.follow as follow_module
import connectors.salesforce_messaging.stream as stream_module
from connectors.salesforce_messaging.client import is_open
from connectors.salesforce_messaging.entries import Unreadable
from tests.conftest import until
from tests.connectors.salesforce.relays import ALEX, MakeRelay
from tests.connectors.salesforce_messaging.listeners import visitor
from tests.connectors.salesforce_messaging.orgs import new_id


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "FIRST_PAUSE_S", 0.02)


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


def message(abstract: str) -> str:
    return f'{{"abstractMessage":{{"messageType":"StaticContentMessage","id":"x","staticContent":{abstract}}}}}'


ODD: dict[str, str] = {
    "attachments are a number": message('{"formatType":"Attachments","attachments":7}'),
    "deep": message(nested(5000)),
    "deep but readable": message(nested(600)),
    "a huge number": message(f'{{"formatType":"Text","text":"x","n":{"9" * 4000}}}'),
    "no JSON": "{",
    "half a pair": message('{"formatType":"Text","text":"\\ud800"}'),
}


def put(org: Any, cid: str, payload: str, **fields: Any) -> None:
    """An entry of an agent, as it is in the stream and in listings."""
    found = org.org.conversations[cid]
    entry = {
        "identifier": new_id(),
        "entryType": "Message",
        "entryPayload": payload,
        "sender": {"role": "Agent", "subject": "005SM0000001AlxIAE"},
        "senderDisplayName": "Alex",
        "transcriptedTimestamp": org.org.clock.now_ms(),
        **fields,
    }
    found.entries.append(entry)
    envelope = {"conversationId": cid, "conversationEntry": entry}
    org.org.feeds.push(found.subject, "CONVERSATION_MESSAGE", envelope)


async def test_odd_messages_do_not_stop_the_chat(make_relay: MakeRelay) -> None:
    """Neither from the stream nor from a listing."""
    relay = await make_relay()
    guest = await relay.with_agent()
    for at, (name, payload) in enumerate(ODD.items()):
        put(relay.sf, relay.chat, payload)
        relay.sf.wish({"cut": at % 2 == 0})
        relay.desk.say(relay.chat, f"a{at}")
        async with asyncio.timeout(5):
            while f"a{at}" not in relay.words(guest):
                await asyncio.sleep(0.01)
        assert relay.agents_words(guest) == [f"a{n}" for n in range(at + 1)], name


ODD_FIELDS: dict[str, dict[str, Any]] = {
    "payload of a new kind": {"entryType": "Novel", "entryPayload": [1, 2]},
    "payload is a number": {"entryPayload": 3},
    "no identifier": {"identifier": None},
    "a time is text": {"clientTimestamp": "2026-11-22"},
    "role is a list": {"sender": {"role": ["Agent"]}},
    "a name is a number": {"senderDisplayName": 7},
    "kind is a number": {"entryType": 5},
}


@pytest.mark.parametrize("fields", ODD_FIELDS.values(), ids=ODD_FIELDS)
async def test_odd_entry_does_not_hide_the_others_of_a_listing(fields: dict[str, Any]) -> None:
    """New kinds appear without notice (reference 2.8), in listings too."""
    async with visitor() as one:
        async with one.listening():
            one.org.desk.say(one.cid, "one")
            await until(lambda: one.said == ["one"])
            put(one.org, one.cid, "{}", **fields)
            one.org.wish({"cut": True})
            one.org.wish({"stream": {"lose": 1}})
            one.org.desk.say(one.cid, "two")
            one.org.wish({"cut": True})
            await until(lambda: one.said == ["one", "two"])
            one.org.desk.say(one.cid, "three")
            await until(lambda: one.said == ["one", "two", "three"])
        odd = [each for _, each in one.told if isinstance(each, Unreadable)]

    assert len(odd) <= 2


@pytest.mark.parametrize("size", [1_200_000, 4_500_000], ids=["line", "listing"])
async def test_event_that_is_too_long_is_passed(size: int) -> None:
    """One that the stream cannot bring is read as an entry; one that nothing can bring stops neither."""
    async with visitor() as one:
        async with one.listening():
            one.org.desk.say(one.cid, "one")
            await until(lambda: one.said == ["one"])
            one.org.desk.say(one.cid, "x" * size)
            one.org.desk.say(one.cid, "two")
            await until(lambda: one.said[-1:] == ["two"])
            opened = one.org.org.feeds.by_subject[one.access.subject].opened
            one.org.desk.say(one.cid, "three")
            await until(lambda: one.said[-1:] == ["three"])
        streams = one.org.org.feeds.by_subject[one.access.subject].opened

    assert [len(each) for each in one.said if each[0] == "x"] == ([size] if size < 4 << 20 else [])
    assert streams == opened <= 3


@pytest.mark.parametrize("name", ["é", "x" * 300, "1\x01", "1 2"])
async def test_id_that_cannot_be_sent_back_is_not_sent_back(name: str) -> None:
    async with visitor() as one:
        async with one.listening():
            feed = one.org.org.feeds.of(one.access.subject)
            one.org.desk.say(one.cid, "one")
            (last, kind, data) = feed.events.pop()
            odd: Any = OddId(last, name)
            feed.events.append((odd, kind, data))
            await until(lambda: one.said == ["one"])
            one.org.wish({"cut": True})
            one.org.desk.say(one.cid, "two")
            await until(lambda: one.said == ["one", "two"])
        sent = [each["last_event_id"] for each in one.org.api.calls if each["last_event_id"]]

    assert all(each.isdigit() for each in sent) and len(sent) == 2
    assert one.counts["stream_broken"] <= 2


class OddId(int):
    """Sorts as its number, and is written as something else."""

    def __new__(cls, number: int, name: str) -> OddId:
        found = super().__new__(cls, number)
        found.name = name
        return found

    name: str

    def __format__(self, spec: str) -> str:
        return self.name


@pytest.mark.parametrize("ahead_ms", [10**8, -(10**13), 10**30], ids=["a day", "before all", "for ever"])
async def test_time_that_cannot_be_hides_nothing(ahead_ms: int) -> None:
    """Of one entry, of a clock that is wrong: what is lost later is still found, and all that follows is told."""
    async with visitor() as one:
        one.org.org.options.messages_per_minute = 0
        async with one.listening():
            one.org.desk.say(one.cid, "one")
            await until(lambda: one.said == ["one"])
            odd = json.dumps({"abstractMessage": {"messageType": "StaticContentMessage", "id": "x", **SAID}})
            put(one.org, one.cid, odd, transcriptedTimestamp=one.org.org.clock.now_ms() + ahead_ms)
            await until(lambda: one.said == ["one", "odd"])
            one.org.wish({"cut": True})
            await until(lambda: one.org.org.feeds.by_subject[one.access.subject].opened == 2)
            one.org.wish({"stream": {"lose": 1}})
            one.org.desk.say(one.cid, "two")
            one.org.wish({"cut": True})
            await until(lambda: one.said == ["one", "odd", "two"])
            told = [f"m{n}" for n in range(150)]
            for each in told:
                one.org.desk.say(one.cid, each)
                one.org.org.clock.ahead_s += 0.01
            await until(lambda: one.said[-1] == told[-1])

    assert one.said == ["one", "odd", "two", *told]


SAID = {"staticContent": {"formatType": "Text", "text": "odd"}}


async def test_file_that_hangs_keeps_the_agents_words_for_a_while_only(
    make_relay: MakeRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow_module, "FILES_S", 0.5, raising=False)
    relay = await make_relay(settings="upload_files = true")
    guest = await relay.with_agent()
    relay.sf.wish({"fail_next": [{"on": "download", "hang": True, "count": 100}]})
    relay.desk.send_file(relay.chat, "note.txt", "text/plain", "see this")
    relay.desk.say(relay.chat, "a0")
    await relay.until(lambda: "a0" in relay.words(guest))
    shown = [each for each in relay.words(guest) if each in ("see this", "[note.txt]", "a0")]

    assert shown == ["see this", "[note.txt]", "a0"]


HOURS: list[Any] = [
    7,
    {"isActive": True, "businessHours": [{"startTime": None, "endTime": 2}]},
    {"isActive": True, "businessHours": [{"startTime": "9:00", "endTime": "17:00"}]},
    {"isActive": True, "businessHours": {"startTime": 1, "endTime": 2}},
    {"isActive": True, "businessHours": [[1, 2]]},
    {"isActive": "yes", "businessHours": 7},
]


@pytest.mark.parametrize("hours", HOURS)
def test_hours_that_cannot_be_read_are_always(hours: Any) -> None:
    """Nobody is turned away for them: the desk is asked."""
    assert is_open({"businessHoursInfo": hours}, 10)


async def test_long_words_of_somebody_without_a_user_arrive_whole(make_relay: MakeRelay) -> None:
    """His name in front of a piece that fills a message would make it too long for the hub."""
    relay = await make_relay(agents="creation = false")
    guest = await relay.handed_over()
    relay.desk.accept(relay.chat, ALEX, "Alex Agent")
    relay.desk.say(relay.chat, "x" * 12_000)
    relay.desk.say(relay.chat, "a0")
    await relay.until(lambda: any(each.endswith("a0") for each in relay.words(guest)))
    words = relay.words(guest)

    assert "Alex Agent: a0" in words and sum(each.count("xx") for each in words) == 6_000


async def test_text_of_emoji_is_cut_as_others_count(make_relay: MakeRelay) -> None:
    """Each is two units of what a text may have."""
    relay = await make_relay()
    guest = await relay.with_agent()
    for _ in range(2):
        await guest.say("\N{GRINNING FACE}" * 2_400)
    await relay.until(lambda: len("".join(relay.heard())) == 4_800)
