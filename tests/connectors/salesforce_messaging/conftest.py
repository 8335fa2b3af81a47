from typing import Any

import pytest

from tests.connectors.salesforce.fixtures import bot_kind, make_relay, sf  # noqa: F401 - fixtures
from tests.connectors.salesforce_messaging import relays


@pytest.fixture
def chats() -> Any:
    return relays
