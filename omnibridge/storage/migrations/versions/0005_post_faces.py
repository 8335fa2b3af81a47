"""Which persona a visitor saw a proxy with.

Revision id: 0005, additive: a process of the version before works beside it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "faces",
        sa.Column("workspace", sa.String, primary_key=True),
        sa.Column("visitor", sa.String, primary_key=True),
        sa.Column("user_id", sa.String, primary_key=True),
        sa.Column("system", sa.String, nullable=False),
        sa.Column("external_id", sa.String, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
    )
