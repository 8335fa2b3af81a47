"""Typical mistakes with desks: `omnibridge config check` tells each, with its line and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.salesforce_live_agent import codes as agent_codes
from connectors.salesforce_live_agent import errors as agent_errors
from connectors.salesforce_live_agent import told as agent_told
from connectors.salesforce_messaging import codes as messaging_codes
from connectors.salesforce_messaging import errors as messaging_errors
from connectors.salesforce_messaging import told as messaging_told
from omnibridge.bootstrap_codes import unknown_codes
from omnibridge.bootstrap_decisions import not_desks
from omnibridge.config_reader import check, load
from omnibridge.engine import plugins
from omnibridge.engine.plugins import settings_types
from omnibridge.errors import ConfigError
from omnibridge.server import Node
from tests.unit.test_pages import BASE, TOKEN_KEY

AGENTS = f'\n[agents]\ntoken_keys = "{TOKEN_KEY}"\n'
ACCOUNT = 'rocketchat_user = "{0}"\nrocketchat_token = "t"\n'
MESSAGING = f"""
[[connection]]
name = "sales"
kind = "salesforce_messaging"
url = "https://acme.my.salesforce-scrt.com"
org_id = "00DSM0000004Omn"
es_developer_name = "Web"
{ACCOUNT.format("sales")}
"""
LIVE_AGENT = f"""
[[connection]]
name = "support"
kind = "salesforce_live_agent"
endpoint = "https://d.la1-c1-xxx.salesforceliveagent.com/chat/rest/"
org_id = "00DSM0000004Omn"
deployment_id = "572SM0000000Dep"
button_id = "573SM0000000Btn"
{ACCOUNT.format("support")}
"""
TEXTS = '\n[texts.languages.de]\nqueue_position = "Nummer {position}"\n'
WHOLE = BASE.replace(ACCOUNT.format("bot"), f'{ACCOUNT.format("bot")}hands_to = "sales"\n') + MESSAGING + LIVE_AGENT
WHOLE += AGENTS + TEXTS

BOT = '\n[[connection]]\nname = "second"\nkind = "webhook_bot"\nurl = "https://b.example"\n' + ACCOUNT.format("b")

MISTAKES = [
    ('org_id = "00DSM0000004Omn"\nes', 'org_id = "00DSM0000004Om"\nes', "org_id: a Salesforce id has 15 or 18"),
    ('org_id = "00DSM0000004Omn"\nes', 'org_id = "005SM0000004Omn"\nes', "org_id begins with 00D"),
    ("acme.my.salesforce-scrt.com", "acme.my.salesforce.com", "https://NAME.my.salesforce-scrt.com"),
    ('name = "Web"', 'name = "Web"\nuser_key = "k"', "user_key needs user_key_id: as in Setup"),
    ('name = "Web"', 'name = "Web"\nlanguage = "german"', "language is one such as en or en_US"),
    ('button_id = "573', 'button_id = "572', "button_id begins with 573"),
    ('"572SM0000000Dep"', '"572SM0000000Dep1"', "deployment_id: a Salesforce id has 15 or 18"),
    ('"573SM0000000Btn"\n', '"573SM0000000Btn"\ndetails = [{ label = "R" }]\n', "'R' needs either fact or value"),
    (AGENTS, "", "needs [agents] token_keys"),
    ('hands_to = "sales"', 'hands_to = "base"', 'no other [[connection]] "base"'),
    (TEXTS, f'{TEXTS}[texts.languages.de.desk]\n"xy:closed" = "Zu."\n', 'xy:closed: no [[connection]] "xy"'),
    ("{position}", "{positon}", "{positon} is nothing that is filled in; there is {position}"),
]


def problems(text: str, tmp_path: Path) -> list[str]:
    path = tmp_path / "omnibridge.toml"
    path.write_text(text, "utf-8")
    kinds = settings_types({"webhook_bot", "salesforce_messaging", "salesforce_live_agent"})
    return check(path, {}, kinds)


def test_without_mistakes_nothing_is_wrong(tmp_path: Path) -> None:
    assert problems(WHOLE, tmp_path) == []


@pytest.mark.parametrize(("right", "wrong", "words"), MISTAKES, ids=[each[2][:30] for each in MISTAKES])
def test_mistake_is_told_with_its_line(tmp_path: Path, right: str, wrong: str, words: str) -> None:
    assert WHOLE.count(right) == 1
    (found,) = problems(WHOLE.replace(right, wrong), tmp_path)

    assert words in found
    assert "omnibridge.toml:" in found and "did you mean" not in found


def test_hands_to_names_people(tmp_path: Path) -> None:
    path = tmp_path / "omnibridge.toml"
    path.write_text(f"{WHOLE}{BOT}".replace('hands_to = "sales"', 'hands_to = "second"'), "utf-8")
    (found,) = not_desks(load(path, {}).connection)

    assert "[[connection]] base hands_to: 'second' is no desk, but of kind 'webhook_bot'" in found


def with_codes(tmp_path: Path, sales: str = "", texts: str = "") -> list[str]:
    """Of a configuration with these lines of the Messaging desk, and these tables of texts."""
    path = tmp_path / "omnibridge.toml"
    path.write_text(WHOLE.replace('name = "Web"', f'name = "Web"\n{sales}').replace(TEXTS, TEXTS + texts), "utf-8")
    return unknown_codes(load(path, {}))


def test_known_codes_are_taken(tmp_path: Path) -> None:
    sales = 'on_declined = { default = "bot", Closed = "close", not-accepted = "queue", http-418 = "queue" }\n'
    sales += 'on_left = { default = "bot", TOKEN-ENDED = "queue" }'
    texts = '[texts.desk]\nwithheld = "x"\n"support:clientidletimeout" = "x"\nunreachable = "x"\nform = "x"\n'
    assert with_codes(tmp_path, sales, f'{texts}[texts.languages.de.desk]\n"sales:stream-forbidden" = "x"\n') == []


@pytest.mark.parametrize(
    ("sales", "texts", "words"),
    [
        ('on_declined = { default = "bot", closd = "close" }', "",
         '[[connection]] sales on_declined closd: "closd" is no code of salesforce_messaging, so nothing would ever '
         'come of it; did you mean "closed"?; there are closed, no-agents, '),
        ('on_left = { default = "bot", not-accepted = "queue" }', "", 'on_left not-accepted: "not-accepted" is no'),
        ('on_left = { default = "bot", agent = "queue" }', "", '"agent" is no code of salesforce_messaging'),
        ("", '[texts.desk]\nno-agent = "x"\n', '[texts] desk no-agent: "no-agent" is no code of the desks here'),
        ("", '[texts.desk]\n"sales:withheld" = "x"\n', '"withheld" is no code of salesforce_messaging'),
        ("", '[texts.desk]\n"base:closed" = "x"\n', '[[connection]] "base" is no desk, and tells no codes'),
        ("", '[texts.languages.de.desk]\ntruble = "x"\n',
         '[texts] languages de desk truble: "truble" is no code of the desks here, so nothing would ever come of it; '
         'did you mean "trouble"?'),
    ],
)  # fmt: skip
def test_unknown_code_is_refused(tmp_path: Path, sales: str, texts: str, words: str) -> None:
    (found,) = with_codes(tmp_path, sales, texts)
    place, _, _ = found.partition(": ")

    assert words in found
    assert int(place.rpartition(":")[2]) > 0


def test_a_desk_that_names_no_codes_may_tell_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(plugins.load_connector("salesforce_live_agent"), "codes")
    assert with_codes(tmp_path, "", '[texts.desk]\nsomething = "x"\n"support:other" = "x"\n') == []
    assert len(with_codes(tmp_path, "", '[texts.desk]\n"sales:something" = "x"\n')) == 1


async def test_nothing_starts_with_an_unknown_code(tmp_path: Path) -> None:
    path = tmp_path / "omnibridge.toml"
    path.write_text(WHOLE.replace('name = "Web"', 'name = "Web"\non_left = { default = "bot", x = "bot" }'), "utf-8")
    with pytest.raises(ConfigError, match='on_left x: "x" is no code'):
        await Node(load(path, {})).start()


def test_desks_name_all_codes_that_they_tell() -> None:
    """Of their tables; what has no table is in their codes.py with where it comes from."""
    messaging, agent = messaging_codes.CODES, agent_codes.CODES
    told = {*messaging_told.FAILURES.values(), *(code for code, _ in messaging_errors.REJECTED.values())}
    assert told <= set(messaging.endings)
    assert set(messaging_told.NOTICES) <= {*messaging.notices, *messaging.endings}
    told = {*agent_told.DECLINES.values(), *agent_told.NOBODY.values(), *agent_errors.GONE.values()}
    told |= {*agent_told.NOBODY, *(code for code, _ in agent_errors.REJECTED.values())}
    assert told <= set(agent.endings)
    assert set(agent_told.NOTICES) == set(agent.notices)
