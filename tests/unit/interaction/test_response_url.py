"""An address is for one message, block and action, until it expires; every change of it is noticed."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec
import pytest

from omnibridge.engine.responses import Posted, Responses, named_elsewhere, read_neutral
from omnibridge.interaction.response_url import Expired, NotValid, ResponseUrls, Target

TARGET = Target("main", "r1", "helper", "m1", "ob1.once.2", "button.0", "", "act-1", 1000)
URLS = ResponseUrls(b"s" * 32, "https://bridge.example.com/", 1800)


def token_of(target: Target, urls: ResponseUrls = URLS) -> str:
    return urls.make(target).rpartition("/")[2]


def test_s3_16_an_address_says_what_it_is_for_until_it_expires() -> None:
    assert URLS.make(TARGET).startswith("https://bridge.example.com/interactions/")
    assert URLS.read(token_of(TARGET), 999.9) == TARGET
    with pytest.raises(Expired):
        URLS.read(token_of(TARGET), 1000)


def test_s3_16_each_component_has_one_of_its_own() -> None:
    others = [
        msgspec.structs.replace(TARGET, **{name: "x"}) for name in Target.__struct_fields__ if name != "expires_s"
    ]
    assert len({token_of(each) for each in (TARGET, *others)}) == 9


def test_s3_16_every_change_of_one_character_is_noticed() -> None:
    token = token_of(TARGET)
    for at, was in enumerate(token):
        for other in "AQgw_-9z":
            if other != was:
                with pytest.raises(NotValid):
                    URLS.read(token[:at] + other + token[at + 1 :], 0)


@pytest.mark.parametrize("token", ["", "x", "é", "A" * 22, "=" * 30, "%00", "A" * 5000])
def test_s3_16_what_is_no_address_is_refused(token: str) -> None:
    with pytest.raises(NotValid):
        URLS.read(token, 0)


def test_s3_16_another_message_needs_another_signature() -> None:
    raw = urlsafe_b64decode(token_of(TARGET) + "==")
    forged = urlsafe_b64encode(raw.replace(b'"m1"', b'"m2"')).decode().rstrip("=")
    with pytest.raises(NotValid):
        URLS.read(forged, 0)
    with pytest.raises(NotValid):
        URLS.read(token_of(TARGET, ResponseUrls(b"t" * 32, "", 1)), 0)


def posted(body: bytes, message: str = "m1") -> Posted:
    return Posted(message, "ob1.once.2", "m0", msgspec.Raw(body))


def test_s3_17_and_18_an_answer_replaces_or_is_new() -> None:
    responses = Responses({"helper": read_neutral})
    new = responses.event("helper", posted(b'{"text": "Hi"}'))
    replaced = responses.event("helper", posted(b'{"messages": [{"kind": "text", "text": "a"}, {"kind": "text", '
                                                b'"text": "b"}], "replace_original": true}'))  # fmt: skip
    gone = responses.event("helper", posted(b'{"delete_original": true}'))

    assert (len(new.parts), new.updates, new.thread_id) == (1, (), "m0")
    assert [each.text for each in replaced.parts] == ["b"]
    assert [(each.message_id, each.block_id, each.content.text) for each in replaced.updates] == [
        ("m1", "ob1.once.2", "a")
    ]
    assert [(each.block_id, each.content.text) for each in gone.updates] == [("ob1.once.2", "")]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{}", "m1"),
        (b'{"replace_original": true}', "m1"),
        (b'{"replace_original": true, "text": "x"}', ""),
        (b'{"replace_original": "yes", "text": "x"}', "m1"),
        (b'{"text": 7}', "m1"),
        (b'{"messages": [{"kind": "unheard"}]}', "m1"),
    ],
)
def test_an_answer_that_means_nothing_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Responses({"helper": read_neutral}).event("helper", posted(body, message))


def test_s3_16_a_body_that_names_another_message_is_noticed() -> None:
    for body in (b'{"message_id": "m2"}', b'{"original_message": {"_id": "m2"}}', b'{"channel": {"id": "r2"}}'):
        assert named_elsewhere(body, posted(body), "r1")
    for body in (b'{"message_id": "m1", "room": "r1", "block_id": "ob1.once.2"}', b'{"channel": {"id": "r1"}}'):
        assert named_elsewhere(body, posted(body), "r1") == ""
