"""What is asked, as Google's own types take it; and what is kept of an answer, and forgotten."""

from __future__ import annotations

from typing import Any

from google.cloud import dialogflow_v2 as es_types
from google.cloud import dialogflowcx_v3 as cx_types
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.json_format import MessageToDict
from google.rpc.status_pb2 import Status

from connectors.dialogflow import cx, es, kept
from connectors.dialogflow.client import _result
from connectors.dialogflow.draft import Event
from connectors.dialogflow.kept import FORGETFUL_AFTER_MS, Sessions
from connectors.dialogflow.request import Asked
from tests.connectors.dialogflow.bots import AGENT, es_result, plain, settings

ES_PATH, CX_PATH = "projects/p/agent/sessions/s1", f"projects/p/locations/global/agents/{AGENT}/sessions/s1"
MORE = {"time_zone": "Europe/Berlin", "platform": "FACEBOOK", "sentiment_field": "mood"}
CONTEXT = {"name": f"{ES_PATH}/contexts/order", "lifespan_count": 3, "parameters": {"n": 7}}


def test_words_to_es() -> None:
    asked = Asked(ES_PATH, "hi", "de", {"visitor_name": "Vera"}, {"room": "r", "late": True}, (CONTEXT,))
    request = plain(es_types.DetectIntentRequest(es.request(settings(**MORE), asked)))

    assert request == {
        "session": ES_PATH,
        "query_input": {"text": {"text": "hi", "language_code": "de"}},
        "query_params": {
            "time_zone": "Europe/Berlin",
            "platform": "FACEBOOK",
            "payload": {"room": "r", "late": True},
            "sentiment_analysis_request_config": {"analyze_query_text_sentiment": True},
            "contexts": [
                CONTEXT,
                {
                    "name": f"{ES_PATH}/contexts/omnibridge",
                    "lifespan_count": 1,
                    "parameters": {"visitor_name": "Vera"},
                },
            ],
        },
    }


def test_event_to_es() -> None:
    asked = Asked(ES_PATH, Event("Welcome", {"a": 1}, "fr"), "de", {"visitor_name": "Vera"})
    request = plain(es_types.DetectIntentRequest(es.request(settings(facts_context=""), asked)))

    assert request["query_input"] == {
        "event": {"name": "Welcome", "language_code": "fr", "parameters": {"a": 1.0, "visitor_name": "Vera"}}
    }
    assert "contexts" not in request["query_params"]


def test_words_to_cx() -> None:
    wish = settings(**MORE, edition="cx", agent=AGENT, keep_contexts_s=3600)
    asked = Asked(CX_PATH, "hi", "de", {"visitor_name": "Vera"}, {"room": "r"})
    request = plain(cx_types.DetectIntentRequest(cx.request(wish, asked, ["v1"])))

    assert request == {
        "session": CX_PATH,
        "query_input": {"text": {"text": "hi"}, "language_code": "de"},
        "query_params": {
            "time_zone": "Europe/Berlin",
            "channel": "FACEBOOK",
            "payload": {"room": "r"},
            "parameters": {"visitor_name": "Vera"},
            "analyze_query_text_sentiment": True,
            "flow_versions": ["v1"],
            "session_ttl": "3600s",
        },
    }


def test_event_to_cx() -> None:
    wish = settings(edition="cx", agent=AGENT, keep_contexts_s=0)
    asked = Asked(CX_PATH, Event("Welcome", {"a": 1}), "de", {"b": 2})
    request = plain(cx_types.DetectIntentRequest(cx.request(wish, asked, [])))

    assert request["query_input"] == {"event": {"event": "Welcome"}, "language_code": "de"}
    assert request["query_params"]["parameters"] == {"a": 1.0, "b": 2.0}
    assert "session_ttl" not in request["query_params"]


def test_answers_become_plain_values() -> None:
    """Whole numbers as such; a webhook's failure with details that nobody knows ends nothing."""
    strange = AnyMessage(type_url="type.googleapis.com/nobody.knows.This", value=b"\x08\x01")
    failed = Status(code=14, message="x", details=[strange])
    result = {"parameters": {"n": 7, "share": 0.5}, "fulfillment_text": "hi"}
    one = es_types.DetectIntentResponse({"query_result": result})
    es_types.DetectIntentResponse.pb(one).webhook_status.CopyFrom(failed)
    two = cx_types.DetectIntentResponse({"query_result": {"parameters": {"n": 7}}})
    cx_types.DetectIntentResponse.pb(two).query_result.webhook_statuses.append(failed)

    assert _result(es_types.DetectIntentResponse.pb(one), MessageToDict) == {
        "parameters": {"n": 7, "share": 0.5},
        "fulfillment_text": "hi",
        "webhook_failures": [14],
    }
    assert _result(cx_types.DetectIntentResponse.pb(two), MessageToDict) == {
        "parameters": {"n": 7},
        "webhook_failures": [14],
    }


def test_contexts_that_can_be_given_back() -> None:
    names = ("order", "omnibridge", "__system_counters__", "abc_id_dialog_context", "a_dialog_params_size")
    contexts: list[dict[str, Any]] = [{**CONTEXT, "name": f"{ES_PATH}/contexts/{name}"} for name in names]
    contexts.append({"name": f"{ES_PATH}/contexts/gone", "lifespan_count": 0})

    assert es.kept_contexts(settings(), es_result(output_contexts=contexts)) == [
        {**CONTEXT, "parameters": {"n": 7.0}},
    ]


def test_contexts_are_given_back_when_the_service_forgets() -> None:
    sessions = Sessions(keep_ms=10 * FORGETFUL_AFTER_MS)
    sessions.used("s", 1000, (CONTEXT,), "de")

    assert sessions.forgotten("s", 1000 + FORGETFUL_AFTER_MS) == ()
    assert sessions.forgotten("s", 1001 + FORGETFUL_AFTER_MS) == (CONTEXT,)
    assert sessions.forgotten("s", 1001 + 10 * FORGETFUL_AFTER_MS) == ()
    assert sessions.forgotten("other", 0) == ()
    sessions.away("s", 2000)
    assert sessions.forgotten("s", 2000) == (CONTEXT,)
    sessions.over("s")
    assert sessions.forgotten("s", 2000) == ()


def test_what_is_kept_is_bounded(monkeypatch: Any) -> None:
    monkeypatch.setattr(kept, "MOST", 3)
    monkeypatch.setattr(kept, "MOST_AWAY", 2)
    sessions = Sessions(keep_ms=1000)
    for number in range(5):
        sessions.used(f"s{number}", number, (), "en")
    assert len(sessions) == 3
    for number in range(2, 5):
        sessions.away(f"s{number}", 10)
    assert [name for name, _ in sessions.due(10, 0)] == ["s3", "s4"]
    assert sessions.due(1011, 0) == []  # longer than is kept
    sessions.used("s5", 5000, (), "en")
    assert len(sessions) == 1


def test_fields_are_told_when_they_change() -> None:
    sessions = Sessions(keep_ms=1000)
    sessions.used("s", 0, (), "en")

    assert sessions.changed("s", {"a": "1", "b": "2"}) == {"a": "1", "b": "2"}
    assert sessions.changed("s", {"a": "1", "b": "3"}) == {"b": "3"}
