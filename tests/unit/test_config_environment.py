"""Settings from the environment, and which file is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from omnibridge.config_options import check_options
from omnibridge.config_reader import load
from omnibridge.errors import ConfigError
from tests.unit.test_config import GOOD, EchoSettings, problems, read, write


def test_environment_wins(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("  from-a-file\n")
    environ = {
        "OMNIBRIDGE_SERVER__PORT": "7",
        "OMNIBRIDGE_DATABASE__URL": "sqlite:///other.db",
        "OMNIBRIDGE_WORKSPACE__MAIN__AUTH_TOKEN": "from-environment",
        "OMNIBRIDGE_CONNECTION__MY_BOT__ROCKETCHAT_TOKEN_FILE": "token",
        "OMNIBRIDGE_CONNECTION__MY_BOT__FACTS": "room, room.*",
        "OMNIBRIDGE_CONNECTION__MY_BOT__API_KEY_FILE": str(tmp_path / "token"),
        "OMNIBRIDGE_CONNECTION__MY_BOT__TURN_TIMEOUT_S": "2.5",
        "OMNIBRIDGE_CONNECTION__MY_BOT__WORDS": '["a", "b"]',
        "OMNIBRIDGE_CONNECTION__MY_BOT__MODE": "quiet",
        "OMNIBRIDGE_CRASH_AT": "",
        "HOME": "/",
    }
    settings = read(tmp_path, GOOD, environ)
    connection = settings.connection[0]

    assert settings.server.port == 7
    assert settings.database_url == f"sqlite:///{tmp_path}/other.db"
    assert settings.workspace[0].auth_token.reveal() == "from-environment"
    assert connection.rocketchat_token.reveal() == "from-a-file"
    assert connection.facts == ("room", "room.*")
    assert connection.options == {
        "api_key": "from-a-file", "turn_timeout_s": 2.5, "words": ["a", "b"], "mode": "quiet",
    }  # fmt: skip
    assert check_options(settings, {"echo": EchoSettings}, ["echo"]) == []
    assert problems(tmp_path, GOOD, environ) == []


@pytest.mark.parametrize("value", ["12345678", "true", '"quoted"', "[1]"])
def test_secret_of_a_connector_stays_text(value: str, tmp_path: Path) -> None:
    """A token of digits must not become a number on its way through the environment."""
    environ = {"OMNIBRIDGE_CONNECTION__MY_BOT__API_KEY": value}

    assert read(tmp_path, GOOD, environ).connection[0].options["api_key"] == value


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (("SERVER__PROT",), 'SERVER__PROT: unknown setting; did you mean "OMNIBRIDGE_SERVER__PORT"?'),
        (("WORKSPACE__MIAN__URL",), 'WORKSPACE__MIAN__URL: unknown setting; did you mean "OMNIBRIDGE_WORKSPACE'),
        (("CONNECTION__NOBODY__API_KEY",), "CONNECTION__NOBODY__API_KEY: unknown setting"),
        (("PORT",), "PORT: unknown setting"),
        (("SERVER__PORT",), "SERVER__PORT: [server] port: must be a valid integer"),
        (("CONNECTION__MY_BOT__MOD",), "CONNECTION__MY_BOT__MOD: [[connection]] my-bot mod: unknown key; did you mean"),
        (("WORKSPACE__MAIN__AUTH_TOKEN_FILE",), "WORKSPACE__MAIN__AUTH_TOKEN_FILE: [[workspace]] main auth_token_file"),
        (("CONNECTION__MY_BOT__API_KEY_FILE",), "CONNECTION__MY_BOT__API_KEY_FILE: [[connection]] my-bot api_key_file"),
        (
            ("WORKSPACE__MAIN__AUTH_TOKEN", "WORKSPACE__MAIN__AUTH_TOKEN_FILE"),
            "WORKSPACE__MAIN__AUTH_TOKEN_FILE: give this or OMNIBRIDGE_WORKSPACE__MAIN__AUTH_TOKEN, not both",
        ),
    ],
)  # fmt: skip
def test_mistake_in_the_environment_names_the_variable(
    variables: tuple[str, ...], expected: str, tmp_path: Path
) -> None:
    found = problems(tmp_path, GOOD, {f"OMNIBRIDGE_{each}": "x" for each in variables})

    assert len(found) == 1
    assert found[0].startswith(f"OMNIBRIDGE_{expected}")


def test_path_is_the_argument_then_the_variable(tmp_path: Path) -> None:
    write(tmp_path, GOOD)

    assert load(None, {"OMNIBRIDGE_CONFIG": str(tmp_path / "omnibridge.toml")}).server.port == 9000
    with pytest.raises(ConfigError, match=r"^missing\.toml: there is no such file; `omnibridge config sample`"):
        load(Path("missing.toml"), {"OMNIBRIDGE_CONFIG": str(tmp_path / "omnibridge.toml")})


def test_path_defaults_to_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, GOOD.replace("port", "prot"))

    with pytest.raises(ConfigError, match=r"^omnibridge\.toml:2: \[server\] prot: unknown key"):
        load(None, {})
