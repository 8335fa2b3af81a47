"""Configuration: every problem at once, with its line; secrets never shown."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from omnibridge.config import SECTIONS, Settings
from omnibridge.config_reader import check_options, fields_of, load
from omnibridge.config_sample import sample, settings_table
from omnibridge.errors import ConfigError

GOOD = """[server]
port = 8080

[[workspace]]
name = "main"
url = "https://chat.example.com/"
user_id = "u"
auth_token = "very-secret-token"
webhook_token = "another-secret"

[[connection]]
name = "helper"
kind = "some"
rocketchat_user = "bot"
rocketchat_token = "third-secret"
token = "fourth-secret"
"""


def read(tmp_path: Path, text: str, **environ: str) -> Settings:
    path = tmp_path / "omnibridge.toml"
    path.write_text(text, "utf-8")
    return load(path, environ)


def problems(tmp_path: Path, text: str, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text, **environ)
    return "\n".join(caught.value.problems)


def test_good_configuration(tmp_path: Path) -> None:
    settings = read(tmp_path, GOOD)

    assert settings.workspace[0].url == "https://chat.example.com"
    assert settings.workspace[0].auth_token.get_secret_value() == "very-secret-token"
    assert settings.connection[0].options == {"token": "fourth-secret"}
    assert settings.workspace_of(settings.connection[0]).name == "main"
    assert settings.database_url == f"sqlite:///{tmp_path.resolve()}/var/omnibridge.db"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("port = 8080", "prot = 1"), "omnibridge.toml:2: [server]: unknown key 'prot'; did you mean 'port'?"),
        (("port = 8080", "port = 'x'"), "omnibridge.toml:2: [server]: port:"),
        (('user_id = "u"\n', ""), "omnibridge.toml:4: [[workspace]] main: user_id is missing"),
        (('url = "https', 'url = "ftp'), "omnibridge.toml:6: [[workspace]] main: url: must begin with http"),
        (('"another-secret"', '"short"'), "omnibridge.toml:9: [[workspace]] main: webhook_token:"),
        (("[server]", "[srever]"), "omnibridge.toml:1: unknown table [srever]; did you mean 'server'?"),
        (("[[workspace]]", "[workspace]"), "write [[workspace]], with two brackets"),
        (('kind = "some"', 'kind = "some"\nworkspace = "mian"'), "no workspace 'mian'; did you mean 'main'?"),
        (("[server]", '[database]\nurl = "postgresql://x"\n[server]'), "PostgreSQL is not built yet"),
        (("port = 8080", "port = = 1"), "omnibridge.toml: "),
    ],
)
def test_problem_names_line_and_cure(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    assert expected in problems(tmp_path, GOOD.replace(*change))


def test_every_problem_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("port = 8080", "prot = 1").replace('user_id = "u"\n', "").replace("another-secret", "x")

    assert len(problems(tmp_path, text).splitlines()) == 3


def test_environment_wins(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        GOOD,
        OMNIBRIDGE_SERVER__PORT="9",
        OMNIBRIDGE_WORKSPACE__MAIN__AUTH_TOKEN="from-env",
        OMNIBRIDGE_CONNECTION__HELPER__TOKEN="env-token",
    )

    assert (settings.server.port, settings.workspace[0].auth_token.get_secret_value()) == (9, "from-env")
    assert settings.connection[0].options == {"token": "env-token"}


def test_unknown_variables_are_problems(tmp_path: Path) -> None:
    found = problems(tmp_path, GOOD, OMNIBRIDGE_SERVER__PROT="9", OMNIBRIDGE_NOWHERE="1")

    assert "OMNIBRIDGE_SERVER__PROT: unknown key 'prot'; did you mean 'port'?" in found
    assert "OMNIBRIDGE_NOWHERE: no such setting" in found


def test_secrets_from_files(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("filed\n")
    text = GOOD.replace('auth_token = "very-secret-token"', 'auth_token_file = "token"')
    assert read(tmp_path, text).workspace[0].auth_token.get_secret_value() == "filed"
    assert "not both" in problems(tmp_path, GOOD.replace("user_id", 'auth_token_file = "token"\nuser_id'))
    assert "missing" in problems(
        tmp_path, text.replace('"token"', '"nowhere"')
    ).casefold() or "No such file" in problems(tmp_path, text.replace('"token"', '"nowhere"'))


def test_secrets_are_never_shown(tmp_path: Path) -> None:
    shown = repr(read(tmp_path, GOOD)) + str(read(tmp_path, GOOD))
    wrong = problems(tmp_path, GOOD.replace("port = 8080", "port = 'x'").replace("another-secret", "short"))

    assert not [each for each in ("very-secret", "another", "third", "fourth", "short") if each in shown + wrong]


def test_names_must_differ(tmp_path: Path) -> None:
    again = GOOD[GOOD.index("[[connection]]") :]

    assert "two are called 'helper'" in problems(tmp_path, GOOD + again)


def test_missing_file_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="config sample"):
        load(tmp_path / "nowhere.toml", {})


class Options(msgspec.Struct, forbid_unknown_fields=True):
    token: str
    url: str


def test_options_of_connectors_are_checked(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        GOOD.replace("token = ", "tokn = ")
        .replace("rocketchat_tokn", "rocketchat_token")
        .replace("auth_tokn", "auth_token")
        .replace("webhook_tokn", "webhook_token"),
    )
    found = check_options(settings, {"some": Options}, ["some"])

    assert any("unknown key 'tokn'; did you mean 'token'?" in each for each in found)
    assert any("required field `token`" in each for each in found)
    assert "is not installed; installed: other" in check_options(settings, {}, ["other"])[0]


def test_sample_is_good_and_names_every_key(tmp_path: Path) -> None:
    read(tmp_path, sample())
    for section in SECTIONS:
        for key, field in fields_of(section).items():
            assert f"{key} = " in sample()
            assert field.description and field.description in sample()
            assert f"`{SECTIONS[section][1]} {key}`" in settings_table()


def test_sample_with_every_default_written_out_is_good(tmp_path: Path) -> None:
    lines = [
        line.removeprefix("#") if line.startswith("#") and not line.startswith("# ") else line
        for line in sample().splitlines()
    ]
    text = "\n".join(line for line in lines if not line.startswith(("workspace = ", 'reorder_window_ms = ""')))

    assert read(tmp_path, text).engine.reorder_window_ms == 150
