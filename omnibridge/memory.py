"""What was freed goes back to the system.

Thousands of connections that are made at once, as after a start, need much more for a moment than they keep: 16 KB for
each record of TLS. What they keep lies between, so glibc gives little of the rest back by itself: with 1,000 idle chats
9 KB for each stayed.
"""

from __future__ import annotations

import asyncio
import ctypes
import sys

EVERY_S = 60.0
"""It takes a millisecond where little was freed, 16 of them for 2,000 connections."""


async def give_back_for_ever(every_s: float = EVERY_S) -> None:
    """Until cancelled. Does nothing where the C library cannot."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    while trim is not None:
        await asyncio.sleep(every_s)
        await asyncio.to_thread(trim, 0)
