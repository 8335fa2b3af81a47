"""Custom fields from a bot: limited, and written before people take over."""

from __future__ import annotations

import msgspec

from omnibridge.domain.commands import SetRoomFields
from omnibridge.routing.fields import LONGEST_VALUE, MOST_FIELDS, set_fields
from tests.unit.routing.test_router import Story, kinds, replied, said


def test_names_and_values_are_limited() -> None:
    given = {"ok": "a\x00b\x1b[31m", "bad name": "x", "$where": "x", "": "x", "long": "x" * 5_000}

    assert set_fields(given) == (SetRoomFields({"ok": "a b [31m", "long": "x" * LONGEST_VALUE}),)
    assert set_fields({"$a": "x"}) == ()
    assert len(set_fields({f"f{n}": "x" for n in range(100)})[0].fields) == MOST_FIELDS


def test_fields_come_before_the_handover_and_are_no_facts() -> None:
    story = Story().with_bot()
    story.on(said("human"))
    facts = story.state.facts
    event = msgspec.structs.replace(replied("wait", handover=True), fields={"tier": "gold"})
    decision = story.on(event)

    assert kinds(decision) == ["SendToVisitor", "SetRoomFields", "ListAgents"]
    assert decision.after.facts == facts
