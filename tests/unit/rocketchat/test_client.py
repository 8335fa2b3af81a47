"""The REST client against scripted answers: what is asked, what is read, which failure is which."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from omnibridge.domain.events import UserRef
from omnibridge.errors import DeliveryError, DeliveryRejected, DeliveryRetryable, DeliveryUncertain
from omnibridge.http import Client
from omnibridge.rocketchat.client import Credentials, RocketChatClient, Version
from omnibridge.rocketchat.errors import NOT_OF_A_REQUEST, from_answer, from_exception
from omnibridge.rocketchat.rooms import HubMessage, RoomInfo
from omnibridge.rocketchat.versions import read_version

OK = {"success": True}
STORED = {
    "_id": "m1", "rid": "r1", "msg": "hello", "ts": "2026-11-21T10:00:00.123Z",
    "u": {"_id": "botId", "username": "bot"},
}  # fmt: skip
TYPE_ERROR = {"success": False, "error": "Cannot read properties of undefined (reading 'starred')"}


class Hub:
    """Answers what it is told: path below /api -> (status, JSON body or bytes), or a list of them, one a call."""

    def __init__(self, **answers: Any) -> None:
        self.requests: list[httpx2.Request] = []
        self.answers = {"info": (200, {**OK, "version": "8.3"}), **answers}
        transport = httpx2.MockTransport(self._answer)
        http = Client(base_url="http://hub.test/chat", transport=transport)
        self.client = RocketChatClient("", Credentials("relayId", "relay-token"), timeout_s=2, client=http)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        found = self.answers[request.url.path.removeprefix("/chat/api/").removeprefix("v1/")]
        status, body = found.pop(0) if isinstance(found, list) else found
        return httpx2.Response(status, content=body if isinstance(body, bytes) else json.dumps(body).encode())

    def sent(self) -> Any:
        return json.loads(self.requests[-1].content)


def hub(**answers: Any) -> Hub:
    """`chat_sendMessage` -> `chat.sendMessage`; `__` -> `/`."""
    return Hub(**{name.replace("__", "/").replace("_", "."): answer for name, answer in answers.items()})


async def failure(call: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await call
    return caught.value


async def test_message_goes_out_with_our_id_as_the_poster() -> None:
    found = hub(chat_sendMessage=(200, {**OK, "message": STORED}))
    poster = Credentials("botId", "bot-token")

    await found.client.send_message(
        "r1", "m1", "hello", attachments=[{"image_url": "https://i"}], as_user=poster, alias="B"
    )

    assert found.sent() == {
        "message": {"_id": "m1", "rid": "r1", "msg": "hello", "attachments": [{"image_url": "https://i"}], "alias": "B"}
    }
    headers = found.requests[0].headers
    assert (headers["x-user-id"], headers["x-auth-token"]) == ("botId", "bot-token")
    assert str(found.requests[0].url) == "http://hub.test/chat/api/v1/chat.sendMessage"


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        ((400, TYPE_ERROR), DeliveryUncertain, "maybe-duplicate"),
        ((400, {"error": "undefined is not iterable"}), DeliveryUncertain, "maybe-duplicate"),
        (
            (400, {"error": "E11000 duplicate key error collection: rocketchat_message"}),
            DeliveryUncertain,
            "maybe-duplicate",
        ),
        ((400, {"error": "error-not-allowed"}), DeliveryRejected, "error-not-allowed"),
        ((400, {"error": "Over [error-mac-limit-reached]"}), DeliveryRejected, "error-mac-limit-reached"),
        ((401, {"status": "error", "message": "You must be logged in to do this."}), DeliveryRejected, "not-logged-in"),
        ((403, {"success": False, "error": "unauthorized"}), DeliveryRejected, "unauthorized"),
        ((429, {"success": False, "error": "You must wait 3 seconds before"}), DeliveryRetryable, "rate-limited"),
        ((500, {"success": False, "error": "Internal server error"}), DeliveryUncertain, "http-500"),
        ((404, b"<html>default backend</html>"), DeliveryRetryable, "not-rocketchat"),
        ((200, b"<html>sign in first</html>"), DeliveryUncertain, "unreadable-answer"),
        ((200, {"success": False, "error": "odd"}), DeliveryUncertain, "unreadable-answer"),
        ((301, b""), DeliveryRejected, "http-301"),
    ],
)
async def test_send_that_fails(answer: Any, kind: type, code: str) -> None:
    error = await failure(hub(chat_sendMessage=answer).client.send_message("r1", "m1", "secret words"))

    assert (type(error), error.code) == (kind, code)
    assert not any(each in str(error) for each in ("secret", "relay-token", "hub.test", "html"))


async def test_crash_text_means_a_duplicate_only_where_a_message_was_sent() -> None:
    error = await failure(hub(livechat__room_forward=(400, TYPE_ERROR)).client.forward_to_agent("r1", "u1"))

    assert (type(error), error.code) == (DeliveryRejected, "http-400")


@pytest.mark.parametrize(
    ("answer", "author", "expected"),
    [
        ((200, {**OK, "message": STORED}), "botId", True),
        ((200, {**OK, "message": STORED}), None, True),
        ((200, {**OK, "message": {**STORED, "msg": " hello\n"}}), "botId", True),
        ((200, {**OK, "message": {**STORED, "msg": "other", "editedAt": "2026-11-21T10:00:00Z"}}), "botId", True),
        ((400, {"success": False}), "botId", False),
        ((400, {"success": False, "error": "The message id provided does not match"}), None, False),
        ((200, {**OK, "message": STORED}), "aliceId", "id-taken"),
        ((200, {**OK, "message": {**STORED, "rid": "r2"}}), "botId", "id-taken"),
        ((200, {**OK, "message": {**STORED, "msg": "other"}}), "botId", "id-taken"),
        ((200, {**OK, "message": {**STORED, "token": "vt"}}), None, "id-taken"),
        ((400, {"success": False, "error": "No [error-not-allowed]"}), None, "error-not-allowed"),
        ((200, OK), None, "unreadable-answer"),
    ],
)
async def test_read_back_compares_room_author_and_content(answer: Any, author: str | None, expected: Any) -> None:
    """What cannot be read back must never pass for "not there"."""
    call = hub(chat_getMessage=answer).client.confirm_message("r1", "m1", author, "hello")

    if isinstance(expected, bool):
        assert await call is expected
    else:
        assert (await failure(call)).code == expected


@pytest.mark.parametrize("answer", [{**OK}, {**OK, "room": None}, {**OK, "room": {"_id": "other", "open": True}}])
async def test_missing_room_does_not_look_closed(answer: Any) -> None:
    assert (await failure(hub(rooms_info=(200, answer)).client.room("r1"))).code == "unreadable-answer"


async def test_room_is_read() -> None:
    raw = {
        "_id": "r1", "open": True, "fname": "Vera", "ts": "2026-11-21T10:00:00.000Z", "departmentId": "d1",
        "servedBy": {"_id": "aliceId", "username": "alice", "ts": "2026-11-21T10:00:01.000Z"},
        "v": {"_id": "v1", "username": "guest-1", "token": "vt"}, "source": {"type": "api"}, "livechatData": {"a": "b"},
    }  # fmt: skip

    assert await hub(rooms_info=(200, {**OK, "room": raw})).client.room("r1") == RoomInfo(
        "r1", True, UserRef("aliceId", "alice"), "d1", visitor_id="v1", visitor_username="guest-1",
        visitor_name="Vera", fields={"a": "b"}, source="api", created_at_ms=1795255200000, served_at_ms=1795255201000,
    )  # fmt: skip


async def test_lists_are_read_to_the_last_page() -> None:
    people = [{"_id": f"u{n}", "username": f"u{n}", "livechatCount": n} for n in range(150)]
    pages = [(200, {**OK, "users": people[:100], "total": 150}), (200, {**OK, "users": people[100:], "total": 150})]
    found = hub(livechat__users__agent=pages)

    agents = await found.client.available_agents()

    assert [each.id for each in agents] == [each["_id"] for each in people]
    assert agents[7].open_chats == 7
    assert [dict(each.url.params)["offset"] for each in found.requests] == ["0", "100"]


async def test_list_that_shrinks_while_it_is_read_ends() -> None:
    page = [{"_id": f"d{n}", "name": "D"} for n in range(100)]
    found = hub(
        livechat__department=[
            (200, {**OK, "departments": page, "total": 101}),
            (200, {**OK, "departments": [], "total": 101}),
        ]
    )

    assert len(await found.client.departments()) == 100


async def test_user_who_is_missing_is_a_value_and_a_failure_is_not() -> None:
    there = {**OK, "user": {"_id": "botId", "username": "bot", "name": "Bot"}}
    assert await hub(users_info=(200, there)).client.user_by_username("bot") == UserRef("botId", "bot", "Bot")
    assert (
        await hub(users_info=(400, {"success": False, "error": "User not found."})).client.user_by_username("x") is None
    )
    assert (await failure(hub(users_info=(200, there)).client.user_by_username("other"))).code == "unreadable-answer"
    assert (
        await failure(hub(users_info=(400, {"error": "User not found."})).client.user("x"))
    ).code == "error-invalid-user"


async def test_history_is_oldest_first_and_asked_from_a_time() -> None:
    newer = {**STORED, "_id": "m2", "ts": "2026-11-21T10:00:05.000Z", "t": "uj"}
    found = hub(chat_syncMessages=(200, {**OK, "result": {"updated": [newer, STORED, {}], "deleted": []}}))

    messages, _ = await found.client.changes_since("r1", 1795255200123)

    assert [(each.id, each.system_type) for each in messages] == [("m1", ""), ("m2", "uj")]
    assert messages[0] == HubMessage("m1", "r1", "hello", 1795255200123, "botId", "bot")
    assert dict(found.requests[0].url.params)["lastUpdate"] == "2026-11-21T10:00:00.123Z"


@pytest.mark.parametrize(
    ("inquiry", "is_waiting"),
    [({"_id": "i1", "status": "queued"}, True), ({"_id": "i1", "status": "taken"}, False), (None, False), ({}, False)],
)
async def test_inquiry_only_while_it_waits(inquiry: Any, is_waiting: bool) -> None:
    found = await hub(livechat__inquiries_getOne=(200, {**OK, "inquiry": inquiry})).client.inquiry("r1")

    assert (found is not None) is is_waiting


# -- return to the queue, by version (4.2, 6.4) ---------------------------------------------------------


def result(**inner: Any) -> dict[str, Any]:
    return {**OK, "message": json.dumps({"msg": "result", "id": "1", **inner})}


METHOD_ERROR = {"error": {"error": "error-returning-inquiry", "message": "No [error-returning-inquiry]"}}


@pytest.mark.parametrize("version", ["7.12", "8.0", "8.3.0-develop"])
async def test_returns_over_rest_from_7_12(version: str) -> None:
    found = hub(
        info=(200, {**OK, "version": version}), livechat__inquiries_returnAsInquiry=(200, {**OK, "result": True})
    )

    await found.client.return_to_queue("r1", "d1")

    assert found.sent() == {"roomId": "r1", "departmentId": "d1"}


@pytest.mark.parametrize("version", ["6.14", "7.7", "7.11"])
@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, result(result=True), None),
        (200, result(result=False), "not-served"),
        (200, result(**METHOD_ERROR), "error-returning-inquiry"),
        (400, {**result(**METHOD_ERROR), "success": False}, "error-returning-inquiry"),
        (200, OK, "unreadable-answer"),
    ],
)
async def test_returns_by_method_before(version: str, status: int, body: Any, code: str | None) -> None:
    answers = {"info": (200, {**OK, "version": version}), "v1": None}
    found = hub(**{k: v for k, v in answers.items() if v})
    found.answers["method.call/livechat:returnAsInquiry"] = (status, body)

    call = found.client.return_to_queue("r1")

    assert (None if code is None else (await failure(call)).code) == code if code else await call is None
    assert json.loads(found.sent()["message"])["params"] == ["r1"]


async def test_version_is_asked_once_and_again_after_a_method_was_refused() -> None:
    """The hub may be upgraded under us: the method is gone in 8.0."""
    found = hub(
        info=[(200, {**OK, "version": "7.7"}), (200, {**OK, "version": "8.3"})],
        livechat__inquiries_returnAsInquiry=(200, {**OK, "result": True}),
    )
    gone = {"error": {"error": 404, "message": "Method 'livechat:returnAsInquiry' not found [404]"}}
    found.answers["method.call/livechat:returnAsInquiry"] = (400, {**result(**gone), "success": False})
    assert (await found.client.info(), await found.client.info()) == (Version(7, 7), Version(7, 7))

    assert (await failure(found.client.return_to_queue("r1"))).code == "404"
    await found.client.return_to_queue("r1")

    assert await found.client.info() == Version(8, 3)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"version": "6.14.0-develop"}, Version(6, 14)),
        ({"info": {"version": "7.7.1"}}, Version(7, 7)),
        ({"version": "9"}, Version(9, 0)),
        ({"version": "develop"}, None),
        ({}, None),
    ],
)
def test_version_texts(body: dict[str, Any], expected: Version | None) -> None:
    assert read_version(body) == expected


# -- the transport ----------------------------------------------------------------------------------------


async def test_call_ends_at_its_time_limit() -> None:
    never = asyncio.Event()

    async def hang(_: httpx2.Request) -> httpx2.Response:
        await never.wait()
        raise AssertionError

    http = Client(base_url="http://hub.test", transport=httpx2.MockTransport(hang))
    client = RocketChatClient("", Credentials("u", "t"), timeout_s=0.01, client=http)

    assert type(await failure(client.close("r1", "Done."))) is DeliveryUncertain


def test_every_exception_of_httpx2_has_a_place() -> None:
    """All that the package exports, not only HTTPError's branch: a new one must be placed by hand."""
    exported = [each for each in vars(httpx2).values() if isinstance(each, type) and issubclass(each, Exception)]
    assert len(exported) > 20
    for each in exported:
        made = each.__new__(each)
        if issubclass(each, NOT_OF_A_REQUEST):
            with pytest.raises(each):
                from_exception(made)
        else:
            assert isinstance(from_exception(made), DeliveryRetryable | DeliveryUncertain), each


def test_defect_of_ours_is_not_translated() -> None:
    with pytest.raises(KeyError):
        from_exception(KeyError("x"))


@pytest.mark.parametrize(("reset_in_s", "expected"), [(30.0, (29, 30)), (-5.0, (0.5, 0.5)), (9999.0, (120, 120))])
def test_pause_follows_the_reset_header(
    monkeypatch: pytest.MonkeyPatch, reset_in_s: float, expected: tuple[float, float]
) -> None:
    clock: Callable[[], float] = lambda: 1_795_255_200.0  # noqa: E731
    monkeypatch.setattr("omnibridge.rocketchat.errors.time.time", clock)
    error = from_answer(429, {}, {"x-ratelimit-reset": str(int((clock() + reset_in_s) * 1000))})

    assert isinstance(error, DeliveryRetryable) and error.retry_after_s is not None
    assert expected[0] <= error.retry_after_s <= expected[1]


def test_token_is_not_shown() -> None:
    assert "hidden" not in repr(Credentials("u", "hidden"))
