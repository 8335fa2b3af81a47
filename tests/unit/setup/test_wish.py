"""What setup takes from the command line, and from a configuration that is not complete yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from omnibridge.errors import ConfigError
from omnibridge.setup.wish import Options, read_wish

CONFIG = """
[[workspace]]
name = "main"
url = "https://chat.example.com"
user_id = "relayId"
auth_token_file = "relay.secret"
webhook_token_file = "hook.secret"

[[connection]]
name = "assistant"
kind = "rasa"
url = "http://10.0.0.5:5005"
rocketchat_user = "helper"
rocketchat_token_file = "assistant.secret"
"""
BARE = Options(url="https://chat.example.com", bots=("assistant",))


def write(folder: Path, text: str = CONFIG) -> Path:
    path = folder / "omnibridge.toml"
    path.write_text(text, "utf-8")
    return path


def test_without_a_configuration(tmp_path: Path) -> None:
    wish = read_wish(tmp_path / "omnibridge.toml", {}, BARE)

    assert (wish.name, wish.url, wish.has_config, wish.webhook_token) == ("main", "https://chat.example.com", False, "")
    assert [(each.kind, each.username, each.file) for each in wish.accounts] == [
        ("relay", "omnibridge", "main-relay.secret"),
        ("bot", "assistant", "assistant.secret"),
    ]


def test_secret_files_need_not_be_there_yet(tmp_path: Path) -> None:
    path = write(tmp_path)
    wish = read_wish(path, {}, Options())
    relay, bot = wish.accounts
    assert (relay.user_id, relay.username, relay.token, relay.file) == ("relayId", "", "", "relay.secret")
    assert (bot.username, bot.connection, bot.token) == ("helper", "assistant", "")
    assert wish.webhook_file == "hook.secret"

    (tmp_path / "assistant.secret").write_text("the-token\n")
    (tmp_path / "hook.secret").write_text("the-hook-token\n")
    wish = read_wish(path, {"OMNIBRIDGE_WORKSPACE__MAIN__AUTH_TOKEN": "from-environment"}, Options())
    assert [each.token for each in wish.accounts] == ["from-environment", "the-token"]
    assert wish.webhook_token == "the-hook-token"
    assert not any(each in repr(wish) for each in ("from-environment", "the-token", "the-hook-token"))


def test_the_admins_variables_are_no_settings(tmp_path: Path) -> None:
    read_wish(write(tmp_path), {"OMNIBRIDGE_ADMIN_TOKEN": "x", "OMNIBRIDGE_ADMIN_PASSWORD": "y"}, Options())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Options(bots=("assistant",)), "--url: missing"),
        (Options(url="ftp://x", bots=("assistant",)), "must begin with http"),
        (Options(url="https://x", bots=("Not A Name",)), "--bot Not A Name"),
        (Options(url="https://x", bots=('a=x"y',)), "a user name has"),
        (Options(url="https://x", bots=("a=omnibridge",)), "cannot be two accounts"),
        (Options(url="https://x"), "--bot: missing"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, options: Options, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_wish(tmp_path / "omnibridge.toml", {}, options)


def test_which_workspace_must_be_said_when_there_are_two(tmp_path: Path) -> None:
    path = write(tmp_path, CONFIG + '\n[[workspace]]\nname = "other"\nurl = "https://other.example.com"\n')
    with pytest.raises(ConfigError, match="--workspace: missing; there are main, other"):
        read_wish(path, {}, Options())

    assert read_wish(path, {}, Options(workspace="other", bots=("b",))).url == "https://other.example.com"
