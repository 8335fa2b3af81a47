"""`omnibridge demo`: what `make demo` runs, and a newcomer sees first."""

from __future__ import annotations

import socket
from typing import Any

import msgspec
import pytest

from omnibridge import demo


def test_s2_33_quick_start_is_one_command_and_needs_no_network(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: set[str] = set()
    connect = socket.socket.connect

    def watched(self: socket.socket, address: Any) -> None:
        asked.add(address[0] if isinstance(address, tuple) else str(address))
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", watched)
    code = demo.run(once=True, as_json=True, hub_version="8.3")
    verdict = msgspec.json.decode(capsys.readouterr().out)

    assert asked == {"127.0.0.1"}
    assert (code, verdict["lost"], verdict["doubled"], verdict["out_of_order"]) == (0, 0, 0, 0)
    assert verdict["replies_delivered"] > 5 and verdict["handovers"] == 1
