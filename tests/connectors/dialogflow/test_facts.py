"""What an answer tells about the visitor's words, in Google's own types."""

from __future__ import annotations

from google.cloud import dialogflowcx_v3 as cx_types

from connectors.dialogflow.facts import facts_of, sentiment_of
from tests.connectors.dialogflow.bots import cx_result, es_result


def test_s2_01_intent_and_sentiment_of_es() -> None:
    result = es_result(
        intent={"display_name": "order.status"},
        intent_detection_confidence=0.9,
        sentiment_analysis_result={"query_text_sentiment": {"score": -0.75, "magnitude": 1.5}},
    )

    assert facts_of(result) == {
        "intent": "order.status",
        "intent_confidence": 0.9,  # of a float of 32 bits
        "sentiment_score": -0.75,
        "sentiment_magnitude": 1.5,
    }


def test_s2_01_intent_and_sentiment_of_cx() -> None:
    match = {"intent": {"display_name": "order"}, "confidence": 0.5, "match_type": cx_types.Match.MatchType.INTENT}
    result = cx_result(match=match, sentiment_analysis_result={"score": 0.25, "magnitude": 0.5})

    assert facts_of(result) == {
        "intent": "order",
        "intent_confidence": 0.5,
        "sentiment_score": 0.25,
        "sentiment_magnitude": 0.5,
    }


def test_what_is_not_told_is_no_fact_and_a_mood_of_nothing_is_one() -> None:
    assert facts_of(es_result()) == facts_of(cx_result()) == sentiment_of({}) == {}
    neutral = es_result(sentiment_analysis_result={"query_text_sentiment": {"score": 0.0, "magnitude": 0.1}})
    assert facts_of(neutral)["sentiment_score"] == 0.0
    assert facts_of(cx_result(match={"match_type": cx_types.Match.MatchType.NO_MATCH})) == {}
