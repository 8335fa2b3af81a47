"""The action server over real sockets: what it answers, whom it answers, and that it repeats nobody's words."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import signal
import socket
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from connectors.rasa.action_server import LARGEST, ActionServer, load_executor
from connectors.rasa.convert import to_reply
from omnibridge.connector import ConfigError, Handover
from omnibridge.sandbox.server import Socket

BOT = Path(__file__).parent.parent.parent / "rasa_bot"
SECRET_WORDS = "my password is swordfish"


@pytest.fixture(scope="module")
def executor() -> Iterator[Any]:
    """With the test bot's actions beside ours."""
    here = os.getcwd()
    os.chdir(BOT)
    path = list(sys.path)
    try:
        yield load_executor("actions.actions")
    finally:
        os.chdir(here)
        sys.path[:] = path
        for name in [each for each in sys.modules if each == "actions" or each.startswith("actions.")]:
            del sys.modules[name]


@asynccontextmanager
async def running(executor: Any, credentials: tuple[str, str] | None = None) -> AsyncIterator[str]:
    server = Socket(ActionServer(executor, credentials).app(), "127.0.0.1", 0)
    await server.start()
    try:
        yield server.url
    finally:
        await server.stop()


def call(action: str, **slots: Any) -> dict[str, Any]:
    latest = {"text": SECRET_WORDS, "intent": {"name": "request_human"}}
    tracker = {"sender_id": "s", "slots": slots, "latest_message": latest, "events": [], "paused": False,
               "followup_action": None, "active_loop": {}, "latest_action_name": None}  # fmt: skip
    return {"next_action": action, "sender_id": "s", "tracker": tracker, "domain": {}, "version": "3.6.21"}


async def post(url: str, body: bytes | dict[str, Any], **headers: str) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{url}/webhook", data=io.BytesIO(data), headers=headers) as answer:
            return answer.status, json.loads(await answer.read())


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


async def test_our_actions_say_what_the_connector_understands(executor: Any) -> None:
    async with running(executor) as url:
        found = {}
        for action, slots in (
            ("action_omnibridge_handover", {"department": "sales"}),
            ("action_omnibridge_close", {}),
            ("action_omnibridge_set_fields", {"room_field_ticket": "A17", "room_field_none": None, "city": "x"}),
        ):
            status, answer = await post(url, call(action, **slots))
            assert (status, answer["events"]) == (200, [])
            found[action] = to_reply(answer["responses"])

    assert found["action_omnibridge_handover"].handover == Handover("sales", "request_human")
    assert found["action_omnibridge_close"].close
    assert found["action_omnibridge_set_fields"].fields == {"ticket": "A17"}


async def test_answers_are_those_of_the_sdk(executor: Any) -> None:
    async with running(executor) as url:
        assert (await post(url, call("action_handover")))[0] == 200
        unknown = await post(url, call("action_nowhere"))
        assert unknown == (404, {"error": "No registered action found for name 'action_nowhere'.",
                                 "action_name": "action_nowhere"})  # fmt: skip
        assert (await post(url, {**call("action_handover"), "domain": None}))[0] == 449
        assert await post(url, {}) == (200, None)
        assert (await post(url, b"null"))[0] == 400
        assert (await post(url, b"no json"))[0] == 400
        assert (await post(url, zlib.compress(json.dumps(call("action_handover")).encode()),
                           **{"Content-Encoding": "deflate"}))[0] == 200  # fmt: skip
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{url}/health") as answer:
                assert await answer.json() == {"status": "ok"}
            async with session.get(f"{url}/actions") as answer:
                names = {each["name"] for each in await answer.json()}
    assert names >= {"action_omnibridge_handover", "action_omnibridge_close", "action_handover", "action_slow"}


async def test_failed_action_repeats_nothing(executor: Any, caplog: pytest.LogCaptureFixture) -> None:
    def run(dispatcher: Any, tracker: Any, domain: Any) -> None:
        raise ValueError(f"cannot handle {tracker.latest_message['text']}")

    executor.register_function("action_tells", run)
    async with running(executor) as url:
        status, answer = await post(url, call("action_tells"))

    assert (status, answer["action_name"]) == (500, "action_tells")
    assert "swordfish" not in json.dumps(answer) + caplog.text
    assert "ValueError" in caplog.text


async def test_rejected_execution_lets_rasa_choose_another(executor: Any) -> None:
    from rasa_sdk.interfaces import ActionExecutionRejection

    def run(dispatcher: Any, tracker: Any, domain: Any) -> None:
        raise ActionExecutionRejection("action_rejects", "not now")

    executor.register_function("action_rejects", run)
    async with running(executor) as url:
        assert await post(url, call("action_rejects")) == (400, {"error": "not now", "action_name": "action_rejects"})


async def test_domain_is_asked_for_once() -> None:
    async with running(load_executor()) as url:
        without = {key: value for key, value in call("action_omnibridge_close").items() if key != "domain"}

        assert (await post(url, {**without, "domain_digest": "d"}))[0] == 449
        assert (await post(url, {**without, "domain": {"slots": {}}, "domain_digest": "d"}))[0] == 200
        assert (await post(url, {**without, "domain_digest": "d"}))[0] == 200


async def test_who_may_call(executor: Any) -> None:
    good = call("action_omnibridge_close")
    async with running(executor, ("rasa", "sésame")) as url:
        for header in ("", "Basic", "Basic !", "Bearer x", basic("rasa", "wrong"), basic("wrong", "sésame")):
            assert (await post(url, good, Authorization=header))[0] == 401
        assert (await post(url, good, Authorization=basic("rasa", "sésame")))[0] == 200
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{url}/actions") as answer:
                assert answer.status == 401
            async with session.get(f"{url}/health") as answer:
                assert answer.status == 200


async def test_sizes_are_limited(executor: Any) -> None:
    bomb = zlib.compress(b" " * (LARGEST + 1))
    async with running(executor) as url:
        assert (await post(url, b" " * (LARGEST + 1)))[0] == 413
        assert (await post(url, bomb, **{"Content-Encoding": "deflate"}))[0] == 413
        assert (await post(url, b"not deflated", **{"Content-Encoding": "deflate"}))[0] == 400
        assert (await post(url, b"[" * 100_000))[0] == 400
        assert (await post(url, call("action_omnibridge_close")))[0] == 200


@pytest.mark.parametrize("module", ["nowhere.at_all", "tests.connectors.rasa.broken_actions"])
def test_module_that_cannot_be_imported_is_named(module: str) -> None:
    with pytest.raises(ConfigError, match=module):
        load_executor(module)


async def test_command_serves_a_bots_actions_until_it_is_told_to_stop() -> None:
    command = [sys.executable, "-m", "omnibridge", "rasa", "actions", "--port", "0", "--json",
               "--actions-module", "actions.actions"]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *command, cwd=BOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert process.stdout
    async with asyncio.timeout(30):
        told = json.loads(await process.stdout.readline())
        status, answer = await post(told["url"].removesuffix("/webhook"), call("action_handover"))
        process.send_signal(signal.SIGTERM)
        code = await process.wait()

    assert (status, to_reply(answer["responses"]).handover) == (200, Handover("", "request_human"))
    assert {"action_handover", "action_omnibridge_handover"} <= set(told["actions"])
    assert code in (0, -signal.SIGTERM)


def test_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [sys.executable, "-m", "omnibridge", "rasa", "actions", "--port", str(taken.getsockname()[1])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot listen on 127.0.0.1" in done.stderr


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--host", "0.0.0.0"], "can be reached from outside"),
        (["--host", "example.com"], "can be reached from outside"),
        (["--user", "only"], "needs both"),
        (["--actions-module", "nowhere"], "nowhere cannot be imported"),
    ],
)
def test_wrong_use_ends_with_two(options: list[str], problem: str) -> None:
    command = [sys.executable, "-m", "omnibridge", "rasa", "actions", *options]
    environ = {key: value for key, value in os.environ.items() if not key.startswith("RASA_")}
    done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=30, check=False)

    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert problem in done.stderr
