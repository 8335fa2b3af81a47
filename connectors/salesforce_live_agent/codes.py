"""Every word by which operators say what follows and what visitors read: `on_declined`, `on_left`, `[texts.desk]`."""

from __future__ import annotations

from omnibridge.connector.desks import Codes

NOBODY_TAKES_IT = ("no-agents", "not-accepted", "no-post", "internal-failure", "blocked", "unknown", "lost")
OVER = ("agent", "client", "clientIdleTimeout", "agentsUnavailable", "agentPushTimeout", "NoPost", "unknown")
"""Reasons of ChatEnded (reference 1.8)."""

GONE = ("expired", "duplicate-poll", "nothing-to-resume", "over", "http-*")
"""The session is no more, and no end was told."""

REFUSED = ("bad-request", "not-found", "too-large", "redirect", "foreign-host")
"""For good, before anybody of it hears of the visitor (errors.py)."""

CODES = Codes(
    tuple(dict.fromkeys((*NOBODY_TAKES_IT, *OVER, *GONE, *REFUSED))),
    (
        "requeued",
        "conference-joined",
        "conference-left",
        "file-asked",
        "file-failed",
        "idle-warning",
        "withheld",
        "trouble",
        "trouble-over",
    ),
)
