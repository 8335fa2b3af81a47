"""`omnibridge doctor` on a whole world over real sockets: nothing wrong gives exit 0; one broken thing, one finding.

Each case breaks one thing and names everything that may be said beyond what a sound world says: which check, of
which rank, which side is wrong, and a word of what to do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from omnibridge.doctor.finding import ACCOUNT, HUB, NETWORK, OURS
from omnibridge.doctor.run import exit_code
from omnibridge.sandbox.server import Socket
from tests.acceptance.patient import ALWAYS, MakePatient, Patient, spoken
from tests.ports import free_port

MAIN = "/webhooks/rocketchat/main"


@pytest.mark.parametrize("hub_version", ["6.14", "8.3"])
async def test_nothing_wrong(make_patient: MakePatient, hub_version: str) -> None:
    patient = await make_patient(hub_version=hub_version)
    findings = await patient.examine()

    assert spoken(findings) == ALWAYS
    assert exit_code(findings) == 0
    checks = {each.check for each in findings}
    assert {
        "reachable",
        "relay roles",
        "bot available",
        "webhook round trip",
        "backend",
        "database",
        "server",
    } <= checks


async def test_round_trip_leaves_no_conversation(make_patient: MakePatient) -> None:
    patient = await make_patient()
    before = await patient.world.hub.ledger()
    await patient.examine()
    after = await patient.world.hub.ledger()

    assert patient.world.rows("SELECT note FROM observations") == [("webhook test",)]
    assert patient.world.rows("SELECT count(*) FROM conversations") == [(0,)]
    assert (before["rooms"], before["webhooks"]) == (after["rooms"], after["webhooks"]) == ([], [])


# -- one thing broken ---------------------------------------------------------------------------------------


@dataclass
class Case:
    """says: (check, rank) beyond what is always said; the first of them is looked at. edits: of the configuration."""

    name: str
    says: list[tuple[str, str]]
    side: str
    do: str
    change: dict[str, Any] = field(default_factory=dict)
    edits: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


def roles(user: str, *names: str) -> dict[str, Any]:
    return {"users": {user: {"roles": list(names)}}}


def setting(name: str, value: Any) -> dict[str, Any]:
    return {"settings": {name: value}}


def problem(*checks: str) -> list[tuple[str, str]]:
    return [(each, "problem") for each in checks]


def warning(*checks: str) -> list[tuple[str, str]]:
    return [(each, "warning") for each in checks]


HANG = {"status": "hang", "seconds": 6}
CASES = [
    Case("relay lacks manager", problem("relay roles"), ACCOUNT, "add livechat-manager", roles("omnibridge", "bot")),
    Case(
        "relay holds more", problem("relay roles"), ACCOUNT, "take user away",
        roles("omnibridge", "bot", "livechat-manager", "user"),
    ),
    Case(
        "manager may not forward", problem("relay permissions"), HUB, "Workspace > Permissions",
        {"fail_next": [{"path": "livechat/room.forward", "status": 403, "body": {"error": "unauthorized"}}]},
    ),
    Case(
        "a list hangs", problem("relay permissions"), NETWORK, "load",
        {"fail_next": [{"path": "livechat/rooms", **HANG}]},
    ),
    Case("bot is deactivated", problem("bot user"), ACCOUNT, "Activate", {"users": {"bot": {"active": False}}}),
    Case("bot is missing", [*problem("bot user"), *warning("other bots")], ACCOUNT, "Workspace > Users > New",
         edits={'"bot"': '"nobody"\nrocketchat_user_id = "x"'}),
    Case("bot is no agent", problem("bot roles"), ACCOUNT, "Add agent", roles("bot", "bot")),
    Case("bot is a person", problem("bot roles"), ACCOUNT, "add bot", roles("bot", "livechat-agent")),
    Case("bot manages", problem("bot roles"), ACCOUNT, "take away", roles("bot", "bot", "livechat-agent", "admin")),
    Case("bot is a user too", warning("bot roles"), ACCOUNT, "take user away",
         roles("bot", "bot", "livechat-agent", "user")),
    Case("bot is not available", problem("bot available"), ACCOUNT, "Status: Available", {"available": {"bot": False}}),
    Case("wrong user id", problem("bot user"), OURS, "rocketchat_user_id",
         edits={'rocketchat_user = "bot"': 'rocketchat_user = "bot"\nrocketchat_user_id = "aliceId"'}),
    Case("nobody to hand over to", warning("people"), HUB, "Add agent", {"available": {"alice": False}}),
    Case("another bot in the way", warning("other bots", "people"), ACCOUNT, "Omnichannel > Agents",
         roles("alice", "bot", "livechat-agent")),
    Case("omnichannel is off", problem("omnichannel"), HUB, "Omnichannel enabled", setting("Livechat_enabled", False)),
    Case("external routing", warning("routing"), HUB, "Auto Selection", {"routing_method": "External"}),
    Case("routing beyond the licence", problem("routing"), HUB, "Auto Selection", {"routing_method": "Load_Rotation"}),
    Case("short messages", warning("message size"), HUB, "5000", setting("Message_MaxAllowedSize", 500)),
    Case("bot in a department", warning("bot departments"), HUB, "Omnichannel > Departments > Sales",
         options={"department": "Sales"}),
    Case("no webhook", problem("webhook address"), HUB, "Omnichannel > Webhooks", {"webhook_url": ""}),
    Case("webhook of another workspace", problem("webhook address"), HUB, MAIN,
         {"webhook_url": "http://127.0.0.1:9/webhooks/rocketchat/other"}),
    Case("webhook leads nowhere", problem("webhook round trip"), NETWORK, "nothing", {}),
    Case("webhook taken by another", problem("webhook round trip"), HUB, "another installation", {}),
    Case("webhook behind a wrong proxy", problem("webhook round trip"), NETWORK, "proxy", {}),
    Case("events missing", problem("webhook events"), HUB, "tick Visitor Messages",
         {"switches": {"Livechat_webhook_on_visitor_message": False}}),
    Case("another secret token", problem("webhook token"), HUB, "Secret Token", {"webhook_token": "another-secret"}),
    Case("no secret token", problem("webhook token"), HUB, "Secret Token", {"webhook_token": ""}),
    Case("impatient webhook", warning("webhook timeout"), HUB, "HTTP timeout", {"http_timeout_ms": 1000}),
    Case("test not allowed", warning("webhook round trip"), ACCOUNT, "Send Test",
         {"fail_next": [{"path": "livechat/webhook.test", "status": 403, "body": {"error": "unauthorized"}}]}),
    Case("7.7.1", warning("version"), HUB, "upgrade", options={"hub_version": "7.7"}),
    Case("5.4", problem("version"), HUB, "upgrade Rocket.Chat", options={"hub_version": "5.4"}),
    Case("10.0", warning("version"), HUB, "upgrade omnibridge", options={"hub_version": "10.0"}),
    Case("another database", [*problem("server"), *warning("webhook round trip")], OURS, "--config",
         edits={"sqlite:///test.db": "sqlite:///other.db"}),
    Case("rules for nobody", problem("rules"), OURS, "[rules] file", {}),
    Case("rules for no department", problem("rule targets"), HUB, "Omnichannel > Departments", {}),
    Case("department misspelt", [*problem("rule conditions"), *warning("bot departments")], HUB,
         "no workspace has a department 'salse'; nearest: 'Sales'", options={"department": "Sales"}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda each: each.name.replace(" ", "_"))
async def test_one_thing_broken(make_patient: MakePatient, case: Case) -> None:
    patient = await make_patient(**case.options)
    await patient.world.hub.control(**case.change)
    async with more_broken(patient, case.name):
        findings = await patient.examine(case.edits)

    assert spoken(findings) == set(case.says) | ALWAYS
    check, status = case.says[0]
    found = next(each for each in findings if each.check == check)
    assert (found.status, found.side) == (status, case.side)
    assert case.do in f"{found.found} {found.do}"
    is_configuration = check == "rules"
    assert exit_code(findings) == (2 if is_configuration else int(status == "problem"))


@asynccontextmanager
async def more_broken(patient: Patient, name: str) -> AsyncIterator[None]:
    """What takes more than a switch."""
    world, hub = patient.world, patient.world.hub
    other = Socket(Starlette(routes=[Route(MAIN, _answer_200, methods=["POST"])]), "127.0.0.1", 0)
    if name == "webhook leads nowhere":
        await hub.control(webhook_url=f"http://127.0.0.1:{free_port()}{MAIN}")
    if name == "webhook taken by another":
        await hub.control(webhook_url=f"{other.url}{MAIN}")
    if name == "webhook behind a wrong proxy":
        await hub.control(webhook_url=f"{other.url}/x{MAIN}")
    if name == "rules for nobody":
        (world.folder / "rules.toml").write_text('default = "bot:nobody"\n')
    if name == "rules for no department":
        (world.folder / "rules.toml").write_text('default = "department:nowhere"\n')
    if name == "department misspelt":
        rule = '[[rule]]\nname = "s"\nwhen = { department = ["SALES", "salse"] }\ntarget = "department:sales"\n'
        (world.folder / "rules.toml").write_text(f'default = "bot:helper"\n{rule}')
    await other.start()
    try:
        yield
    finally:
        await other.stop()


async def _answer_200(_: Request) -> Response:
    return Response("ok")
