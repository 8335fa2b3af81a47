"""Which rows an operator may have sent again, and as what."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from omnibridge.domain.conversation import Control, Conversation, bot_party
from omnibridge.operator.actions import Bench, Order, Plan, Row, _again, plan_bury, plan_resend
from omnibridge.storage.outbox import Delivery
from omnibridge.storage.tables import BURIED, DONE, DUE, REFUSED

NOW = 1_700_000_000_000
OPEN = Conversation("main", "room1", started=True, control=Control(bot_party("helper"), 3))
WITH_PEOPLE = msgspec.structs.replace(OPEN, control=Control("agents", 4))
CLOSED = msgspec.structs.replace(OPEN, closed=True)
WORDS = Delivery(
    id=10, conversation_id=1, event_id=5, stream="hub", command="SendToVisitor", connection="helper", epoch=1,
    external_id="external", body=b'{"text":"hi"}', attempts=4, uncertain=0, boot="old", next_attempt_at=0,
    deadline_at=NOW - 1, created_at=NOW - 5001,
)  # fmt: skip
TURN_BODY = b'{"command":"SendToParty","connection":"helper","text":"hi"}'
TURN = replace(WORDS, id=11, stream="connection:helper", command="SendToParty", external_id=None, body=TURN_BODY)
MOVE = replace(WORDS, id=12, command="AssignAgent", external_id=None, body=b"{}")
LIST = replace(MOVE, id=13, command="ListAgents")
OURS = replace(WORDS, id=14, command="SystemText", epoch=None)
END = replace(TURN, id=15, command="CloseSession", epoch=None)


class Counting:
    def __init__(self) -> None:
        self.last = 1000

    def next(self) -> int:
        self.last += 1
        return self.last


def bench() -> Bench:
    return Bench(Counting(), "boot", NOW)


def why(row: Delivery, state: int, code: str, conversation: Conversation, *, named: bool) -> str:
    """Empty = it is sent again."""
    rows: list[Row] = [(row, state, code)]
    plan = plan_resend(Plan(1, "main", "room1"), rows, conversation, Order([row.id], "ann", named), bench())
    (outcome,) = plan.outcomes
    assert outcome.done == (not outcome.why) == bool(plan.units)
    return outcome.why


@pytest.mark.parametrize(
    ("row", "state", "code", "conversation", "named", "reason"),
    [
        (WORDS, BURIED, "http-502", OPEN, False, ""),
        (WORDS, REFUSED, "control-changed", OPEN, True, ""),
        (WORDS, DUE, "", OPEN, True, "waits"),
        (WORDS, DONE, "", OPEN, True, "delivered"),
        (WORDS, BURIED, "resent", OPEN, True, "again already"),
        (WORDS, BURIED, "http-502", CLOSED, True, "closed"),
        (WORDS, BURIED, "http-502", WITH_PEOPLE, False, "insist"),
        (WORDS, BURIED, "http-502", WITH_PEOPLE, True, ""),
        (TURN, BURIED, "down", OPEN, False, ""),
        (TURN, BURIED, "down", WITH_PEOPLE, True, "would not be said"),
        (MOVE, BURIED, "http-502", OPEN, False, "insist"),
        (MOVE, BURIED, "http-502", OPEN, True, ""),
        (LIST, BURIED, "http-502", OPEN, True, "nobody waits"),
        (OURS, BURIED, "http-502", WITH_PEOPLE, False, ""),
        (END, BURIED, "down", CLOSED, False, ""),
    ],
)
def test_what_is_sent_again(
    row: Delivery, state: int, code: str, conversation: Conversation, named: bool, reason: str
) -> None:
    found = why(row, state, code, conversation, named=named)

    assert reason in found and bool(reason) == bool(found)


def test_new_row_stands_for_the_old_one() -> None:
    again = _again(WORDS, BURIED, "http-502", OPEN, bench())

    assert again == replace(WORDS, id=1001, epoch=3, attempts=0, boot="boot", deadline_at=NOW + 5000, created_at=NOW)


def test_turn_keeps_the_id_that_the_bot_knows() -> None:
    first = _again(TURN, BURIED, "down", OPEN, bench())
    second = _again(replace(first, id=99), BURIED, "down", OPEN, bench())

    assert first.external_id == second.external_id == str(TURN.id)


@pytest.mark.parametrize(
    ("state", "code", "before", "after"),
    [
        (BURIED, "down", 0, 0),
        (BURIED, "http-502", 2, 2),
        (REFUSED, "control-changed", 0, 1),
        (BURIED, "uncertain", 1, 0),
    ],
)
def test_what_may_have_arrived_is_looked_up_unless_that_was_the_question(
    state: int, code: str, before: int, after: int
) -> None:
    assert _again(replace(TURN, uncertain=before), state, code, OPEN, bench()).uncertain == after


def test_words_of_a_bot_that_does_not_serve_are_posted_by_the_relay_account() -> None:
    assert _again(WORDS, BURIED, "http-502", OPEN, bench()).connection == "helper"
    assert _again(WORDS, BURIED, "http-502", WITH_PEOPLE, bench()).connection == ""
    relayed = msgspec.structs.replace(OPEN, relay_posts=True)
    assert _again(WORDS, BURIED, "http-502", relayed, bench()).connection == ""


def test_order_of_the_rows_is_kept() -> None:
    rows: list[Row] = [(replace(WORDS, id=number), BURIED, "http-502") for number in (20, 21, 22)]
    plan = plan_resend(Plan(1, "main", "room1"), rows, OPEN, Order([22, 20, 21], "ann"), bench())
    new = [each.new_id for each in plan.outcomes]

    assert new == sorted(new) and plan.streams == {"hub"}


def test_only_what_waits_is_given_up() -> None:
    rows: list[Row] = [(WORDS, DUE, ""), (TURN, BURIED, "down"), (OURS, DONE, "")]
    plan = plan_bury(Plan(1, "main", "room1"), rows, Order([10, 11, 14], "ann"), bench())

    assert [each.done for each in plan.outcomes] == [True, False, False]
