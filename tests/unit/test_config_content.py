"""How content is shown, in the configuration."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from omnibridge.bootstrap_decisions import sides_of
from omnibridge.config import COMPANION_APP, Settings
from omnibridge.config_reader import load
from omnibridge.errors import ConfigError
from omnibridge.rocketchat.capabilities import Capabilities

ROOT = Path(__file__).parents[2]


def read(folder: Path, workspace: str = "", connection: str = "") -> Settings:
    (folder / "omnibridge.toml").write_text(
        f"""[[workspace]]
name = "main"
url = "http://hub"
user_id = "u"
auth_token = "t"
webhook_token = "long-enough"
{workspace}
[[connection]]
name = "helper"
kind = "webhook_bot"
rocketchat_user = "bot"
rocketchat_token = "t"
{connection}
""",
        "utf-8",
    )
    return load(folder / "omnibridge.toml", {})


def test_our_app_is_the_default() -> None:
    manifest = msgspec.json.decode((ROOT / "deploy/rocketchat-app/app.json").read_bytes())

    assert manifest["id"] == COMPANION_APP


def test_sides_follow_the_settings(tmp_path: Path) -> None:
    assert sides_of(read(tmp_path)).of("main", "helper", "widget") == Capabilities()
    with_app = sides_of(read(tmp_path, "blocks = true"))
    assert with_app.of("main", "helper", "widget") == Capabilities("widget", COMPANION_APP)
    fork = sides_of(read(tmp_path, 'blocks = true\napp_id = "fork"', 'choices = "blocks"\nmarkup = "plain"'))
    assert fork.of("main", "helper", "api") == Capabilities("widget", "fork", "plain")


def test_blocks_need_the_app(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[\[connection\]\] helper.*choices: nobody hears of presses"):
        read(tmp_path, connection='choices = "blocks"')
    with pytest.raises(ConfigError, match="choices"):
        read(tmp_path, "blocks = true", 'choices = "buttons"')
