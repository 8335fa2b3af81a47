"""`omnibridge setup`, then `serve` with the configuration that it wrote, then `doctor`: every version and licence."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from omnibridge.config_reader import load
from omnibridge.doctor.rights import OF_ROLES
from omnibridge.doctor.run import examine, exit_code
from omnibridge.engine import plugins
from omnibridge.sandbox.visitor import Visitor
from omnibridge.server import Node
from omnibridge.setup.report import whole_configuration
from omnibridge.setup.run import set_up
from tests.acceptance.patient import ALWAYS, AskedConnector, Backend, spoken
from tests.integration.setup.conftest import MakeSite, Site, problems
from tests.ports import free_port
from tests.scripted import ScriptedBot

VERSIONS = pytest.mark.parametrize("hub_version", ["6.14", "7.7", "8.3"])


@pytest.fixture
async def backend(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """Address of what the bot's connector asks."""
    monkeypatch.setattr(plugins, "load_connector", lambda _: AskedConnector)
    monkeypatch.setattr(plugins, "installed_kinds", lambda: ["scripted"])
    AskedConnector.bot = ScriptedBot()
    found = Backend()
    await found.socket.start()
    yield found.socket.url
    await found.socket.stop()


@asynccontextmanager
async def serving(site: Site, backend: str, more: str = "") -> AsyncIterator[Node]:
    """Set up from nothing, and the service runs. more: lines of [[workspace]]."""
    port = free_port()
    site.options = replace(site.options, public_url=f"http://127.0.0.1:{port}")
    await configured(site, port, backend, more)
    node = Node(load(site.config, {}))
    await node.start()
    try:
        async with asyncio.timeout(30):
            while node.service._why_not_ready or not all(each.is_live for each in node.service._sources._listeners):
                await asyncio.sleep(0.01)
        yield node
    finally:
        await node.stop()


async def configured(site: Site, port: int, backend: str, more: str) -> None:
    """Set up from nothing; then what an operator adds to the configuration that setup wrote."""
    work = site.work()
    report = await set_up(work, dry_run=False, new_tokens=False)
    assert (problems(report), report.exit_code) == ([], 0)
    assert "not tried" in next(each.found for each in report.findings if each.check == "webhook test")
    text = whole_configuration(work, report)
    await work.admin.aclose()
    assert '\n# kind = "…"\n' in text
    text = text.replace("[[workspace]]\n", f"[[workspace]]\n{more}\n", 1)
    head = f'[server]\nport = {port}\n[database]\nurl = "sqlite:///test.db"\n'
    text = text.replace('# kind = "…"', f'url = "{backend}"\nkind = "scripted"')
    Path(site.config).write_text(head + text, "utf-8")


async def talk(site: Site) -> Visitor:
    """A visitor writes, and the bot answers."""
    visitor = Visitor(site.hub, "Vera")
    await visitor.open_room()
    await visitor.say("hello")
    told = await site.hub.call("GET", "/_sandbox/wait", rid=visitor.rid, author="bot")
    assert (told["ok"], told["messages"][0]["author"]) == (True, "ob-bot")
    return visitor


@pytest.mark.parametrize("more", ["", "realtime = true"], ids=["webhook", "realtime"])
@VERSIONS
@pytest.mark.parametrize("licence", ["community", "enterprise"])
async def test_doctor_is_green(make_site: MakeSite, backend: str, hub_version: str, licence: str, more: str) -> None:
    provisioner = "ob-maker" if licence == "enterprise" else ""
    site = await make_site(hub_version=hub_version, licence=licence, provisioner=provisioner)
    before = await site.workspace()
    async with serving(site, backend, more):
        again = await site.set_up()
        assert (problems(again), again.steps) == ([], [])
        assert ("webhook test", "ok") in {(each.check, each.status) for each in again.findings}

        findings = await examine(load(site.config, {}))
        assert spoken(findings) == ALWAYS | ({("version", "warning")} if hub_version == "7.7" else set())
        assert exit_code(findings) == 0
        assert ("realtime" in {each.check for each in findings}) == bool(more)

        visitor = await talk(site)
        refused = await site.undo()
        assert refused.exit_code == 1 and "ob-bot serves open conversations" in problems(refused)[0]
        await visitor.close()
    undone = await site.undo()

    assert problems(undone) == []
    assert await site.workspace() == before
    assert not [*site.folder.glob("*.secret"), *site.folder.glob("setup-*")]


@VERSIONS
async def test_external_routing_is_green_and_visitors_are_answered(
    make_site: MakeSite, backend: str, hub_version: str
) -> None:
    site = await make_site(hub_version=hub_version, external=True)
    before = await site.workspace()
    async with serving(site, backend):
        again = await site.set_up()
        assert (problems(again), again.steps) == ([], [])
        assert ("external routing", "ok") in {(each.check, each.status) for each in again.findings}
        findings = await examine(load(site.config, {}))
        told = spoken(findings) - {("version", "warning")}
        assert (exit_code(findings), told) == (0, ALWAYS | {("external settings", "look")})

        visitor = await talk(site)
        assert site.sandbox.life.external.ledger[0]["answers"] == ["omnibridge-holding"] * 10
        await visitor.close()
    undone = await site.undo()

    assert (problems(undone), await site.workspace()) == ([], before)


AWAY = {"omnibridge-holding": False}
FAULTS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "holding bot is away": ("", {"available": AWAY}, "holding bot", "Status: Available"),
    "holding bot is no agent": ("", {"users": {"omnibridge-holding": {"roles": ["bot"]}}}, "holding bot", "Add agent"),
    "realtime is refused": ("realtime = true", {"realtime": {"refuse": True}}, "realtime", "WebSocket"),
    "hidden messages": (
        "realtime = true",
        {"settings": {"Hide_System_Messages": ["uj"]}},
        "hidden system messages",
        "take these out",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_one_thing_broken(make_site: MakeSite, backend: str, fault: str) -> None:
    more, change, check, do = FAULTS[fault]
    site = await make_site(external=not more)
    async with serving(site, backend, more):
        await site.hub.control(**change)
        findings = await examine(load(site.config, {}))

    [found] = [each for each in findings if each.check == check]
    assert found.status != "ok" and do in found.do
    assert {each.check for each in findings if each.status == "problem"} <= {check}


async def test_s2_11_a_field_that_is_not_declared_is_told_with_what_to_paste(make_site: MakeSite, backend: str) -> None:
    site = await make_site(licence="enterprise", provisioner="ob-maker")
    async with serving(site, backend):
        declared = json.loads((await site.workspace())["settings"]["Accounts_CustomFields"])
        await site.hub.control(settings={"Accounts_CustomFields": ""})
        findings = await examine(load(site.config, {}))

    [found] = [each for each in findings if each.check == "custom field"]
    assert found.status == "warning"
    assert json.loads(found.do[found.do.index("{") :]) == declared


async def test_address_of_the_routing_method_that_nobody_answers(make_site: MakeSite, backend: str) -> None:
    site = await make_site(external=True)
    async with serving(site, backend):
        pass
    findings = await examine(load(site.config, {}))

    assert {each.check for each in findings if each.status == "problem"} == {"external routing"}


async def test_doctor_names_each_permission_that_the_accounts_lack(make_site: MakeSite, backend: str) -> None:
    """Taken away in turn from the role that holds it; found by trying, as the accounts themselves."""
    site = await make_site()
    async with serving(site, backend):
        held = (await site.workspace())["permissions"]
        unnamed = []
        for roles, names in OF_ROLES.items():
            for each in names:
                left = sorted(set(held[each]) - {*roles, "livechat-manager", "livechat-agent", "bot"})
                await site.hub.control(permissions={each: left})
                findings = await examine(load(site.config, {}))
                await site.hub.control(permissions={each: held[each]})
                told = [f"{found.found} {found.do}" for found in findings if found.status in ("problem", "warning")]
                if not any(each in text for text in told):
                    unnamed.append((each, told))

    assert unnamed == []
