"""The socket beside the database: whose it is, what is in its way, how long its path may be."""

from __future__ import annotations

import asyncio
import socket
import stat
from pathlib import Path

import pytest
import uvicorn

from omnibridge.errors import ConfigError
from omnibridge.operator.actions import Order, Outcome
from omnibridge.operator.local_socket import NoServer, call, create_app, listen, socket_path


class Obedient:
    """Carries out everything."""

    async def resend(self, order: Order) -> list[Outcome]:
        return [Outcome(each, True, new_id=each + 1) for each in order.ids]

    async def bury(self, order: Order) -> list[Outcome]:
        return [Outcome(each, False, f"{order.by} may not") for each in order.ids]


async def ask(path: Path) -> tuple[list[Outcome], list[Outcome]]:
    """Serve a socket and ask it for both things."""
    listening = listen(path)
    server = uvicorn.Server(uvicorn.Config(create_app(Obedient()), lifespan="off", log_config=None))  # type: ignore
    task = asyncio.create_task(server._serve([listening]))
    order = Order([1, 2], "ann")
    try:
        return await asyncio.to_thread(call, path, "resend", order), await asyncio.to_thread(call, path, "bury", order)
    finally:
        server.should_exit = True
        await task


@pytest.mark.parametrize("folder", ["a", "long" * 40])
async def test_orders_are_carried_out_however_long_the_path(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    path = socket_path(tmp_path / folder / "omnibridge.db")
    resent, buried = await ask(path)

    assert [(each.id, each.new_id) for each in resent] == [(1, 2), (2, 3)]
    assert buried[0].why == "ann may not"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_socket_of_a_dead_process_is_replaced(tmp_path: Path) -> None:
    path = socket_path(tmp_path / "a.db")
    listen(path).close()
    with pytest.raises(NoServer):
        call(path, "bury", Order([1], "ann"))
    listen(path).close()

    assert stat.S_ISSOCK(path.stat().st_mode)


def test_what_is_in_the_way_is_named(tmp_path: Path) -> None:
    path = socket_path(tmp_path / "a.db")
    path.write_text("mine")

    with pytest.raises(ConfigError, match="in the way"):
        listen(path)
    assert path.read_text() == "mine"


def test_too_long_a_name_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="shorter"):
        listen(socket_path(tmp_path / ("x" * 120)))


def test_something_else_that_answers(tmp_path: Path) -> None:
    path = socket_path(tmp_path / "a.db")
    with pytest.raises(NoServer):
        call(path, "resend", Order([1], "ann"))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        path.chmod(0o600)
        with pytest.raises(NoServer):
            call(path, "resend", Order([1], "ann"))
