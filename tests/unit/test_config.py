"""Configuration: what is taken, and how each kind of mistake is named with its place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from omnibridge.bootstrap_decisions import texts_of
from omnibridge.config import SECTIONS, Settings
from omnibridge.config_lines import locate
from omnibridge.config_reader import check, load
from omnibridge.config_sample import sample, settings_table
from omnibridge.config_values import FACTS
from omnibridge.config_visitors import TextsSettings
from omnibridge.routing.facts import PLAIN_FACTS
from omnibridge.routing.texts import Texts

GOOD = """\
[server]
port = 9000

[[workspace]]
name = "main"
url = "https://chat.example.com/"
user_id = "relay"
auth_token = "hidden-1"
webhook_token = "hidden-2"

[[connection]]
name = "my-bot"
kind = "echo"
rocketchat_user = "bot"
rocketchat_token = "hidden-3"
api_key = "hidden-4"
"""


class EchoSettings(msgspec.Struct, forbid_unknown_fields=True):
    """Of a connector that the tests pretend is installed."""

    api_key: str
    mode: Literal["loud", "quiet"] = "loud"
    turn_timeout_s: float = 60.0
    words: tuple[str, ...] = ()


def write(folder: Path, text: str) -> Path:
    path = folder / "omnibridge.toml"
    path.write_text(text, "utf-8")
    return path


def read(folder: Path, text: str = GOOD, environ: Mapping[str, str] | None = None) -> Settings:
    return load(write(folder, text), environ or {})


def problems(folder: Path, text: str = GOOD, environ: Mapping[str, str] | None = None) -> list[str]:
    """Of `check`, without the folder's name."""
    found = check(write(folder, text), environ or {}, {"echo": EchoSettings})
    return [each.replace(f"{folder}/", "") for each in found]


def test_settings_have_defaults_and_normal_forms(tmp_path: Path) -> None:
    settings = read(tmp_path)

    assert settings.server.port == 9000
    assert settings.server.host == "127.0.0.1"
    assert settings.workspace[0].url == "https://chat.example.com"
    assert settings.workspace_of(settings.connection[0]).name == "main"
    assert settings.connection[0].on_uncertain == "ask"
    assert settings.connection[0].options == {"api_key": "hidden-4"}
    assert settings.database_url == f"sqlite:///{tmp_path}/var/omnibridge.db"
    assert problems(tmp_path) == []


def test_settings_are_frozen(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        read(tmp_path).server.port = 1  # type: ignore[misc]


BROKEN = {
    "unknown key": ("port = 9000", "prot = 9000", '2: [server] prot: unknown key; did you mean "port"?'),
    "wrong type": ("port = 9000", 'port = "many"', "2: [server] port: must be a valid integer"),
    "out of range": ("port = 9000", "port = 70000", "2: [server] port: must be less than or equal to 65535"),
    "not a choice": ("port = 9000", 'log_format = "xml"', "2: [server] log_format: must be 'json' or 'text'"),
    "endless": ("[server]\nport = 9000", "[engine]\nreply_deadline_s = inf", "2: [engine] reply_deadline_s: must be a"),
    "unknown table": ("[server]\nport = 9000", "[servr]", '1: [servr]: unknown table; did you mean "server"?'),
    "no table": ("[server]", "", "2: port: a key outside of any table; it belongs below [server]"),
    "one bracket": ("[[workspace]]", "[workspace]", "4: [workspace]: write [[workspace]], with two brackets"),
    "two brackets": ("[server]", "[[server]]", "1: [server]: write [server], with one bracket"),
    "no address": ("https://chat", "chat", "6: [[workspace]] main url: must begin with http://"),
    "address with password": ("https://", "https://a:b@", "6: [[workspace]] main url: must hold no user name"),
    "not a slug": ('"my-bot"', '"My Bot"', "12: [[connection]] My Bot name: must match pattern"),
    "missing": ('user_id = "relay"', "", "4: [[workspace]] main user_id: missing"),
    "misspelt": ("rocketchat_token", "rocketchat_tokn", '11: [[connection]] my-bot rocketchat_token: missing; is it'),
    "short secret": ('"hidden-2"', '"short"', "9: [[workspace]] main webhook_token: must have at least 8"),
    "empty secret": ('"hidden-1"', '""', "8: [[workspace]] main auth_token: must have at least 1"),
    "no such workspace": (
        'kind = "echo"', 'kind = "echo"\nworkspace = "mian"',
        '14: [[connection]] my-bot workspace: no [[workspace]] "mian"; did you mean "main"?',
    ),
    "not installed": ('"echo"', '"ecoh"', '13: [[connection]] my-bot kind: connector "ecoh" is not installed'),
    "connector's unknown key": (
        "api_key =", 'mod = "loud"\napi_key =',
        '16: [[connection]] my-bot mod: unknown key; did you mean "mode"?',
    ),
    "connector's missing key": ('api_key = "hidden-4"', "", "11: [[connection]] my-bot api_key: missing"),
    "connector's wrong type": (
        "api_key =", 'turn_timeout_s = "x"\napi_key =',
        "16: [[connection]] my-bot turn_timeout_s: Expected `float`, got `str`",
    ),
    "unknown fact": (
        "api_key =", 'facts = ["rom"]\napi_key =',
        '16: [[connection]] my-bot facts: there is no fact "rom"; did you mean "room"?',
    ),
    "no file": ("auth_token = ", "auth_token_file = ", "8: [[workspace]] main auth_token_file: cannot be read"),
    "secret twice": (
        "auth_token = ", 'auth_token_file = "a"\nauth_token = ',
        "8: [[workspace]] main auth_token_file: give auth_token or auth_token_file, not both",
    ),
    "file of what is no secret": ("user_id = ", "user_id_file = ", "7: [[workspace]] main user_id_file: unknown key"),
    "not TOML": ("port = 9000", "port = ", "2: Invalid value"),
    "endless number": ("port = 9000", f"port = {'9' * 5000}", " Exceeds the limit (4300 digits)"),
    "postgres": (
        "[server]\nport = 9000", '[database]\nurl = "postgresql://db/x"',
        "2: [database] url: PostgreSQL comes with a later version; use sqlite:///PATH now",
    ),
    "no database file": (
        "[server]\nport = 9000", '[database]\nurl = "sqlite://"', "2: [database] url: must be sqlite:///PATH",
    ),
}  # fmt: skip
"""What is wrong -> (text of GOOD, what stands there instead, how a problem begins after `omnibridge.toml:`)."""


@pytest.mark.parametrize("name", BROKEN)
def test_mistake_is_named_with_its_line(name: str, tmp_path: Path) -> None:
    old, new, expected = BROKEN[name]
    assert GOOD.count(old) == 1 or name in ("missing", "two brackets")

    found = problems(tmp_path, GOOD.replace(old, new, 1))

    assert [each for each in found if each.startswith(f"omnibridge.toml:{expected}")], found


def test_second_entry_is_named_with_its_own_line(tmp_path: Path) -> None:
    second = GOOD[GOOD.index("[[connection]]") :].replace('"my-bot"', '"other"').replace("rocketchat_user ", "user ")

    found = problems(tmp_path, f"{GOOD}\n{second}")

    assert found == [
        "omnibridge.toml:18: [[connection]] other rocketchat_user: missing",
        "omnibridge.toml:21: [[connection]] other user: unknown key",
    ]


def test_names_are_used_once(tmp_path: Path) -> None:
    found = problems(tmp_path, f"{GOOD}\n{GOOD[GOOD.index('[[connection]]') :]}")

    assert found == ['omnibridge.toml:19: [[connection]] my-bot name: there is another [[connection]] called "my-bot"']


def test_workspace_is_required_when_there_are_two(tmp_path: Path) -> None:
    second = GOOD[GOOD.index("[[workspace]]") : GOOD.index("[[connection]]")].replace('"main"', '"other"')

    assert problems(tmp_path, GOOD + second) == [
        "omnibridge.toml:11: [[connection]] my-bot workspace: missing; there are main, other"
    ]


def test_all_problems_come_at_once_in_order(tmp_path: Path) -> None:
    text = GOOD.replace("port", "prot").replace("relay", "").replace('"echo"', '"echo"\nworkspace = "x"\nmode = 3')

    found = problems(tmp_path, text, {"OMNIBRIDGE_ENGINE__MAX_IN_FLIGHT": "no", "OMNIBRIDGE_SERVER__PROT": "1"})

    assert [each.split(": ")[0] for each in found] == [
        "OMNIBRIDGE_SERVER__PROT",
        "OMNIBRIDGE_ENGINE__MAX_IN_FLIGHT",
        "omnibridge.toml:2",
        "omnibridge.toml:7",
        "omnibridge.toml:14",
        "omnibridge.toml:15",
    ]


def test_secrets_are_never_shown(tmp_path: Path) -> None:
    settings = read(tmp_path)
    secret = settings.workspace[0].auth_token

    assert (str(secret), repr(secret), secret.reveal()) == ("***", "Secret('***')", "hidden-1")
    for shown in (repr(settings), str(settings), repr(settings.connection[0]), settings.workspace[0].model_dump_json()):
        assert "hidden" not in shown


@pytest.mark.parametrize(("old", "new"), [each[:2] for each in BROKEN.values()])
def test_secrets_are_in_no_problem(old: str, new: str, tmp_path: Path) -> None:
    assert "hidden" not in "\n".join(problems(tmp_path, GOOD.replace(old, new, 1)))


def test_misplaced_secret_is_in_no_problem(tmp_path: Path) -> None:
    wrong = 'on_uncertain = "hidden-5"\nmode = "hidden-6"\nfallbacks = "hidden-7"\napi_key ='

    found = problems(tmp_path, GOOD.replace("api_key =", wrong).replace("https://", "hidden-8://"))

    assert len(found) == 4
    assert "hidden" not in "\n".join(found)


def test_lines_are_found_in_any_layout() -> None:
    text = '''\
# [server]
top.of."the page" = 1
[ server ]
text = """
[[workspace]]
port = 1
""" # "
port = 2
list = [ # ]
  "[engine]", "a = b",
]
inline = { a = 1, b = [
  2 ] }
[[workspace]]
'quoted key' = '#'
[workspace.deep]
key = 1
[[workspace]]
[[workspace.sub]]
x = 1
'''
    lines = locate(text)

    assert lines["top", "of", "the page"] == 2
    assert (lines[("server",)], lines["server", "text"], lines["server", "port"]) == (3, 4, 8)
    assert (lines["server", "list"], lines["server", "inline"]) == (9, 12)
    assert (lines["workspace", 0], lines["workspace", 0, "quoted key"]) == (14, 15)
    assert lines["workspace", 0, "deep", "key"] == 17
    assert (lines["workspace", 1], lines["workspace", 1, "sub", 0, "x"]) == (18, 20)
    assert ("engine",) not in lines
    assert len([path for path in lines if path[-1] == "port"]) == 1


def test_sample_loads_and_says_everything(tmp_path: Path) -> None:
    assert read(tmp_path, sample()).server.port == 8080
    for model, header in SECTIONS.values():
        part = re.split(rf"\n#?{re.escape(header)}\n", sample())[1].split("\n\n")[0]
        assert re.findall(r"^#?(\w+) = ", part, re.MULTILINE)[: len(model.model_fields)] == list(model.model_fields)
        assert all(field.description and f"# {field.description}\n" in part for field in model.model_fields.values())


def test_sample_loads_with_every_comment_removed(tmp_path: Path) -> None:
    settings = read(tmp_path, re.sub(r"^#(\w+ = |\[\[)", r"\1", sample(), flags=re.MULTILINE))
    defaults = read(tmp_path, sample())

    assert settings.server == defaults.server
    assert settings.engine == defaults.engine
    assert settings.texts == defaults.texts
    assert settings.connection == defaults.connection
    assert (len(settings.decider), len(defaults.decider)) == (1, 0)


def test_settings_table_has_a_row_for_every_key() -> None:
    rows = settings_table().splitlines()[2:]

    assert len(rows) == sum(len(model.model_fields) for model, _ in SECTIONS.values())
    assert all(row.count(" | ") == 2 for row in rows)


def test_texts_and_facts_are_those_of_routing() -> None:
    """The configuration imports no other part, so these two are written twice."""
    assert set(SECTIONS["texts"][0].model_fields) == set(Texts.__struct_fields__)
    assert texts_of(TextsSettings()) == Texts()
    assert FACTS == PLAIN_FACTS


def test_language_has_its_own_sentences_and_otherwise_the_general_ones(tmp_path: Path) -> None:
    added = """
[texts]
handover = "One moment."
[texts.desk]
Closed = "We are closed."
"my-bot:Closed" = "Sales is closed."
[texts.languages.de-AT]
handover = "Einen Moment."
desk_left = ""
[texts.languages.de-AT.desk]
closed = "Geschlossen."
"""
    texts = texts_of(read(tmp_path, GOOD + added).texts)
    german = texts.languages["de-at"]

    assert (texts.handover, german.handover, german.delayed) == ("One moment.", "Einen Moment.", Texts().delayed)
    assert german.of_desk("my-bot", "closed") == "Sales is closed."
    assert german.of_desk("support", "CLOSED") == "Geschlossen."


@pytest.mark.parametrize(
    ("added", "problem"),
    [
        (
            '[texts.languages.de]\nhandovr = "x"',
            '18: [texts] languages de handovr: unknown key; did you mean "handover"?',
        ),
        ('[texts.languages.german]\nhandover = "x"', '17: [texts] languages: "german" is no language: one such as de'),
        ('[texts]\nlanguage_facts = ["vistor.x"]', '18: [texts] language_facts: there is no fact "vistor.x"'),
        ('on_left = "bott"', '17: [[connection]] my-bot on_left: "bott" is none of ladder, queue, bot, close; did you'),
        ('on_left = { closed = "bot" }', "17: [[connection]] my-bot on_left: default is missing: what follows"),
        ('on_left = { default = "bot", x = "y" }', '17: [[connection]] my-bot on_left: x = "y" is none of ladder, que'),
        ("on_left = { default = 7 }", "17: [[connection]] my-bot on_left: default = 7 is none of ladder"),
    ],
)
def test_wrong_texts_and_next_steps_are_refused_with_their_line(tmp_path: Path, added: str, problem: str) -> None:
    found = problems(tmp_path, f"{GOOD}{added}\n")

    assert [each for each in found if each.startswith(f"omnibridge.toml:{problem}")], found
