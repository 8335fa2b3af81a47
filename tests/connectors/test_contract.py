"""The same checks on every connector that is installed, and on the tests' own."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from omnibridge.connector import Reply, Text, Turn
from omnibridge.connector.testing import check_contract, check_records_contract
from omnibridge.engine import plugins
from tests.scripted import ScriptedBot, ScriptedConnector, ScriptedSettings

NOBODY_LISTENS = {"url": "http://127.0.0.1:9"}


def installed() -> list[str]:
    """Those whose code is really there: an entry point may outlive its folder."""
    found = []
    for kind in plugins.installed_kinds():
        try:
            plugins.load_connector(kind)
        except plugins.ConfigError:
            continue
        found.append(kind)
    return found


@pytest.mark.parametrize("kind", installed())
async def test_installed_connector_keeps_the_contract(kind: str) -> None:
    await check_contract(plugins.load_connector(kind), nobody_listens(kind))


@pytest.mark.parametrize("kind", plugins.records_kinds())
async def test_installed_system_of_records_keeps_the_contract(kind: str) -> None:
    await check_records_contract(plugins.load_records(kind), nobody_listens(kind))


def nobody_listens(kind: str) -> dict[str, Any]:
    """From `contract.py` of the connector's own tests, where an address alone is not enough."""
    name = f"tests.connectors.{kind}.contract"
    try:
        return dict(import_module(name).NOBODY_LISTENS)
    except ModuleNotFoundError:
        return NOBODY_LISTENS


class Lenient(ScriptedConnector):
    """Takes any setting: against the contract."""

    class settings_type(ScriptedSettings, forbid_unknown_fields=False):  # type: ignore[assignment]
        pass


class Inventive(ScriptedConnector):
    """Answers although nobody is there: against the contract."""

    bot = ScriptedBot()

    async def on_message(self, turn: Turn) -> Reply:
        return Reply((Text("made up"),))


@pytest.mark.parametrize(("broken", "rule"), [(Lenient, "unknown keys"), (Inventive, "invented an answer")])
async def test_contract_checks_can_fail(broken: type[ScriptedConnector], rule: str) -> None:
    with pytest.raises(AssertionError, match=rule):
        await check_contract(broken, NOBODY_LISTENS)


def test_unknown_kind_names_what_is_installed() -> None:
    with pytest.raises(plugins.ConfigError, match="is not installed; installed:"):
        plugins.load_connector("nothing-of-the-kind")
