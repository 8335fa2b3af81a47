"""Identifiers. Rows of ours are 63-bit integers that grow with time; ids of others stay strings."""

from __future__ import annotations

from typing import NewType

WorkspaceName = NewType("WorkspaceName", str)
"""Name of one Rocket.Chat server, from the configuration."""

RoomId = NewType("RoomId", str)
"""Rocket.Chat room `_id` of a livechat conversation."""

ConnectionName = NewType("ConnectionName", str)
"""Name of one configured backend, from the configuration."""

MessageId = NewType("MessageId", str)
"""Rocket.Chat message `_id`. Visitors choose their own: check it with room, author and content."""

RowId = NewType("RowId", int)
"""Row of ours (observation, event, decision, delivery); order of ids = order of commits per lane."""
