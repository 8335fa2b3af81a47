"""Visitors' files: those that the bot takes go with the turn; of each other he is told why. Edits and deletions."""

from __future__ import annotations

import msgspec

from omnibridge.domain import events as ev
from omnibridge.domain.commands import EditTurn, RetractTurn, SendToParty, stream_of
from omnibridge.domain.directory import Directory
from omnibridge.domain.files import FilePolicy, FileRef
from omnibridge.routing.rules import RuleSet
from omnibridge.routing.texts import Texts
from tests.unit.routing.test_router import BOT, DIRECTORY, NOW, Story, said
from tests.unit.routing.test_told import sentences

CAT = FileRef("f1", "cat.png", "image/png", 500)
PROGRAM = FileRef("f2", "[click](http://evil) *me*.exe", "application/x-msdownload", 500)
FILM = FileRef("f3", "film.png", "image/png", 5_000_000)


def story(policy: FilePolicy | None, texts: Texts | None = None, *, hears_edits: bool = False) -> Story:
    bot = msgspec.structs.replace(DIRECTORY.connections[0], files=policy, hears_edits=hears_edits)
    return Story(RuleSet(texts=texts or Texts()), Directory((bot,))).with_bot()


def sent(*files: FileRef, text: str = "") -> ev.MessagePosted:
    return ev.MessagePosted("m1", "visitor", "v", text, NOW, has_file=True, files=files)


def turns(found: object) -> list[SendToParty]:
    return [each for each in found.commands if isinstance(each, SendToParty)]  # type: ignore[attr-defined]


def test_s1_file_goes_with_the_turn() -> None:
    decision = story(FilePolicy()).on(sent(CAT, text="what is this?"))

    assert [(each.text, each.files) for each in turns(decision)] == [("what is this?", (CAT,))]
    assert sentences(decision) == []
    assert "sent a file" in decision.reason


def test_file_without_words_is_a_turn() -> None:
    assert [each.files for each in turns(story(FilePolicy()).on(sent(CAT)))] == [(CAT,)]


def test_refused_file_is_told_and_the_rest_goes_on() -> None:
    policy = FilePolicy(("image/*",), 1 << 20)
    decision = story(policy).on(sent(CAT, PROGRAM, FILM, text="look"))

    assert [(each.text, each.files) for each in turns(decision)] == [("look", (CAT,))]
    assert sentences(decision) == [
        "evil_ _me_.exe cannot be read here: files of this type are not taken.",
        "film.png is too big: at most 1 MB can be read here.",
    ]


def test_refused_file_alone_is_told_and_no_turn() -> None:
    decision = story(FilePolicy(("image/*",))).on(sent(PROGRAM))

    assert turns(decision) == []
    assert len(sentences(decision)) == 1


def test_too_many_are_told_once() -> None:
    four = [FileRef(f"f{n}", f"{n}.png", "image/png") for n in range(4)]
    decision = story(FilePolicy(max_count=2)).on(sent(*four))

    assert [len(each.files) for each in turns(decision)] == [2]
    assert sentences(decision) == ["At most 2 files can be read at a time; the others were not."]


def test_file_that_cannot_be_fetched_is_told() -> None:
    decision = story(FilePolicy()).on(sent(text="here"))

    assert sentences(decision) == [Texts().no_files]
    assert [(each.text, each.files) for each in turns(decision)] == [("here", ())]


def test_empty_texts_say_nothing() -> None:
    decision = story(FilePolicy(("image/*",)), Texts(file_type="")).on(sent(PROGRAM, text="look"))

    assert sentences(decision) == []
    assert "not told" in decision.reason


def test_file_is_kept_while_people_are_looked_for() -> None:
    """If nobody takes over, the bot gets it."""
    begun = story(FilePolicy())
    begun.on(said("talk to a human", 3), ev.PartyReplied("helper", 1, 1, handover=True))
    assert begun.state.handover.stage != "idle"
    begun.on(sent(CAT))
    decision = begun.on(ev.AgentsListed(1))

    assert [each.files for each in turns(decision)] == [(CAT,)]


def test_recovered_files_go_on_as_one_turn() -> None:
    found = (ev.RecoveredMessage("m1", "see", NOW + 1), ev.RecoveredMessage("m2", "", NOW + 2, True, (CAT,)))
    decision = story(FilePolicy()).on(ev.MessagesRecovered(found))

    assert [(each.text, each.files, each.late) for each in turns(decision)] == [("see", (CAT,), True)]


def test_edit_goes_behind_the_turn_to_who_wants_it() -> None:
    begun = story(None, hears_edits=True)
    begun.on(said("helo"))
    decision = begun.on(ev.MessageEdited("m1", "visitor", "hello", NOW + 5))

    assert decision.commands == (EditTurn("helper", "m1", "hello", NOW + 5),)
    assert stream_of(decision.commands[0]) == stream_of(SendToParty("helper"))
    assert begun.on(ev.MessageDeleted("m1", "visitor")).commands == (RetractTurn("helper", "m1"),)


def test_edit_is_nobody_elses_business() -> None:
    """Not of a bot that does not want it, of somebody else's words, or while people serve."""
    assert story(None).on(ev.MessageEdited("m1", "visitor", "hello", NOW)).commands == ()
    begun = story(None, hears_edits=True)
    assert begun.on(ev.MessageEdited("m1", "agent", "hello", NOW)).commands == ()
    assert begun.on(ev.MessageDeleted("m9")).commands == ()
    begun.on(ev.AgentAssigned(ev.UserRef("aliceId", "alice")))
    assert begun.on(ev.MessageEdited("m1", "visitor", "hello", NOW)).commands == ()
    assert BOT.id == "botId"
