"""Structured lines: a stable `action` first, ids of conversation and delivery, no message text at info.

Names that look like secrets are masked whatever the caller hands over.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO, cast

import structlog

_SECRET_PARTS = ("token", "password", "secret", "authorization", "api_key")


def configure_logging(level: str = "info", form: str = "json") -> None:
    """Set up once, at start. form: `json`, one object per line, or `text` for people. Goes to stderr."""
    renderer: Any = (
        structlog.processors.JSONRenderer() if form == "json" else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            mask_secrets,
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("action"),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _Stderr())),
        cache_logger_on_first_use=True,
    )


class _Stderr:
    """Of the moment of the line: loggers keep what they were first given, and it may have been replaced and closed."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def mask_secrets(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the values of keys that name a secret."""
    for key in line:
        if any(part in key.casefold() for part in _SECRET_PARTS):
            line[key] = "***"
    return line
