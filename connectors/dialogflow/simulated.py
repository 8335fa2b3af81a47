"""The simulated agent's words as the service's own generated types, for ES and CX. Needs Google's libraries."""

from __future__ import annotations

from typing import Any

from google.cloud import dialogflow_v2 as es
from google.cloud import dialogflowcx_v3 as cx

from connectors.dialogflow.dialogue import Said

MEMO = "memo"
WEBHOOK_FAILED = 4
"""google.rpc.Code: it did not answer within its 5 s."""

ES_CONTEXTS = "google.cloud.dialogflow.v2.Contexts"
ES_SERVICE, CX_SERVICE = "google.cloud.dialogflow.v2.Sessions", "google.cloud.dialogflow.cx.v3.Sessions"


def es_answer(request: Any, said: Said, contexts: dict[str, dict[str, Any]]) -> Any:
    """contexts: name -> parameters of those that are active after this."""
    messages = [{"text": {"text": [each]}} for each in said.texts]
    if said.options:
        messages[-1:] = [{"quick_replies": {"title": said.texts[-1], "quick_replies": list(said.options)}}]  # type: ignore[dict-item]
    messages += [{"image": {"image_uri": said.image}}] if said.image else []  # type: ignore[dict-item]
    messages += [{"payload": each} for each in said.payloads]
    result: dict[str, Any] = {
        "query_text": request.query_input.text.text,
        "language_code": request.query_input.text.language_code or request.query_input.event.language_code,
        "parameters": {**said.parameters, **({"department": said.department} if said.department else {})},
        "all_required_params_present": True,
        "fulfillment_messages": messages,
        "fulfillment_text": said.texts[0] if said.texts else "",
        "output_contexts": [
            {"name": f"{request.session}/contexts/{name}", "lifespan_count": 5, "parameters": parameters}
            for name, parameters in contexts.items()
        ],
    }
    if said.intent:
        result["intent"] = {
            "name": f"projects/p/agent/intents/{said.intent}",
            "display_name": said.intent,
            "is_fallback": said.fallback,
            "live_agent_handoff": said.handover,
            "end_interaction": said.close or said.handover,
        }
        result["intent_detection_confidence"] = 1.0
    if request.query_params.sentiment_analysis_request_config.analyze_query_text_sentiment:
        result["sentiment_analysis_result"] = {"query_text_sentiment": {"score": -0.5, "magnitude": 0.5}}
    found = es.DetectIntentResponse({"response_id": "simulated", "query_result": result})
    if said.webhook_failed:
        es.DetectIntentResponse.pb(found).webhook_status.code = WEBHOOK_FAILED
    return found


def cx_answer(request: Any, said: Said, parameters: dict[str, Any]) -> Any:
    """parameters: those of the session after this."""
    messages: list[dict[str, Any]] = [{"text": {"text": [each]}} for each in said.texts]
    if said.options:
        chips = {"type": "chips", "options": [{"text": each} for each in said.options]}
        messages.append({"payload": {"richContent": [[chips]]}})
    if said.image:
        picture = {"type": "image", "rawUrl": said.image, "accessibilityText": ""}
        messages.append({"payload": {"richContent": [[picture]]}})
    messages += [{"payload": each} for each in said.payloads]
    if said.handover:
        messages.append({"live_agent_handoff": {"metadata": {"department": said.department}}})
    if said.close or said.handover:
        messages.append({"end_interaction": {}})
    kinds = cx.Match.MatchType
    is_event = bool(request.query_input.event.event)
    kind = kinds.NO_MATCH if said.fallback else kinds.EVENT if is_event else kinds.INTENT
    match: dict[str, Any] = {"match_type": kind, "confidence": 1.0, "intent": {"display_name": said.intent}}
    if said.fallback:
        match["event"] = "sys.no-match-default"
    result: dict[str, Any] = {
        "language_code": request.query_input.language_code,
        "parameters": parameters,
        "response_messages": messages,
        "match": match,
    }
    if is_event:
        result["trigger_event"] = request.query_input.event.event
    else:
        result["text"] = request.query_input.text.text
    if request.query_params.analyze_query_text_sentiment:
        result["sentiment_analysis_result"] = {"score": -0.5, "magnitude": 0.5}
    found = cx.DetectIntentResponse({"response_id": "simulated", "query_result": result})
    if said.webhook_failed:
        cx.DetectIntentResponse.pb(found).query_result.webhook_statuses.add(code=WEBHOOK_FAILED)
    return found


def handlers(es_turn: Any, cx_turn: Any, es_context: Any = None) -> tuple[Any, ...]:
    """All services as generic handlers: coroutines of (request, context)."""
    import grpc

    found = []
    for service, turn, types in ((ES_SERVICE, es_turn, es), (CX_SERVICE, cx_turn, cx)):
        method = grpc.unary_unary_rpc_method_handler(
            turn,
            request_deserializer=types.DetectIntentRequest.deserialize,
            response_serializer=types.DetectIntentResponse.serialize,
        )
        found.append(grpc.method_handlers_generic_handler(service, {"DetectIntent": method}))
    read = grpc.unary_unary_rpc_method_handler(
        es_context,
        request_deserializer=es.GetContextRequest.deserialize,
        response_serializer=es.Context.serialize,
    )
    found.append(grpc.method_handlers_generic_handler(ES_CONTEXTS, {"GetContext": read}))
    return tuple(found)


def es_context(name: str, parameters: dict[str, Any]) -> Any:
    return es.Context({"name": name, "lifespan_count": 5, "parameters": parameters})


def retry_info(seconds: float, message: str) -> tuple[tuple[str, bytes], ...]:
    """Metadata that comes with RESOURCE_EXHAUSTED."""
    from google.protobuf.any_pb2 import Any as AnyMessage
    from google.protobuf.duration_pb2 import Duration
    from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
    from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

    packed = AnyMessage()
    packed.Pack(RetryInfo(retry_delay=Duration(seconds=int(seconds), nanos=int(seconds % 1 * 1e9))))
    return (("grpc-status-details-bin", Status(code=8, message=message, details=[packed]).SerializeToString()),)
