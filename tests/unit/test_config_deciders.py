"""Deciders and assignments in the configuration: what is wrong is told with its line, secrets are not repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from omnibridge.bootstrap_decisions import unknown_targets
from omnibridge.config import Settings
from omnibridge.config_reader import load
from omnibridge.errors import ConfigError
from omnibridge.routing.rules_file import parse_rules

WORKSPACE = """[[workspace]]
name = "main"
url = "http://hub"
user_id = "u"
auth_token = "t"
webhook_token = "long-enough"
"""
DECIDER = """[[decider]]
name = "crm"
url = "http://router/ask"
secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
"""


def read(folder: Path, text: str, **environ: str) -> Settings:
    (folder / "omnibridge.toml").write_text(text, "utf-8")
    return load(folder / "omnibridge.toml", environ)


def test_decider_with_agents_and_holding_bots(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        f'{WORKSPACE}holding_bot = "hold"\nexternal_token = "x"\nholding_bots = {{ dep = "hold.sales" }}\n{DECIDER}'
        'on_timeout = "bot"\n[assignment.agents.crm]\n"0055" = "alice"\n',
        OMNIBRIDGE_DECIDER__CRM__TIMEOUT_MS="700",
    )

    assert (settings.decider[0].timeout_ms, settings.decider[0].on_timeout) == (700, "bot")
    assert settings.assignment.agents == {"crm": {"0055": "alice"}}
    assert settings.workspace[0].holding_bots == {"dep": "hold.sales"}
    assert "x" not in repr(settings.workspace[0].external_token)


def test_secret_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n", "utf-8")
    text = DECIDER.rsplit("secret", 1)[0] + 'secret_file = "key"\n'

    assert read(tmp_path, WORKSPACE + text).decider[0].secret.reveal().startswith("whsec_")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('secret = "whsec_dG9vLXNob3J0"', "omnibridge.toml:10: [[decider]] crm secret: must be whsec_"),
        ('url = "ftp://x"', "[[decider]] crm url: must begin with http://"),
        ('on_timeout = "cry"', "[[decider]] crm on_timeout: must be 'ladder', 'queue' or 'bot'"),
        ("asks = 9", "[[decider]] crm asks: must be less than or equal to 5"),
        ('facts = ["salary"]', '[[decider]] crm facts: there is no fact "salary"'),
        ("timeout = 3", "[[decider]] crm timeout: unknown key"),
    ],
)
def test_mistakes_are_told_without_the_secret(tmp_path: Path, line: str, told: str) -> None:
    key = line.split(" =")[0]
    kept = "".join(f"{each}\n" for each in DECIDER.splitlines() if not each.startswith(f"{key} ="))
    with pytest.raises(ConfigError) as found:
        read(tmp_path, f"{WORKSPACE}{kept}{line}\n")

    assert told in str(found.value).replace(f"{tmp_path}/", "")
    assert "dG9vLXNob3J0" not in str(found.value)


def test_connection_that_names_a_decider_which_is_not_there(tmp_path: Path) -> None:
    connection = (
        '[[connection]]\nname = "b"\nkind = "x"\nrocketchat_user = "b"\nrocketchat_token = "t"\ndecider = "crn"\n'
    )
    with pytest.raises(
        ConfigError, match=r'\[\[connection\]\] b decider: no \[\[decider\]\] "crn"; did you mean "crm"'
    ):
        read(tmp_path, WORKSPACE + DECIDER + connection)


def test_rules_that_name_a_decider_which_is_not_there(tmp_path: Path) -> None:
    rules = parse_rules('default = "decider:erp"\n[handover]\ndecider = "crn"\n')

    assert unknown_targets(rules, set(), {"crm"}) == [
        "rules: default: there is no [[decider]] 'erp'",
        "rules: [handover] decider: there is no [[decider]] 'crn'",
    ]
    assert unknown_targets(rules, set(), {"erp", "crn"}) == []
