"""What a party says by itself: said while it is in control, counted per turn."""

from __future__ import annotations

from omnibridge.domain import events as ev
from omnibridge.domain.commands import SendToVisitor
from omnibridge.domain.content import Choices, Option, Text
from omnibridge.domain.conversation import Speech
from omnibridge.domain.delivery_events import DeliveryDelayed, TurnRepeated
from tests.unit.routing.test_router import ALICE, Story, kinds, said

MENU = Choices("Pick", (Option("Sales", "/sales"),))
NOT_UNDERSTOOD = ev.PartySpoke("helper", (Text("What?"),), fallback=True)


def spoke(*parts: str, **signals: object) -> ev.PartySpoke:
    return ev.PartySpoke("helper", tuple(Text(each) for each in parts), **signals)  # type: ignore[arg-type]


def accepted(epoch: int = 1) -> ev.PartyReplied:
    return ev.PartyReplied("helper", 1, epoch, accepted=True)


def test_words_are_said_and_the_turn_still_waits() -> None:
    story = Story().with_bot()
    story.on(said("hello"))
    decision = story.on(spoke("one", "two"))

    assert decision.commands == (SendToVisitor(Text("one"), "helper"), SendToVisitor(Text("two"), "helper"))
    assert len(decision.after.waiting) == 1
    assert story.on(accepted()).after.waiting == ()


def test_words_of_a_party_without_control_are_not_said() -> None:
    story = Story().with_bot()
    story.on(ev.AgentAssigned(ALICE))

    assert story.on(spoke("late")).commands == ()


def test_handover_answers_the_turn_that_led_to_it() -> None:
    story = Story().with_bot()
    story.on(said("human"), said("quick", 2))
    decision = story.on(spoke("wait", handover=True))

    assert kinds(decision) == ["SendToVisitor", "ListAgents"]
    assert [turn.text for turn in decision.after.held] == ["quick"]
    assert story.on(accepted()).commands == ()


def test_turn_of_an_older_epoch_is_not_taken_for_a_newer_one() -> None:
    story = Story().with_bot()
    story.on(said("human"), said("quick", 2), spoke(handover=True))
    story.on(ev.AgentsListed(1))
    assert story.state.control.connection == "helper"

    assert [turn.text for turn in story.on(accepted(epoch=1)).after.waiting] == ["quick"]


def test_options_last_until_a_turn_without_any() -> None:
    story = Story().with_bot()
    story.on(said("menu"), ev.PartySpoke("helper", (MENU,)), spoke("Take your time"), accepted())
    assert story.state.options == MENU.options
    story.on(said("1"), spoke("Sales it is"), accepted())

    assert story.state.options == ()
    assert story.state.speech == Speech()


def test_not_understood_twice_in_a_row_gives_way_to_people() -> None:
    story = Story().with_bot()
    story.on(said("a"), NOT_UNDERSTOOD, spoke("Try again"), accepted())
    story.on(said("b"), spoke("fine"), accepted())
    assert story.state.fallbacks == 0
    story.on(said("c"), NOT_UNDERSTOOD, accepted(), said("d"), NOT_UNDERSTOOD)

    assert kinds(story.on(accepted())) == ["SendToVisitor", "ListAgents"]


def test_words_of_a_turn_that_is_given_again_are_not_said_twice() -> None:
    story = Story().with_bot()
    story.on(said("a"), spoke("one"), spoke("two"), TurnRepeated("helper", 1))
    assert story.on(spoke("one")).commands == ()
    assert story.on(spoke("two")).commands == ()
    assert kinds(story.on(spoke("three"))) == ["SendToVisitor"]
    story.on(TurnRepeated("helper", 1))
    assert [kinds(story.on(spoke(each))) for each in ("one", "two", "three")] == [[], [], []]
    story.on(accepted(), said("b"))

    assert kinds(story.on(spoke("one"))) == ["SendToVisitor"]


def test_other_words_of_a_turn_that_is_given_again_are_said() -> None:
    story = Story().with_bot()
    story.on(said("a"), spoke("one"), spoke("two"), TurnRepeated("helper", 1))

    assert kinds(story.on(spoke("something else"))) == ["SendToVisitor"]
    assert kinds(story.on(spoke("two"))) == ["SendToVisitor"]


def test_same_words_twice_in_a_turn_are_said_twice() -> None:
    story = Story().with_bot()
    story.on(said("a"), spoke("no"))

    assert kinds(story.on(spoke("no"))) == ["SendToVisitor"]


def test_slow_turn_is_not_announced_after_words() -> None:
    story = Story().with_bot()
    story.on(said("a"), spoke("Let me see"))
    assert story.on(DeliveryDelayed(1, "helper")).commands == ()
    story.on(accepted(), said("b"))

    assert kinds(story.on(DeliveryDelayed(2, "helper"))) == ["SendToVisitor"]
