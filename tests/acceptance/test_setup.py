"""`omnibridge setup` on the command line, as an admin uses it. What it does is in tests/integration/setup."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from omnibridge.cli import main
from omnibridge.sandbox.server import RunningSandbox, SandboxOptions, start
from omnibridge.sandbox.visitor import SandboxClient
from tests.acceptance.patient import free_port
from tests.command_line import LIMIT_S, Done


@asynccontextmanager
async def new_workspace(**options: Any) -> AsyncIterator[tuple[RunningSandbox, SandboxClient, str]]:
    """The third: an admin's token that needs no second factor."""
    sandbox = await start(SandboxOptions(simulators=False, **options))
    hub = SandboxClient(sandbox.url)
    admin = next(each for each in sandbox.hub.users.values() if "admin" in each.roles)
    token = sandbox.hub.accounts.issue_access_token(admin, "setup", bypasses_two_factor=True).token
    try:
        yield sandbox, hub, token
    finally:
        await hub.aclose()
        await sandbox.stop()


async def command(folder: Path, *arguments: str, **environ: str) -> Done:
    """`omnibridge setup …` in a process of its own, with nobody at the keyboard."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("OMNIBRIDGE_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "omnibridge", "setup", "--config", str(folder / "omnibridge.toml"), *arguments,
        env={**kept, **environ}, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(LIMIT_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())


def wanted(url: str, port: int) -> tuple[str, ...]:
    ours = f"http://127.0.0.1:{port}"
    return (
        "--url",
        url,
        "--public-url",
        ours,
        "--relay",
        "ob-relay",
        "--bot",
        "helper=ob-bot",
        "--admin-user-id",
        "adminId",
    )


async def test_command_line(tmp_path: Path) -> None:
    async with new_workspace() as (sandbox, hub, token):
        before = await hub.call("GET", "/_sandbox/workspace")
        arguments = wanted(sandbox.url, 9)
        dry = await command(tmp_path, *arguments, "--dry-run", "--json", OMNIBRIDGE_ADMIN_TOKEN=token)
        assert (dry.code, dry.json["dry_run"], {each["state"] for each in dry.json["steps"]}) == (0, True, {"would"})
        assert await hub.call("GET", "/_sandbox/workspace") == before

        (tmp_path / "token").write_text(token + "\n")
        done = await command(tmp_path, *arguments, "--json", "--admin-token-file", str(tmp_path / "token"))
        assert (done.code, {each["state"] for each in done.json["steps"]}) == (0, {"done"})
        shown = done.json["configuration"]
        assert 'auth_token = "' in shown and "[[connection]]" in shown
        made = {line.split('"')[1] for line in shown.splitlines() if "_token = " in line}
        users = {sandbox.hub.by_token[each].username for each in made if each in sandbox.hub.by_token}
        assert users == {"ob-relay", "ob-bot"}
        kept = {path.name: path.read_text() for path in tmp_path.iterdir() if path.name != "token"}
        assert set(kept) == {"setup-main.json"} and (tmp_path / "setup-main.json").stat().st_mode & 0o777 == 0o600
        tokens = {each for each in made if each in sandbox.hub.by_token}
        assert not any(each in text for each in (*tokens, token) for text in kept.values())
        assert token not in done.out + done.err

        await hub.control(users={"ob-bot": {"roles": ["bot"]}})
        text = await command(tmp_path, *arguments, "--new-tokens", OMNIBRIDGE_ADMIN_TOKEN=token)
        printed = set(re.findall(r'_token = "(.+)"', text.out)) & set(sandbox.hub.by_token)
        assert (text.code, len(printed)) == (0, 2), text.out
        assert not printed & tokens
        undone = await command(tmp_path, *arguments, "--undo", "--json", "--admin-token-file", str(tmp_path / "token"))
        assert (undone.code, {each["state"] for each in undone.json["steps"]}) == (0, {"done"})
        assert await hub.call("GET", "/_sandbox/workspace") == before


WRONG: Mapping[str, tuple[str, ...]] = {
    "--url: missing": ("--bot", "helper", "--admin-user-id", "adminId"),
    "--bot: missing": ("--url", "http://127.0.0.1:9", "--admin-user-id", "adminId"),
    "--admin-user-id, whose": ("--url", "http://127.0.0.1:9", "--bot", "helper"),
    "--undo goes with neither": ("--undo", "--write", "--admin-user-id", "adminId"),
    "OMNIBRIDGE_ADMIN_TOKEN": ("--url", "http://127.0.0.1:9", "--bot", "helper", "--admin-user-id", "adminId"),
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_use_is_exit_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    if "ADMIN_TOKEN" not in words:
        monkeypatch.setenv("OMNIBRIDGE_ADMIN_TOKEN", "x")
    monkeypatch.setattr(
        sys, "argv", ["omnibridge", "setup", "--config", str(tmp_path / "omnibridge.toml"), *WRONG[words]]
    )
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(SystemExit) as exits:
        main()
    told = capsys.readouterr()

    assert (exits.value.code, told.out) == (2, "")
    assert words in told.err


async def test_nobody_there_is_exit_1(tmp_path: Path) -> None:
    done = await command(
        tmp_path, *wanted(f"http://127.0.0.1:{free_port()}", 9), "--json", OMNIBRIDGE_ADMIN_TOKEN="a-token"
    )

    assert done.code == 1 and done.json["checks"][0]["check"] == "reachable"
    assert "a-token" not in done.out + done.err


async def test_admins_password_is_used_and_not_told(tmp_path: Path) -> None:
    async with new_workspace(admin="boss:a-long-password-of-the-admin") as (sandbox, _, __):
        arguments = [each for each in wanted(sandbox.url, 9) if each not in ("--admin-user-id", "adminId")]
        done = await command(tmp_path, *arguments, "--admin-user", "boss", OMNIBRIDGE_ADMIN_PASSWORD="wrong")
        assert done.code == 1 and "refused" in done.out
        password = "a-long-password-of-the-admin"
        done = await command(tmp_path, *arguments, "--admin-user", "boss", OMNIBRIDGE_ADMIN_PASSWORD=password)

        assert done.code == 0, done.out
        assert password not in done.out + done.err + json.dumps([each.read_text() for each in tmp_path.iterdir()])
        logged_in = [user for user in sandbox.hub.by_token.values() if user.username == "boss"]
        assert len(logged_in) == 2  # as before: the sandbox's own log-in, and the personal token
