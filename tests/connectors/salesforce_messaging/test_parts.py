"""Pure parts: failures, tokens, frames, entries, positions, pacing, business hours, multipart."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import httpx2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.salesforce_messaging import entries, stream
from connectors.salesforce_messaging.client import is_open
from connectors.salesforce_messaging.entries import Entry, events_of, read_event, read_listing
from connectors.salesforce_messaging.errors import NoSession, NotVerified, TokenDead, from_exception, from_status
from connectors.salesforce_messaging.pacing import Pacer
from connectors.salesforce_messaging.stream import Frame, Frames, Place, Position
from connectors.salesforce_messaging.tokens import Access, Identity, checked, claims_of, read_access
from omnibridge.connector import (
    AnswerTooLarge,
    ConfigError,
    DeliveryError,
    DeliveryRejected,
    DeliveryRetryable,
    DeliveryUncertain,
)
from tests.connectors.salesforce_messaging.orgs import key_pair


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (301, DeliveryRejected, "redirect"),
        (400, DeliveryRejected, "bad-request"),
        (401, TokenDead, "token"),
        (403, DeliveryRejected, "forbidden"),
        (404, DeliveryRejected, "not-found"),
        (409, DeliveryUncertain, "http-409"),
        (413, DeliveryRejected, "too-large"),
        (417, NoSession, "no-session"),
        (418, DeliveryRejected, "http-418"),
        (429, DeliveryRetryable, "http-429"),
        (500, DeliveryUncertain, "http-500"),
        (503, DeliveryUncertain, "http-503"),
    ],
)
def test_status_says_what_may_be_done(status: int, kind: type[DeliveryError], code: str) -> None:
    found = from_status(status, "", 0)

    assert type(found) is kind and found.code == code


def test_pause_after_429() -> None:
    for header, pause in (
        ("7", 7.0),
        ("", 5.0),
        ("soon", 5.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 70.0),
        ("999999999", 300.0),
    ):
        found = from_status(429, header, 30.0)
        assert isinstance(found, DeliveryRetryable) and found.retry_after_s == pause


def subclasses(kind: type[Exception]) -> set[type[Exception]]:
    return {kind} | {each for sub in kind.__subclasses__() for each in subclasses(sub)}


@pytest.mark.parametrize("kind", sorted(subclasses(httpx2.TransportError), key=lambda each: each.__name__))
def test_every_failure_of_the_transport_has_a_place(kind: type[Exception]) -> None:
    found = from_exception(kind("secret words"))

    assert isinstance(found, DeliveryRetryable | DeliveryUncertain)
    assert isinstance(found, DeliveryRetryable) == issubclass(
        kind, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout | httpx2.UnsupportedProtocol
    )
    assert "secret" not in str(found)


def test_what_is_no_failure_of_the_transport_is_raised() -> None:
    with pytest.raises(KeyError):
        from_exception(KeyError("x"))


def token(claims: Any) -> str:
    return f"a.{base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b'=').decode()}.c"


def granted(subject: str = "v2/iamessage/ANON/x/uid:1", claims: Any = None, **more: Any) -> bytes:
    claims = {"exp": 99, "orgId": "00DgL0000044OAPUA2"} if claims is None else claims
    answer = {"accessToken": token(claims), "lastEventId": "7", "context": {"endUser": {"subject": subject}}, **more}
    return json.dumps(answer).encode()


def test_access_is_what_the_token_says() -> None:
    found = read_access(granted(), "0" * 15, 50.0)

    assert (found.expires_s, found.org_id, found.last_event_id, found.is_verified) == (
        99,
        "00DgL0000044OAP",
        "7",
        False,
    )
    assert found.token not in repr(found) and found.token not in str(found)
    assert read_access(granted(lastEventId=8), "0" * 15, 50.0).last_event_id == "8"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"<html>", b"{}", granted(claims=[]), granted(claims={}), granted(claims={"exp": "soon"})]
)
def test_access_that_cannot_be_read_is_uncertain(body: bytes) -> None:
    with pytest.raises(DeliveryUncertain):
        read_access(body, "0" * 15, 50.0)


@pytest.mark.parametrize(
    "subject",
    [
        "v2/iamessage/ANON/x/uid:7",
        "v2/iamessage/AUTH/Site/uid:8",
        "v2/iamessage/AUTH/Site/uid:77",
        "v2/iamessage/AUTH/uid:7",
        "v2/iamessage/ANON/AUTH/uid:7",
        "",
    ],
)
def test_verified_fails_closed(subject: str) -> None:
    access = Access("t", subject, "0", 9, "0" * 15)
    with pytest.raises(NotVerified):
        checked(access, "7")
    assert checked(Access("t", "v2/iamessage/AUTH/Site/uid:7", "0", 9, "0" * 15), "7").is_verified


def test_identity_is_signed_as_agreed() -> None:
    private, _ = key_pair()
    made = Identity(private, "k1", "shop", "https://acme.my.salesforce.com").token("visitor", 1000)

    assert json.loads(base64.urlsafe_b64decode(made.split(".")[0] + "==")) == {
        "alg": "RS256",
        "typ": "JWT",
        "kid": "k1",
    }
    expected = {"iss": "shop", "sub": "visitor", "iat": 1000, "exp": 1300, "aud": "https://acme.my.salesforce.com"}
    assert claims_of(made) == expected
    assert "aud" not in claims_of(Identity(private, "k1", "shop").token("v", 0))
    with pytest.raises(ConfigError, match="RSA"):
        Identity("hunter2", "k1", "shop")


def frames(*lines: bytes) -> list[Frame]:
    found = Frames()
    return [each for line in lines if (each := found.feed(line)) is not None]


def test_frames_of_a_stream() -> None:
    """Comments and unknown fields are nothing, an id stays, data may have several lines."""
    text = (
        b": hi",
        b"event: A",
        b"id: 1",
        b"data: x",
        b"data:y",
        b"retry: 5",
        b"",
        b"",
        b"data",
        b"",
        b"event: B",
        b"",
    )

    assert frames(*text) == [Frame("A", "1", b"x\ny"), Frame("message", "1", b"")]
    assert frames(b"data: not ended") == []
    with pytest.raises(AnswerTooLarge):
        frames(*[b"data: " + b"x" * 100_000] * 50)


def entry(kind: str, payload: Any, role: str = "Agent", **more: Any) -> Entry:
    wire = {
        "identifier": "e1",
        "entryType": kind,
        "entryPayload": payload,
        "sender": {"role": role, "subject": "005", "appType": "agent", "clientIdentifier": None},
        "senderDisplayName": "Alex",
        "transcriptedTimestamp": 5.0,
        "clientTimestamp": None,
        "relatedRecords": [],
        **more,
    }
    found = read_listing(json.dumps({"conversationEntries": [wire]}).encode())
    return found[0]


MESSAGE = {"abstractMessage": {"messageType": "StaticContentMessage", "staticContent": {"text": "hi"}}}
COMMON: dict[str, Any] = {"conversation": "c", "id": "e1", "at": 5, "sender": entries.Sender("Agent", "005", "Alex")}


@pytest.mark.parametrize(
    ("kind", "payload", "expected"),
    [
        ("Message", MESSAGE, entries.Said(abstract=MESSAGE["abstractMessage"], **COMMON)),
        ("RoutingWorkResult", {"workType": "Accepted"}, entries.Worked(work="Accepted", **COMMON)),
        (
            "RoutingResult",
            {
                "routingType": "Transfer",
                "failureType": "None",
                "recordId": "0Mw",
                "estimatedWaitTime": 9,
                "isEWTAvailable": True,
            },
            entries.Routed(is_transfer=True, session="0Mw", wait_s=9, **COMMON),
        ),
        (
            "RoutingResult",
            {"failureType": "RoutingError", "estimatedWaitTime": -1},
            entries.Routed(failure="RoutingError", **COMMON),
        ),
        (
            "SessionStatusChanged",
            {"sessionStatus": "Ended", "sessionStatusPrev": "Active"},
            entries.SessionIs(status="Ended", before="Active", **COMMON),
        ),
        ("CloseConversation", {}, entries.Closed(**COMMON)),
        ("TypingStartedIndicator", {}, entries.Typing(is_typing=True, **COMMON)),
        ("TypingStoppedIndicator", None, entries.Typing(is_typing=False, **COMMON)),
        (
            "ReadAcknowledgement",
            {"acknowledgedConversationEntryIdentifier": "m1"},
            entries.Seen(of="m1", is_read=True, **COMMON),
        ),
        ("QueuePosition", {"position": 3}, entries.QueuePosition(position=3, **COMMON)),
        ("QueuePosition", {"queuePosition": "2"}, entries.QueuePosition(position=2, **COMMON)),
        ("QueuePosition", {"where": 3}, entries.QueuePosition(**COMMON)),
        ("Message", {}, entries.Unreadable(kind="Message", **COMMON)),
        ("Message", [], entries.Unreadable(kind="Message", **COMMON)),
        ("ParticipantChanged", {"entries": 7}, entries.Unreadable(kind="ParticipantChanged", **COMMON)),
    ],
)
def test_entry_is_what_happened_as_string_and_as_object(kind: str, payload: Any, expected: entries.Event) -> None:
    if not isinstance(payload, list):
        assert events_of("c", entry(kind, payload)) == (expected,)
    assert events_of("c", entry(kind, json.dumps(payload))) == (expected,)


def test_what_happened_and_the_position_can_be_kept_as_bytes() -> None:
    found = events_of("c", entry("Message", MESSAGE)) + events_of(
        "c", entry("SessionStatusChanged", {"sessionStatus": "Ended"})
    )
    position = Position("1").after("c", entry("Message", MESSAGE), "2")

    assert msgspec.json.decode(msgspec.json.encode(found), type=tuple[entries.Event, ...]) == found
    assert msgspec.json.decode(msgspec.json.encode(position), type=Position) == position


def test_participants_come_and_go_in_one_entry() -> None:
    def move(operation: str, name: str) -> dict[str, Any]:
        who = {"role": "Agent", "subject": name, "appType": "agent"}
        return {"operation": operation, "participant": who, "displayName": name.title(), "menuMetadata": None}

    found = events_of("c", entry("ParticipantChanged", {"entries": [move("remove", "a"), move("add", "b")]}))

    assert [(type(each), each.sender) for each in found] == [
        (entries.Left, entries.Sender("Agent", "a", "A")),
        (entries.Joined, entries.Sender("Agent", "b", "B")),
    ]


def test_own_messages_are_echoes_and_unknown_kinds_are_nothing() -> None:
    assert isinstance(events_of("c", entry("Message", MESSAGE, role="EndUser"))[0], entries.Echo)
    assert events_of("c", entry("TypingStartedIndicator", {}, role="EndUser")) == ()
    for kind in ("StreamingToken", "ProgressIndicator", "ClientMenu", "Novel"):
        assert events_of("c", entry(kind, "not even JSON")) == ()
    assert read_event("CONVERSATION_NOVEL", b"x") is None and read_event("ping", b"0") is None
    with pytest.raises(ValueError):
        read_event("CONVERSATION_MESSAGE", b"{}")


@given(st.lists(st.integers(0, 300), max_size=400))
def test_place_tells_each_entry_once_however_often_it_comes(order: list[int]) -> None:
    """Repeats of what is long gone are known by their time. Entries come in order, repeats in any."""
    place, told, newest = Place(), [], -1
    for n in order:
        n = min(n, newest + 1)
        each = Entry(str(n), "Message", None, None, None, 1000 + n)
        if not place.knows(each):
            place = place.after(each)
            told.append(n)
            newest = n

    assert told == list(range(newest + 1))
    assert len(place.seen) <= stream.REMEMBERED


def test_position_leaves_typing_out_and_keeps_conversations_apart() -> None:
    begun = Position("1")
    typed = begun.after("c", entry("TypingStartedIndicator", {}), "2")
    both = typed.after("c", entry("Message", MESSAGE), "3").after("d", entry("Message", MESSAGE), "")

    assert typed == Position("2")
    assert both.last_event_id == "3" and sorted(both.places) == ["c", "d"]
    assert both.place("c").knows(entry("Message", MESSAGE)) and not both.place("e").knows(entry("Message", MESSAGE))


class Virtual:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


async def test_pacing_keeps_the_limit_and_the_order() -> None:
    clock, sent = Virtual(), list[tuple[float, int]]()
    pacer = Pacer(lambda: clock.now, clock.sleep)

    async def send(n: int) -> None:
        async with pacer.turn("c"):
            sent.append((clock.now, n))

    await asyncio.gather(*(send(n) for n in range(100)))
    async with pacer.turn("other"):
        pass

    assert [n for _, n in sent] == list(range(100))
    times = [at for at, _ in sent]
    assert all(later - earlier > 60 for earlier, later in zip(times, times[22:], strict=False))
    assert times[-1] < 5 * 61


async def test_pacing_pauses_after_429_and_goes_on_after_a_failure() -> None:
    clock = Virtual()
    pacer = Pacer(lambda: clock.now, clock.sleep)
    with pytest.raises(DeliveryRetryable):
        async with pacer.turn("c"):
            pacer.pause("c", 30)
            raise DeliveryRetryable
    async with pacer.turn("c"):
        assert clock.now == 30
    pacer.forget("c")
    assert pacer._sent == pacer._locks == pacer._not_before == {}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({}, True),
        ({"businessHoursInfo": None}, True),
        ({"businessHoursInfo": {"isActive": True, "businessHours": []}}, True),
        ({"businessHoursInfo": {"isActive": False, "businessHours": [{"startTime": 1, "endTime": 2}]}}, True),
        ({"businessHoursInfo": {"isActive": True, "businessHours": [{"startTime": 1, "endTime": 2}]}}, False),
        ({"businessHoursInfo": {"isActive": True, "businessHours": [{"startTime": 5, "endTime": 11}]}}, True),
    ],
)
def test_business_hours(answer: dict[str, Any], expected: bool) -> None:
    assert is_open(answer, 10) is expected
