"""Worlds for the doctor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from omnibridge.engine import plugins
from tests.acceptance.patient import AskedConnector, Backend, MakePatient, Patient
from tests.conftest import MakeWorld, _configuration


@pytest.fixture
async def make_patient(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MakePatient]:
    monkeypatch.setattr(plugins, "load_connector", lambda _: AskedConnector)
    monkeypatch.setattr(plugins, "installed_kinds", lambda: ["scripted"])
    backends: list[Backend] = []

    async def make(**options: Any) -> Patient:
        backend = Backend()
        await backend.socket.start()
        backends.append(backend)
        world = await make_world(connection=f'url = "{backend.socket.url}"', simulators=False, **options)
        await world.quiet()
        await world.compared()  # its calls would get the failures that are meant for the doctor
        return Patient(world, backend)

    # The fixture of the world writes `url = ""` itself: take it out, the connection has its own.
    monkeypatch.setattr("tests.conftest._configuration", _without_empty_url)
    yield make
    await asyncio.gather(*(each.socket.stop() for each in backends))


def _without_empty_url(*args: Any) -> str:
    return _configuration(*args).replace('url = ""\n', "")
