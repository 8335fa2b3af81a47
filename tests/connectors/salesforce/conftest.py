"""Tests of what is the same for both chats, each with its own simulator."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest

from tests.connectors.salesforce.fixtures import bot_kind, make_relay, sf  # noqa: F401 - fixtures

KINDS = [each for each in ("salesforce_messaging", "salesforce_live_agent") if find_spec(f"connectors.{each}")]


@pytest.fixture(params=KINDS)
def chats(request: pytest.FixtureRequest) -> Any:
    return import_module(f"tests.connectors.{request.param}.relays")
