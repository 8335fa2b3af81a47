"""connectors/dialogflow/README.md says what is so."""

from __future__ import annotations

import re
import textwrap
import tomllib
from pathlib import Path

import msgspec

from connectors.dialogflow.errors import REJECTED
from connectors.dialogflow.settings import DialogflowSettings
from omnibridge.config_connections import ConnectionSettings
from omnibridge.routing.rules_file import parse_rules

FOLDER = Path(__file__).parent.parent.parent.parent / "connectors" / "dialogflow"
README = (FOLDER / "README.md").read_text("utf-8")
CODE = "".join(each.read_text("utf-8") for each in sorted(FOLDER.glob("*.py")) if each.name != "simulator.py")


def test_settings_table_is_whole() -> None:
    table = README.split("## Settings")[1].split("## What the agent gets")[0]
    documented = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)

    assert documented == [each.name for each in msgspec.structs.fields(DialogflowSettings)]


def test_examples_are_settings() -> None:
    es, cx, rule = (textwrap.dedent(each) for each in re.findall(r" *```toml\n(.*?)```", README, re.DOTALL))
    assert parse_rules(rule).rules
    given = tomllib.loads(es)["connection"][0]
    both = {**given, **tomllib.loads(cx)}
    for each in (given, both):
        own = {key: value for key, value in each.items() if key not in ConnectionSettings.model_fields}
        own.pop("rocketchat_token_file")
        assert own.pop("credentials_file") == "dialogflow.json"
        msgspec.convert({**own, "project": "p"}, DialogflowSettings)


def test_every_code_and_every_loss_is_named() -> None:
    codes = set(re.findall(r'code="([a-z-]+)"', CODE)) | {code for code, _ in REJECTED.values()}
    lost = set(re.findall(r'lost\["([a-z-]+)"\]', CODE))
    families = set(re.findall(r'lost\[f"([a-z]+)-', CODE))

    assert len(codes) > 8
    assert len(lost) > 12
    assert {each for each in codes if f"`{each}`" not in README} == set()
    assert {each for each in lost if f"`{each}`" not in README and f"`{each.split('-')[0]}-…`" not in README} == set()
    assert {each for each in families if f"`{each}-…`" not in README} == set()
