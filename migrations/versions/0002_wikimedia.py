"""Edits on Commons, names of collections, and what incremental syncs remember.

Revision: 0002
Follows: 0001
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None

SOURCES_BEFORE = ('category', 'folder', 'demo')
SOURCES_NOW = ('category', 'query', 'files', 'folder', 'demo')
KINDS_BEFORE = ('sync', 'embed', 'retrain', 'predict', 'invariants')
KINDS_NOW = (*KINDS_BEFORE, 'push', 'care', 'taxa', 'names')
WRITES = ('off', 'people', 'bot')


def one_of(column, values):
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


def change_check(table, name, column, values):
    with op.batch_alter_table(table) as batch_op:
        batch_op.drop_constraint(op.f(f'ck_{table}_{name}'), type_='check')
        batch_op.create_check_constraint(op.f(f'ck_{table}_{name}'), one_of(column, values))


def upgrade() -> None:
    op.create_table('wikiaccount',
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(length=255), nullable=False),
    sa.Column('next_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_wikiaccount'))
    )
    op.create_table('wikinotice',
    sa.Column('key', sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('problem', sqlmodel.sql.sqltypes.AutoString(length=500), nullable=False),
    sa.Column('checked_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_wikinotice'))
    )
    op.create_table('wikigrant',
    sa.Column('person_id', sa.Integer(), nullable=False),
    sa.Column('access_token', sa.Text(), nullable=False),
    sa.Column('refresh_token', sa.Text(), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('granted_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('refreshing_until', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['person_id'], ['person.id'], name=op.f('fk_wikigrant_person_id_person')),
    sa.PrimaryKeyConstraint('person_id', name=op.f('pk_wikigrant'))
    )
    op.create_table('editbatch',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('campaign_id', sa.Integer(), nullable=False),
    sa.Column('asked_by', sa.Integer(), nullable=True),
    sa.Column('pen', sa.Enum('people', 'bot', name='pen', native_enum=False, create_constraint=True, length=20), nullable=False),
    sa.Column('is_undo', sa.Boolean(), nullable=False),
    sa.Column('mark', sqlmodel.sql.sqltypes.AutoString(length=12), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['asked_by'], ['person.id'], name=op.f('fk_editbatch_asked_by_person')),
    sa.ForeignKeyConstraint(['campaign_id'], ['campaign.id'], name=op.f('fk_editbatch_campaign_id_campaign')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_editbatch')),
    sa.UniqueConstraint('mark', name=op.f('uq_editbatch_mark'))
    )
    with op.batch_alter_table('editbatch', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_editbatch_asked_by'), ['asked_by'], unique=False)
        batch_op.create_index(batch_op.f('ix_editbatch_campaign_id'), ['campaign_id'], unique=False)

    op.create_table('nameanswer',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('campaign_id', sa.Integer(), nullable=False),
    sa.Column('verbatim', sqlmodel.sql.sqltypes.AutoString(length=400), nullable=False),
    sa.Column('cleaned', sqlmodel.sql.sqltypes.AutoString(length=400), nullable=False),
    sa.Column('state', sa.Enum('open', 'matched', 'settled', 'no_taxon', name='namestate', native_enum=False, create_constraint=True, length=20), nullable=False),
    sa.Column('matcher', sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
    sa.Column('version', sqlmodel.sql.sqltypes.AutoString(length=120), nullable=False),
    sa.Column('match_type', sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
    sa.Column('confidence', sa.Integer(), nullable=True),
    sa.Column('matched_name', sqlmodel.sql.sqltypes.AutoString(length=300), nullable=False),
    sa.Column('accepted_name', sqlmodel.sql.sqltypes.AutoString(length=300), nullable=False),
    sa.Column('taxon_qid', sqlmodel.sql.sqltypes.AutoString(length=20), nullable=True),
    sa.Column('candidates', sa.JSON(), nullable=False),
    sa.Column('note', sqlmodel.sql.sqltypes.AutoString(length=500), nullable=False),
    sa.Column('asked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('settled_by', sa.Integer(), nullable=True),
    sa.Column('settled_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['campaign_id'], ['campaign.id'], name=op.f('fk_nameanswer_campaign_id_campaign')),
    sa.ForeignKeyConstraint(['settled_by'], ['person.id'], name=op.f('fk_nameanswer_settled_by_person')),
    sa.ForeignKeyConstraint(['taxon_qid'], ['taxon.qid'], name=op.f('fk_nameanswer_taxon_qid_taxon')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_nameanswer')),
    sa.UniqueConstraint('campaign_id', 'verbatim', name=op.f('uq_nameanswer_campaign_id_verbatim'))
    )
    with op.batch_alter_table('nameanswer', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_nameanswer_campaign_id'), ['campaign_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_nameanswer_settled_by'), ['settled_by'], unique=False)
        batch_op.create_index(batch_op.f('ix_nameanswer_state'), ['state'], unique=False)
        batch_op.create_index(batch_op.f('ix_nameanswer_taxon_qid'), ['taxon_qid'], unique=False)

    op.create_table('depictsedit',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('campaign_id', sa.Integer(), nullable=False),
    sa.Column('illustration_id', sa.Integer(), nullable=False),
    sa.Column('figure_id', sa.Integer(), nullable=False),
    sa.Column('batch_id', sa.Integer(), nullable=True),
    sa.Column('action', sa.Enum('add', 'remove', name='editaction', native_enum=False, create_constraint=True, length=20), nullable=False),
    sa.Column('qid', sqlmodel.sql.sqltypes.AutoString(length=20), nullable=False),
    sa.Column('guid', sqlmodel.sql.sqltypes.AutoString(length=80), nullable=False),
    sa.Column('state', sa.Enum('waiting', 'sending', 'done', 'already_there', 'blocked', 'conflict', 'refused', 'given_up', name='editstate', native_enum=False, create_constraint=True, length=20), nullable=False),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(length=500), nullable=False),
    sa.Column('blocked_by', sqlmodel.sql.sqltypes.AutoString(length=20), nullable=True),
    sa.Column('insists', sa.Boolean(), nullable=False),
    sa.Column('person_id', sa.Integer(), nullable=True),
    sa.Column('account', sqlmodel.sql.sqltypes.AutoString(length=255), nullable=False),
    sa.Column('claim', sa.JSON(), nullable=False),
    sa.Column('summary', sqlmodel.sql.sqltypes.AutoString(length=500), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('next_try_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('sender', sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
    sa.Column('lease_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('last_answer', sa.Text(), nullable=False),
    sa.Column('base_revision', sa.Integer(), nullable=True),
    sa.Column('revision', sa.Integer(), nullable=True),
    sa.Column('wrote_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('called_back_by', sa.Integer(), nullable=True),
    sa.Column('undoes_id', sa.Integer(), nullable=True),
    sa.Column('undone_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('gone_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('reverted_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['batch_id'], ['editbatch.id'], name=op.f('fk_depictsedit_batch_id_editbatch')),
    sa.ForeignKeyConstraint(['called_back_by'], ['editbatch.id'], name=op.f('fk_depictsedit_called_back_by_editbatch')),
    sa.ForeignKeyConstraint(['campaign_id'], ['campaign.id'], name=op.f('fk_depictsedit_campaign_id_campaign')),
    sa.ForeignKeyConstraint(['figure_id'], ['figure.id'], name=op.f('fk_depictsedit_figure_id_figure')),
    sa.ForeignKeyConstraint(['illustration_id'], ['illustration.id'], name=op.f('fk_depictsedit_illustration_id_illustration')),
    sa.ForeignKeyConstraint(['person_id'], ['person.id'], name=op.f('fk_depictsedit_person_id_person')),
    sa.ForeignKeyConstraint(['undoes_id'], ['depictsedit.id'], name=op.f('fk_depictsedit_undoes_id_depictsedit')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_depictsedit')),
    sa.UniqueConstraint('guid', 'action', name=op.f('uq_depictsedit_guid_action'))
    )
    with op.batch_alter_table('depictsedit', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_depictsedit_batch_id'), ['batch_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_depictsedit_called_back_by'), ['called_back_by'], unique=False)
        batch_op.create_index(batch_op.f('ix_depictsedit_campaign_id'), ['campaign_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_depictsedit_figure_id'), ['figure_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_depictsedit_illustration_id'), ['illustration_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_depictsedit_person_id'), ['person_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_depictsedit_qid'), ['qid'], unique=False)
        batch_op.create_index(batch_op.f('ix_depictsedit_revision'), ['revision'], unique=False)
        batch_op.create_index('ix_depictsedit_to_send', ['state', 'next_try_at'], unique=False)
        wish = sa.text("action = 'add' AND undone_at IS NULL AND gone_at IS NULL")
        batch_op.create_index('uq_depictsedit_wish', ['figure_id', 'qid'], unique=True, sqlite_where=wish, postgresql_where=wish)
        batch_op.create_index(batch_op.f('ix_depictsedit_undoes_id'), ['undoes_id'], unique=False)

    op.create_table('illustrationchange',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('illustration_id', sa.Integer(), nullable=False),
    sa.Column('kind', sa.Enum('renamed', 'replaced', 'object_number', 'licence', 'gone', 'back', name='kind', native_enum=False, create_constraint=True, length=20), nullable=False),
    sa.Column('before', sqlmodel.sql.sqltypes.AutoString(length=1000), nullable=False),
    sa.Column('after', sqlmodel.sql.sqltypes.AutoString(length=1000), nullable=False),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(length=500), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['illustration_id'], ['illustration.id'], name=op.f('fk_illustrationchange_illustration_id_illustration')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_illustrationchange'))
    )
    with op.batch_alter_table('illustrationchange', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_illustrationchange_illustration_id'), ['illustration_id'], unique=False)

    change_check('campaign', 'sourcekind', 'source_kind', SOURCES_NOW)
    change_check('jobrun', 'jobkind', 'kind', KINDS_NOW)
    with op.batch_alter_table('campaign') as batch_op:
        batch_op.add_column(sa.Column('changes_read_at', sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('checked_at', sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('writes', sa.String(20), nullable=False, server_default='off'))
        batch_op.add_column(sa.Column('edits_per_minute', sa.Float(), nullable=False, server_default='5'))
        batch_op.add_column(sa.Column('revert_limit', sa.Float(), nullable=False, server_default='0.05'))
        batch_op.add_column(sa.Column('change_tags', sa.String(200), nullable=False, server_default=''))
        batch_op.add_column(sa.Column('writing_paused_at', sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('writing_went_on_at', sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('writing_paused_why', sa.String(500), nullable=False, server_default=''))
        batch_op.alter_column('source', existing_type=sa.String(500), type_=sa.Text(), existing_nullable=False)
        batch_op.create_check_constraint(op.f('ck_campaign_writes'), one_of('writes', WRITES))
    with op.batch_alter_table('illustration') as batch_op:
        batch_op.add_column(sa.Column('fetched_sha1', sa.String(40), nullable=False, server_default=''))
        batch_op.add_column(sa.Column('uploader', sa.String(255), nullable=False, server_default=''))
        batch_op.create_index(batch_op.f('ix_illustration_fetched_sha1'), ['fetched_sha1'], unique=False)
    # What can be shown was made from the original that is listed. Of all else nobody knows; it is fetched again.
    op.execute("UPDATE illustration SET fetched_sha1 = sha1 WHERE state = 'ready' AND image_sha1 <> ''")
    with op.batch_alter_table('person') as batch_op:
        batch_op.add_column(sa.Column('writes_in_own_name', sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table('taxon') as batch_op:
        batch_op.add_column(sa.Column('parent_qids', sa.JSON(), nullable=False, server_default='[]'))
        batch_op.add_column(sa.Column('merged_into', sa.String(20), nullable=True))
        batch_op.add_column(sa.Column('gone_at', sa.DateTime(timezone=True), nullable=True))
        batch_op.create_index(batch_op.f('ix_taxon_merged_into'), ['merged_into'], unique=False)


def downgrade() -> None:
    with op.batch_alter_table('taxon', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_taxon_merged_into'))
        batch_op.drop_column('gone_at')
        batch_op.drop_column('merged_into')
        batch_op.drop_column('parent_qids')
    with op.batch_alter_table('person', schema=None) as batch_op:
        batch_op.drop_column('writes_in_own_name')
    with op.batch_alter_table('illustration', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_illustration_fetched_sha1'))
        batch_op.drop_column('uploader')
        batch_op.drop_column('fetched_sha1')
    with op.batch_alter_table('campaign') as batch_op:
        batch_op.drop_constraint(op.f('ck_campaign_writes'), type_='check')
        batch_op.alter_column('source', existing_type=sa.Text(), type_=sa.String(500), existing_nullable=False)
        batch_op.drop_column('writing_paused_why')
        batch_op.drop_column('writing_went_on_at')
        batch_op.drop_column('writing_paused_at')
        batch_op.drop_column('change_tags')
        batch_op.drop_column('revert_limit')
        batch_op.drop_column('edits_per_minute')
        batch_op.drop_column('writes')
        batch_op.drop_column('checked_at')
        batch_op.drop_column('changes_read_at')
    change_check('jobrun', 'jobkind', 'kind', KINDS_BEFORE)
    change_check('campaign', 'sourcekind', 'source_kind', SOURCES_BEFORE)

    with op.batch_alter_table('illustrationchange', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_illustrationchange_illustration_id'))

    op.drop_table('illustrationchange')
    with op.batch_alter_table('depictsedit', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_depictsedit_undoes_id'))
        batch_op.drop_index('uq_depictsedit_wish')
        batch_op.drop_index('ix_depictsedit_to_send')
        batch_op.drop_index(batch_op.f('ix_depictsedit_revision'))
        batch_op.drop_index(batch_op.f('ix_depictsedit_qid'))
        batch_op.drop_index(batch_op.f('ix_depictsedit_person_id'))
        batch_op.drop_index(batch_op.f('ix_depictsedit_illustration_id'))
        batch_op.drop_index(batch_op.f('ix_depictsedit_figure_id'))
        batch_op.drop_index(batch_op.f('ix_depictsedit_campaign_id'))
        batch_op.drop_index(batch_op.f('ix_depictsedit_called_back_by'))
        batch_op.drop_index(batch_op.f('ix_depictsedit_batch_id'))

    op.drop_table('depictsedit')
    with op.batch_alter_table('nameanswer', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_nameanswer_taxon_qid'))
        batch_op.drop_index(batch_op.f('ix_nameanswer_state'))
        batch_op.drop_index(batch_op.f('ix_nameanswer_settled_by'))
        batch_op.drop_index(batch_op.f('ix_nameanswer_campaign_id'))

    op.drop_table('nameanswer')
    with op.batch_alter_table('editbatch', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_editbatch_campaign_id'))
        batch_op.drop_index(batch_op.f('ix_editbatch_asked_by'))

    op.drop_table('editbatch')
    op.drop_table('wikigrant')
    op.drop_table('wikinotice')
    op.drop_table('wikiaccount')
