"""The indexes of similar figures as they are kept, brought up to date and shared; and `icones similar`."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from sqlmodel import Session, select
from typer.testing import CliRunner, Result

from icones.cli import app
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.learning import similar_queries
from icones.learning.similar import EVERYWHERE, Narrowed, SimilarFigures, places
from icones.learning.vectors import to_bytes
from icones.models import Campaign, DeterminationState, Embedding, Figure, JobKind, Taxon, Visibility
from icones.taxa import queries as taxa
from tests.support.campaigns import ADMIRAL, GENUS, LADY, WHITE, drawing, figure_ids, make_campaign
from tests.support.voices import carried_out, verified


@pytest.fixture
def figures(settings: Settings, database: Database, campaign: Campaign) -> list[int]:
    carried_out(settings, database, campaign, JobKind.EMBED)
    return figure_ids(database, campaign)


def found(database: Database, index: SimilarFigures, campaign: Campaign, figure: int) -> list[tuple[int, float]]:
    with database.reading() as session:
        return index.search(session, campaign, figure, 20)


def another_drawing(database: Database, figure: int, like: int) -> None:
    """Let the vector of a figure be that of another one, as if its image had been replaced."""
    with database.writing() as session:
        of = session.exec(select(Embedding).where(Embedding.figure_id == like)).one()
        row = session.exec(select(Embedding).where(Embedding.figure_id == figure)).one()
        row.vector, row.created_at = of.vector, utc_now()


def test_what_is_kept_serves_another_process_and_heals_when_damaged(
    settings: Settings, database: Database, campaign: Campaign, figures: list[int]
) -> None:
    folder = settings.data_dir / "index"
    with database.reading() as session:
        assert SimilarFigures(folder).prepare(session, campaign) == 12
    before = {path: path.read_bytes() for path in folder.iterdir()}
    hits = found(database, SimilarFigures(folder), campaign, figures[0])
    assert len(hits) == 11
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    for path in before:
        damaged = bytearray(before[path])
        damaged[len(damaged) // 2] ^= 1
        path.write_bytes(bytes(damaged))
        assert found(database, SimilarFigures(folder), campaign, figures[0]) == hits
        assert {path: path.read_bytes() for path in folder.iterdir()} == before
        path.unlink()
        assert found(database, SimilarFigures(folder), campaign, figures[0]) == hits


def test_a_kept_index_is_brought_up_to_date_not_built_anew(
    settings: Settings, database: Database, campaign: Campaign, figures: list[int]
) -> None:
    folder = settings.data_dir / "index"
    web = SimilarFigures(folder, look_every_s=0)
    assert dict(found(database, web, campaign, figures[0]))[figures[1]] < 0.999
    kept = {path: path.read_bytes() for path in folder.iterdir()}
    another_drawing(database, figures[1], like=figures[0])
    with database.writing() as session:
        session.get_one(Figure, figures[3]).removed_at = utc_now()
    for index in (web, SimilarFigures(folder, look_every_s=0)):
        hits = dict(found(database, index, campaign, figures[0]))
        assert hits[figures[1]] == pytest.approx(1.0, abs=1e-5)
        assert figures[3] not in hits
        assert len(hits) == 10
    assert {path: path.read_bytes() for path in folder.iterdir()} == kept
    with database.writing() as session:
        session.get_one(Figure, figures[3]).removed_at = None
    assert figures[3] in dict(found(database, web, campaign, figures[0]))


def test_what_came_is_looked_for_once_in_a_while_and_what_went_is_noticed_at_once(
    settings: Settings, database: Database, campaign: Campaign, figures: list[int]
) -> None:
    rare, often = (SimilarFigures(settings.data_dir / "index", look_every_s=seconds) for seconds in (3600, 0.05))
    counts: list[str] = []
    sa.event.listen(
        database.engine, "before_cursor_execute", lambda *args: counts.append(args[2]) if "sum(" in args[2] else None
    )
    before = found(database, rare, campaign, figures[0])
    assert dict(before)[figures[1]] < 0.999
    another_drawing(database, figures[1], like=figures[0])
    assert [found(database, rare, campaign, figures[0]) for _ in range(5)] == [before] * 5
    assert len(counts) == 1
    assert dict(found(database, often, campaign, figures[0]))[figures[1]] == pytest.approx(1.0, abs=1e-5)
    another_drawing(database, figures[1], like=figures[2])
    time.sleep(0.06)
    assert dict(found(database, often, campaign, figures[0]))[figures[1]] < 0.999
    with database.writing() as session:
        session.get_one(Figure, figures[3]).removed_at = utc_now()
    for index in (rare, often):
        hits = found(database, index, campaign, figures[0])
        assert figures[3] not in dict(hits)
        assert len(hits) == 10


def test_each_version_of_a_network_has_an_index_of_its_own(
    settings: Settings, database: Database, campaign: Campaign, figures: list[int]
) -> None:
    folder = settings.data_dir / "index"
    index = SimilarFigures(folder, look_every_s=0)
    before = found(database, index, campaign, figures[0])
    rng = np.random.default_rng(0)
    with database.writing() as session:
        for figure in figures:
            vector = rng.normal(size=7).astype(np.float32)
            row = Embedding(
                figure_id=figure, backbone="new@2", source="", vector=to_bytes(vector), created_at=utc_now()
            )
            session.add(row)
    after = found(database, index, campaign, figures[0])
    assert len(after) == 11
    assert after != before
    assert len(list(folder.glob("*.faiss"))) == 2
    with database.reading() as session:
        old = next(iter(session.exec(select(Embedding.backbone).where(Embedding.backbone != "new@2"))))
        kept = index.index(session, campaign, old)
        assert kept is not None
        assert len(kept) == 12
    with database.writing() as session:
        for row in session.exec(select(Embedding).where(Embedding.backbone == "new@2")):
            row.backbone, row.created_at = "newer@3", utc_now()
    assert found(database, index, campaign, figures[0]) == after
    assert len(list(folder.glob("*.faiss"))) == len(list(folder.glob("*.json"))) == 2


def test_many_search_while_vectors_come_and_go(
    settings: Settings, database: Database, campaign: Campaign, figures: list[int]
) -> None:
    index = SimilarFigures(settings.data_dir / "index", look_every_s=0)
    problems: list[object] = []
    done = threading.Event()

    def search() -> None:
        try:
            while not done.is_set():
                hits = found(database, index, campaign, figures[0])
                if figures[0] in dict(hits) or not 10 <= len(hits) <= 11:
                    problems.append(hits)
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for turn in range(6):
        another_drawing(database, figures[1], like=figures[turn])
        with database.writing() as session:
            session.get_one(Figure, figures[5]).removed_at = None if turn % 2 else utc_now()
    done.set()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(found(database, index, campaign, figures[0])) == 11


def test_a_taxon_holds_what_is_below_it_and_what_was_merged_into_it(
    database: Database, campaign: Campaign, figures: list[int]
) -> None:
    verified(database, campaign, range(6))

    def matching(session: Session, qid: str) -> set[int]:
        return set(similar_queries.matching(session, [campaign.id or 0], qid, [DeterminationState.VERIFIED]))

    with database.writing() as session:
        assert matching(session, GENUS) == {figures[place] for place in (0, 1, 3, 4)}
        session.get_one(Taxon, WHITE).merged_into = LADY
        session.flush()
        assert taxa.merged_from(session, [LADY]) == {WHITE: LADY}
        assert matching(session, LADY) == {figures[place] for place in (1, 2, 4, 5)}
        assert matching(session, GENUS) == set(figures[:6])
        assert matching(session, ADMIRAL) == {figures[0], figures[3]}
        session.get_one(Taxon, WHITE).merged_into = None


def test_everywhere_is_where_a_person_may_look(
    settings: Settings, database: Database, campaign: Campaign, figures: list[int]
) -> None:
    other = make_campaign(settings, database, utc_now(), per_kind=1, slug="two")
    index = SimilarFigures(settings.data_dir / "index")
    with database.reading() as session:
        backbone = index.require_backbone(session, campaign)
        # It has no vector yet: there is nothing to compare with.
        assert [one.slug for one in places(session, None, campaign, EVERYWHERE, backbone)] == ["butterflies"]
    carried_out(settings, database, other, JobKind.EMBED)
    for visibility, slugs in ((Visibility.PUBLIC, ["butterflies", "two"]), (Visibility.PRIVATE, ["butterflies"])):
        with database.writing() as session:
            session.get_one(Campaign, other.id).visibility = visibility
        with database.reading() as session:
            seen = places(session, None, campaign, EVERYWHERE, backbone)
            assert [one.slug for one in seen] == slugs
            asked = index.asked(session, campaign, figures[0])
            assert asked is not None
            hits = index.like(session, asked.among(seen), 50, Narrowed())
        assert len(hits) == 11 + 3 * (len(slugs) - 1)


Command = Callable[..., Result]


@pytest.fixture
def similar(settings: Settings) -> Command:
    """Run `icones similar` with these words in this process."""
    return lambda *words: CliRunner().invoke(app, ["similar", *words], env=settings.as_environment())


def test_the_command_lists_what_looks_like_a_figure_or_a_file(
    similar: Command, settings: Settings, database: Database, campaign: Campaign, figures: list[int], tmp_path: Path
) -> None:
    verified(database, campaign, range(6))
    picture = tmp_path / "mine.jpg"
    picture.write_bytes(drawing(1, 50))
    plain = similar(str(figures[0]), "--k", "3")
    assert plain.exit_code == 0, plain.output
    assert len(plain.stdout.splitlines()) == 3
    for words, kinds, n in (
        ((str(figures[0]), "--taxon", "Vanessa", "--json"), {0, 1}, 3),
        ((str(figures[0]), "--state", "open", "--campaign", "*", "--json"), {0, 1, 2}, 6),
        ((str(picture), "--campaign", "butterflies", "--taxon", LADY, "--json"), {1}, 2),
    ):
        answer = similar(*words)
        assert answer.exit_code == 0, answer.output
        listed = [one["figure"] for one in json.loads(answer.stdout)["similar"]]
        assert len(listed) == n
        assert {figures.index(one) % 3 for one in listed} == kinds
    assert "No figure fits" in similar(str(figures[0]), "--state", "disputed").stdout


def test_the_command_tells_what_it_cannot_do(
    similar: Command, database: Database, campaign: Campaign, figures: list[int], tmp_path: Path
) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    for words, told in (
        (("99999",), "There is no figure 99999"),
        ((str(tmp_path / "nothing.jpg"), "--campaign", "butterflies"), "There is no file"),
        ((str(tmp_path / "text.jpg"),), "Name the campaign"),
        ((str(tmp_path / "text.jpg"), "--campaign", "nowhere"), "There is no campaign"),
        ((str(tmp_path / "text.jpg"), "--campaign", "butterflies"), "not an image"),
        ((str(figures[0]), "--taxon", "Nomen nudum"), "is not the name of one taxon"),
    ):
        answer = similar(*words)
        assert answer.exit_code != 0
        assert told in f"{answer.output}{answer.exception}", answer.output
