"""What a bot may have, its second address, its certificate; and which edit a message of a bot's shows.

Revision id: 0009, additive: a process of the version before works beside it, but cannot read a secret that is sealed.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("capabilities", "interaction_url", "webhook_certificate", "commands"):
        op.add_column("bots", sa.Column(name, sa.String, nullable=False, server_default=""))
    op.add_column("bot_messages", sa.Column("edited_by", sa.BigInteger, nullable=False, server_default="0"))
