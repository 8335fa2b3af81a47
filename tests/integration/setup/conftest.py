"""A workspace that nobody prepared yet, and an admin who lets setup do it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from omnibridge.rocketchat.calls import Credentials
from omnibridge.sandbox.server import RunningSandbox, SandboxOptions, start
from omnibridge.sandbox.visitor import SandboxClient
from omnibridge.setup.admin import Admin, SecondFactor
from omnibridge.setup.record import Record
from omnibridge.setup.run import Report, set_up
from omnibridge.setup.step import Work
from omnibridge.setup.undo import undo
from omnibridge.setup.wish import Options, read_wish

OPTIONS = Options(public_url="http://127.0.0.1:9", relay="ob-relay", bots=("helper=ob-bot",))


@dataclass
class Site:
    """hub: its switches and its truth. folder: of the configuration, the secrets and the record.

    token: of the admin; it needs no second factor.
    """

    sandbox: RunningSandbox
    hub: SandboxClient
    folder: Path
    options: Options
    token: str
    factor: SecondFactor = field(default_factory=SecondFactor)
    admin_type: type[Admin] = Admin

    @property
    def config(self) -> Path:
        return self.folder / "omnibridge.toml"

    def work(self, *, write: bool = True) -> Work:
        wish = read_wish(self.config, {}, self.options)
        admin = self.admin_type(wish.url, Credentials("adminId", self.token), self.factor)
        return Work(admin, Record(wish.record_path, wish.name, wish.url), wish, write)

    async def set_up(self, *, write: bool = True, dry_run: bool = False, new_tokens: bool = False) -> Report:
        work = self.work(write=write)
        try:
            return await set_up(work, dry_run=dry_run, new_tokens=new_tokens)
        finally:
            await work.admin.aclose()

    async def undo(self) -> Report:
        work = self.work()
        try:
            return await undo(work, dry_run=False)
        finally:
            await work.admin.aclose()

    async def workspace(self) -> dict[str, Any]:
        return dict(await self.hub.call("GET", "/_sandbox/workspace"))

    async def without(self, permission: str) -> None:
        """Nobody holds it any more."""
        await self.hub.control(permissions={permission: []})

    async def users(self) -> dict[str, Any]:
        return dict((await self.workspace())["users"])


MakeSite = Callable[..., Awaitable[Site]]


@pytest.fixture(autouse=True)
def no_power_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Crashes here are those of a process: thousands of fsyncs would only wait. tests/unit/setup has them."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
async def make_site(tmp_path: Path) -> AsyncIterator[MakeSite]:
    """`await make_site(provisioner="", external=False, **sandbox options)`."""
    made: list[Site] = []

    async def make(provisioner: str = "", external: bool = False, **options: Any) -> Site:
        sandbox = await start(SandboxOptions(simulators=False, webhook_url="http://127.0.0.1:9/old", **options))
        folder = tmp_path / f"site{len(made)}"
        folder.mkdir()
        wished = replace(OPTIONS, url=sandbox.url, provisioner=provisioner, external=external)
        admin = sandbox.hub.by_name["admin"]
        token = sandbox.hub.accounts.issue_access_token(admin, "setup", bypasses_two_factor=True).token
        site = Site(sandbox, SandboxClient(sandbox.url), folder, wished, token)
        await site.hub.control(
            users={"bot": {"roles": ["bot"]}}, switches={"Livechat_webhook_on_forward": False}, http_timeout_ms=3000
        )
        made.append(site)
        return site

    yield make
    for each in made:
        await each.hub.aclose()
        await each.sandbox.stop()


def problems(report: Report) -> list[str]:
    return [f"{each.check}: {each.found} {each.do}" for each in report.findings if each.status == "problem"]


def states(report: Report) -> set[str]:
    return {state for _, state in report.steps}
