"""Choosing a campaign's network by its own verified figures, and lending a network's own classes, on both databases."""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from icones import worker
from icones.campaigns import service as campaigns
from icones.cli import app as cli
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.illustrations import queries as illustrations
from icones.illustrations import service as illustration_service
from icones.illustrations.service import Listed
from icones.illustrations.store import ImageStore
from icones.jobs import own_classes, runner
from icones.jobs import queries as jobs
from icones.jobs.all import JOBS
from icones.jobs.choose import load_exactly
from icones.jobs.embedding import embed
from icones.jobs.identify import identify_image
from icones.jobs.runner import Progress
from icones.learning import labels, queries, trials
from icones.models import (
    BackboneTrial,
    Campaign,
    Figure,
    JobKind,
    JobRun,
    JobState,
    ModelOrigin,
    ModelState,
    Role,
    SourceKind,
)
from icones.taxa import queries as taxa
from icones.taxa import service as taxon_service
from icones.worker import Clock
from tests.support.campaigns import ADMIRAL, FAMILY, GENUS, LADY, ROOT, WHITE, facts, figure_ids
from tests.support.commons import pointed_at
from tests.support.standin import StandInCommons, World
from tests.support.voices import carried_out, says, somebody

COLOURS = ((200, 30, 30), (30, 160, 40), (40, 60, 200), (230, 200, 40), (120, 30, 140))
TAXA = [f"Q91000000{n}" for n in range(5)]
SOURCES = 4
BLIND = "squeezenet1_1"


def square(colour: tuple[int, int, int], seed: int) -> bytes:
    """Squares of one colour, strewn over paper in a way of their own: no two pictures are near-duplicates."""
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", (120, 120), (244, 236, 216))
    for left, top, side in rng.integers((0, 0, 15), (100, 100, 45), (5, 3)).tolist():
        ImageDraw.Draw(picture).rectangle((left, top, left + side, top + side), fill=colour)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def make_squares(settings: Settings, database: Database, n_plates: int = 5 * SOURCES) -> Campaign:
    """So many plates of five species that differ in colour, in turn."""
    store, now = ImageStore(settings.data_dir / "images"), utc_now()
    words = ("rubra", "viridis", "caerulea", "lutea", "purpurea")
    species = [
        replace(facts()[3], qid=qid, scientific_name=f"Vanessa {word}", names=(), ids={})
        for qid, word in zip(TAXA, words, strict=True)
    ]
    with database.writing() as session:
        taxon_service.save(session, [*facts()[:3], *species], now)
        new = campaigns.NewCampaign(title="Squares", source_kind=SourceKind.FOLDER, source="squares", slug="squares")
        campaign = campaigns.create(session, None, new, now)
        listing = [
            Listed(key=f"plate-{place:02d}.png", title=f"Plate {place:02d}", width=120, height=120, mime="image/png")
            for place in range(n_plates)
        ]
        illustration_service.save_listing(session, campaign, listing, now)
        rows = illustrations.by_key(session, campaign.id or 0)
        for place, item in enumerate(listing):
            kept = store.keep(square(COLOURS[place % 5], place))
            illustration_service.image_fetched(session, rows[item.key].id or 0, kept)
    return campaign


@pytest.fixture
def squares(settings: Settings, database: Database) -> Campaign:
    """Twenty plates of five species that differ in colour, in turn."""
    return make_squares(settings, database)


@pytest.fixture(scope="session")
def blind_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a network that sees the same in every picture, and with a file that holds no network."""
    folder = tmp_path_factory.mktemp("weights")
    state = torchvision.models.squeezenet1_1(weights=None).state_dict()
    blind = {key: torch.ones_like(one) if key.endswith("bias") else torch.zeros_like(one) for key, one in state.items()}
    torch.save(blind, folder / f"{BLIND}.pth")
    (folder / "resnet50.pth").write_text("not a network")
    return folder


@pytest.fixture
def blind(settings: Settings, blind_weights: Path) -> Settings:
    """The settings of an installation whose network is blind."""
    return settings.model_copy(update={"backbone": BLIND, "weights_dir": blind_weights})


def verify(database: Database, campaign: Campaign, places: Sequence[int]) -> None:
    figures = figure_ids(database, campaign)
    cora = somebody(database, campaign, "Cora", Role.SPECIALIST)
    for place in places:
        says(database, cora, figures[place], TAXA[place % 5])


def now_as(database: Database, campaign: Campaign) -> Campaign:
    with database.reading() as session:
        return session.get_one(Campaign, campaign.id)


def latest(database: Database, campaign: Campaign) -> BackboneTrial:
    with database.reading() as session:
        found = trials.latest(session, campaign)
    assert found is not None
    return found


def waiting(database: Database) -> list[JobRun]:
    with database.reading() as session:
        return list(jobs.waiting(session))


def carry_on(settings: Settings, database: Database, run: JobRun) -> JobRun:
    runner.execute(settings, database, run.id or 0, JOBS)
    with database.reading() as session:
        return session.get_one(JobRun, run.id)


def test_with_too_few_figures_the_present_one_stays_and_it_is_said_what_is_missing(
    blind: Settings, database: Database, squares: Campaign
) -> None:
    verify(database, squares, range(14))  # four taxa with three sources, one with two
    run = carried_out(blind, database, squares, JobKind.CHOOSE)
    assert (run.state, run.result["chosen"], run.result["changed"]) == (JobState.DONE, BLIND, False), run.log
    assert "a comparison needs 5 such taxa" in run.result["why"]
    trial = latest(database, squares)
    assert (trial.n_figures, trial.results, now_as(database, squares).backbone) == (0, [], "")
    with database.reading() as session:
        assert not trials.is_due(session, squares)


def test_a_better_network_is_taken_and_the_old_model_serves_until_the_new_one_is_there(
    blind: Settings, database: Database, squares: Campaign
) -> None:
    verify(database, squares, range(20))
    assert carried_out(blind, database, squares, JobKind.RETRAIN).result["published"]
    with database.reading() as session:
        before = queries.champion(session, squares.id or 0)
    assert before is not None
    run = carried_out(blind, database, squares, JobKind.CHOOSE)
    assert run.state is JobState.DONE, run.log + run.problem
    assert (run.result["chosen"], run.result["changed"], run.result["training"]) == ("classical", True, True)
    assert set(run.result["refused"]) == {"resnet50"}
    trial = latest(database, squares)
    rows = {row["name"]: row for row in trial.results}
    assert set(rows) == {BLIND, "classical", "resnet50", f"classical+{BLIND}"}
    assert rows["classical"]["mean"] > 0.9 > 0.3 > rows[BLIND]["mean"]
    assert rows[BLIND]["version"].startswith(f"{BLIND}@")
    assert rows[BLIND]["seconds"] > 0
    assert rows["resnet50"]["problem"]
    assert (trial.n_figures, trial.n_classes, trial.run_id) == (20, 5, run.id)
    # People are still served by the old model, and its network looks at what is new until the new one serves.
    assert now_as(database, squares).backbone == ""
    with database.reading() as session:
        serving = queries.champion(session, squares.id or 0)
        assert serving is not None
        assert serving.id == before.id
        assert set(queries.predictions_of(session, before.id or 0, figure_ids(database, squares)))
    (training,) = waiting(database)
    assert (training.kind, training.trigger) == (JobKind.RETRAIN, "choice")
    assert training.parameters == {"backbone": "classical"}
    done = carry_on(blind, database, training)
    assert done.result["published"], done.log
    with database.reading() as session:
        after = queries.champion(session, squares.id or 0)
        versions = queries.versions(session, squares.id or 0)
    assert after is not None
    assert after.backbone.startswith("classical")
    assert now_as(database, squares).backbone == "classical"
    assert [one.state for one in versions] == [ModelState.CHAMPION, ModelState.RETIRED]


def test_names_that_cannot_be_had_are_told_and_do_not_stop_it(
    settings: Settings, database: Database, squares: Campaign
) -> None:
    verify(database, squares, range(20))
    more = settings.model_copy(update={"backbones": ("no_such_network", "mobilenet_v3_large", "x" * 90)})
    run = carried_out(more, database, squares, JobKind.CHOOSE)
    assert run.state is JobState.DONE, run.problem
    assert set(run.result["refused"]) == {"no_such_network", "mobilenet_v3_large", "x" * 90}
    assert "There is no backbone" in run.result["refused"]["no_such_network"]
    assert "downloading is switched off" in run.result["refused"]["mobilenet_v3_large"]
    assert (run.result["chosen"], run.result["changed"]) == ("classical", False)


def test_an_image_that_is_gone_is_left_out(settings: Settings, database: Database, squares: Campaign) -> None:
    verify(database, squares, range(20))
    store = ImageStore(settings.data_dir / "images")
    with database.reading() as session:
        (_, first), *_ = illustrations.figures_of_campaign(session, squares.id or 0)
    store.path(first.image_sha1).unlink()
    run = carried_out(settings, database, squares, JobKind.CHOOSE)
    assert (run.state, run.result["figures"]) == (JobState.DONE, 0), run.problem
    assert "1 figures could not be looked at" in run.log
    assert "4 taxa have" in run.result["why"]


def test_where_too_little_is_left_to_train_with_the_new_network_the_present_one_stays_and_answers(
    blind: Settings, database: Database, squares: Campaign
) -> None:
    verify(database, squares, range(20))
    assert carried_out(blind, database, squares, JobKind.RETRAIN).result["published"]
    figures = figure_ids(database, squares)
    with database.writing() as session:  # as after a comparison; then almost all was taken out
        for figure in figures[1:]:
            session.get_one(Figure, figure).removed_at = utc_now()
        asked = runner.ask(session, JobKind.RETRAIN, squares, utc_now(), parameters={"backbone": "classical"})
    done = carry_on(blind, database, asked)
    assert (done.state, done.result["published"]) == (JobState.DONE, False), done.log
    assert now_as(database, squares).backbone == ""
    with database.reading() as session:
        champion = queries.champion(session, squares.id or 0)
    assert champion is not None
    seen = identify_image(blind, database, champion, square(COLOURS[0], 1), utc_now())
    assert (seen.prediction.model_version_id, seen.n_taxa) == (champion.id, 5)


def test_the_clock_asks_once_when_there_is_enough(
    settings: Settings, database: Database, squares: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.writing() as session:
        session.get_one(Campaign, squares.id).retrain_after = 0
    clock = Clock(settings, database)
    verify(database, squares, range(19))
    clock.ask_for_what_is_due()
    assert JobKind.CHOOSE not in {run.kind for run in waiting(database)}
    verify(database, squares, [19])
    clock.ask_for_what_is_due()
    assert JobKind.CHOOSE not in {run.kind for run in waiting(database)}  # it has counted a moment ago
    monkeypatch.setattr(worker, "CHOICE_LOOK_EVERY", timedelta(0))
    clock.ask_for_what_is_due()
    (run,) = [run for run in waiting(database) if run.kind is JobKind.CHOOSE]
    assert run.trigger == "labels"
    assert carry_on(settings, database, run).state is JobState.DONE
    clock.ask_for_what_is_due()
    assert JobKind.CHOOSE not in {run.kind for run in waiting(database)}


def test_the_command_tells_what_was_chosen_and_why(
    blind: Settings, database: Database, squares: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in blind.as_environment().items():
        monkeypatch.setenv(name, value)
    answer = CliRunner().invoke(cli, ["choose", "squares"])
    assert answer.exit_code == 0, answer.output
    assert f"{BLIND} is kept: no taxon has verified figures" in answer.output
    verify(database, squares, range(20))
    told = CliRunner().invoke(cli, ["choose", "squares", "--json"])
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout.splitlines()[-1])["chosen"] == "classical"


# A network's own classes


LABELS = ("Vanessa atalanta (Red Admiral)", "Vanessa cardui (Painted Lady)", "Pieris rapae (Small White)",
          "Parus major (Great Tit)", "Nobody knowsit ()", "background")  # fmt: skip
TIT = "Q920000000"


@pytest.fixture(scope="session")
def lending_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small network of six classes and their names."""
    folder = tmp_path_factory.mktemp("lending")
    torch.manual_seed(1)
    torch.save(torchvision.models.mobilenet_v2(num_classes=6).state_dict(), folder / "mobilenet_v2_small.pth")
    (folder / "small_labels.txt").write_text("\n".join(LABELS), encoding="utf-8")
    return folder


NETWORK = "mobilenet_v2/small"


@pytest.fixture
def lending(settings: Settings, lending_weights: Path) -> Settings:
    return settings.model_copy(update={"weights_dir": lending_weights})


@pytest.fixture
def commons() -> Iterator[StandInCommons]:
    """A wiki that knows the butterflies, and a bird."""
    world = World()
    for one in facts():
        world.taxa.add(one.scientific_name, one.rank or "", one.parent_qids, qid=one.qid)
    world.taxa.add("Parus major", "species", [], qid=TIT)
    with StandInCommons(world) as server:
        yield server


def lent(settings: Settings, database: Database, campaign: Campaign) -> tuple[JobRun, Progress]:
    with database.writing() as session:
        run = runner.ask(session, JobKind.RETRAIN, campaign, utc_now())
        own = session.get_one(Campaign, campaign.id)
        own.backbone, own.root_taxon_qid = NETWORK, ROOT
    with database.writing() as session:
        assert jobs.claim(session, run.id or 0, utc_now())
    return run, Progress(database, run.id or 0)


def lend(settings: Settings, database: Database, campaign: Campaign) -> object:
    """Embed a campaign with the small network and publish its own classes."""
    run, progress = lent(settings, database, campaign)
    campaign = now_as(database, campaign)
    backbone = load_exactly(settings, NETWORK)
    embed(settings, database, campaign, progress, backbone)
    with database.reading() as session:
        data = labels.gather(session, campaign, backbone.version).data
    return own_classes.lend(settings, database, campaign, run, backbone, data, progress)


def test_before_anybody_has_named_anything_the_networks_own_classes_are_suggested(
    lending: Settings, database: Database, campaign: Campaign
) -> None:
    assert lend(lending, database, campaign) is not None
    figures = figure_ids(database, campaign)
    with database.reading() as session:
        champion = queries.champion(session, campaign.id or 0)
        assert champion is not None
        said = queries.predictions_of(session, champion.id or 0, figures)
    assert (champion.origin, champion.report["measured_on"]) == (ModelOrigin.BORROWED, "nothing")
    assert "own classes serve until there is enough" in champion.verdict
    assert set(said) == set(figures)
    assert {row["qid"] for row in said[figures[0]].ranked} == {ADMIRAL, LADY, WHITE}
    notes = " ".join(champion.report["notes"])
    assert "3 are taxa that can occur here" in notes
    assert "Parus major" in notes  # a folder's campaign asks no wiki, so it is unknown
    assert "Nobody knowsit" in notes


def test_on_the_wiki_unknown_names_are_asked_for_and_what_is_outside_the_scope_is_left_out(
    lending: Settings, database: Database, commons: StandInCommons, squares: Campaign
) -> None:
    settings = pointed_at(lending, commons)
    with database.writing() as session:
        own = session.get_one(Campaign, squares.id)
        own.source_kind, own.root_taxon_qid = SourceKind.CATEGORY, FAMILY
        run = runner.ask(session, JobKind.CHOOSE, squares, utc_now())
    progress = Progress(database, run.id or 0)
    reading = own_classes.read_labels(settings, database, now_as(database, squares), LABELS, progress)
    assert dict(reading.mapping) == {LABELS[0]: ADMIRAL, LABELS[1]: LADY}
    assert set(reading.outside) == {LABELS[2], LABELS[3]}
    assert reading.unknown == (LABELS[4],)
    with database.reading() as session:
        kept = taxa.all_qids(session)
        assert {ADMIRAL, LADY, GENUS} <= kept
        assert not {WHITE, TIT} & kept
    nowhere = settings.model_copy(update={"sparql_urls": ()})  # what is known need not be asked again
    again = own_classes.read_labels(nowhere, database, now_as(database, squares), LABELS[:2], progress)
    assert dict(again.mapping) == dict(reading.mapping)


def test_a_wiki_that_does_not_answer_leaves_the_taxa_that_are_known(
    lending: Settings, database: Database, campaign: Campaign
) -> None:
    nowhere = lending.model_copy(update={"sparql_urls": ("http://127.0.0.1:9/sparql",), "wiki_retries": 0})
    with database.writing() as session:
        session.get_one(Campaign, campaign.id).source_kind = SourceKind.CATEGORY
        run = runner.ask(session, JobKind.CHOOSE, campaign, utc_now())
    progress = Progress(database, run.id or 0)
    reading = own_classes.read_labels(nowhere, database, now_as(database, campaign), LABELS, progress)
    progress.flush()
    assert set(reading.mapping.values()) == {ADMIRAL, LADY, WHITE}
    assert set(reading.unknown) == {LABELS[3], LABELS[4]}
    with database.reading() as session:
        assert "could not be asked about 2 names" in session.get_one(JobRun, run.id).log


def test_without_figures_a_network_whose_classes_lie_within_the_scope_is_taken(
    lending: Settings, database: Database, campaign: Campaign
) -> None:
    first = carried_out(lending, database, campaign, JobKind.CHOOSE)
    assert (first.result["chosen"], first.result["changed"]) == ("classical", False)  # no scope, no reason
    for run in waiting(database):
        carry_on(lending, database, run)
    with database.writing() as session:
        session.get_one(Campaign, campaign.id).root_taxon_qid = GENUS
    second = carried_out(lending, database, campaign, JobKind.CHOOSE)
    assert (second.result["chosen"], second.result["changed"], second.result["training"]) == (NETWORK, True, True)
    assert "it knows 2 taxa within the scope by itself" in second.result["why"]
    assert now_as(database, campaign).backbone == NETWORK


def test_a_network_without_names_lends_nothing(settings: Settings, database: Database, campaign: Campaign) -> None:
    run, progress = lent(settings, database, campaign)
    backbone = load_exactly(settings, "classical")
    with database.reading() as session:
        data = labels.gather(session, campaign, backbone.version).data
    assert own_classes.lend(settings, database, campaign, run, backbone, data, progress) is None
