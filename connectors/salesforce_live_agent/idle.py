"""The visitor's silence: warned, then ended. The service leaves it to us (reference 1.10). Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

from connectors.salesforce_live_agent.messages import Idle

Due = Literal["", "warn", "end"]


class Silence(msgspec.Struct, frozen=True, omit_defaults=True):
    """since_ms: of the agent's last message that the visitor has not answered; 0 = none. is_warned: he was told.

    heard_ms, below: since when he could be heard without a break. What nobody could hear is no silence.
    """

    since_ms: int = 0
    is_warned: bool = False

    def agent_said(self, now_ms: int) -> Silence:
        """The times begin anew. A warning stands until the visitor speaks."""
        return Silence(now_ms, self.is_warned)

    def visitor_said(self) -> tuple[Silence, bool]:
        """And whether `cleared` is to be posted."""
        return Silence(), self.is_warned

    def due(self, idle: Idle | None, now_ms: int, heard_ms: int = 0) -> Due:
        """What is to be done now: post `triggered` and tell him, or end with clientIdleTimeout."""
        if idle is None or not self.since_ms:
            return ""
        silent_s = (now_ms - max(self.since_ms, heard_ms)) / 1000
        if silent_s >= idle.timeout_s:
            return "end"
        return "warn" if silent_s >= idle.warning_s and not self.is_warned else ""

    def warned(self) -> Silence:
        return Silence(self.since_ms, True)

    def next_ms(self, idle: Idle | None, heard_ms: int = 0) -> int | None:
        """When to look again."""
        if idle is None or not self.since_ms:
            return None
        return max(self.since_ms, heard_ms) + int((idle.timeout_s if self.is_warned else idle.warning_s) * 1000)
