"""Who shall serve, told to a hub that changes its mind between our look and our call."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from omnibridge.clock import SystemClock
from omnibridge.domain import commands as cmd
from omnibridge.domain.conversation import Conversation
from omnibridge.domain.delivery_events import MoveFailed, MoveSucceeded
from omnibridge.domain.events import UserRef
from omnibridge.engine.faults import Faults
from omnibridge.engine.hub_moves import Moves
from omnibridge.errors import DeliveryRejected

HOLDING, ANN = UserRef("holdingId", "holding"), UserRef("annId", "ann")


class Client:
    """Nobody serves until our call; then it is too late."""

    def __init__(self, faster: UserRef) -> None:
        self.faster, self.served_by = faster, None
        self.calls: list[str] = []

    async def room(self, _: str) -> Any:
        return SimpleNamespace(served_by=self.served_by)

    async def inquiry(self, _: str) -> Any:
        return SimpleNamespace(id="inquiry")

    async def take(self, _: str, user_id: str) -> None:
        self.calls.append(f"take for {user_id}")
        self.served_by: UserRef | None = self.faster
        raise DeliveryRejected("taken", code="error-inquiry-taken")

    async def forward_to_agent(self, _: str, user_id: str) -> None:
        self.calls.append(f"forward to {user_id}")


@pytest.mark.parametrize("faster", [HOLDING, ANN])
async def test_room_that_was_taken_a_moment_before_is_forwarded_by_who_holds_it_alone(faster: UserRef) -> None:
    client = Client(faster)
    hub: Any = SimpleNamespace(client=client, is_ours=lambda user: user is HOLDING, person_of=lambda _: None)
    row: Any = SimpleNamespace(id=1, body=msgspec.json.encode(cmd.AssignAgent("botId", "bot", connection="helper")))
    sent = await Moves(Faults(), SystemClock(), 0).assign(hub, row, Conversation("main", "r"), False)

    if faster is HOLDING:
        assert client.calls == ["take for botId", "forward to botId"]
        assert sent.event == MoveSucceeded(1, "bot", "botId")
    else:
        assert client.calls == ["take for botId"]
        assert isinstance(sent.event, MoveFailed) and sent.event.code == "served-by-another"
