"""Injected faults of the realtime side, from one seeded source. Set through `/_sandbox/control`, key `realtime`."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from omnibridge.sandbox.state import HubError

RATES = {"drop_rate", "duplicate_rate", "swap_rate"}


@dataclass
class Faults:
    """refuse: new connections are answered 503. mute: no client's ping is answered, none is sent.

    drop_rate, duplicate_rate, swap_rate: shares of stream events that are lost, said twice, or held until the next
    event of the same connection has passed (`swap_hold_ms` at most). delay_ms: before each frame, order kept.
    silence_ms: after so long without a word from a client the hub pings, after twice as long it hangs up.
    Answers to calls are never lost: one TCP connection does not lose them; the hub's own broadcast does lose events.
    """

    refuse: bool = False
    mute: bool = False
    drop_rate: float = 0.0
    duplicate_rate: float = 0.0
    swap_rate: float = 0.0
    swap_hold_ms: int = 200
    delay_ms: int = 0
    silence_ms: int = 30_000
    dropped: int = 0
    duplicated: int = 0
    swapped: int = 0
    _random: random.Random = field(default_factory=random.Random)

    def reseed(self, seed: int) -> None:
        self._random = random.Random(seed)

    def set(self, wish: dict[str, object]) -> None:
        """Raises HubError for a fault that does not exist or has a wrong value; nothing is set then."""
        for key, value in wish.items():
            if key in RATES:
                is_right = isinstance(value, int | float) and 0 <= value <= 1
            elif key in ("refuse", "mute"):
                is_right = isinstance(value, bool)
            elif key in ("swap_hold_ms", "delay_ms", "silence_ms", "seed"):
                is_right = isinstance(value, int) and not isinstance(value, bool) and value >= 0
            else:
                raise HubError("unknown", f"unknown: realtime.{key}")
            if not is_right:
                raise HubError("invalid-params", f"realtime.{key} cannot be {value!r}")
        for key, value in wish.items():
            if key == "seed":
                self.reseed(int(str(value)))
            else:
                setattr(self, key, value)

    def fate(self) -> str:
        """Of one event for one connection: "", drop, duplicate or swap."""
        if not (self.drop_rate or self.duplicate_rate or self.swap_rate):
            return ""
        drawn = self._random.random()
        for name, rate in (("drop", self.drop_rate), ("duplicate", self.duplicate_rate), ("swap", self.swap_rate)):
            if drawn < rate:
                return self._count(name)
            drawn -= rate
        return ""

    def _count(self, name: str) -> str:
        if name == "drop":
            self.dropped += 1
        elif name == "duplicate":
            self.duplicated += 1
        else:
            self.swapped += 1
        return name
