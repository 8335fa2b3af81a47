"""The whole schema: `metadata` is taken from here by whoever makes or compares tables, because here all are in it."""

from __future__ import annotations

from omnibridge.storage import (
    agent_tables,
    api_tokens,
    bot_chats,
    bot_updates,
    bots,
    crm,
    faces,
    findings,
    notes,
    routing,
    sessions,
    tables,
    uploads,
)

metadata = tables.metadata
TOPICS = (
    agent_tables, api_tokens, bot_chats, bot_updates, bots, crm, faces, findings, notes, routing, sessions, tables,
    uploads,
)  # fmt: skip
"""Modules that define tables."""
