"""What the agent found out about the visitor's words: for rules, and for whoever reads the trace. Pure."""

from __future__ import annotations

from typing import Any

Facts = dict[str, str | int | float | bool]


def facts_of(result: dict[str, Any]) -> Facts:
    """A QueryResult as a plain dict -> `intent`, `intent_confidence` 0 to 1, and the sentiment.

    What is not told is not there. Zeros are left out of a plain dict, and mean zero where their message is there.
    """
    match = result.get("match") or {}
    intent = result.get("intent") or match.get("intent") or {}
    found: Facts = {}
    if isinstance(name := intent.get("display_name"), str) and name:
        found["intent"] = name
        confidence = match.get("confidence", 0.0) if match else result.get("intent_detection_confidence", 0.0)
        found["intent_confidence"] = round(float(confidence), 3)
    return found | sentiment_of(result)


def sentiment_of(result: dict[str, Any]) -> dict[str, float]:
    """`sentiment_score` -1 to 1, `sentiment_magnitude`; ES has them one level deeper than CX. {} = nobody judged."""
    sentiment = result.get("sentiment_analysis_result")
    if not sentiment:
        return {}
    sentiment = sentiment.get("query_text_sentiment", sentiment)
    score, magnitude = sentiment.get("score", 0.0), sentiment.get("magnitude", 0.0)
    return {"sentiment_score": round(float(score), 3), "sentiment_magnitude": round(float(magnitude), 3)}
