"""`make test-clients`: each client logs in, hears "ping X" and answers "pong X"; what counts is what the hub stored.

Last come clients of our own bot API (bot_api.py).

Exit 1: a client did not; 2: a tool is missing. One line per client; with a failure what the client printed.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from omnibridge.sandbox.server import RunningSandbox, SandboxOptions, start
from omnibridge.sandbox.state import Message
from omnibridge.sandbox.visitor import SandboxClient, Staff
from tests.clients import bot_api
from tests.fetched import Missing, fetch_npm, fetch_python, tool

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
INSTALL = "apt-get install nodejs npm"
PATIENCE_S = 30


@dataclass(frozen=True)
class Client:
    """command: after the interpreter. author: who must say pong. is_endless: it does not end by itself.

    does: what it plays by itself, without being asked; it ends with 0 when the hub did as it should.
    """

    name: str
    command: list[str]
    is_python: bool = False
    author: str = "alice"
    is_endless: bool = False
    does: str = ""


CLIENTS = [
    Client("@rocket.chat/sdk", ["sdk.js"]),
    Client("@rocket.chat/ddp-client agent", ["ddp_agent.js"]),
    Client("@rocket.chat/ddp-client livechat", ["ddp_livechat.js"], author="visitor"),
    Client(
        "hubot-rocketchat",
        ["node_modules/hubot/bin/hubot.js", "-d", "-a", "rocketchat", "-n", "alice", "-r", "hubot"],
        is_endless=True,
    ),
    Client("rocketchat-API", ["python_rest.py"], is_python=True),
    Client("rocketchat-API", ["-m", "tests.clients.python_api"], is_python=True, does="managed users and settings"),
    Client("rocketchat-async", ["python_async.py"], is_python=True),
]


class Failed(Exception):
    """What the client did not do."""


class Player:
    """Runs clients one after another against one hub, which it asks itself for what was said."""

    def __init__(self, sandbox: RunningSandbox, node: str, python: str) -> None:
        self._sandbox, self._node, self._python = sandbox, node, python
        self._http = SandboxClient(sandbox.url)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def play(self, client: Client) -> None:
        """Raises Failed with what the client printed."""
        process = await asyncio.create_subprocess_exec(
            self._python if client.is_python else self._node,
            *client.command,
            *([self._sandbox.url] if client.does else []),
            cwd=HERE,
            env=self._environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed: list[str] = []
        tasks: list[asyncio.Task[object]] = []
        try:
            async with asyncio.timeout(PATIENCE_S):
                if client.does:
                    await _drain(process, printed)
                    if await process.wait():
                        raise Failed(f"exit code {process.returncode}")
                    return
                await self._listening(process, printed)
                doing = (self._ping(client, printed), process.wait(), _drain(process, printed))
                tasks += [asyncio.create_task(each) for each in doing]
                pinging, ending, reading = tasks
                await asyncio.wait([pinging, ending], return_when=asyncio.FIRST_COMPLETED)
                if not process.returncode:
                    await pinging
                if not client.is_endless and await ending:
                    await reading
                    raise Failed(f"exit code {process.returncode}")
        except TimeoutError:
            raise Failed("\n".join([f"not done in {PATIENCE_S} s", *printed])) from None
        except Failed as exc:
            raise Failed("\n".join([str(exc), *printed])) from exc
        finally:
            for task in tasks:
                task.cancel()
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _listening(self, process: asyncio.subprocess.Process, printed: list[str]) -> None:
        assert process.stdout
        while line := (await process.stdout.readline()).decode("utf-8", "replace").rstrip():
            printed.append(line)
            if line == "listening":
                return
        raise Failed(f"ended before it listened, exit code {await process.wait()}")

    async def _ping(self, client: Client, printed: list[str]) -> None:
        """Somebody says ping; until the hub has the answer of the right author, once."""
        told, name = self._sandbox.description, client.name.split()[0]
        rid = next((each.removeprefix("room ") for each in printed if each.startswith("room ")), "")
        if rid:  # a visitor's: alice takes over and speaks
            room = self._sandbox.hub.rooms[rid]
            relay, alice = Staff(self._http, told["service_account"]), Staff(self._http, told["agent_account"])
            await relay.post("livechat/room.forward", {"roomId": rid, "userId": alice.user_id})
            await alice.say(rid, f"ping {name}")
            await _until(lambda: _pongs(room.messages, name, room.visitor.username) == 1)
            return
        await Staff(self._http, told["bot_account"]).say("GENERAL", f"ping {name}")
        messages = self._sandbox.hub.channels.by_id["GENERAL"].messages
        await _until(lambda: _pongs(messages, name, client.author) == 1)

    def _environment(self) -> dict[str, str]:
        host = self._sandbox.url.removeprefix("http://")
        told = {key: self._sandbox.description[key] for key in ("url", "agent_account")}
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "SANDBOX": msgspec.json.encode(told).decode(),
            "ROCKETCHAT_URL": host,
            "ROCKETCHAT_ROOM": "general",
            "ROCKETCHAT_USER": "alice",
            "ROCKETCHAT_PASSWORD": "secret",
            "HUBOT_LOG_LEVEL": "error",
        }


def _pongs(messages: list[Message], name: str, author: str) -> int:
    return sum(each.text == f"pong {name}" and each.author.username == author for each in messages)


async def _until(is_done: Callable[[], bool]) -> None:
    """The caller has the deadline."""
    while not is_done():
        await asyncio.sleep(0.02)


async def _drain(process: asyncio.subprocess.Process, printed: list[str]) -> None:
    assert process.stdout
    while line := await process.stdout.readline():
        printed.append(line.decode("utf-8", "replace").rstrip())


async def main() -> int:
    node = tool("node", INSTALL)
    tool("npm", INSTALL)
    modules = fetch_npm(HERE)
    python = fetch_python(ROOT / ".venv-clients", HERE / "requirements.txt")
    sandbox = await start(SandboxOptions(simulators=False))
    player, failed = Player(sandbox, node, str(python)), 0
    for client in CLIENTS:
        version = _version(client, modules)
        try:
            await player.play(client)
        except Failed as exc:
            failed += 1
            print(f"{client.name} {version}: FAILED: {exc}", flush=True)
        else:
            print(f"{client.name} {version}: {client.does or 'logged in, heard, answered'}", flush=True)
    await player.aclose()
    await sandbox.stop()
    plays = list(itertools.product(bot_api.BOTS, bot_api.MODES))
    for package, mode in plays:
        name = f"{package} {bot_api.version(package)}: {mode}"
        try:
            await bot_api.play(str(python), mode, package)
        except bot_api.Failed as exc:
            failed += 1
            print(f"{name}: FAILED: {exc}", flush=True)
        else:
            print(f"{name}: keyboard, choice, edit, answer", flush=True)
    print(f"{len(CLIENTS) + len(plays) - failed} passed, {failed} failed")
    return 1 if failed else 0


def _version(client: Client, modules: Path) -> str:
    name = client.name.split()[0]
    if not client.is_python:
        return str(msgspec.json.decode((modules / name / "package.json").read_bytes())["version"])
    pins = (HERE / "requirements.txt").read_text("utf-8").splitlines()
    return next(each.split("==")[1].split()[0] for each in pins if each.startswith(f"{name.lower()}=="))


if __name__ == "__main__":
    try:
        code = asyncio.run(main())
    except Missing as exc:
        print(exc, file=sys.stderr)
        code = 2
    sys.exit(code)
