"""Content for the widget, choices understood, failures classified."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from omnibridge.domain.choices import match_choice
from omnibridge.domain.content import Card, Carousel, Choices, Custom, File, Image, Option, Text, chosen_from
from omnibridge.errors import DeliveryRejected, DeliveryRetryable, DeliveryUncertain
from omnibridge.http import create_client
from omnibridge.rocketchat.errors import code_of, from_answer, from_exception, says_duplicate
from omnibridge.rocketchat.render import render
from tests.stream_server import stream_server

OPTIONS = (Option("Yes, please", "/yes"), Option("No", "/no"), Option("no", "/no2"), Option("Docs", url="https://d"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", "/yes"),
        (" 1. ", "/yes"),
        ("#2", "/no"),
        ("(1)", "/yes"),
        ("yes, PLEASE!", "/yes"),
        ("no", None),  # two options of that name
        ("5", None),
        ("0", None),
        ("1 or 2", None),
        ("", None),
    ],
)
def test_choice_by_number_or_label(text: str, value: str | None) -> None:
    found = match_choice(text, OPTIONS)

    assert (found.value if found else None) == value


def test_choices_are_numbered_text_and_links() -> None:
    assert [each.text for each in render(Choices("Pick:", OPTIONS)).messages] == [
        "Pick:\n1. Yes, please\n2. No\n3. no\n[Docs](https://d)"
    ]


def test_numbers_that_are_shown_are_the_numbers_that_are_understood() -> None:
    """Links have none, and the cards of a carousel share one row of numbers."""
    link, one, two, three = Option("Docs", url="https://d"), Option("One"), Option("Two"), Option("Three")
    carousel = Carousel((Card("A", options=(link, one)), Card("B", options=(two, link, three))))
    for part in (Choices("Pick:", (link, one, two, three)), Card("C", options=(one, link, two, three)), carousel):
        shown = "\n".join(each.text for each in render(part).messages).splitlines()
        for number, option in enumerate(chosen_from(part), 1):
            assert f"{number}. {option.label}" in shown
            assert match_choice(str(number), chosen_from(part)) == option
        assert [each.label for each in chosen_from(part)] == ["One", "Two", "Three"]
        assert "[Docs](https://d)" in shown


def test_what_the_widget_cannot_draw_is_text() -> None:
    assert render(Image("https://i", "Cat")).messages[0].attachments == ({"title": "Cat", "image_url": "https://i"},)
    assert render(File("https://f", "Price list")).messages[0].text == "[Price list](https://f)"
    assert render(File("javascript:alert(1)", "x")).messages[0].text == "x"
    assert [each.text for each in render(Card("T", "B", "https://i", OPTIONS[:1])).messages] == [
        "",
        "*T*\nB\n1. Yes, please",
    ]
    assert render(Custom({"a": 1})) == ([], ("custom",))
    assert render(Text("  ")).messages == []


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (400, {"errorType": "error-invalid-room"}, DeliveryRejected, "error-invalid-room"),
        (400, {"error": "Gone [error-not-allowed]"}, DeliveryRejected, "error-not-allowed"),
        (400, {"error": "room-closed"}, DeliveryRejected, "room-closed"),
        (400, {"error": "Some sentence."}, DeliveryRejected, "http-400"),
        (401, {}, DeliveryRejected, "not-logged-in"),
        (429, {"error": "You must wait 7 seconds before"}, DeliveryRetryable, "rate-limited"),
        (400, {"errorType": "error-room-cannot-be-closed-try-again"}, DeliveryRetryable, None),
        (502, {}, DeliveryUncertain, "http-502"),
    ],
)
def test_answers_are_classified(status: int, body: dict[str, str], kind: type, code: str | None) -> None:
    error = from_answer(status, body, {})

    assert type(error) is kind
    assert code is None or error.code == code


def test_pause_asked_for_is_kept() -> None:
    error = from_answer(429, {"error": "You must wait 7 seconds before"}, {})

    assert isinstance(error, DeliveryRetryable) and error.retry_after_s == 7


def test_duplicate_answers_are_recognised() -> None:
    assert says_duplicate({"error": "Cannot read properties of undefined (reading 'starred')"})
    assert says_duplicate({"error": "E11000 duplicate key"})
    assert not says_duplicate({"error": "error-not-allowed"})
    assert code_of({"error": 7}) == ""


def every_subclass(root: type[Exception]) -> set[type[Exception]]:
    return {root} | {leaf for each in root.__subclasses__() for leaf in every_subclass(each)}


def test_every_failure_of_the_client_has_a_place() -> None:
    not_sent = {httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol}
    for each in every_subclass(httpx2.HTTPError) - {httpx2.HTTPStatusError}:
        expected = DeliveryRetryable if each in not_sent else DeliveryUncertain
        assert type(from_exception(each("x"))) is expected, each


async def test_client_over_a_socket_that_answers_nothing() -> None:
    async def hang_up(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")

    async with stream_server(hang_up) as server:
        client = create_client(base_url=f"http://127.0.0.1:{server.port}", timeout_s=30)
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.post("/x", content=b"{}")
    with pytest.raises(httpx2.ConnectError):
        await client.post("/x", content=b"{}")
    await client.aclose()
