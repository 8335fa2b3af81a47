"""The same with CX, as far as it may differ. Each failure by itself is in test_connector.py, for both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from connectors.dialogflow.simulator import AGENT
from tests.conftest import MakeWorld, World
from tests.connectors.dialogflow import test_relay
from tests.connectors.dialogflow.test_relay import (  # noqa: F401 - the same tests with another edition
    bot_kind,
    test_agent_that_hands_over_again_and_again_makes_no_ping_pong,
    test_bot_answers_and_hands_over,
    test_bot_writes_room_fields_and_staff_keep_their_tags,
    test_s1_24_welcome_choices_and_buttons,
    test_s2_01_not_understood_three_times_leads_to_a_person_once,
)


@pytest.fixture
async def make_world(make_world: MakeWorld) -> AsyncIterator[MakeWorld]:
    """With the CX agent in place of the ES one."""

    async def make(*, connection: str = "fallbacks = 2", **options: Any) -> World:
        return await make_world(connection=f'{connection}\nedition = "cx"\nagent = "{AGENT}"', **options)

    yield make


FAULTS = [
    (name, switches, "" if name == "expired-token" else "uncertain")  # nobody can tell of CX what was worked on
    for name, switches, _ in test_relay.FAULTS
    if name in ("expired-token", "unavailable", "cut-mid-call")
]


@pytest.mark.parametrize(("name", "switches", "code"), FAULTS, ids=[each[0] for each in FAULTS])
async def test_fault_loses_and_doubles_nothing(
    make_world: MakeWorld, name: str, switches: dict[str, Any], code: str
) -> None:
    await test_relay.test_fault_loses_and_doubles_nothing(make_world, name, switches, code, options="")
