"""Settings for the contract checks: bots of this kind call us, so there is no address."""

from __future__ import annotations

from typing import Any

NOBODY_LISTENS: dict[str, Any] = {}
