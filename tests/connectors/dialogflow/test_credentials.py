"""A key as people paste it. None of it is ever repeated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.dialogflow.connector import DialogflowConnector
from connectors.dialogflow.credentials import read_key, service_account
from connectors.dialogflow.settings import DialogflowSettings
from omnibridge.config_reader import check
from omnibridge.connector import ConfigError
from omnibridge.connector.testing import FakeContext
from tests.connectors.dialogflow.bots import settings


@pytest.fixture(scope="module")
def pem() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def key_of(pem: str, **more: Any) -> dict[str, Any]:
    info = {"type": "service_account", "project_id": "mine", "client_email": "a@b.test", "private_key": pem}
    return {**info, "private_key_id": "k1", **more}


def test_every_way_to_paste_a_key_is_taken(pem: str) -> None:
    whole = json.dumps(key_of(pem))
    ways = [
        whole,
        whole.replace("\\n", "\n"),  # a TOML string made line breaks of them
        whole.replace("\\n", "\\\\n"),  # a shell doubled them
        json.dumps(key_of(pem.replace("\n", "\\n"))),
        json.dumps(key_of(pem.replace("\n", "\r\n"))),
    ]
    for each in ways:
        info = read_key(each, "")
        assert info is not None
        assert info["project_id"] == "mine"
        assert service_account(info).service_account_email == "a@b.test"
    for alone in (pem, pem.replace("\n", "\\n"), '"' + pem.replace("\n", "\\n") + '"'):
        info = read_key(alone, "me@b.test")
        assert info is not None
        assert service_account(info).service_account_email == "me@b.test"
    assert read_key(" \n", "") is None


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda info: {**info, "private_key": "abc"}, "BEGIN and END"),
        (lambda info: {**info, "private_key": "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END"}, "cannot be read"),
        (lambda info: {**info, "type": "authorized_user"}, "service account"),
        (lambda info: {key: info[key] for key in info if key != "client_email"}, "client_email"),
        (lambda info: [info], "is no key"),
    ],
)
async def test_what_is_no_key_is_named_without_it(pem: str, change: Any, what: str) -> None:
    wrong = json.dumps(change(key_of(pem)))
    with pytest.raises((ConfigError, msgspec.ValidationError), match=what) as told:
        await DialogflowConnector().initialize(FakeContext().make(settings(credentials=wrong)))

    assert not {"c2VjcmV0", pem.split("\n")[1]} & set(str(told.value).split())


@pytest.mark.parametrize(("text", "what"), [("hello", "neither JSON nor a PEM"), ("-----BEGIN X", "client_email")])
def test_what_is_neither(text: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        read_key(text, "")


async def test_project_is_that_of_the_key(pem: str) -> None:
    connector = DialogflowConnector()
    await connector.initialize(FakeContext().make(settings(project="", credentials=json.dumps(key_of(pem)))))

    assert connector._path("s1") == "projects/mine/agent/sessions/s1"
    await connector.aclose()


def test_key_in_a_file_is_read_and_checked_with_the_configuration(tmp_path: Path, pem: str) -> None:
    """`omnibridge config check`: the line of what is wrong, and nothing of the key."""
    lines = """
[[workspace]]
name = "main"
url = "https://chat.test"
user_id = "u"
auth_token = "a-token-of-chat"
webhook_token = "a-token-of-webhooks"
[[connection]]
name = "assistant"
kind = "dialogflow"
credentials_file = "key.json"
rocketchat_user = "bot"
rocketchat_token = "a-token-of-the-bot"
"""
    (tmp_path / "key.json").write_text(json.dumps(key_of(pem)), "utf-8")
    (tmp_path / "right.toml").write_text(lines, "utf-8")
    (tmp_path / "wrong.toml").write_text(lines + 'edition = "cx"\n', "utf-8")
    types = {"dialogflow": DialogflowSettings}
    wrong = check(tmp_path / "wrong.toml", {}, types)

    assert check(tmp_path / "right.toml", {}, types) == []
    assert len(wrong) == 1
    assert "agent must be the agent's UUID" in wrong[0]
    assert pem.split("\n")[1] not in wrong[0]


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"project": ""}, "project is missing"),
        ({"url": "grpc://10.1.1.1:1"}, "on this machine"),
        ({"long_text": "whole"}, "for CX"),
        ({"keep_alive_event": "ping", "keep_contexts_s": 0}, "keep_alive_event"),
        ({"edition": "cx"}, "UUID"),
    ],
)
def test_settings_that_cannot_work(given: dict[str, Any], what: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=what):
        settings(**given)
