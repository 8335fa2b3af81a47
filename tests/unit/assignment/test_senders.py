"""Deliveries to the agent directory: what each of its answers leads to."""

from __future__ import annotations

import msgspec
import pytest

from omnibridge.assignment.agents import AgentSender
from omnibridge.domain.agent_events import AgentEnsured, AgentNotEnsured
from omnibridge.domain.agents import AgentFound, AgentRefused, ExternalAgent
from omnibridge.domain.commands import EnsureAgent, ReleaseAgent
from omnibridge.domain.conversation import Conversation
from omnibridge.errors import DeliveryError, DeliveryRejected, DeliveryRetryable, DeliveryUncertain
from omnibridge.storage.outbox import Delivery

ANN = ExternalAgent("crm", "0055")
FOUND = AgentFound("crm", "0055", "aliceId", "alice", "mapped")


class Service:
    """Answers as told, and remembers what it was asked."""

    def __init__(self, answer: AgentFound | AgentRefused | Exception) -> None:
        self.answer, self.seen = answer, list[object]()

    async def ensure(
        self, workspace: str, agent: ExternalAgent, cause: str, visitor: str = ""
    ) -> AgentFound | AgentRefused:
        self.seen.append((workspace, agent, cause, visitor))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def release(self, workspace: str, user_id: str) -> None:
        self.seen.append((workspace, user_id))


def row(command: EnsureAgent | ReleaseAgent) -> Delivery:
    body = msgspec.json.encode(command)
    return Delivery(1, 1, 7, "agents", type(command).__name__, "", 1, None, body, 0, 0, "b", 0, 10, 0)


async def send(service: Service, command: EnsureAgent | ReleaseAgent) -> object:
    sent = await AgentSender(service).send(
        row(command), "main", Conversation("main", "r1", facts={"visitor_id": "v1"}), maybe_sent=False
    )
    return sent.event


async def test_user_is_found_and_the_cause_says_where() -> None:
    service = Service(FOUND)

    assert await send(service, EnsureAgent(ANN, "skill 12")) == AgentEnsured(FOUND)
    assert service.seen == [("main", ANN, "room r1, event 7: skill 12", "v1")]


async def test_refusal_is_an_event_and_so_is_a_hub_that_will_never_do_it() -> None:
    refused = AgentRefused("crm", "0055", "over_budget", "10 of 10")
    never = Service(DeliveryRejected("may not", code="unauthorized"))

    assert await send(Service(refused), EnsureAgent(ANN)) == AgentNotEnsured(refused)
    event = await send(never, EnsureAgent(ANN))
    assert isinstance(event, AgentNotEnsured)
    assert (event.refused.reason, event.refused.text) == ("hub_refused", "may not (unauthorized)")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (AgentRefused("crm", "0055", "hub_error", "no answer"), DeliveryRetryable),
        (DeliveryRetryable("down", code="x"), DeliveryRetryable),
        (KeyError("defect"), DeliveryUncertain),
    ],
)
async def test_what_may_go_right_later_is_tried_again(
    answer: AgentRefused | Exception, error: type[DeliveryError]
) -> None:
    with pytest.raises(error):
        await send(Service(answer), EnsureAgent(ANN))


async def test_release_tells_nobody() -> None:
    service = Service(FOUND)

    assert await send(service, ReleaseAgent("aliceId")) is None
    assert service.seen == [("main", "aliceId")]
