"""`omnibridge setup` on the command line, as an admin uses it. What it does is in tests/integration/setup."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from omnibridge.cli import main
from omnibridge.sandbox.server import RunningSandbox, SandboxOptions, start
from omnibridge.sandbox.visitor import SandboxClient
from tests.command_line import LIMIT_S, Done, environment
from tests.ports import free_port


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


Command = Callable[..., Awaitable[Done]]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`omnibridge setup …` with nobody at the keyboard; in a thread, for a process each time would take seconds."""
    for name in [each for each in os.environ if each.startswith("OMNIBRIDGE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "stdin", io.StringIO())

    async def run(*arguments: str, **environ: str) -> Done:
        with monkeypatch.context() as patch:
            for name, value in environ.items():
                patch.setenv(name, value)
            config = ("--config", str(tmp_path / "omnibridge.toml"))
            patch.setattr(sys, "argv", ["omnibridge", "setup", *config, *arguments])
            capsys.readouterr()
            code = await asyncio.to_thread(_code)
        out, err = capsys.readouterr()
        return Done(code, out, err)

    return run


def _code() -> int:
    try:
        main()
    except SystemExit as exc:
        return int(exc.code or 0)
    return 0


async def in_a_process(folder: Path, *arguments: str, **environ: str) -> Done:
    """As an admin's shell runs it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "omnibridge", "setup", "--config", str(folder / "omnibridge.toml"), *arguments,
        env=environment(**environ), stdin=asyncio.subprocess.DEVNULL,
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


async def test_command_line(tmp_path: Path, command: Command) -> None:
    async with new_workspace() as (sandbox, hub, token):
        before = await hub.call("GET", "/_sandbox/workspace")
        arguments = wanted(sandbox.url, 9)
        dry = await command(*arguments, "--dry-run", "--json", OMNIBRIDGE_ADMIN_TOKEN=token)
        assert (dry.code, dry.json["dry_run"], {each["state"] for each in dry.json["steps"]}) == (0, True, {"would"})
        assert await hub.call("GET", "/_sandbox/workspace") == before

        (tmp_path / "token").write_text(token + "\n")
        done = await command(*arguments, "--json", "--admin-token-file", str(tmp_path / "token"))
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
        text = await command(*arguments, "--new-tokens", OMNIBRIDGE_ADMIN_TOKEN=token)
        printed = set(re.findall(r'_token = "(.+)"', text.out)) & set(sandbox.hub.by_token)
        assert (text.code, len(printed)) == (0, 2), text.out
        assert not printed & tokens
        undone = await command(*arguments, "--undo", "--json", "--admin-token-file", str(tmp_path / "token"))
        assert (undone.code, {each["state"] for each in undone.json["steps"]}) == (0, {"done"})
        assert await hub.call("GET", "/_sandbox/workspace") == before


WRONG: Mapping[str, tuple[str, ...]] = {
    "--url: missing": ("--bot", "helper", "--admin-user-id", "adminId"),
    "--bot: missing": ("--url", "http://127.0.0.1:9", "--admin-user-id", "adminId"),
    "--admin-user-id, whose": ("--url", "http://127.0.0.1:9", "--bot", "helper"),
    "--undo goes with neither": ("--undo", "--write", "--admin-user-id", "adminId"),
    "--holding-bot goes with": ("--holding-bot", "x", "--admin-user-id", "adminId"),
    "OMNIBRIDGE_ADMIN_TOKEN": ("--url", "http://127.0.0.1:9", "--bot", "helper", "--admin-user-id", "adminId"),
}


@pytest.mark.parametrize("words", WRONG)
async def test_wrong_use_is_exit_2(command: Command, words: str) -> None:
    environ = {} if "ADMIN_TOKEN" in words else {"OMNIBRIDGE_ADMIN_TOKEN": "x"}
    done = await command(*WRONG[words], **environ)

    assert (done.code, done.out) == (2, "")
    assert words in done.err


async def test_nobody_there_is_exit_1(tmp_path: Path) -> None:
    done = await in_a_process(
        tmp_path, *wanted(f"http://127.0.0.1:{free_port()}", 9), "--json", OMNIBRIDGE_ADMIN_TOKEN="a-token"
    )

    assert done.code == 1 and done.json["checks"][0]["check"] == "reachable"
    assert "a-token" not in done.out + done.err


ELSEWHERE = {"nothing listens": ("", "nothing listens there"), "not Rocket.Chat": ("/home", "this is not Rocket.Chat")}


@pytest.mark.parametrize("who", ["--admin-user-id", "--admin-user"])
@pytest.mark.parametrize("case", ELSEWHERE)
async def test_wrong_address_is_told_whichever_way_the_admin_logs_in(command: Command, who: str, case: str) -> None:
    path, words = ELSEWHERE[case]
    async with new_workspace() as (sandbox, _, token):
        url = f"{sandbox.url}{path}" if path else f"http://127.0.0.1:{free_port()}"
        arguments = [each for each in wanted(url, 9) if each not in ("--admin-user-id", "adminId")]
        secrets = {"OMNIBRIDGE_ADMIN_TOKEN": token, "OMNIBRIDGE_ADMIN_PASSWORD": "secret"}
        done = await command(*arguments, who, "adminId" if who.endswith("id") else "admin", **secrets)

    assert done.code == 1 and words in done.out and "--url" in done.out
    assert "[[workspace]]" not in done.out  # there is no configuration yet
    assert "password" not in done.out


async def test_old_server_and_second_factor_say_what_to_do(command: Command) -> None:
    async with new_workspace(hub_version="5.4") as (sandbox, _, token):
        done = await command(*wanted(sandbox.url, 9), OMNIBRIDGE_ADMIN_TOKEN=token)
    assert done.code == 1 and "5.4 is too old" in done.out and "upgrade Rocket.Chat" in done.out

    async with new_workspace() as (sandbox, hub, _):
        await hub.control(two_factor={"admin": {"totp": "JBSWY3DPEHPK3PXP"}})
        arguments = [each for each in wanted(sandbox.url, 9) if each not in ("--admin-user-id", "adminId")]
        done = await command(*arguments, "--admin-user", "admin", OMNIBRIDGE_ADMIN_PASSWORD="secret")
    assert done.code == 1 and "--2fa-code" in done.out


async def test_from_nothing_to_a_configuration_and_back(tmp_path: Path, command: Command) -> None:
    """What README.md shows; and an address that is mistyped later is told, not obeyed."""
    async with new_workspace() as (sandbox, hub, token):
        before = await hub.call("GET", "/_sandbox/workspace")
        arguments = [*wanted(sandbox.url, 9), "--external"]
        done = await command(*arguments, "--write", OMNIBRIDGE_ADMIN_TOKEN=token)
        written = (tmp_path / "omnibridge.toml").read_text()
        assert done.code == 0 and "a kind" in done.err
        assert 'external_token_file = "main-external.secret"' in written
        assert 'holding_bot = "omnibridge-holding"' in written and 'kind = ""' not in written
        secrets = [each.read_text().strip() for each in tmp_path.glob("*.secret")]
        assert len(secrets) == 4 and not any(each in done.out + done.err + written for each in secrets)

        elsewhere = await command("--url", "http://127.0.0.1:9", *arguments[2:], OMNIBRIDGE_ADMIN_TOKEN=token)
        assert elsewhere.code == 2 and "correct --url" in elsewhere.err
        (tmp_path / "omnibridge.toml").write_text(written + "# mine\n")
        undone = await command("--undo", "--admin-user-id", "adminId", OMNIBRIDGE_ADMIN_TOKEN=token)

        assert undone.code == 0 and "omnibridge.toml was changed since setup" in undone.out
        assert [each.name for each in tmp_path.iterdir()] == ["omnibridge.toml"]
        assert await hub.call("GET", "/_sandbox/workspace") == before


async def test_admins_password_is_used_and_not_told(tmp_path: Path, command: Command) -> None:
    async with new_workspace(admin="boss:a-long-password-of-the-admin") as (sandbox, _, __):
        arguments = [each for each in wanted(sandbox.url, 9) if each not in ("--admin-user-id", "adminId")]
        done = await command(*arguments, "--admin-user", "boss", OMNIBRIDGE_ADMIN_PASSWORD="wrong")
        assert done.code == 1 and "refused" in done.out
        password = "a-long-password-of-the-admin"
        done = await command(*arguments, "--admin-user", "boss", OMNIBRIDGE_ADMIN_PASSWORD=password)

        assert done.code == 0, done.out
        assert password not in done.out + done.err + json.dumps([each.read_text() for each in tmp_path.iterdir()])
        logged_in = [user for user in sandbox.hub.by_token.values() if user.username == "boss"]
        assert len(logged_in) == 2  # as before: the sandbox's own log-in, and the personal token
