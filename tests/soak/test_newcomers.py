"""A small form of `make soak-agents`, and that its verdict can fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from omnibridge.sandbox.server import SandboxOptions, start
from tests.integration.identity.conftest import DECLARED
from tests.soak.newcomers import Newcomers
from tests.soak.newcomers_verdict import DEPARTMENTS, SERVING, judge_hub, made, name_of


async def test_newcomers_are_made_once_through_kills_between_rest_steps(tmp_path: Path) -> None:
    points = [
        ("POST users.create", "before"),
        ("POST users.create", "after"),
        ("POST users.setAvatar", "within"),
        ("POST livechat/department/*/agents", "after"),
    ]
    soak = Newcomers(tmp_path, kills=4, n_ids=90, contacts=180, only=points)
    result = await soak.run()

    assert result["wrong"] == [] and result["not_hit"] == []
    assert (result["kills"], result["users"]) == (4, 90)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("twin", "2 users are crm:1"),
        ("role", "crm:1: roles"),
        ("face", "crm:1: face"),
        ("department", "crm:1: departments"),
        ("field", "nobody is crm:1"),
        ("asleep", "crm:1: active"),
    ],
)
async def test_verdict_of_the_hub_finds_each_fault(fault: str, said: str) -> None:
    sandbox = await start(SandboxOptions(licence="enterprise", simulators=False))
    hub = sandbox.hub
    hub.change_setting("Accounts_CustomFields", json.dumps(DECLARED))
    for n in range(2 if fault == "twin" else 1):
        user = hub.add_user(f"agent.{n}", "secret", set(SERVING), name_of("1"))
        user.custom_fields = {} if fault == "field" else {"externalAgentId": "crm:1"}
        user.import_ids = ["crm:1"]
        user.active = fault != "asleep"
    if fault == "role":
        user.roles |= {"admin"}
    for each in DEPARTMENTS[1:] if fault == "department" else DEPARTMENTS:
        hub.add_department(each, {found.id for found in made(hub)})
    wrong = judge_hub(hub, ["1"], {"1": b"face" if fault == "face" else b""}, SERVING)
    await sandbox.stop()

    assert any(each.startswith(said) for each in wrong), wrong
