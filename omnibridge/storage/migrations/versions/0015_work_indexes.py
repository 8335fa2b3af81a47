"""Indexes for what is asked of the ledger of work at every look: it keeps weeks of decisions.

Revision id: 0015, additive: a process of the version before works beside it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_routed_work_chosen", "routed_work", ["router", "at"], sqlite_where=sa.text("stage = 'chosen'"))
    op.create_index("ix_routed_work_agent", "routed_work", ["router", "agent", "stage", "at"])
