"""A turn that is sent in several attempts, while the agent goes on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from connectors.salesforce_messaging.chat import Chat
from connectors.salesforce_messaging.content import carry
from connectors.salesforce_messaging.forms import OpenForm
from connectors.salesforce_messaging.pacing import Pacer
from connectors.salesforce_messaging.sending import send
from connectors.salesforce_messaging.state import Kept, encode
from connectors.salesforce_messaging.tokens import Access
from omnibridge.connector import DeliveryUncertain, FormField, Turn

FORM = OpenForm((FormField(carry("m" * 36, "name"), "Your name"),))


class Org:
    """Takes messages, and tells of them at once, but for the n-th call."""

    def __init__(self, chat: Chat, fails_at: int) -> None:
        self.chat, self.left, self.taken = chat, fails_at, list[dict[str, Any]]()

    async def send(self, access: Access, conversation: str, message: dict[str, Any], session: Any = None) -> None:
        self.left -= 1
        if not self.left:
            raise DeliveryUncertain("cut", code="cut")
        self.taken.append(message)
        self.chat.echoed(message["id"])


@pytest.mark.parametrize("fails_at", [1, 2])
async def test_form_that_is_asked_between_two_attempts_is_not_answered_by_what_was_written_before(
    fails_at: int,
) -> None:
    async def save(state: bytes) -> None:
        pass

    kept = Kept("c", Access("token", "v", "0", 1 << 40, "00DSM0000004Omn"), is_begun=True)
    session: Any = SimpleNamespace(id="s", room="r", state=encode(kept), save=save)
    chat = Chat(session)
    org = Org(chat, fails_at)
    context = SimpleNamespace(count=lambda name, n: None, log=lambda event, **more: None)
    shared: Any = SimpleNamespace(
        org=org, settings=SimpleNamespace(longest_text=10), pacer=Pacer(lambda: 0.0), context=context
    )
    turn = Turn("d", "s", "main", "r", text="where are you")
    with pytest.raises(DeliveryUncertain):
        await send(chat, shared, turn)
    await chat.change(form=FORM)
    await send(chat, shared, turn)

    assert [each["staticContent"]["text"] for each in org.taken] == ["where are", "you"]
    assert chat.kept.form == FORM
