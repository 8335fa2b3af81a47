"""What follows when somebody uses what a bot had shown: a turn without a message, and the buttons go."""

from __future__ import annotations

import msgspec

from omnibridge.domain import events as ev
from omnibridge.domain.commands import RemoveChoices, SendToParty, SendToVisitor, UpdateMessage
from omnibridge.domain.content import Text
from omnibridge.domain.interactions import Action, Actor, Interaction, MessageUpdate
from omnibridge.routing.rules import RuleSet
from omnibridge.routing.texts import Texts
from tests.unit.routing.test_router import ALICE, Story, kinds, said

VISITOR = Actor("v1", "guest-1", "Vera", is_visitor=True, roles=("visitor",))


def pressed(value: str = "/sales", *, actor: Actor = VISITOR, keeps: bool = False, id: str = "i1") -> Interaction:
    return Interaction(id, actor, (Action("button", "a1", "b1", value, "Sales", keeps=keeps),), "m1", "t1")


def used(interaction: Interaction, connection: str = "helper") -> ev.InteractionReceived:
    return ev.InteractionReceived(interaction, connection)


def test_press_is_a_turn_without_a_message_and_buttons_go() -> None:
    story = Story().with_bot()
    decision = story.on(used(pressed()))

    turn = SendToParty("helper", "i1", "Sales", "/sales", interaction=pressed())
    assert decision.commands == (RemoveChoices("m1", "helper"), turn)
    assert story.on(ev.PartyReplied("helper", 1, 1, message_id="i1")).after.waiting == ()


def test_buttons_of_a_menu_stay() -> None:
    assert kinds(Story().with_bot().on(used(pressed(keeps=True)))) == ["SendToParty"]


def test_press_of_a_bot_that_lost_control_reaches_nobody_and_its_buttons_go() -> None:
    story = Story().with_bot()
    story.on(ev.AgentAssigned(ALICE))
    decision = story.on(used(pressed()))

    assert decision.commands == (RemoveChoices("m1", "helper"),)
    assert "agents is in control" in decision.reason


def test_press_while_people_are_looked_for_is_kept_and_given_if_the_bot_stays() -> None:
    story = Story().with_bot()
    story.on(said("a person please"), ev.PartyReplied("helper", 1, 1, handover=True))
    assert kinds(story.on(used(pressed()))) == ["RemoveChoices"]
    stays = story.on(ev.AgentsListed(1))

    assert [each for each in stays.commands if isinstance(each, SendToParty)] == [
        SendToParty("helper", "i1", "Sales", "/sales", interaction=pressed())
    ]


def test_press_of_staff_is_told_with_who_did_it() -> None:
    decision = Story().with_bot().on(used(pressed(actor=Actor("u1", "alice"))))

    assert kinds(decision) == ["RemoveChoices", "SendToParty"]
    assert decision.reason.startswith("alice used 'Sales'")


def test_answer_changes_what_was_shown_before_it_says_more() -> None:
    story = Story().with_bot()
    story.on(used(pressed()))
    update = MessageUpdate("m1", Text("You chose sales"))
    decision = story.on(ev.PartyReplied("helper", 1, 1, (Text("Fine"),), message_id="i1", updates=(update,)))

    assert decision.commands == (UpdateMessage(update, "helper"), SendToVisitor(Text("Fine"), "helper"))


def test_a_bot_that_gives_way_may_still_change_what_it_showed() -> None:
    story = Story().with_bot()
    story.on(said("a person please"), ev.PartyReplied("helper", 1, 1, handover=True))
    update = MessageUpdate("m1", Text("You chose sales"))

    assert kinds(story.on(ev.PartySpoke("helper", updates=(update,)))) == ["UpdateMessage"]


def test_a_button_that_is_pressed_twice_is_one_turn() -> None:
    story = Story().with_bot()
    story.on(used(pressed(id="i1")))
    again = story.on(used(pressed(id="i2")))
    assert (again.commands, "once more" in again.reason) == ((), True)
    assert kinds(story.on(used(pressed(id="i3", actor=Actor("u1", "alice"))))) == ["RemoveChoices", "SendToParty"]
    assert kinds(story.on(used(pressed(id="i4", keeps=True)))) == ["SendToParty"]
    story.on(ev.PartyReplied("helper", 1, 1, message_id="i1"))
    assert kinds(story.on(used(pressed(id="i5")))) == ["RemoveChoices", "SendToParty"]


def test_s3_18_what_is_said_in_a_thread_stays_there() -> None:
    story = Story().with_bot()
    decision = story.on(ev.PartySpoke("helper", (Text("Here"),), thread_id="t0"))

    assert decision.commands == (SendToVisitor(Text("Here"), "helper", thread_id="t0"),)


def test_double_click_on_a_bot_that_answers_at_once_is_one_press() -> None:
    """The answer is there before the second click is told, so no turn is under way any more."""
    story = Story().with_bot()
    story.on(used(msgspec.structs.replace(pressed(), at=1_000)), ev.PartyReplied("helper", 1, 1, message_id="i1"))
    again = msgspec.structs.replace(pressed(id="i2"), at=1_200, trigger_id="t2")

    assert story.on(used(again)).commands == ()
    assert "SendToParty" in kinds(story.on(used(msgspec.structs.replace(again, id="i3", at=9_000))))
    story.on(ev.PartyReplied("helper", 1, 1, message_id="i3"))
    other = msgspec.structs.replace(again, id="i4", at=9_100, original={"blocks": [{"type": "section"}]})
    assert "SendToParty" in kinds(story.on(used(other)))  # the bot has changed the message since


def test_press_is_to_be_read_in_the_room_where_that_is_configured() -> None:
    story = Story(RuleSet(texts=Texts(pressed="Chosen: {label}"))).with_bot()
    decision = story.on(used(pressed()))

    assert decision.commands[1] == SendToVisitor(Text("Chosen: Sales"), "helper", "system")
    assert kinds(story.on(used(pressed(actor=Actor("u1", "alice"), id="i2")))) == ["RemoveChoices", "SendToParty"]


def test_press_without_label_and_value_is_told_by_its_name() -> None:
    """As clients may send it: a bot that is given words only heard nothing of it."""
    did = Interaction("i1", VISITOR, (Action("button", "confirm"),))

    assert Story().with_bot().on(used(did)).commands == (SendToParty("helper", "i1", "confirm", interaction=did),)
