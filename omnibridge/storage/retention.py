"""Purging, in chunks that are short enough to go between webhooks.

Each function is one chunk: a unit for `Writer.submit_bulk` that says how many rows it took. Ids grow with
time, so "older than" is a range of the primary key and needs no index. What is not settled is never purged.

Never purged either: users that we made (`creations` is what the budget counts and what claims are believed by), the
directory, and an admin's decisions on approvals. They grow with people, not with traffic. Idempotency-Keys are
observations.
"""

from __future__ import annotations

from typing import Any

from omnibridge.storage.tables import DUE, HANDLED, SKIPPED


def first_id_at(ms: int) -> int:
    """The smallest id that a row made at this time can have."""
    return ms << 20


def purge_observations(cursor: Any, before_ms: int, limit: int) -> int:
    """Delete raw observations that were handled or only recorded. Quarantined and waiting ones stay."""
    cursor.execute(
        "DELETE FROM observations WHERE id IN "
        "(SELECT id FROM observations WHERE id < ? AND state IN (?, ?) ORDER BY id LIMIT ?)",
        (first_id_at(before_ms), HANDLED, SKIPPED, limit),
    )
    return int(cursor.rowcount)


def purge_deliveries(cursor: Any, before_ms: int, limit: int) -> int:
    """Delete settled deliveries, buried ones too."""
    cursor.execute(
        "DELETE FROM deliveries WHERE id IN "
        "(SELECT id FROM deliveries WHERE id < ? AND state <> ? ORDER BY id LIMIT ?)",
        (first_id_at(before_ms), DUE, limit),
    )
    return int(cursor.rowcount)


def purge_conversations(cursor: Any, before_ms: int, limit: int) -> int:
    """Delete events of closed conversations, and each conversation with its last event. Rows, not conversations.

    Open ones stay whole however old they are: a decision is re-run from those before it.
    """
    found = cursor.execute(
        "SELECT id FROM conversations WHERE id < ? AND closed = 1 AND updated_at < ? ORDER BY id LIMIT 1",
        (first_id_at(before_ms), before_ms),
    ).fetchone()
    if found is None:
        return 0
    cursor.execute(
        "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE conversation_id = ? LIMIT ?)", (found[0], limit)
    )
    purged = int(cursor.rowcount)
    if purged < limit:
        cursor.execute("DELETE FROM conversations WHERE id = ?", (found[0],))
        purged += 1
    return purged


def purge_api_audit(cursor: Any, before_ms: int, limit: int) -> int:
    """Delete what callers with a token asked for."""
    cursor.execute(
        "DELETE FROM api_audit WHERE id IN (SELECT id FROM api_audit WHERE id < ? ORDER BY id LIMIT ?)",
        (first_id_at(before_ms), limit),
    )
    return int(cursor.rowcount)


def purge_agent_audit(cursor: Any, before_ms: int, limit: int) -> int:
    """Delete who did what to whom. Its ids only count, so the oldest rows are looked at, not all."""
    cursor.execute(
        "DELETE FROM agent_audit WHERE id IN (SELECT id FROM agent_audit ORDER BY id LIMIT ?) AND at < ?",
        (limit, before_ms),
    )
    return int(cursor.rowcount)


def purge_approvals(cursor: Any, before_ms: int, limit: int) -> int:
    """Delete requests that no admin answered: the agent's next contact asks again."""
    cursor.execute(
        "DELETE FROM approvals WHERE rowid IN "
        "(SELECT rowid FROM approvals WHERE state = 'waiting' AND asked_at < ? LIMIT ?)",
        (before_ms, limit),
    )
    return int(cursor.rowcount)


def purge_bot_updates(cursor: Any, before_ms: int, limit: int) -> int:
    """Delete updates of bots, taken or not; those of a webhook or of a paused bot wait until they are taken."""
    cursor.execute(
        "DELETE FROM bot_updates WHERE rowid IN (SELECT u.rowid FROM bot_updates u LEFT JOIN bots b "
        "ON b.connection = u.connection WHERE u.created_at < ? AND (u.state <> 0 OR b.connection IS NULL "
        "OR (b.webhook_url = '' AND b.paused = 0)) LIMIT ?)",
        (before_ms, limit),
    )
    return int(cursor.rowcount)


def purge_bot_messages(cursor: Any, before_ms: int, limit: int) -> int:
    """Delete what bots said: its buttons are not known any more then. The oldest rows are looked at, not all."""
    cursor.execute(
        "DELETE FROM bot_messages WHERE rowid IN (SELECT rowid FROM bot_messages ORDER BY rowid LIMIT ?) AND at < ?",
        (limit, before_ms),
    )
    return int(cursor.rowcount)


def purge_bot_chats(cursor: Any, before_ms: int, limit: int) -> int:
    """Delete numbers of conversations, with the visitors' names, when nothing of theirs is left."""
    cursor.execute(
        "DELETE FROM bot_chats WHERE id IN (SELECT c.id FROM (SELECT id, created_at, connection FROM bot_chats "
        "ORDER BY id LIMIT ?) c WHERE c.created_at < ? "
        "AND NOT EXISTS (SELECT 1 FROM bot_messages m WHERE m.chat_id = c.id) "
        "AND NOT EXISTS (SELECT 1 FROM bot_updates u WHERE u.connection = c.connection AND u.chat_id = c.id))",
        (limit, before_ms),
    )
    return int(cursor.rowcount)
