"""Migrations with rows in the tables: what was there before is there after, and means the same."""

import alembic.command
import alembic.config
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from icones.db import Database
from icones.models import Campaign, Illustration, JobKind, JobRun, SourceKind, Writes
from icones.paths import bundled

TABLES = {
    "person": "id, sub, name, language, is_admin, named_in_exports, created_at, last_seen_at",
    "campaign": (
        "id, slug, title, description, source_kind, source, source_depth, visibility, collection, "
        "object_number_pattern, quorum, agreement, agreed_is_verified, backbone, holdout_fraction, seed, "
        "retrain_after, created_by, created_at"
    ),
    "jobrun": (
        "id, campaign_id, kind, state, trigger, parameters, done, step, log, result, problem, attempts, created_at"
    ),
}
MOMENT = "'2026-01-02 03:04:05'"
ROWS = {
    "person": f"7, 'sub-7', 'Anna', 'nl', false, true, {MOMENT}, {MOMENT}",
    "campaign": (
        "3, 'album', 'Album', '', 'category', 'Album of butterflies', 1, 'public', '', '', 2, 0.67, false, '', 0.2, 1, "
        f"20, 7, {MOMENT}"
    ),
    "jobrun": f"5, 3, 'sync', 'done', 'person', '{{}}', 1, '', '', '{{}}', '', 1, {MOMENT}",
}


def to_revision(database: Database, target: str) -> None:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(bundled("migrations")))
    config.attributes["engine"] = database.engine
    down = target == "0001"
    (alembic.command.downgrade if down else alembic.command.upgrade)(config, target)


def test_rows_of_the_first_version_come_along(database: Database) -> None:
    to_revision(database, "0001")
    with database.engine.begin() as connection:
        for table, columns in TABLES.items():
            connection.execute(sa.text(f"INSERT INTO {table} ({columns}) VALUES ({ROWS[table]})"))
    to_revision(database, "head")
    with database.reading() as session:
        campaign, run = session.get_one(Campaign, 3), session.get_one(JobRun, 5)
        assert (campaign.source_kind, campaign.source, campaign.created_by) == (
            SourceKind.CATEGORY,
            "Album of butterflies",
            7,
        )
        assert (campaign.writes, campaign.edits_per_minute, campaign.revert_limit) == (Writes.OFF, 5.0, 0.05)
        assert (run.kind, run.campaign_id) == (JobKind.SYNC, 3)
    with database.writing() as session:
        own = session.get_one(Campaign, 3)
        own.source_kind, own.source = SourceKind.FILES, "M1\n" * 2000
        session.add(own)
    for table, column in (("campaign", "writes"), ("campaign", "source_kind"), ("jobrun", "kind")):
        with pytest.raises(IntegrityError), database.engine.begin() as connection:
            connection.execute(sa.text(f"UPDATE {table} SET {column} = 'nonsense'"))
    with pytest.raises(IntegrityError), database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE jobrun SET campaign_id = 99"))


def test_only_of_what_could_be_shown_is_the_original_taken_as_known(database: Database) -> None:
    words = (
        "key, title, mime, sha1, image_sha1, image_url, thumb_url, page_url, description, artist, credit, licence, "
        "licence_url, object_number, object_number_source, verbatim_name, source_group, problem"
    )
    states = {"ready": ("a", "copy"), "gone": ("b", "copy"), "listed": ("c", "old copy")}
    to_revision(database, "0001")
    with database.engine.begin() as connection:
        for table in ("person", "campaign"):
            connection.execute(sa.text(f"INSERT INTO {table} ({TABLES[table]}) VALUES ({ROWS[table]})"))
        for state, (sha1, copy) in states.items():
            told = {"key": state, "sha1": sha1, "image_sha1": copy}
            values = ", ".join(f"'{told.get(word, '')}'" for word in words.split(", "))
            connection.execute(
                sa.text(
                    f"INSERT INTO illustration (campaign_id, state, width, height, added_at, {words}) "
                    f"VALUES (3, '{state}', 0, 0, {MOMENT}, {values})"
                )
            )
    to_revision(database, "head")
    with database.reading() as session:
        rows = session.exec(select(Illustration)).all()
    assert {row.key: (row.fetched_sha1, row.uploader) for row in rows} == {
        "ready": ("a", ""),
        "gone": ("", ""),
        "listed": ("", ""),
    }
