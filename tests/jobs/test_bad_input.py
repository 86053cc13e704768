"""Rubbish in: each gets an answer in words, publishes nothing half, and the run after it goes well."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sqlmodel import col, select
from typer.testing import CliRunner

from icones.cli import app
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.identifications import service as identifications
from icones.jobs import publishing, runner
from icones.jobs.all import JOBS
from icones.learning import fingerprints, queries, service
from icones.learning.vectors import to_bytes
from icones.models import (
    Campaign,
    Embedding,
    Identification,
    JobKind,
    JobState,
    LearnsFrom,
    ModelState,
    ModelVersion,
    Prediction,
    ReviewTask,
    Role,
)
from icones.taxa import queries as taxa_queries
from icones.taxa import service as taxa
from tests.jobs.test_embedding import image_of
from tests.support.campaigns import (
    FAMILY,
    GENUS,
    ROOT,
    WHITE,
    drawing,
    facts,
    figure_ids,
    make_campaign,
)
from tests.support.voices import KINDS, carried_out, says, somebody, verified


@dataclass(frozen=True)
class Standing:
    """All that people see of a campaign's models: which version serves, what was said, and who is asked what."""

    champion: int | None
    versions: dict[int, ModelState]
    said: dict[tuple[int, int], Any]
    """By version and figure."""
    asked: dict[int, Any]
    """By figure."""


def standing(database: Database, campaign: Campaign) -> Standing:
    with database.reading() as session:
        champion = queries.champion(session, campaign.id or 0)
        versions = queries.versions(session, campaign.id or 0)
        rows = session.exec(select(Prediction)).all()
        tasks = session.exec(select(ReviewTask).where(ReviewTask.campaign_id == campaign.id)).all()
        return Standing(
            champion.number if champion else None,
            {version.number: version.state for version in versions},
            {(row.model_version_id, row.figure_id): row.model_dump() for row in rows},
            {task.figure_id: task.model_dump(exclude={"updated_at"}) for task in tasks},
        )


def served(settings: Settings, database: Database, campaign: Campaign, places: Sequence[int] = range(9)) -> Standing:
    """A first model, which serves."""
    verified(database, campaign, places)
    done = carried_out(settings, database, campaign, JobKind.RETRAIN)
    assert done.result["published"] is True, done.log
    return standing(database, campaign)


def serves_wholly(settings: Settings, database: Database, campaign: Campaign, unreadable: int = 0) -> ModelVersion:
    """One version serves, has said something of each figure that could be looked at, and can be loaded."""
    figures = figure_ids(database, campaign)
    with database.reading() as session:
        (champion,) = session.exec(
            select(ModelVersion).where(
                ModelVersion.campaign_id == campaign.id, ModelVersion.state == ModelState.CHAMPION
            )
        )
        assert len(queries.predictions_of(session, champion.id or 0, figures)) == len(figures) - unreadable
        asked = session.exec(select(ReviewTask).where(ReviewTask.campaign_id == campaign.id)).first()
        if asked is not None and not unreadable:
            assert service.suggestions(session, campaign, asked.figure_id, "en") is not None
    return champion


def says_right(database: Database, campaign: Campaign, places: Sequence[int]) -> bool:
    """Whether the serving model takes the figures at these places for what they were drawn as."""
    figures = figure_ids(database, campaign)
    with database.reading() as session:
        found = {place: queries.prediction(session, figures[place]) for place in places}
    return all(row and row[0].ranked[0]["qid"] == KINDS[place % 3] for place, row in found.items())


def withdraw(database: Database, campaign: Campaign) -> None:
    """Let everybody take back all they said."""
    cora = somebody(database, campaign, "Cora")
    with database.writing() as session:
        given = session.exec(select(Identification.id).where(col(Identification.ended_at).is_(None))).all()
        for key in given:
            identifications.withdraw(session, cora, key or 0, utc_now())


def damage(database: Database, figure: int, vector: bytes) -> None:
    """Write something else over the stored vector of a figure, as a damaged disk would."""
    with database.writing() as session:
        session.exec(select(Embedding).where(Embedding.figure_id == figure)).one().vector = vector


def flip(path: Path, place: int) -> bytes:
    """Flip one bit of a file; return what was there."""
    before = path.read_bytes()
    damaged = bytearray(before)
    damaged[place % len(damaged)] ^= 1
    path.write_bytes(bytes(damaged))
    return before


def test_damaged_vectors_are_found_said_and_made_anew(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    before = served(settings, database, campaign)
    figures = figure_ids(database, campaign)
    with database.reading() as session:
        whole = {row.figure_id: row.vector for row in session.exec(select(Embedding))}
    d = len(whole[figures[0]]) // 4
    nan = np.full(d, 1 / np.sqrt(d), dtype=np.float32)
    nan[d // 2] = np.nan
    rubbish = (to_bytes(nan), bytes(4 * d), whole[figures[2]][:-3], whole[figures[10]][4:], b"")
    places = (0, 1, 2, 10, 11)
    for kind in (JobKind.RETRAIN, JobKind.PREDICT):
        for place, vector in zip(places, rubbish, strict=True):
            damage(database, figures[place], vector)
        done = carried_out(settings, database, campaign, kind)
        assert done.state is JobState.DONE, done.problem
        assert (done.result["embedded"], done.result["unreadable"]) == (5, 0)
        assert "The stored vectors of 5 figures were damaged; they are made anew." in done.log
        with database.reading() as session:
            assert {row.figure_id: row.vector for row in session.exec(select(Embedding))} == whole
        assert serves_wholly(settings, database, campaign).number == before.champion
    assert says_right(database, campaign, range(12))


def test_damaged_vectors_of_another_campaign_are_not_learned_from(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    other = make_campaign(settings, database, utc_now(), slug="other")
    theirs = verified(database, other, range(6))
    carried_out(settings, database, other, JobKind.EMBED)
    verified(database, campaign, range(6))
    with database.writing() as session:
        session.add(LearnsFrom(campaign_id=campaign.id or 0, source_id=other.id or 0))
    damage(database, theirs[0], np.full(7, np.nan, dtype=np.float32).tobytes())
    damage(database, theirs[1], b"abc")
    done = carried_out(settings, database, campaign, JobKind.RETRAIN)
    assert (done.state, done.result.get("published")) == (JobState.DONE, True), done.problem
    assert "Training on 10 labels" in done.log
    serves_wholly(settings, database, campaign)


def test_too_little_left_to_learn_from_leaves_the_serving_model_alone(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    before = served(settings, database, campaign)
    figures = figure_ids(database, campaign)
    withdraw(database, campaign)
    for left, words in (
        ((), "There are no verified figures to learn from yet."),
        ((0,), "The only verified figure is of one taxon, Vanessa atalanta; at least two taxa are needed"),
        ((0, 3), "All 2 verified figures are of one taxon, Vanessa atalanta; at least two taxa are needed"),
    ):
        verified(database, campaign, left[-1:])
        done = carried_out(settings, database, campaign, JobKind.RETRAIN)
        assert (done.state, done.result.get("published")) == (JobState.DONE, False), done.problem
        assert words in done.result["why"]
        assert done.result["why"] in done.log
        after = standing(database, campaign)
        assert (after.champion, after.versions, after.said) == (before.champion, before.versions, before.said)
        assert set(after.asked) == set(figures) - {figures[place] for place in left}
    verified(database, campaign, range(9))
    again = carried_out(settings, database, campaign, JobKind.RETRAIN)
    assert again.state is JobState.DONE, again.problem
    serves_wholly(settings, database, campaign)


def test_names_of_one_line_of_descent_only_are_told_in_words(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    figures = figure_ids(database, campaign)
    cora = somebody(database, campaign, "Cora", Role.SPECIALIST)
    for place, qid in enumerate((FAMILY, FAMILY, FAMILY)):
        says(database, cora, figures[place], qid)
    alone = carried_out(settings, database, campaign, JobKind.RETRAIN)
    assert "All 3 verified figures are of one taxon, Nymphalidae" in alone.result["why"]
    says(database, cora, figures[3], GENUS)
    says(database, cora, figures[6], ROOT)
    line = carried_out(settings, database, campaign, JobKind.RETRAIN)
    assert line.result["published"] is False
    assert "lie on one line of descent, down to Vanessa" in line.result["why"]
    assert standing(database, campaign).versions == {}
    for place in (2, 5, 8):
        says(database, cora, figures[place], WHITE)
    two = carried_out(settings, database, campaign, JobKind.RETRAIN)
    assert (two.state, two.result.get("published")) == (JobState.DONE, True), two.problem
    serves_wholly(settings, database, campaign)


def test_a_taxon_moves_between_runs(settings: Settings, database: Database, campaign: Campaign) -> None:
    served(settings, database, campaign)
    white, genus = (next(one for one in facts() if one.qid == qid) for qid in (WHITE, GENUS))
    moved = [replace(white, parent_qid=FAMILY, parent_qids=(FAMILY,))]
    loose = [replace(genus, parent_qid=None, parent_qids=())]
    for tree, kind in ((moved, JobKind.PREDICT), (loose, JobKind.RETRAIN), (facts(), JobKind.RETRAIN)):
        with database.writing() as session:
            taxa.save(session, tree, utc_now())
        done = carried_out(settings, database, campaign, kind)
        assert done.state is JobState.DONE, done.problem
        champion = serves_wholly(settings, database, campaign)
        assert says_right(database, campaign, range(12))
        with database.reading() as session:
            lineages = taxa_queries.lineages(session, KINDS)
            said = queries.predictions_of(session, champion.id or 0, figure_ids(database, campaign))
        for row in said.values():
            assert [one["qid"] for one in row.lineage] == list(lineages[row.ranked[0]["qid"]])[1:]


def test_unreadable_images_are_listed_and_no_answer_slips_to_another_figure(
    settings: Settings, database: Database
) -> None:
    campaign = make_campaign(settings, database, utc_now(), per_kind=12)
    figures = figure_ids(database, campaign)
    lost = sorted(random.Random(3).sample(range(9, 36), 7))
    rubbish = (b"", b"not an image", drawing(0, 1)[:700], b"\x89PNG", b"GIF89a", b"<svg/>", b"II*\0")
    for place, content in zip(lost, rubbish, strict=True):
        image_of(settings, database, figures[place]).write_bytes(content)
    verified(database, campaign, range(9))
    done = carried_out(settings, database, campaign, JobKind.RETRAIN)
    assert (done.state, done.result["published"]) == (JobState.DONE, True), done.problem
    assert (done.result["embedded"], done.result["unreadable"]) == (29, 7)
    with database.reading() as session:
        problems = fingerprints.problems_of(session, campaign.id or 0)
    assert {one.figure_id for one in problems} == {figures[place] for place in lost}
    for place in lost:
        assert f"Plate {place:02d}: " in done.log
    serves_wholly(settings, database, campaign, unreadable=7)
    assert says_right(database, campaign, [place for place in range(36) if place not in lost])
    assert set(standing(database, campaign).asked) == set(figures[9:])


def test_weights_that_do_not_fit_stop_the_run_with_words(
    settings: Settings, database: Database, campaign: Campaign, tmp_path: Path
) -> None:
    from torch import save, zeros

    before = served(settings, database, campaign)
    file = tmp_path / "mobilenet_v3_small.pth"
    with_weights = settings.model_copy(update={"weights_dir": tmp_path, "backbone": "mobilenet_v3_small"})
    save({"features.0.weight": zeros(8, 3)}, file)
    another_network = file.read_bytes()
    for content, words in (
        (another_network[:-200], "The weights file mobilenet_v3_small.pth cannot be read; it may be damaged"),
        (another_network, "The weights file does not belong to mobilenet_v3_small"),
    ):
        file.write_bytes(content)
        for kind in (JobKind.EMBED, JobKind.RETRAIN):
            done = carried_out(with_weights, database, campaign, kind)
            assert done.state is JobState.FAILED
            assert words in done.problem
            assert standing(database, campaign) == before
        # The model that serves has another network, and goes on.
        done = carried_out(with_weights, database, campaign, JobKind.PREDICT)
        assert done.state is JobState.DONE, done.problem
    serves_wholly(settings, database, campaign)


def test_a_damaged_model_is_said_and_training_replaces_it(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    before = served(settings, database, campaign)
    with database.reading() as session:
        version = queries.champion(session, campaign.id or 0)
    assert version is not None
    folder = settings.data_dir / version.folder
    for file, place in (("model.json", 3), ("model.json", 1000), ("model.safetensors", 3), ("model.safetensors", 9999)):
        whole = flip(folder / file, place)
        done = carried_out(settings, database, campaign, JobKind.PREDICT)
        assert done.state is JobState.FAILED
        assert done.problem.startswith("Model version 1 cannot be used: ")
        assert "damaged" in done.problem
        assert done.problem.endswith("Train a new one; it takes this one's place.")
        assert standing(database, campaign) == before
        (folder / file).write_bytes(whole)
    flip(folder / "model.safetensors", 500)
    said = CliRunner().invoke(app, ["train", campaign.slug], env=settings.as_environment())
    assert said.exit_code == 0, f"{said.output} {said.exception}"
    assert "Model version 2 is published." in said.output
    assert "It takes the place of model version 1, which cannot be used." in said.output
    assert serves_wholly(settings, database, campaign).number == 2
    done = carried_out(settings, database, campaign, JobKind.PREDICT)
    assert done.state is JobState.DONE, done.problem


def test_a_damaged_model_with_nothing_new_to_learn_is_replaced_too(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    served(settings, database, campaign)
    with database.reading() as session:
        version = queries.champion(session, campaign.id or 0)
    assert version is not None
    (settings.data_dir / version.folder / "model.safetensors").unlink()
    with database.writing() as session:
        asked = runner.ask(session, JobKind.RETRAIN, campaign, utc_now(), trigger="sync")
    assert runner.execute(settings, database, asked.id or 0, JOBS) is JobState.DONE
    assert serves_wholly(settings, database, campaign).number == 2


def test_the_same_labels_under_other_rules_are_another_model(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    served(settings, database, campaign)
    with database.writing() as session:
        session.get_one(Campaign, campaign.id).holdout_fraction = 0.3
    with database.reading() as session:
        own = session.get_one(Campaign, campaign.id)
    done = carried_out(settings, database, own, JobKind.RETRAIN)
    assert done.state is JobState.DONE, done.problem
    with database.reading() as session:
        second, first = queries.versions(session, campaign.id or 0)
    assert (second.snapshot_hash, second.folder == first.folder) == (first.snapshot_hash, False)
    for version in (first, second):
        assert publishing.load(settings, version).config.holdout_fraction == (0.3 if version is second else 0.2)


def test_an_index_with_a_flipped_byte_is_made_anew(settings: Settings, database: Database, campaign: Campaign) -> None:
    carried_out(settings, database, campaign, JobKind.EMBED)
    figure = str(figure_ids(database, campaign)[0])

    def similar() -> str:
        said = CliRunner().invoke(app, ["similar", figure, "--json"], env=settings.as_environment())
        assert said.exit_code == 0, f"{said.output} {said.exception}"
        return said.stdout

    hits, places = similar(), random.Random(5)
    for path in sorted((settings.data_dir / "index").iterdir()):
        for _ in range(2):
            flip(path, places.randrange(path.stat().st_size))
            assert similar() == hits
