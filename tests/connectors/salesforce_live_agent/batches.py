"""Answers of Live Agent as its polls get them."""

from __future__ import annotations

import json
from typing import Any

from connectors.salesforce_live_agent.poll import (
    Session,
)


def batch(*found: tuple[str, Any], sequence: int = 7, offset: int | None = 3) -> bytes:
    rows = [{"type": kind, "message": message} for kind, message in found]
    body = {"messages": rows, "sequence": sequence} | ({} if offset is None else {"offset": offset})
    return json.dumps(body).encode()


WHO = {"name": "Alex &amp; Co", "userId": "0053g000000usWa", "agentId": "0053g000000usWa"}


def record(*lines: str) -> tuple[str, Any]:
    """`a:` the agent's, `v:` the visitor's."""
    kinds = {"a": "Agent", "v": "Chasitor", "t": "OperatorTransferred"}
    rows = [{"type": kinds[each[0]], "name": "Bo", "content": each[2:]} for each in lines]
    return "ChasitorSessionData", {"chatMessages": rows}


BEGUN = Session("https://x/chat/rest/", "id", "key!1!secret", "a", ack=4, offset=9, has_agent=True)
