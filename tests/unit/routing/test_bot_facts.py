"""What a bot found out about the visitor's words: rules read it at his next message, and the trace shows it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from omnibridge.errors import RuleInvalid
from omnibridge.routing.decision import Fact
from omnibridge.routing.facts import told_facts
from omnibridge.routing.rules_file import parse_rules
from tests.unit.routing.test_router import Story, replied, said

ANGRY = parse_rules(
    """
    [[rule]]
    name = "he is angry"
    on = "message"
    when = { "bot.sentiment_score" = { at_most = -0.4 } }
    target = "queue"
    """
)


@pytest.mark.parametrize(("score", "rule"), [(-0.9, "he is angry"), (-0.4, "he is angry"), (-0.3, ""), ("bad", "")])
def test_rule_hands_over_at_the_message_after_a_bad_mood(score: Any, rule: str) -> None:
    story = Story(ANGRY).with_bot()
    story.on(said("you again"), replied("Yes?", facts={"sentiment_score": score}))
    decision = story.on(said("useless", 2))

    assert decision.rule == rule
    assert decision.facts["bot.sentiment_score"] == Fact(score, "bot's last answer", "ours")
    assert (decision.after.control.party == "connection:helper") is not bool(rule)


def test_facts_are_those_of_the_last_answer() -> None:
    story = Story(ANGRY).with_bot()
    story.on(said("you again"), replied("Yes?", facts={"sentiment_score": 1.0, "intent": "greet"}))
    assert story.state.bot_facts["intent"] == "greet"
    story.on(said("a"), replied("b"))

    assert story.state.bot_facts == {}


def test_what_no_fact_can_be_is_left_out_and_texts_are_cut() -> None:
    odd: Any = {
        "a b": 1,
        "list": [1],
        "none": None,
        "x\n": "y",
        "": 1,
        "nan": math.nan,
        "huge": 2**60,
        "much": math.inf,
        "intent": "z" * 9999,
        "yes": True,
    }

    assert told_facts(odd) == {"intent": "z" * 2000, "yes": True}
    assert len(told_facts({f"f{n}": n for n in range(99)})) == 20
    assert sum(map(len, told_facts({f"f{n}": "z" * 3000 for n in range(9)}).values())) == 5_120


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ('when = { "bot.intent" = "x" }', 'bot.intent needs on = "message"'),
        ('on = "message"\nwhen = { "bot.score" = { at_least = "a" } }', "at_least takes a number"),
        ('on = "message"\nwhen = { "bot.score" = { at_most = true } }', "at_most takes a number"),
    ],
)
def test_rules_that_cannot_work_are_named(rule: str, problem: str) -> None:
    with pytest.raises(RuleInvalid, match=problem):
        parse_rules(f'[[rule]]\nname = "r"\n{rule}\ntarget = "queue"')
