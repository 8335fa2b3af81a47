"""[agents]: what is refused before anything starts."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from omnibridge.bootstrap_agents import policy_of
from omnibridge.config_reader import load
from omnibridge.errors import ConfigError
from omnibridge.identity.policy import Policy
from omnibridge.storage.seats import Budget

KEY = f"a:{base64.urlsafe_b64encode(b'k' * 32).decode()}"
WORKSPACE = """
[[workspace]]
name = "main"
url = "https://chat.example.com"
user_id = "relay"
auth_token = "hidden"
webhook_token = "hidden-hidden"
"""


def read(folder: Path, agents: str) -> Policy:
    (folder / "omnibridge.toml").write_text(f"{WORKSPACE}[agents]\n{agents}\n", "utf-8")
    return policy_of(load(folder / "omnibridge.toml", {}).agents)


def test_s2_20_and_23_defaults_make_nobody_and_few(tmp_path: Path) -> None:
    found = read(tmp_path, "")

    assert not found.creation and not found.makes_users
    assert found == Policy()
    assert found.budget == Budget(50, 10, 50)


def test_keys_are_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"{KEY}\n", "utf-8")

    assert read(tmp_path, 'creation = true\ntoken_keys_file = "keys"').makes_users


@pytest.mark.parametrize(
    ("agents", "what"),
    [
        ('roles = ["bot", "admin"]', "roles"),
        ('roles = ["bot", "livechat-agent"]', "roles"),
        ('roles = ["user"]', "must hold bot"),
        ("creation = true", "needs token_keys"),
        ('token_keys = "a:short-secret"', "needs token_keys"),
        ('mode = "shared"', "shared_user"),
        ('over_budget = "shared"', "shared_user"),
        ('mode = "pooled"', "pool_size"),
        ("seats = -1", "seats"),
        ('custom_field = "a.b"', "custom_field"),
        ('email_domain = "a b"', "email_domain"),
        ("creations = true", 'did you mean "creation"'),
        ('token_keys_file = "nothing"', "cannot be read"),
    ],
)
def test_s2_09_what_is_dangerous_or_cannot_work_is_refused(tmp_path: Path, agents: str, what: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, agents)

    assert what in str(caught.value)
    assert "short-secret" not in str(caught.value)


def test_a_dry_run_makes_nobody(tmp_path: Path) -> None:
    assert not read(tmp_path, f'creation = true\ndry_run = true\ntoken_keys = "{KEY}"').makes_users
