"""Networks that fail, and networks that change: nothing is lost by the one, and nobody waits for the other."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
import torchvision
from sqlmodel import select

from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.errors import NotReadyError
from icones.illustrations import queries as illustrations
from icones.illustrations import service as illustration_service
from icones.illustrations.service import Listed
from icones.illustrations.store import ImageStore
from icones.jobs import runner
from icones.jobs.all import JOBS
from icones.jobs.embedding import backbone_of, network_of_version
from icones.jobs.identify import embed_image
from icones.learning import fingerprints, queries, service
from icones.learning.service import network_of
from icones.models import Campaign, Embedding, Fingerprint, JobKind, JobRun, JobState, ModelVersion
from tests.support.campaigns import drawing, figure_ids, make_campaign
from tests.support.voices import carried_out, verified

NETWORK = "squeezenet1_1"
State = Mapping[str, torch.Tensor]
only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture(scope="session")
def state() -> State:
    """The weights of a small network, drawn."""
    torch.manual_seed(3)
    drawn: State = torchvision.models.squeezenet1_1(weights=None).state_dict()
    return drawn


def put(settings: Settings, state: State, damaged: bool = False) -> None:
    """Put the weights into the weights folder, whole or with one number that is none."""
    assert settings.weights_dir is not None
    kept = {key: one.clone() for key, one in state.items()}
    if damaged:
        kept["features.0.weight"][0, 0, 0, 0] = torch.nan
    file = settings.weights_dir / f"{NETWORK}.pth"
    before = file.stat().st_mtime_ns if file.exists() else 0
    torch.save(kept, file)
    os.utime(file, ns=(before + 10**9, before + 10**9))  # as if a second had passed


@pytest.fixture
def place(settings: Settings, state: State, tmp_path: Path) -> Settings:
    """An installation with a small network in its weights folder, which campaigns have to name to use."""
    (tmp_path / "networks").mkdir()
    found = settings.model_copy(update={"weights_dir": tmp_path / "networks"})
    put(found, state)
    return found


def takes(database: Database, campaign: Campaign, network: str) -> None:
    with database.writing() as session:
        session.get_one(Campaign, campaign.id).backbone = network


def network_now(database: Database, campaign: Campaign) -> str:
    with database.reading() as session:
        return session.get_one(Campaign, campaign.id).backbone


def retrained(settings: Settings, database: Database, campaign: Campaign, network: str) -> JobRun:
    """Train with another network, as a comparison asks for it."""
    with database.writing() as session:
        asked = runner.ask(session, JobKind.RETRAIN, campaign, utc_now(), parameters={"backbone": network})
    runner.execute(settings, database, asked.id or 0, JOBS)
    with database.reading() as session:
        return session.get_one(JobRun, asked.id)


def champion(database: Database, campaign: Campaign) -> ModelVersion:
    with database.reading() as session:
        found = queries.champion(session, campaign.id or 0)
    assert found is not None
    return found


def served_by_the_network(settings: Settings, database: Database, campaign: Campaign) -> ModelVersion:
    """A version that was trained with the network, and serves."""
    verified(database, campaign, range(9))
    takes(database, campaign, NETWORK)
    assert carried_out(settings, database, campaign, JobKind.RETRAIN).result["published"]
    return champion(database, campaign)


def new_plate(settings: Settings, database: Database, campaign: Campaign, number: int) -> int:
    """Add a plate; return its figure."""
    store = ImageStore(settings.data_dir / "images")
    with database.writing() as session:
        known = illustrations.by_key(session, campaign.id or 0)
        listing = [Listed(key=key, title=row.title) for key, row in known.items()]
        listing += [Listed(key=f"new-{number}.jpg", title=f"New {number}", width=240, height=240, mime="image/jpeg")]
        illustration_service.save_listing(session, campaign, listing, utc_now())
        row = illustrations.by_key(session, campaign.id or 0)[f"new-{number}.jpg"]
        illustration_service.image_fetched(session, row.id or 0, store.keep(drawing(number % 3, 500 + number)))
        return illustrations.figures(session, row.id or 0)[0].id or 0


def speaks_of(database: Database, version: ModelVersion, figure: int) -> bool:
    with database.reading() as session:
        return figure in queries.predictions_of(session, version.id or 0, [figure])


# A network that gives no numbers


def test_a_network_without_numbers_fails_the_run_and_spoils_nothing(
    place: Settings, database: Database, campaign: Campaign, state: State
) -> None:
    takes(database, campaign, "classical")
    assert carried_out(place, database, campaign, JobKind.EMBED).result["embedded"] == 12
    with database.reading() as session:
        prints = {row.figure_id: (row.phash, row.group_id) for row in session.exec(select(Fingerprint))}
    takes(database, campaign, NETWORK)
    put(place, state, damaged=True)
    failed = carried_out(place, database, campaign, JobKind.EMBED)
    assert failed.state is JobState.FAILED
    assert f"{NETWORK} gave no usable vector for 12 of 12 figures" in failed.problem
    assert "Figure" in failed.log
    with database.reading() as session:
        assert {row.figure_id: (row.phash, row.group_id) for row in session.exec(select(Fingerprint))} == prints
        assert fingerprints.problems_of(session, campaign.id or 0) == []
    # Sound weights in their place, and the same process makes it good; so would another network.
    put(place, state)
    done = carried_out(place, database, campaign, JobKind.EMBED)
    assert (done.state, done.result["embedded"], done.result["unreadable"]) == (JobState.DONE, 12, 0), done.log
    assert "without_vector" not in done.result


def test_in_parts_too_and_what_was_written_down_before_is_tried_again(
    place: Settings, database: Database, campaign: Campaign, state: State
) -> None:
    takes(database, campaign, NETWORK)
    put(place, state, damaged=True)
    many = place.model_copy(update={"shard_figures": 2})
    failed = carried_out(many, database, campaign, JobKind.EMBED)
    assert failed.state is JobState.FAILED
    assert "gave no usable vector for 12 of 12 figures" in failed.problem
    with database.writing() as session:
        for item in service.to_embed(session, campaign, "any"):
            session.add(
                Fingerprint(
                    figure_id=item.figure_id,
                    source=item.source,
                    problem="the network gave no usable vector",
                    created_at=utc_now(),
                )
            )
    put(place, state)
    assert carried_out(many, database, campaign, JobKind.EMBED).result["embedded"] == 12


@only_sqlite
def test_a_few_figures_without_a_vector_are_listed_and_tried_again(
    place: Settings, database: Database, state: State
) -> None:
    campaign = make_campaign(place, database, utc_now(), per_kind=1)
    takes(database, campaign, NETWORK)
    put(place, state, damaged=True)
    for _ in range(2):
        done = carried_out(place, database, campaign, JobKind.EMBED)
        assert done.state is JobState.DONE, done.problem
        assert (done.result["embedded"], done.result["unreadable"], done.result["without_vector"]) == (0, 0, 3)
        for figure in figure_ids(database, campaign):
            assert f"Figure {figure}: the network gave no usable vector" in done.log


@only_sqlite
def test_a_picture_that_a_damaged_network_makes_nothing_of_is_answered_in_words(
    place: Settings, database: Database, campaign: Campaign, state: State
) -> None:
    takes(database, campaign, NETWORK)
    put(place, state, damaged=True)
    with database.reading() as session:
        own = session.get_one(Campaign, campaign.id)
    version = backbone_of(place, own, print).version
    with pytest.raises(NotReadyError, match="makes nothing of this picture"):
        embed_image(place, version, drawing(1, 7))


# Networks that change


def test_a_version_tells_its_network() -> None:
    assert network_of("squeezenet1_1@0123456789ab") == "squeezenet1_1"
    joined = "classical@ab12+open_clip:ViT-B-32@laion2b@0123456789ab+mobilenet_v2/inat@99"
    assert network_of(joined) == "classical+open_clip:ViT-B-32@laion2b+mobilenet_v2/inat"


def test_while_the_network_changes_the_serving_model_speaks_of_new_plates(
    place: Settings, database: Database, campaign: Campaign, state: State
) -> None:
    verified(database, campaign, range(9))
    takes(database, campaign, "classical")
    assert carried_out(place, database, campaign, JobKind.RETRAIN).result["published"]
    serving = champion(database, campaign)
    # The training with the new network fails, as its weights are damaged: what is new is told all the same.
    first = new_plate(place, database, campaign, 1)
    put(place, state, damaged=True)
    failed = retrained(place, database, campaign, NETWORK)
    assert (failed.state, "gave no usable vector" in failed.problem) == (JobState.FAILED, True)
    assert speaks_of(database, serving, first)
    # The next training, whoever asks for it, tries the network again. It is no better: the campaign keeps its own.
    put(place, state)
    second = new_plate(place, database, campaign, 2)
    done = carried_out(place, database, campaign, JobKind.RETRAIN)
    assert (done.state, done.result["published"]) == (JobState.DONE, False), done.log
    assert "the present network stays" in done.log
    assert network_now(database, campaign) == "classical"
    assert speaks_of(database, serving, second)
    # Somebody who sets another network by hand does not silence the model either.
    takes(database, campaign, NETWORK)
    third = new_plate(place, database, campaign, 3)
    assert carried_out(place, database, campaign, JobKind.PREDICT).state is JobState.DONE
    assert speaks_of(database, serving, third)
    assert champion(database, campaign).id == serving.id


def test_after_going_back_across_networks_new_plates_are_told_by_the_version_that_serves(
    place: Settings, database: Database, campaign: Campaign
) -> None:
    old = served_by_the_network(place, database, campaign)
    assert old.backbone.startswith(f"{NETWORK}@")
    done = retrained(place, database, campaign, "classical")
    assert done.result["published"], done.log
    assert network_now(database, campaign) == "classical"
    with database.writing() as session:
        own = session.get_one(Campaign, campaign.id)
        service.serve_version(session, own, old.number, "Put back.", utc_now())
    assert network_now(database, campaign) == NETWORK
    figure = new_plate(place, database, campaign, 4)
    assert carried_out(place, database, campaign, JobKind.PREDICT).state is JobState.DONE
    assert champion(database, campaign).id == old.id
    assert speaks_of(database, old, figure)
    with database.reading() as session:
        seen_by = {row.backbone for row in session.exec(select(Embedding).where(Embedding.figure_id == figure))}
    assert seen_by == {old.backbone}


@only_sqlite
def test_a_serving_network_whose_weights_are_gone_is_told_and_stops_nothing(
    place: Settings, database: Database, campaign: Campaign
) -> None:
    serving = served_by_the_network(place, database, campaign)
    assert network_of_version(place, serving.backbone).version == serving.backbone
    assert place.weights_dir is not None
    (place.weights_dir / f"{NETWORK}.pth").unlink()
    with pytest.raises(NotReadyError, match="is not at hand"):
        network_of_version(place, serving.backbone)
    figure = new_plate(place, database, campaign, 5)
    done = carried_out(place, database, campaign, JobKind.PREDICT)
    assert done.state is JobState.DONE, done.problem
    assert "Of new figures model version 1 says nothing" in done.log
    assert not speaks_of(database, serving, figure)
