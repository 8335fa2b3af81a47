"""`omnibridge doctor` where more than a switch is broken: addresses, backends, this machine; the command."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from omnibridge.clock import SystemClock
from omnibridge.config_reader import load
from omnibridge.doctor import local
from omnibridge.doctor.finding import BACKEND, MACHINE, NETWORK, OURS, SIDES
from omnibridge.doctor.finding import problem as found_problem
from omnibridge.doctor.report import as_text, redacted
from omnibridge.doctor.run import examine, exit_code
from omnibridge.engine import plugins
from omnibridge.sandbox.server import Socket
from tests.acceptance.patient import ALWAYS, MakePatient, command, silence, spoken
from tests.conftest import MakeWorld
from tests.connectors.test_contract import nobody_listens
from tests.ports import free_port

# -- addresses and clocks ------------------------------------------------------------------------------------


class Shifted(SystemClock):
    def __init__(self, ms: int) -> None:
        self._ms = ms

    def now_ms(self) -> int:
        return super().now_ms() + self._ms


@pytest.mark.parametrize(("ms", "rank", "word"), [(-20_000, "warning", "behind"), (120_000, "problem", "ahead")])
async def test_clock_that_is_wrong(make_patient: MakePatient, ms: int, rank: str, word: str) -> None:
    patient = await make_patient()
    findings = await patient.examine(clock=Shifted(ms))
    clock = next(each for each in findings if each.check == "clock")

    assert spoken(findings) == ALWAYS | {("clock", rank)}
    assert (clock.side, word in clock.found, "NTP" in clock.do) == (MACHINE, True, True)


ADDRESSES = [
    ("https://no-such-host.invalid", OURS, "cannot be resolved"),
    ("http://127.0.0.1:{free}", NETWORK, "nothing listens"),
    ("https://127.0.0.1:{hub}", OURS, "does not speak TLS"),
    ("http://127.0.0.1:{other}", OURS, "this is not Rocket.Chat"),
    ("http://127.0.0.1:{other}/moved", OURS, "sends us on to http://elsewhere"),
    ("http://127.0.0.1:{other}/down", NETWORK, "Rocket.Chat behind it does not"),
    ("http://127.0.0.1:{silent}", NETWORK, "no answer in time"),
]


@pytest.mark.parametrize(("url", "side", "words"), ADDRESSES, ids=[each[0].rpartition("/")[2] for each in ADDRESSES])
async def test_workspace_that_cannot_be_reached(make_patient: MakePatient, url: str, side: str, words: str) -> None:
    patient = await make_patient()
    hub = patient.world.sandbox.url
    async with elsewhere() as other, silence() as silent:
        ports = {"free": free_port(), "hub": hub.rpartition(":")[2], "other": other, "silent": silent}
        findings = await patient.examine({f'url = "{hub}"': f'url = "{url.format(**ports)}"'})
    found = [each for each in findings if each.status == "problem"]

    assert [(each.check, each.side) for each in found] == [("reachable", side)]
    assert words in found[0].found
    assert found[0].do


@asynccontextmanager
async def elsewhere() -> AsyncIterator[str]:
    """A web server that is no Rocket.Chat; its port."""

    async def page(_: Request) -> Response:
        return Response("<html>", media_type="text/html")

    async def moved(_: Request) -> Response:
        return Response("", 301, {"Location": "http://elsewhere"})

    async def down(_: Request) -> Response:
        return Response("", 502)

    routes = [Route("/moved/api/info", moved), Route("/down/api/info", down), Route("/{path:path}", page)]
    other = Socket(Starlette(routes=routes), "127.0.0.1", 0)
    await other.start()
    yield other.url.rpartition(":")[2]
    await other.stop()


# -- backend ------------------------------------------------------------------------------------------------

BACKENDS = [
    (401, 0.0, ("backend", "problem"), OURS, "credentials"),
    (404, 0.0, ("backend", "problem"), OURS, "url"),
    (500, 0.0, ("backend", "problem"), BACKEND, "log"),
    (200, 2.2, ("backend", "warning"), BACKEND, "load"),
    (200, 4.0, ("backend", "problem"), BACKEND, "load"),
]


@pytest.mark.parametrize(("status", "delay_s", "says", "side", "do"), BACKENDS)
async def test_backend_that_fails(
    make_patient: MakePatient, status: int, delay_s: float, says: tuple[str, str], side: str, do: str
) -> None:
    patient = await make_patient()
    patient.backend.status, patient.backend.delay_s = status, delay_s
    findings = await patient.examine()
    found = next(each for each in findings if each.check == "backend")

    assert spoken(findings) == ALWAYS | {says}
    assert (found.side, found.connection) == (side, "helper")
    assert do in found.do


async def test_backend_that_is_not_there(make_patient: MakePatient) -> None:
    patient = await make_patient()
    findings = await patient.examine({patient.backend.socket.url: f"http://127.0.0.1:{free_port()}"})
    found = [each for each in findings if each.status == "problem"]

    assert [(each.check, each.side) for each in found] == [("backend", BACKEND)]
    assert "nothing listens there" in found[0].found


# -- this machine -------------------------------------------------------------------------------------------


async def test_server_that_does_not_run(make_patient: MakePatient) -> None:
    patient = await make_patient()
    path = patient.write({})
    await patient.world.node.stop()
    findings = await examine(load(path, {}))
    await patient.world.restart()

    assert spoken(findings) == ALWAYS | {("server", "warning"), ("webhook round trip", "warning")}
    assert exit_code(findings) == 0


async def test_server_that_does_not_relay_yet(make_patient: MakePatient) -> None:
    patient = await make_patient()
    patient.world.node.service._why_not_ready = "workspace main: user bot: no answer"
    found = [each for each in await patient.examine() if each.status == "problem"]
    patient.world.node.service._why_not_ready = ""

    assert [each.check for each in found] == ["server"]
    assert "user bot: no answer" in found[0].found


async def test_lock_without_a_server(make_patient: MakePatient) -> None:
    patient = await make_patient()
    port = patient.world.node.url.rpartition(":")[2]
    findings = await patient.examine({"port = 0": f"port = {free_port()}"})
    found = next(each for each in findings if each.check == "server")

    assert port not in found.found
    assert (found.status, "does not answer" in found.found) == ("problem", True)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("LEAST_BYTES", 2**62, ("disk", "problem")),
        ("FEW_BYTES", 2**62, ("disk", "warning")),
        ("OLDEST_SQLITE", (99, 0, 0), ("sqlite", "problem")),
        ("SLOW_COMMIT_S", -1.0, ("database", "warning")),
    ],
)
async def test_machine_below_a_limit(
    make_patient: MakePatient, monkeypatch: pytest.MonkeyPatch, name: str, value: Any, says: tuple[str, str]
) -> None:
    """The limits are moved: no machine is broken for a test."""
    patient = await make_patient()
    monkeypatch.setattr(local, name, value)
    findings = await patient.examine()

    assert spoken(findings) == ALWAYS | {says}
    assert next(each for each in findings if each.check == says[0]).side == MACHINE


async def test_database_that_cannot_be_there(make_patient: MakePatient) -> None:
    patient = await make_patient()
    (patient.world.folder / "folder.db").mkdir()
    findings = await patient.examine({"sqlite:///test.db": "sqlite:///folder.db"})
    found = next(each for each in findings if each.check == "database")

    assert (found.status, found.side) == ("problem", MACHINE)
    assert "chown or chmod" in found.do


# -- the whole, and the command -----------------------------------------------------------------------------


async def test_every_finding_names_a_side_and_a_step(make_patient: MakePatient) -> None:
    patient = await make_patient()
    await patient.world.hub.control(users={"omnibridge": {"roles": []}, "bot": {"roles": []}}, webhook_url="")
    findings = await patient.examine()
    wrong = [each for each in findings if each.status != "ok"]

    assert len(wrong) >= 3
    assert all(each.side in SIDES and each.do for each in wrong)


async def test_everything_hangs_and_it_ends_in_time(make_patient: MakePatient) -> None:
    patient = await make_patient()
    async with silence() as port:
        silent = f"http://127.0.0.1:{port}"
        edits = {f'url = "{patient.world.sandbox.url}"': f'url = "{silent}"', patient.backend.socket.url: silent}
        began = time.monotonic()
        findings = await patient.examine(edits)
    hub = patient.world.hub
    await hub.control(fail_next=[{"path": "*", "status": "hang", "seconds": 30, "count": 500}])
    later = await patient.examine()
    took_s = time.monotonic() - began
    await hub.reset()

    assert took_s < 20
    assert {"reachable", "backend"} <= {each.check for each in findings if each.status == "problem"}
    assert "relay token" in {each.check for each in later if each.status == "problem"}


def test_text_shows_no_secret_and_no_control_characters(tmp_path: Path) -> None:
    path = tmp_path / "omnibridge.toml"
    path.write_text(
        '[[workspace]]\nname = "main"\nurl = "http://127.0.0.1:9"\nuser_id = "u"\nauth_token = "relay-secret"\n'
        'webhook_token = "webhook-secret"\n[[connection]]\nname = "helper"\nkind = "scripted"\n'
        'api_key = "vendor-secret"\n'
        'rocketchat_user = "bot"\nrocketchat_token = "bot-secret"\n'
    )
    settings = load(path, {})
    said = "relay-secret webhook-secret bot-secret vendor-secret"
    text = as_text(redacted([found_problem("x", OURS, f"{said} \x1b[31m\u202e", said)], settings))

    assert "secret" not in text and text.count("***") == 8
    assert "\x1b" not in text and "\u202e" not in text


async def test_command(make_world: MakeWorld) -> None:
    """Through a process, with an installed connector that cannot be reached: everything else is fine."""
    world = await make_world(connection="", simulators=False)
    await world.quiet()
    kind = next(each for each in plugins.installed_kinds() if each != "bot_api")  # its bots call us
    text = (world.folder / "omnibridge.toml").read_text("utf-8")
    port = world.node.url.rpartition(":")[2]
    lines = [f'kind = "{kind}"', *(f'{key} = "{value}"' for key, value in nobody_listens(kind).items())]
    text = text.replace("port = 0", f"port = {port}").replace('kind = "scripted"', "\n".join(lines))
    path = world.folder / "doctor.toml"
    path.write_text(text, "utf-8")

    code, out = await command(path, "--json")
    found = {each["check"]: each for each in json.loads(out)}
    assert (code, {name for name, each in found.items() if each["status"] == "problem"}) == (1, {"backend"})
    assert set(found["backend"]) == {"check", "workspace", "connection", "status", "side", "found", "do"}
    assert (found["backend"]["workspace"], found["backend"]["connection"]) == ("main", "helper")

    assert world.sandbox.description["webhook_token"] not in out

    path.write_text("[server]\nport = 1\n[[workspace]]\n", "utf-8")
    code, out = await command(path)
    assert (code, "FAIL  configuration" in out, "0 warnings, 0 checks fine" in out) == (2, True, True)
