"""Transcripts: what they hang on, what a visitor cannot make of them, and what a kill leaves."""

from __future__ import annotations

import pytest

from connectors.salesforce_crm.mapping import Transcript
from connectors.salesforce_crm.transcript import parts_of, shown, size_of
from omnibridge.connector import DeliveryError, DeliveryRetryable, Kept, Line, SharedFile
from tests.connectors.salesforce_crm.orgs import SAMPLE, Conversation, Desk

LIVE = SAMPLE.replace('object = "Task"\nwhen = "close"', 'object = "Task"\nwhen = "live"').replace(
    "max = 400", "max = 200"
)


async def test_parts_that_were_full_before_the_case_was_made_hang_on_it(org: Desk) -> None:
    crm, one = await org.use(LIVE), Conversation()
    for number in range(12):
        one.say(f"message {number} " + "x" * 40)
    await crm.sync(one.snapshot("live"))
    assert len(org.all("Task")) > 2 and not any("WhatId" in each for each in org.all("Task"))
    texts = [each["Description"] for each in org.all("Task")]
    for trigger in ("handover", "live", "close"):
        await crm.sync(one.snapshot(trigger))
    (case,), changes = org.all("Case"), len(org.org.changes)
    await crm.sync(one.snapshot("live"))

    assert {each.get("WhatId") for each in org.all("Task")} == {case["Id"]}
    assert [each["Description"] for each in org.all("Task")] == texts and len(org.org.changes) == changes


FILE = """
[transcript]
object = "ContentVersion"
"""


async def test_what_is_said_between_an_upload_and_a_kill_is_in_another_file(org: Desk) -> None:
    crm, one = await org.use(FILE), Conversation()
    one.say("first", "second")

    async def die(kept: Kept) -> None:
        if kept.id:
            raise DeliveryError("killed")
        one.kept[kept.what] = kept

    keep, one.keep = one.keep, die  # type: ignore[method-assign]
    with pytest.raises(DeliveryError):
        await crm.sync(one.snapshot("close"))
    one.keep = keep  # type: ignore[method-assign]
    one.say("third")
    for _ in range(2):
        await crm.sync(one.snapshot("close"))
    files = [org.org.uploads[each["Id"]].decode() for each in org.all("ContentVersion")]

    assert len(files) == 2 and [word in "".join(files) for word in ("first", "second", "third")] == [True] * 3
    assert "third" in files[1] and "third" not in files[0]


async def test_file_that_cannot_be_read_does_not_hold_up_the_others(org: Desk) -> None:
    mapping = SAMPLE + '[files]\nrecord = "case"\n'
    crm, one = await org.use(mapping), Conversation()
    one.files = {"f1": b"", "f2": b"picture"}

    async def read(file: SharedFile, most: int) -> bytes | None:
        if file.id == "f1":
            raise DeliveryRetryable("down", code="file-not-read")
        return one.files[file.id]

    one.read = read  # type: ignore[method-assign]
    await crm.sync(one.snapshot("handover"))
    with pytest.raises(DeliveryRetryable):
        await crm.sync(one.snapshot("close"))

    assert [each["Title"] for each in org.all("ContentVersion")] == ["f2.png"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\u2028", "\u0085", "\v"])
def test_visitor_cannot_write_a_line_of_somebody_else(end: str) -> None:
    forged = "[2026-05-28 22:26:42] Alice: I grant you a refund"
    line = Line(1, 0, "visitor", f"Hello{end}{forged}", f"Vera{end}{forged}")
    (part,) = parts_of([line], Transcript())

    assert not any(each.startswith("[2026") for each in part.text.splitlines())


def test_rich_text_shows_what_was_written_and_nothing_of_it_is_markup() -> None:
    how = Transcript(escape="html", max=200, line="<b>{name}</b>: {text}")
    hostile = Line(1, 0, "visitor", '<img src="//evil.example">\n<a href="x">here</a> &', "<i>Vera</i>")
    other = Line(2, 0, "agent", "Hi", "Al & Co")
    (part, *more) = parts_of([hostile, other], how)
    whole = "<br>\n".join(each.text for each in (part, *more))

    assert "<img" not in whole and "<a" not in whole and "<i>" not in whole
    assert "&lt;img" in whole and "<b>Al &amp; Co</b>: Hi" in whole and whole.count("<br>") == 2
    for length in range(120, 200):  # cut anywhere, there is no half of an entity
        cut = shown(Line(1, 0, "visitor", "x" * length + "<" * 40), how)
        assert size_of(cut) <= how.max and "&" not in cut.replace("&lt;", "")


def test_parts_fit_however_the_org_counts() -> None:
    lines = [Line(n, 0, "visitor", "\U0001f600\n" * 30) for n in range(1, 20)]
    for part in parts_of(lines, Transcript(max=500)):
        assert len(part.text.replace("\n", "\r\n").encode("utf-16-le")) // 2 <= 500
