"""`omnibridge setup`, then `serve` with the configuration that it wrote, then `doctor`: every version and licence."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from omnibridge.config_reader import load
from omnibridge.doctor.run import examine, exit_code
from omnibridge.engine import plugins
from omnibridge.sandbox.visitor import Visitor
from omnibridge.server import Node
from omnibridge.setup.report import whole_configuration
from omnibridge.setup.run import set_up
from tests.acceptance.patient import ALWAYS, AskedConnector, Backend, free_port, spoken
from tests.integration.setup.conftest import MakeSite, Site, problems
from tests.scripted import ScriptedBot


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


@pytest.mark.parametrize("hub_version", ["6.14", "7.7", "8.3"])
@pytest.mark.parametrize("licence", ["community", "enterprise"])
async def test_doctor_is_green(make_site: MakeSite, backend: str, hub_version: str, licence: str) -> None:
    provisioner = "ob-maker" if licence == "enterprise" else ""
    site = await make_site(hub_version=hub_version, licence=licence, provisioner=provisioner)
    before, port = await site.workspace(), free_port()
    site.options = replace(site.options, public_url=f"http://127.0.0.1:{port}")
    await configured(site, port, backend)
    path = site.config
    node = Node(load(path, {}))
    await node.start()
    try:
        again = await site.set_up()
        assert (problems(again), again.steps) == ([], [])
        assert ("webhook test", "ok") in {(each.check, each.status) for each in again.findings}

        findings = await examine(load(path, {}))
        assert spoken(findings) == ALWAYS | ({("version", "warning")} if hub_version == "7.7" else set())
        assert exit_code(findings) == 0

        visitor = Visitor(site.hub, "Vera")
        await visitor.open_room()
        await visitor.say("hello")
        told = await site.hub.call("GET", "/_sandbox/wait", rid=visitor.rid, author="bot")
        assert (told["ok"], told["messages"][0]["author"]) == (True, "ob-bot")
        refused = await site.undo()
        assert refused.exit_code == 1 and "ob-bot serves open conversations" in problems(refused)[0]
        await visitor.close()
    finally:
        await node.stop()
    undone = await site.undo()

    assert problems(undone) == []
    assert await site.workspace() == before
    assert not [*path.parent.glob("*.secret"), *path.parent.glob("setup-*")]


async def configured(site: Site, port: int, backend: str) -> None:
    """Set up from nothing; then what an operator adds to the configuration that setup wrote."""
    work = site.work()
    report = await set_up(work, dry_run=False, new_tokens=False)
    assert (problems(report), report.exit_code) == ([], 0)
    assert "not tried" in next(each.found for each in report.findings if each.check == "webhook test")
    text = whole_configuration(work, report)
    await work.admin.aclose()
    assert 'kind = "" ' in text
    head = f'[server]\nport = {port}\n[database]\nurl = "sqlite:///test.db"\n'
    Path(site.config).write_text(head + text.replace('kind = "" ', f'url = "{backend}"\nkind = "scripted" '), "utf-8")
