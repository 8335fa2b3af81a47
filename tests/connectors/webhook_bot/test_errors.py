"""Each failure has its class and its code, over a real socket."""

from __future__ import annotations

import asyncio
import gzip
from email.utils import formatdate
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.webhook_bot.client import MAX_ANSWER_BYTES
from connectors.webhook_bot.errors import from_exception
from omnibridge.connector import (
    AnswerTooLarge,
    DeliveryError,
    DeliveryRejected,
    DeliveryRetryable,
    DeliveryUncertain,
    Reply,
)
from omnibridge.connector.failures import NOT_SENT, seconds_to_wait
from omnibridge.connector.testing import turn
from tests.connectors.webhook_bot.bots import bot, connected
from tests.loop_time import pass_by
from tests.stream_server import stream_server


def answering(status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> Starlette:
    """A bot that always answers the same."""

    async def receive(_: Request) -> Response:
        return Response(body, status, headers)

    return Starlette(routes=[Route("/", receive, methods=["POST", "GET"])])


async def failure(app: Any) -> DeliveryError:
    """How a turn fails; `resolve` must fail the same way."""
    async with bot(app) as connector:
        with pytest.raises(DeliveryError) as caught:
            await connector.on_message(turn())
        with pytest.raises(type(caught.value)):
            await connector.resolve(turn())
    return caught.value


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (301, DeliveryRejected, "redirect"),
        (308, DeliveryRejected, "redirect"),
        (400, DeliveryRejected, "bad-request"),
        (401, DeliveryRejected, "unauthorized"),
        (403, DeliveryRejected, "unauthorized"),
        (404, DeliveryRejected, "not-found"),
        (405, DeliveryRejected, "not-found"),
        (409, DeliveryRetryable, "http-409"),
        (410, DeliveryRejected, "gone"),
        (413, DeliveryRejected, "too-large"),
        (418, DeliveryRejected, "http-418"),
        (429, DeliveryRetryable, "http-429"),
        (500, DeliveryUncertain, "http-500"),
        (502, DeliveryUncertain, "http-502"),
        (503, DeliveryRetryable, "http-503"),
        (504, DeliveryUncertain, "http-504"),
    ],
)
async def test_status(status: int, kind: type[DeliveryError], code: str) -> None:
    found = await failure(answering(status, b"my secret", {"location": "/elsewhere"}))

    assert (type(found), found.code) == (kind, code)
    assert "my secret" not in str(found)


async def test_redirect_is_not_followed() -> None:
    reached = []

    async def receive(request: Request) -> Response:
        reached.append(request.url.path)
        return Response(status_code=307, headers={"location": "/elsewhere"})

    routes = [Route("/{path:path}", receive, methods=["POST", "GET"])]

    assert (await failure(Starlette(routes=routes))).code == "redirect"
    assert set(reached) == {"/"}


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_kept(status: int) -> None:
    found = await failure(answering(status, headers={"retry-after": "7"}))

    assert isinstance(found, DeliveryRetryable)
    assert found.retry_after_s == 7.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (formatdate(1_000_060, usegmt=True), 60.0),
        (formatdate(999_000, usegmt=True), 0.0),
        ("9" * 5000, 999_999_999.0),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("٣", None),
    ],
)
def test_seconds_to_wait(header: str, seconds: float | None) -> None:
    assert seconds_to_wait(header, 1_000_000) == seconds


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_nothing_to_say(status: int) -> None:
    async with bot(answering(status)) as connector:
        assert await connector.on_message(turn()) == Reply()


async def test_page_instead_of_an_answer() -> None:
    found = await failure(answering(200, b"<html>Sign in</html>", {"content-type": "text/html"}))

    assert (type(found), found.code) == (DeliveryUncertain, "html")


async def test_answer_has_a_limit() -> None:
    fits = b'{"text": "' + b"x" * (MAX_ANSWER_BYTES - 12) + b'"}'
    async with bot(answering(200, fits)) as connector:
        assert len((await connector.on_message(turn())).parts[0].text) == MAX_ANSWER_BYTES - 12  # type: ignore[union-attr]

    found = await failure(answering(200, fits + b" "))
    assert (type(found), found.code) == (DeliveryRejected, "answer-too-large")


async def test_compressed_answer_is_not_unpacked() -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    assert len(bomb) < MAX_ANSWER_BYTES

    found = await failure(answering(200, bomb, {"content-encoding": "gzip"}))
    assert (type(found), found.code) == (DeliveryRejected, "answer-too-large")
    assert "uncompressed" in str(found)


async def test_nobody_listens() -> None:
    async with connected("http://127.0.0.1:9/?key=hidden") as connector:
        with pytest.raises(DeliveryRetryable) as caught:
            await connector.on_message(turn())

    assert caught.value.code == "not-sent"
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("ending", ["hang", "cut", "half"])
async def test_answer_that_does_not_come(ending: str) -> None:
    """The bot has the request: what it made of it is not known."""
    reading: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reading.append(await reader.readuntil(b"\r\n\r\n"))
        if ending == "half":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
            await writer.drain()
        if ending == "hang":
            pass_by(60.0)
            await reader.read()  # to the caller's end

    async with (
        stream_server(serve) as server,
        connected(f"http://127.0.0.1:{server.port}/", turn_timeout_s=60) as connector,
    ):
        with pytest.raises(DeliveryUncertain) as caught:
            await connector.on_message(turn())

    assert caught.value.code == "no-answer"
    assert len(reading) == 1


def every_subclass(root: type[Exception]) -> set[type[Exception]]:
    return {root} | {leaf for each in root.__subclasses__() for leaf in every_subclass(each)}


def test_every_failure_of_the_client_has_a_place() -> None:
    for each in every_subclass(httpx2.HTTPError) - {httpx2.HTTPStatusError}:
        expected: type[DeliveryError] = DeliveryUncertain
        if each in NOT_SENT:
            expected = DeliveryRetryable
        elif each is AnswerTooLarge:
            expected = DeliveryRejected
        assert type(from_exception(each("x"))) is expected, each
    assert type(from_exception(TimeoutError())) is DeliveryUncertain
    with pytest.raises(KeyError):
        from_exception(KeyError("not the client's"))
