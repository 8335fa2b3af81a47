"""Our signatures, verified by the public library of Standard Webhooks."""

from __future__ import annotations

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from connectors.webhook_bot import simulator
from connectors.webhook_bot.signing import read_secrets, signed_headers

keys = st.binary(min_size=24, max_size=64)
ids = st.from_regex(r"[A-Za-z0-9_-]{1,80}", fullmatch=True)


def written(key: bytes) -> str:
    return "whsec_" + base64.b64encode(key).decode()


@given(keys, ids, st.text(), st.text(min_size=1, max_size=3))
def test_public_library_takes_what_we_sign_and_nothing_else(key: bytes, name: str, body: str, more: str) -> None:
    headers = signed_headers(read_secrets(written(key)), name, int(time.time()), body.encode())
    webhook = Webhook(written(key))

    webhook.verify(body.encode(), headers, json_parse=False)
    for wrong in (body + more, more + body):
        with pytest.raises(WebhookVerificationError):
            webhook.verify(wrong.encode(), headers, json_parse=False)
    with pytest.raises(WebhookVerificationError):
        webhook.verify(body.encode(), {**headers, "webhook-id": f"{name}x"}, json_parse=False)


@given(keys, keys)
def test_while_secrets_are_rotated_both_hold(old: bytes, new: bytes) -> None:
    headers = signed_headers(read_secrets(f"{written(new)} {written(old)}"), "turn_1", int(time.time()), b"{}")

    for key in (old, new):
        Webhook(written(key)).verify(b"{}", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(written(b"a third secret, of neither side")).verify(b"{}", headers)


def test_signature_is_that_of_another_program() -> None:
    """Made once with `openssl dgst -sha256 -hmac`."""
    key = read_secrets("whsec_c2FuZGJveC1zZWNyZXQtb2YtdGhlLXNpbXVsYXRvciE=")

    assert signed_headers(key, "turn_a_1", 1674087231, b'{"a":1}')["webhook-signature"] == EXPECTED


EXPECTED = "v1,lRV0WtorGMuOLpRq2nnjc8K4A7Ju88yqjSYaqNNPdwA="


def test_without_a_secret_nothing_is_signed() -> None:
    assert signed_headers(read_secrets(" "), "turn_1", 7, b"{}") == {"webhook-id": "turn_1", "webhook-timestamp": "7"}


@pytest.mark.parametrize(
    "wrong", ["plain-password-of-somebody", "whsec_", "whsec_AAAA", "whsec_!!!!" * 9, "whsec_" + "A" * 88]
)
def test_wrong_secret_is_explained_without_being_shown(wrong: str) -> None:
    good = written(bytes(32))
    with pytest.raises(ValueError, match="secret number 2 is not whsec_ and the base64") as caught:
        read_secrets(f"{good} {wrong}")

    said = str(caught.value)
    assert good not in said
    assert wrong == "whsec_" or wrong not in said


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, ""),
        ({"webhook-signature": ""}, "a webhook header is missing"),
        ({"webhook-signature": "v1,AAAA"}, "no signature fits"),
        ({"webhook-signature": "v1a,AAAA v2,é"}, "no signature fits"),
        ({"webhook-id": "other"}, "no signature fits"),
        ({"webhook-timestamp": "1"}, "the timestamp is too old, too new or none"),
        ({"webhook-timestamp": "yesterday"}, "the timestamp is too old, too new or none"),
    ],
)
def test_simulator_refuses_what_is_not_genuine(change: dict[str, str], problem: str) -> None:
    now = int(time.time())
    headers = {**signed_headers(read_secrets(simulator.SECRET), "turn_1", now, b"{}"), **change}

    assert simulator.why_not_genuine(headers.get, b"{}", now) == problem
