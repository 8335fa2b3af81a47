"""Typical mistakes with desks: `omnibridge config check` tells each, with its line and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from omnibridge.bootstrap_decisions import not_desks
from omnibridge.config_reader import check, load
from omnibridge.engine.plugins import settings_types
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
