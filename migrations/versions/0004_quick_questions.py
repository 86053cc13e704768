"""Indexes for what is asked at every answer: the next task of a queue, and where a campaign's vectors stand.

Revision: 0004
Follows: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('reviewtask') as batch_op:
        batch_op.create_index(
            batch_op.f('ix_reviewtask_next'),
            ['campaign_id', 'queue', 'suits', sa.text('priority DESC'), 'figure_id'],
            unique=False,
        )
    with op.batch_alter_table('embedding') as batch_op:
        batch_op.create_index(
            batch_op.f('ix_embedding_standing'), ['backbone', 'figure_id', 'created_at'], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table('embedding') as batch_op:
        batch_op.drop_index(batch_op.f('ix_embedding_standing'))
    with op.batch_alter_table('reviewtask') as batch_op:
        batch_op.drop_index(batch_op.f('ix_reviewtask_next'))
