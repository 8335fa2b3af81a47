"""What `omnibridge doctor` is told about an agent, and that nothing of Google's is loaded before it is needed."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from omnibridge.clock import SystemClock
from omnibridge.config_connections import ConnectionSettings
from omnibridge.doctor.backends import backend
from omnibridge.doctor.finding import Finding
from tests.connectors.dialogflow.bots import bot


async def told(url: str, **more: Any) -> Finding:
    given = {"name": "helper", "kind": "dialogflow", "rocketchat_user": "bot", "rocketchat_token": "token", "url": url}
    settings = ConnectionSettings.model_validate({**given, "project": "p", **more})
    return (await backend(settings, SystemClock()))[0]


async def test_sound_agent() -> None:
    async with bot() as agent:
        found = await told(agent.url)

    assert (found.status, found.found.split(", in ")[0]) == ("ok", "Dialogflow ES, project p, global, draft")
    assert "broken call" not in found.found


async def test_agent_whose_contexts_cannot_be_read_is_sound_and_it_is_said() -> None:
    async with bot() as agent:
        await agent.control(unreadable=True)
        found = await told(agent.url)

    assert found.status == "ok"
    assert "what became of a broken call is unknown" in found.found


@pytest.mark.parametrize(
    ("switches", "side", "what", "do"),
    [
        ({"down": True}, "network", "cannot be reached", "start it, or correct [[connection]] helper: url"),
        (
            {"fail_next": [{"code": "PERMISSION_DENIED"}]},
            "our configuration",
            "give the service account the role Dialogflow API Client",
            "correct the credentials",
        ),
        (
            {"fail_next": [{"code": "UNAUTHENTICATED", "count": 2}]},
            "our configuration",
            "make a new key",
            "credentials",
        ),
        ({"fail_next": [{"code": "NOT_FOUND"}]}, "our configuration", "check project, location", "correct"),
        ({"fail_next": [{"code": "INTERNAL"}]}, "backend", "INTERNAL", "log"),
    ],
)
async def test_what_is_wrong_is_named_with_its_side(switches: dict[str, Any], side: str, what: str, do: str) -> None:
    async with bot() as agent:
        await agent.control(**switches)
        found = await told(agent.url)

    assert found.status == "problem"
    assert what in found.found
    assert do in found.do
    assert side in found.side.casefold()


async def test_settings_that_cannot_work_are_ours() -> None:
    found = await told("grpc://10.0.0.1:7001")

    assert "on this machine" in found.found


def test_nothing_of_googles_is_loaded_before_it_is_used() -> None:
    """It takes a second and 60 MB."""
    code = (
        "import sys, connectors.dialogflow.simulator as simulator\n"
        "simulator.create_simulator()\n"
        "print([each for each in ('grpc', 'google.cloud.dialogflow_v2', 'google.auth') if each in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
