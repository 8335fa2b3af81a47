"""Sensitive-data rules of the org: what agents must not read, whatever its patterns cost."""

from __future__ import annotations

import time
from typing import Any

import pytest

from connectors.salesforce_live_agent.rules import LARGEST, LONGEST_RESULT, Rule, compiled, mask, read_rules, size_of
from omnibridge.connector import Said
from tests.conftest import until
from tests.connectors.salesforce.relays import ALEX, MakeRelay
from tests.connectors.salesforce_live_agent.alone import alone

CARD = {
    "id": "1",
    "name": "card",
    "pattern": r"\b(?:\d[ -]?){12,15}\d\b",
    "actionType": "Replace",
    "replacement": "[card]",
}
SECRET = {"id": "2", "name": "secret", "pattern": r"hunter\d+ ?", "actionType": "Remove"}
SLOW = {"id": "3", "name": "slow", "pattern": "(a|aa)+$", "actionType": "Remove"}
NUMBER = "4111 1111 1111 1111"
SLOW_WORDS = "a" * 3_000 + "b"


@pytest.mark.parametrize(
    ("given", "text", "expected"),
    [
        (CARD, f"it is {NUMBER}.", "it is [card]."),
        (CARD, "order 12345", "order 12345"),
        (SECRET, "hunter2 is it", "is it"),
        ({**SECRET, "actionType": "REMOVE"}, "hunter2 is it", "is it"),
        ({**CARD, "pattern": r"(\d)(\d+)", "replacement": "$1-$2-$&-$$-$9"}, "ab 123", "ab 1-23-123-$-$9"),
        ({**CARD, "pattern": "one\ntwo\r\n\n", "replacement": "x"}, "one two three", "x x three"),
        ({**CARD, "pattern": r"(?<year>\d{4})\/\u0041", "replacement": "x"}, "2020/A", "x"),
        ({**CARD, "pattern": "[aeiou]", "replacement": None}, "audio", "d"),
    ],
)
def test_rule_is_applied_as_the_vendors_clients_do(given: dict[str, Any], text: str, expected: str) -> None:
    found = mask(text, read_rules([given]))

    assert (found.text, len(found.hits), found.failed) == (expected, text != expected, ())


def test_rules_are_applied_one_to_what_the_other_left() -> None:
    found = mask("ab", read_rules([{**SECRET, "pattern": "b"}, {**CARD, "pattern": "^a$", "replacement": "x"}]))

    assert (found.text, [each.name for each in found.hits]) == ("x", ["secret", "card"])


@pytest.mark.parametrize(
    "given",
    [
        {**CARD, "pattern": "("},
        {**CARD, "pattern": ""},
        {**CARD, "pattern": "a" * 1_001},
        {**CARD, "pattern": "(?:(?:a{999}){999}){999}"},
        {**CARD, "pattern": "(" * 490 + "a" + ")" * 490},
        {**CARD, "pattern": "a{1000000}"},
        {**CARD, "actionType": "Novel"},
        "no rule",
        {**CARD, "pattern": "(?V1)x"},
        {**CARD, "pattern": "t", "replacement": "x" * 501},
    ],
)
def test_rule_that_cannot_be_read_costs_nothing_and_is_told(given: Any) -> None:
    began = time.process_time()
    found = mask("text", read_rules([given]))

    assert found.text == "text" and found.failed
    assert time.process_time() - began < 1


def test_patterns_that_take_for_ever_do_not() -> None:
    """And keep no other rule from being applied."""
    began = time.process_time()
    found = mask(f"{NUMBER} {SLOW_WORDS}", (*read_rules([SLOW] * 2), *read_rules([CARD])))

    assert len(found.failed) == 2 and found.text.startswith("[card] aaa")
    assert time.process_time() - began < 10


def test_size_of_a_pattern_is_that_of_its_repeats() -> None:
    sizes = {
        r"\d{3}-\d{2}": 6,
        "[^]{9}]{4}": 4,
        "(ab){3}": 6,
        r"\(a\){3}": 5,
        "((a{9}){9}){9}": 729,
        "a{2,}": 2,
        "x)(": 3,
    }

    assert {each: size_of(each) for each in sizes} == sizes | {"x)(": size_of("x)(")}
    assert compiled("a" * 900) and size_of("(?:[a-z]{80}){80}") > LARGEST and compiled("(?:[a-z]{80}){80}") is None


def test_more_rules_than_there_may_be() -> None:
    assert len(mask("text", (Rule(action="Remove", pattern="x"),) * 60).failed) == 10


@pytest.mark.parametrize("late", [False, True])
async def test_s2_03_words_and_history_are_masked_before_anything_leaves(late: bool) -> None:
    """Told by ChatRequestSuccess, or by SensitiveDataRules in the middle of it."""
    async with alone(options={"rules": [] if late else [CARD, SECRET]}, longest_text=100) as one:
        filler = "x" * 75
        await one.begin(said=(Said("m", "visitor", f"{filler} {NUMBER}"),))  # cut in the middle of the number
        if late:
            await until(one.desk.waiting)
            one.desk.push(one.sid, "SensitiveDataRules", sensitiveDataRules=[CARD, SECRET])
            await until(lambda: one.kept.rules)
        await one.accepted()
        await one.say(f"hunter2 pays with {NUMBER}", delivery_id="t1")
        await one.say("thank you")
        await one.say("hunter3 ")

    assert NUMBER[:9] not in "".join(one.heard())
    assert one.heard()[-2:] == ["pays with [card]", "thank you"]
    told = [[each["id"] for each in row["rules"]] for row in one.of_kind("rules")]
    assert told == [["1", "2"], ["2"]]


@pytest.mark.parametrize("fault", [{"status": 400, "skip": 1}, {"cut": True, "after_effect": True, "skip": 1}])
async def test_telling_of_a_rule_keeps_no_words_back(fault: dict[str, Any]) -> None:
    async with alone(options={"rules": [SECRET]}) as one:
        await one.begin()
        await one.accepted()
        one.sf.wish({"fail_next": [{"on": "post", **fault}]})
        await one.say("hunter2 v0")
        await one.say("v1")

    assert one.heard() == ["v0", "v1"]


@pytest.mark.parametrize(
    ("policy", "heard"), [("withhold", ["v1"]), ("send", [SLOW_WORDS, "v1"]), ("off", [SLOW_WORDS, "v1"])]
)
async def test_words_that_cannot_be_checked(policy: str, heard: list[str]) -> None:
    async with alone(options={"rules": [SLOW]}, sensitive_data=policy, longest_text=5_000) as one:
        await one.begin()
        await one.accepted()
        await one.say(SLOW_WORDS)
        await one.say("v1")

    assert one.heard() == heard
    assert [text.startswith("Your last message could not be passed on") for _, text in one.words()] == (
        [True] if policy == "withhold" else []
    )
    assert one.context.counts["rules_failed"] == (0 if policy == "off" else 1)
    assert not any(SLOW_WORDS[:20] in str(each) for each in one.context.lines)


async def test_s2_03_relay_masks_and_tells_the_visitor_what_went_to_nobody(make_relay: MakeRelay) -> None:
    relay = await make_relay()
    relay.sf.wish({"options": {"rules": [CARD, {**SECRET, "pattern": "("}]}})
    visitor = await relay.with_agent()
    await visitor.say(f"my card: {NUMBER}")
    await relay.until(lambda: any("could not be passed on" in each for each in relay.words(visitor)))
    relay.desk.push(relay.chat, "SensitiveDataRules", sensitiveDataRules=[CARD])
    relay.desk.say(relay.chat, "Again, please.")
    await relay.until(lambda: ("Alex Agent", "Again, please.") in relay.seen(visitor))
    await visitor.say(f"my card: {NUMBER}")
    await relay.until(lambda: relay.heard())

    assert relay.heard() == ["my card: [card]"]
    assert relay.session().agent[0] == ALEX


async def test_rules_that_put_in_more_than_they_take_away_end_somewhere() -> None:
    grows = {**CARD, "pattern": ".", "replacement": "$&" * 250}
    found = mask("0123456789", read_rules([grows] * 9))

    assert len(found.text) <= LONGEST_RESULT and found.failed
    async with alone(options={"rules": [{**grows, "replacement": "$&" * 20}]}, longest_text=100) as one:
        await one.begin(said=tuple(Said("m", "visitor", "hello " * 15) for _ in range(9)))
        await one.accepted()
        await one.say("v0")

    assert len(one.heard()) <= 11
