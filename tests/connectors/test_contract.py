"""The same checks on every connector that is installed, and on the tests' own."""

from __future__ import annotations

import pytest

from omnibridge.connector import Reply, Text, Turn
from omnibridge.connector.testing import check_contract
from omnibridge.engine import plugins
from tests.scripted import ScriptedConnector, ScriptedSettings

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
    settings = {} if kind == "bot_api" else NOBODY_LISTENS  # its bots call us
    await check_contract(plugins.load_connector(kind), settings)


class Lenient(ScriptedConnector):
    """Takes any setting: against the contract."""

    class settings_type(ScriptedSettings, forbid_unknown_fields=False):  # type: ignore[assignment]
        pass


class Inventive(ScriptedConnector):
    """Answers although nobody is there: against the contract."""

    async def on_message(self, turn: Turn) -> Reply:
        return Reply((Text("made up"),))


@pytest.mark.parametrize(("broken", "rule"), [(Lenient, "unknown keys"), (Inventive, "invented an answer")])
async def test_contract_checks_can_fail(broken: type[ScriptedConnector], rule: str) -> None:
    with pytest.raises(AssertionError, match=rule):
        await check_contract(broken, NOBODY_LISTENS)


def test_unknown_kind_names_what_is_installed() -> None:
    with pytest.raises(plugins.ConfigError, match="is not installed; installed:"):
        plugins.load_connector("nothing-of-the-kind")
