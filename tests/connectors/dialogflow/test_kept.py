"""What is remembered of sessions survives the process, within its bounds."""

from __future__ import annotations

import pytest

from connectors.dialogflow.kept import Sessions
from omnibridge.connector import LONGEST_NOTE, MemoryNotes
from omnibridge.connector.testing import turn
from tests.conftest import until
from tests.connectors.dialogflow.bots import bot

PATH = "projects/p/agent/sessions/s1"
CONTEXT = ({"name": f"{PATH}/contexts/memo", "lifespan_count": 5, "parameters": {"text": "A7"}},)
NOW, KEEP_MS = 1_000_000, 7_200_000


def told(notes: MemoryNotes) -> Sessions:
    sessions = Sessions(KEEP_MS, notes)
    sessions.used(PATH, NOW, CONTEXT, "de")
    assert sessions.changed(PATH, {"ticket": "A7"}) == {"ticket": "A7"}
    return sessions


def test_restart_forgets_neither_contexts_nor_fields_nor_language() -> None:
    notes = MemoryNotes()
    told(notes).away(PATH, NOW + 1000)
    again = Sessions(KEEP_MS, notes)

    assert again.language(PATH) == "de"
    assert again.forgotten(PATH, NOW + 2000) == CONTEXT
    assert again.changed(PATH, {"ticket": "A7"}) == {}
    assert again.forgotten(PATH, NOW + KEEP_MS + 1) == ()  # the cap


def test_sessions_that_are_away_are_taken_up_again_to_be_kept_alive() -> None:
    notes = MemoryNotes()
    told(notes).away(PATH, NOW)
    prefix = PATH.removesuffix("s1")

    assert Sessions(KEEP_MS, notes).take_up(prefix, NOW + 1000) == 1
    assert Sessions(KEEP_MS, notes).take_up(prefix, NOW + KEEP_MS + 1) == 0
    assert Sessions(KEEP_MS, notes).take_up("projects/other/agent/sessions/", NOW) == 0
    again = Sessions(KEEP_MS, notes)
    again.take_up(prefix, NOW)
    assert [path for path, _ in again.due(NOW + 600_000, 300_000)] == [PATH]


def test_note_goes_with_the_conversation_and_is_none_where_nothing_is_kept() -> None:
    notes = MemoryNotes()
    told(notes).over(PATH)
    assert notes.newest(9) == []
    plain = Sessions(KEEP_MS, notes)
    plain.used(PATH, NOW, (), "en")
    assert plain.changed(PATH, {}) == {}
    assert notes.newest(9) == []
    nothing = Sessions(0, notes)
    nothing.used(PATH, NOW, CONTEXT, "en")
    nothing.changed(PATH, {})
    assert notes.newest(9) == []


@pytest.mark.parametrize("note", [b"not JSON", b"[]", b'{"path": 7}', b'{"path": "another"}'])
def test_note_that_cannot_be_read_is_none(note: bytes) -> None:
    notes = MemoryNotes()
    notes.put("s1", note)
    sessions = Sessions(KEEP_MS, notes)

    assert (sessions.forgotten(PATH, NOW), sessions.language(PATH)) == ((), "")
    sessions.away(PATH, NOW)


def test_note_that_is_too_large_is_counted_and_removed() -> None:
    notes = MemoryNotes()
    sessions = told(notes)
    sessions.used(PATH, NOW, ({**CONTEXT[0], "parameters": {"text": "x" * LONGEST_NOTE}},), "de")
    sessions.changed(PATH, {})

    assert sessions.not_noted == 1
    assert notes.newest(9) == []  # not an older one: it would be given back as the newest
    assert len(sessions.forgotten(PATH, NOW + 16 * 60_000)) == 1


async def test_connector_notes_with_the_answer_and_takes_up_at_a_start() -> None:
    notes = MemoryNotes()
    async with bot(notes=notes) as agent:
        await agent.connector.on_message(turn("remember A7"))
        assert b"memo" in (notes.get("s1") or b"")
        assert b"omnibridge_turn" not in (notes.get("s1") or b"")
        await agent.connector.on_close("s1", "a person serves")
    async with bot(notes=notes, keep_alive_event="ping", keep_alive_every_s=0.05) as agent:
        await until(lambda: agent.fake.counts["keep_alive"] > 0)
        agent.at(1)
        assert (await agent.connector.on_message(turn("recall"))).parts[0].text == "You said A7."  # type: ignore[union-attr]
        await agent.connector.on_close("s1", "closed")
        assert notes.newest(9) == []
