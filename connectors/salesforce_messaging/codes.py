"""Every word by which operators say what follows and what visitors read: `on_declined`, `on_left`, `[texts.desk]`."""

from __future__ import annotations

from omnibridge.connector.desks import Codes

NOBODY_TAKES_IT = ("closed", "no-agents", "submission-error", "unknown")
OVER = ("ended", "closed", "token-ended")
REFUSED = ("bad-request", "forbidden", "not-found", "too-large", "redirect", "not-verified", "http-*", "stream-*")
"""What Salesforce refuses for good before anybody of it hears of the visitor (errors.py); `stream-*`: his events."""

CODES = Codes(
    tuple(dict.fromkeys((*NOBODY_TAKES_IT, *OVER, *REFUSED))),
    ("requeued", "inactive", "form", "reopened", "trouble", "trouble-over"),
)
