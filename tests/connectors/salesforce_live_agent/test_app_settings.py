"""What the official app was set up with, as a connection that loads."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from connectors.salesforce_live_agent.app_settings import imported
from connectors.salesforce_live_agent.cli import app
from connectors.salesforce_live_agent.settings import SalesforceLiveAgentSettings
from omnibridge.config_reader import load
from omnibridge.connector import ConfigError
from tests.integration.identity.conftest import KEYS

PLAIN: dict[str, Any] = {
    "salesforce_bot_username": "salesforce.bot",
    "salesforce_chat_api_endpoint": "https://d.la1-c1-xxx.salesforceliveagent.com/chat/rest",
    "salesforce_organisation_id": "00DSM0000004Omn",
    "salesforce_deployment_id": "572SM0000000Dep",
    "salesforce_button_id": "573SM0000000Btn",
    "chat_bot_username": "dialog.bot",
    "handover_department_name": "salesforce",
    "la_queue_position_message": 'An "agent" will be with you soon. Your queue position is: %s',
    "la_no_liveagent_available": "Nobody there.\x1b[31m",
    "customer_timeout_warning_message": "Are you still there? %t",
    "dialogflow_enable_end_event": False,
    "debug_button": True,
    "novelty": "x",
}
REST = {"settings": {name: {"id": name, "value": value, "packageValue": "?"} for name, value in PLAIN.items()}}
ROWS = [{"id": name, "packageValue": value} for name, value in PLAIN.items()]


@pytest.mark.parametrize("given", [PLAIN, REST, ROWS])
def test_every_shape_is_read_and_the_result_loads(tmp_path: Path, given: Any) -> None:
    found = imported(json.dumps(given).encode())
    workspace = '[[workspace]]\nname = "main"\nurl = "https://chat.example.com"\nuser_id = "U"\nauth_token = "T"\n'
    around = '[agents]\ntoken_keys_file = "keys"\n[database]\nurl = "sqlite:///x.db"\n'
    (tmp_path / "omnibridge.toml").write_text(f'{around}{workspace}webhook_token = "{"w" * 32}"\n{found.toml}', "utf-8")
    (tmp_path / "salesforce_token").write_text("a-token", "utf-8")
    (tmp_path / "keys").write_text(KEYS, "utf-8")
    settings = load(tmp_path / "omnibridge.toml", {})
    (connection,) = settings.connection

    assert (connection.kind, connection.rocketchat_user) == ("salesforce_live_agent", "salesforce.bot")
    assert connection.options["endpoint"] == "https://d.la1-c1-xxx.salesforceliveagent.com/chat/rest/"
    (detail,) = msgspec.convert(connection.options, SalesforceLiveAgentSettings).details
    assert (detail.label, detail.fact, detail.entity_field_maps[0]["fieldName"]) == (
        "E-mail Address",
        "visitor_email",
        "Email",
    )
    assert "visitor_email" in connection.facts
    assert settings.texts.queue_position == 'An "agent" will be with you soon. Your queue position is: {position}'
    assert [name for name, _ in found.not_taken] == [
        "chat_bot_username",
        "handover_department_name",
        "debug_button",
        "novelty",
        "customer_timeout_warning_message",
    ]
    assert "\x1b" not in found.toml


def test_warning_that_counts_nothing_down_is_taken() -> None:
    toml = imported(json.dumps({**PLAIN, "customer_timeout_warning_message": "Hello?"}).encode()).toml

    assert tomllib.loads(toml)["texts"]["desk"] == {"idle-warning": "Hello?"}
    assert tomllib.loads(toml)["texts"]["nobody_online"].startswith("Nobody there.")


def test_password_of_an_old_release_is_not_repeated() -> None:
    assert "hunter2" not in imported(json.dumps({**PLAIN, "salesforce_bot_password": "hunter2"}).encode()).toml


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (b"x", "is not JSON"),
        (b"7", "neither an object nor a list"),
        (b"{}", "salesforce_bot_username is missing"),
        (json.dumps({**PLAIN, "salesforce_button_id": "x"}).encode(), "button_id: a Salesforce id has"),
        (json.dumps({**PLAIN, "salesforce_chat_api_endpoint": "http://a.b"}).encode(), "must begin with https"),
    ],
)
def test_what_cannot_be_taken_is_refused(given: bytes, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        imported(given)


def test_command(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(json.dumps(REST), "utf-8")
    plain = CliRunner().invoke(app, [str(tmp_path / "settings.json")])
    as_json = CliRunner().invoke(app, [str(tmp_path / "settings.json"), "--json"])

    assert plain.output.startswith("[[connection]]\n")
    assert json.loads(as_json.output)["toml"] == plain.output
    assert isinstance(CliRunner().invoke(app, [str(tmp_path / "none.json")]).exception, ConfigError)


@pytest.mark.parametrize(
    "given",
    [
        {"salesforce_bot_username": ["x"]},
        {"salesforce_bot_username": {"value": 7}},
        {"finding_liveagent_message": "half of a character \ud83d"},
        {"la_chat_ended_message": {"value": {"a": 1}}},
        {"salesforce_bot_username": 'x"]\nrocketchat_token = "evil'},
        {'x\n[server]\nlog_level = "debug"': "y"},
    ],
)
def test_hostile_settings_are_texts_and_nothing_else(given: dict[str, Any], tmp_path: Path) -> None:
    found = tomllib.loads(imported(json.dumps({**PLAIN, **given}).encode()).toml)

    assert set(found) == {"connection", "texts"} and "rocketchat_token" not in found["connection"][0]
    (tmp_path / "settings.json").write_text(json.dumps({**PLAIN, **given}), "utf-8")
    assert CliRunner().invoke(app, [str(tmp_path / "settings.json")]).exit_code == 0
