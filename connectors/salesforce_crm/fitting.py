"""What visitors wrote, made to fit where the org says that it does not: else a name could keep a chat out of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.salesforce_crm.trouble import Trouble
from connectors.salesforce_crm.values import Value, shortened

MOST_CORRECTIONS = 8
"""Times that one call is made again with less: each refusal names some of the fields."""


def fitted(trouble: Trouble, sent: dict[str, Any], values: Mapping[str, Value]) -> dict[str, Any] | None:
    """With less in the fields that were refused. None = nothing can be done: constants are the operator's matter."""
    theirs = [each for each in trouble.fields if each in sent and values[each].constant is None]
    if trouble.code == "INVALID_EMAIL_ADDRESS" and theirs:
        return {name: each for name, each in sent.items() if name not in theirs}
    if trouble.code == "STRING_TOO_LONG" and trouble.longest:
        cut = {name: shortened(str(sent[name]), trouble.longest, values[name].escape) for name in theirs}
        return {**sent, **cut} if any(sent[name] != each for name, each in cut.items()) else None
    return None
