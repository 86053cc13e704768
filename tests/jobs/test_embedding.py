"""Embedding: each figure once, what cannot be read is listed and left alone, and the same plate twice is one group."""

import io
import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from PIL import Image, ImageEnhance
from sqlmodel import col, select

from active_learning import ClassicalDescriptor
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.illustrations import queries as illustrations
from icones.illustrations import service as illustration_service
from icones.illustrations.service import Listed
from icones.illustrations.store import ImageStore
from icones.jobs import runner
from icones.jobs.embedding import embed_only
from icones.learning import fingerprint_queries, fingerprints, service
from icones.models import Campaign, Embedding, Figure, Fingerprint, Illustration, JobKind, JobRun, JobState
from tests.support.campaigns import drawing, figure_ids
from tests.unit.active_learning.test_near_duplicates import noise

VERSION = ClassicalDescriptor().version


def embed(settings: Settings, database: Database, campaign: Campaign) -> JobRun:
    with database.writing() as session:
        asked = runner.ask(session, JobKind.EMBED, campaign, utc_now())
    runner.execute(settings, database, asked.id or 0, {JobKind.EMBED: embed_only})
    with database.reading() as session:
        run = session.get_one(JobRun, asked.id)
    assert run.state is JobState.DONE, run.log
    return run


def store_of(settings: Settings) -> ImageStore:
    return ImageStore(settings.data_dir / "images")


def show(settings: Settings, database: Database, campaign: Campaign, pictures: dict[str, Image.Image]) -> None:
    """Give plates of these keys, new or known, these pictures."""
    now = utc_now()
    with database.writing() as session:
        titles = {key: row.title for key, row in illustrations.by_key(session, campaign.id or 0).items()}
        listing = [Listed(key=key, title=titles.get(key, key)) for key in {**titles, **pictures}]
        illustration_service.save_listing(session, campaign, listing, now)
        rows = illustrations.by_key(session, campaign.id or 0)
        for key, picture in pictures.items():
            image = store_of(settings).keep_picture(picture)
            illustration_service.image_fetched(session, rows[key].id or 0, image)


def figure_of(database: Database, campaign: Campaign, key: str) -> int:
    with database.reading() as session:
        row = illustrations.by_key(session, campaign.id or 0)[key]
        return illustrations.figures(session, row.id or 0)[0].id or 0


def image_of(settings: Settings, database: Database, figure_id: int) -> Path:
    """Where the image of a figure lies."""
    with database.reading() as session:
        found = illustrations.figure(session, figure_id)
    assert found is not None
    return store_of(settings).path(found[1].image_sha1)


def spoil(settings: Settings, database: Database, figure_id: int) -> Path:
    """Write something else over the image of a figure a while ago, as a damaged disk would."""
    path = image_of(settings, database, figure_id)
    path.write_bytes(b"not an image")
    os.utime(path, (time.time() - 60, time.time() - 60))
    return path


def kept(database: Database) -> dict[int, Embedding]:
    with database.reading() as session:
        return {row.figure_id: row for row in session.exec(select(Embedding))}


def test_each_figure_gets_a_vector_and_a_fingerprint_once(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    first = embed(settings, database, campaign)
    assert (first.result["embedded"], first.result["unreadable"]) == (12, 0)
    before = kept(database)
    assert set(before) == set(figure_ids(database, campaign))
    with database.reading() as session:
        prints = session.exec(select(Fingerprint)).all()
        assert {row.figure_id: row.source for row in prints} == {key: row.source for key, row in before.items()}
        assert not any(row.problem for row in prints)
        assert {len(row.phash) for row in prints if row.figure_id in set(figure_ids(database, campaign)[::3])} == {16}
        assert set(fingerprints.groups_of(session, campaign.id or 0)) == set(before)
    again = embed(settings, database, campaign)
    assert again.result["embedded"] == 0
    assert kept(database) == before


def test_what_is_there_already_is_not_written_again(database: Database, campaign: Campaign) -> None:
    early, late = utc_now() - timedelta(days=1), utc_now()
    with database.writing() as session:
        waiting = service.to_embed(session, campaign, "eye")
        vectors = ClassicalDescriptor().embed([noise(item.figure_id) for item in waiting])
        for now in (early, late):
            looked = fingerprints.Looked(waiting, vectors, ["00ff00ff00ff00ff"] * len(waiting), [])
            fingerprints.keep(session, "eye", looked, now)
    assert {row.created_at for row in kept(database).values()} == {early}


def test_an_unreadable_image_is_listed_and_left_alone_until_it_changes(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    figures = figure_ids(database, campaign)
    path = spoil(settings, database, figures[3])
    done = embed(settings, database, campaign)
    assert (done.result["embedded"], done.result["unreadable"]) == (11, 1)
    assert "Plate 03" in done.log
    assert figures[3] not in kept(database)
    with database.reading() as session:
        (problem,) = fingerprints.problems_of(session, campaign.id or 0)
        assert (problem.figure_id, problem.title, problem.box) == (figures[3], "Plate 03", None)
        assert "not an image" in problem.words
        assert figures[3] not in fingerprints.groups_of(session, campaign.id or 0)
    again = embed(settings, database, campaign)
    assert (again.result["embedded"], again.result["unreadable"]) == (0, 1)
    # The same picture, kept anew: now it can be read.
    path.write_bytes(drawing(0, 3))
    mended = embed(settings, database, campaign)
    assert (mended.result["embedded"], mended.result["unreadable"]) == (1, 0)
    assert set(kept(database)) == set(figures)


def test_another_image_or_box_is_tried_again(settings: Settings, database: Database, campaign: Campaign) -> None:
    figures = figure_ids(database, campaign)
    for figure in figures[:2]:
        spoil(settings, database, figure)
    assert embed(settings, database, campaign).result["unreadable"] == 2
    show(settings, database, campaign, {"plate-00.jpg": noise(5)})
    with database.reading() as session:
        assert [one.figure_id for one in fingerprints.problems_of(session, campaign.id or 0)] == [figures[1]]
    done = embed(settings, database, campaign)
    assert (done.result["embedded"], done.result["unreadable"]) == (1, 1)
    with database.writing() as session:
        session.get_one(Figure, figures[5]).box = "pct:10,10,60,60"
    before = kept(database)[figures[5]]
    assert embed(settings, database, campaign).result["embedded"] == 1
    after = kept(database)[figures[5]]
    assert after.source.endswith("pct:10,10,60,60")
    assert after.vector != before.vector


def scanned_again(picture: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    smaller = ImageEnhance.Color(picture.resize((160, 160))).enhance(0.7)
    smaller.save(buffer, "JPEG", quality=60)
    return Image.open(buffer).convert("RGB")


@pytest.fixture
def plates(settings: Settings, database: Database, campaign: Campaign) -> Callable[..., None]:
    """Puts plates into the campaign: see ``show``."""
    return lambda **pictures: show(settings, database, campaign, pictures)


def test_the_same_plate_twice_is_one_group_and_comes_apart_when_one_changes(
    settings: Settings, database: Database, campaign: Campaign, plates: Callable[..., None]
) -> None:
    plates(a=noise(1), b=noise(2), c=noise(3), a_again=scanned_again(noise(1)))
    embed(settings, database, campaign)
    a, b, c, again = (figure_of(database, campaign, key) for key in ("a", "b", "c", "a_again"))
    with database.reading() as session:
        groups = fingerprints.groups_of(session, campaign.id or 0)
    assert (groups[a], groups[again], groups[b], groups[c]) == (a, a, b, c)
    plates(a_again=noise(9))
    done = embed(settings, database, campaign)
    with database.reading() as session:
        groups = fingerprints.groups_of(session, campaign.id or 0)
    assert groups[again] == again
    assert done.result["near_duplicates"] == sum(key != group for key, group in groups.items())


def test_a_damaged_vector_keeps_nobody_from_being_compared(
    settings: Settings, database: Database, campaign: Campaign, plates: Callable[..., None]
) -> None:
    plates(a=noise(1), a_again=scanned_again(noise(1)))
    embed(settings, database, campaign)
    a, again = (figure_of(database, campaign, key) for key in ("a", "a_again"))
    others = set(figure_ids(database, campaign)) - {a, again}
    for damaged in ({min(others)}, others, others | {a, again}):
        with database.writing() as session:
            for figure in damaged:
                row = session.get_one(Embedding, (figure, VERSION))
                row.vector = row.vector[:5]
            session.flush()
            found = fingerprints.prints(session, campaign, VERSION)
            assert {key for key, vector in zip(found.ids, found.x, strict=True) if not vector.any()} == damaged
            changed = fingerprints.new_groups(found).keys()
            assert a in damaged or changed.isdisjoint({a, again})


def test_two_figures_of_one_illustration_are_never_near_duplicates(
    settings: Settings, database: Database, campaign: Campaign, plates: Callable[..., None]
) -> None:
    plates(twins=noise(4))
    one = figure_of(database, campaign, "twins")
    with database.writing() as session:
        row = session.get_one(Illustration, session.get_one(Figure, one).illustration_id)
        own = session.get_one(Campaign, campaign.id)
        boxed = illustration_service.add_figure_row(session, own, row, 2, "pct:0,0,100,100", None, utc_now())
        other = boxed.id or 0
    embed(settings, database, campaign)
    with database.reading() as session:
        rows = {row.figure_id: row for row in session.exec(select(Fingerprint))}
        groups = fingerprints.groups_of(session, campaign.id or 0)
    assert rows[one].phash == rows[other].phash
    assert (groups[one], groups[other]) == (one, other)


def test_vectors_from_before_there_were_fingerprints_stay_and_get_them(
    settings: Settings, database: Database, campaign: Campaign, plates: Callable[..., None]
) -> None:
    plates(a=noise(1), a_again=scanned_again(noise(1)))
    embed(settings, database, campaign)
    before = kept(database)
    with database.reading() as session:
        groups = fingerprints.groups_of(session, campaign.id or 0)
    with database.writing() as session:
        session.connection().execute(sa.delete(Fingerprint))
    done = embed(settings, database, campaign)
    assert done.result["embedded"] == 0
    assert kept(database) == before
    with database.reading() as session:
        assert fingerprints.groups_of(session, campaign.id or 0) == groups
        lost = session.exec(select(Illustration).where(col(Illustration.key) == "a")).one()
    assert lost.state == "ready"


def test_a_whole_campaign_is_asked_about_in_one_question(database: Database, campaign: Campaign) -> None:
    questions: list[str] = []
    with database.reading() as session:
        engine = session.connection().engine
        sa.event.listen(engine, "before_cursor_execute", lambda *args: questions.append(args[2]))
        assert len(service.to_embed(session, campaign, "eye")) == 12
        assert fingerprint_queries.groups(session, campaign.id or 0) == {}
    assert len(questions) == 2
