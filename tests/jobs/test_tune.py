"""Fine-tuning by command, and the comparison that judges what comes of it on figures it has not seen."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import torchvision
from typer.testing import CliRunner

from active_learning import in_holdout
from active_learning.fine_tuning import tune
from active_learning.tuning_files import Seen, TuningConfig, TuningFigure, held, install, prepare, seen_by
from icones.cli import app as cli
from icones.clock import utc_now
from icones.commands.tuning import to_learn_from
from icones.config import Settings
from icones.db import Database
from icones.illustrations import queries as illustrations
from icones.illustrations.store import ImageStore
from icones.jobs.embedding import backbone_of
from icones.learning import labels, trials
from icones.learning.trials import Comparable
from icones.models import Campaign, Figure, Fingerprint, JobKind, JobState, Role
from tests.jobs.test_choose import SOURCES, TAXA, latest, make_squares, square, squares, verify
from tests.support.voices import carried_out, says, somebody

__all__ = ["squares"]
NETWORK = "mobilenet_v3_small"
PLATES = 5 * SOURCES
QUICK = TuningConfig(epochs=1, side=32)
only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture(scope="session")
def small_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small network of drawn weights."""
    folder = tmp_path_factory.mktemp("small")
    torch.manual_seed(1)
    torch.save(torchvision.models.mobilenet_v3_small(num_classes=3).state_dict(), folder / f"{NETWORK}.pth")
    return folder


def with_weights(settings: Settings, weights: Path, place: Path) -> Settings:
    """The same installation with a weights folder of its own."""
    return settings.model_copy(update={"weights_dir": Path(shutil.copytree(weights, place / "weights"))})


@pytest.fixture
def ready(settings: Settings, database: Database, squares: Campaign, small_weights: Path, tmp_path: Path) -> Settings:
    """An installation with a weights folder of its own, and a campaign whose plates are embedded and verified."""
    found = with_weights(settings, small_weights, tmp_path)
    verify(database, squares, range(PLATES))
    assert carried_out(found, database, squares, JobKind.EMBED).state is JobState.DONE
    return found


def tuned_on(settings: Settings, figures: list[TuningFigure]) -> str:
    """Tune on these figures, here and quickly; return the name of the network."""
    assert settings.weights_dir is not None
    folder = prepare(settings.data_dir / "tuning", NETWORK, figures, settings.weights_dir, QUICK)
    tune(folder, device="cpu")
    return install(folder, settings.weights_dir, "squares")


def images_of(database: Database, campaign: Campaign) -> list[str]:
    with database.reading() as session:
        return [row.image_sha1 for _, row in illustrations.figures_of_campaign(session, campaign.id or 0)]


@only_sqlite
def test_the_command_tunes_on_what_is_verified_and_not_held_out(
    ready: Settings, database: Database, squares: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ready.as_environment().items():
        monkeypatch.setenv(name, value)
    asked = ["tune", "squares", "--backbone", NETWORK, "--epochs", "1", "--json"]
    figures, config = to_learn_from(ready, database, squares), TuningConfig(epochs=1, seed=squares.seed)
    with held(prepare(ready.data_dir / "tuning", NETWORK, figures, ready.weights_dir, config)):
        assert "Another process is at work on the same tuning" in str(CliRunner().invoke(cli, asked).exception)
    answer = CliRunner().invoke(cli, asked)
    assert answer.exit_code == 0, f"{answer.output} {answer.exception}"
    told = json.loads(answer.stdout.splitlines()[-1])
    with database.reading() as session:
        version = backbone_of(ready, squares, print).version
        rows = labels.gather(session, squares, version).record
    kept = {row["source"].split()[0]: row["group"] for row in rows}
    held_out = {one for one, group in kept.items() if in_holdout(group, squares.holdout_fraction, squares.seed)}
    seen = seen_by(told["backbone"], ready.weights_dir)
    assert held_out
    assert seen.images == set(kept) - held_out
    assert told["figures"] == len(seen.images)
    assert [row["epoch"] for row in told["history"]] == [0, 1]
    assert not list((ready.data_dir / "tuning").iterdir())
    # What is not at hand or cannot be tuned is told in words.
    refused = CliRunner().invoke(cli, ["tune", "squares", "--backbone", "classical"])
    assert "only networks of torchvision" in str(refused.exception)
    monkeypatch.delenv("ICONES_WEIGHTS_DIR")
    assert "set ICONES_WEIGHTS_DIR" in str(CliRunner().invoke(cli, ["tune", "squares"]).exception)


def test_where_too_little_is_left_the_tuned_network_is_refused_and_the_others_are_compared(
    ready: Settings, database: Database, squares: Campaign
) -> None:
    name = tuned_on(ready, to_learn_from(ready, database, squares))
    run = carried_out(ready, database, squares, JobKind.CHOOSE)
    assert run.state is JobState.DONE, run.problem
    assert run.result["refused"].keys() == {name}
    assert f"Without the figures that {name} was tuned on, no taxon has" in run.result["refused"][name]
    assert run.result["figures"] == PLATES
    assert "left out" not in run.result["why"]
    refused = [row for row in latest(database, squares).results if "problem" in row]
    assert [row["name"] for row in refused] == [name]
    # As the campaign's present network it is kept: there is nothing to compare it on.
    with database.writing() as session:
        session.get_one(Campaign, squares.id).backbone = name
    again = carried_out(ready, database, squares, JobKind.CHOOSE)
    assert (again.result["chosen"], again.result["changed"], again.result["figures"]) == (name, False, 0)
    assert f"{name} is kept: without the figures that {name} was tuned on, no taxon has" in again.result["why"]
    # The same where nobody knows any longer what it was tuned on: to be measured on nothing is no reason to go.
    assert ready.weights_dir is not None
    next(ready.weights_dir.glob("*.json")).unlink()
    lost = carried_out(ready, database, squares, JobKind.CHOOSE)
    assert (lost.result["chosen"], lost.result["changed"], lost.result["figures"]) == (name, False, 0)
    assert f"{name} is kept: What {name} was tuned on is not known" in lost.result["why"]


@only_sqlite
def test_a_network_tuned_on_other_plates_is_compared_as_any_other(
    ready: Settings, database: Database, squares: Campaign, tmp_path: Path
) -> None:
    others = []
    for number in range(4):
        file = tmp_path / f"other-{number}.png"
        file.write_bytes(square((200, 30 * number, 30), 100 + number))
        others.append(TuningFigure(file, None, f"kind {number % 2}", f"book {number}"))
    name = tuned_on(ready, others)
    run = carried_out(ready, database, squares, JobKind.CHOOSE)
    assert run.state is JobState.DONE, run.problem
    assert (run.result["refused"], run.result["figures"]) == ({}, PLATES)
    assert name in {row["name"] for row in latest(database, squares).results}
    assert "left out" not in run.result["why"]
    # Without its list nobody knows what it may be measured on.
    assert ready.weights_dir is not None
    next(ready.weights_dir.glob("*.json")).unlink()
    refused = carried_out(ready, database, squares, JobKind.CHOOSE).result["refused"]
    assert "is not known" in refused[name]


@only_sqlite
def test_all_networks_are_measured_on_the_same_figures_that_no_tuned_one_has_seen(
    settings: Settings, database: Database, small_weights: Path, tmp_path: Path
) -> None:
    ready = with_weights(settings, small_weights, tmp_path)
    campaign = make_squares(settings, database, PLATES + 5)
    verify(database, campaign, range(PLATES + 5))
    store = ImageStore(settings.data_dir / "images")
    seen = images_of(database, campaign)[:3]
    name = tuned_on(ready, [TuningFigure(store.path(one), None, TAXA[n], f"book {n}") for n, one in enumerate(seen)])
    run = carried_out(ready, database, campaign, JobKind.CHOOSE)
    assert (run.state, run.result["refused"]) == (JobState.DONE, {}), run.problem
    assert run.result["figures"] == PLATES + 5 - 3
    assert "3 verified figures are left out for all, as a network was tuned on their sources." in run.result["why"]
    rows = {row["name"]: row for row in latest(database, campaign).results}
    assert {name, NETWORK, "classical"} <= rows.keys()


def unseen(database: Database, campaign: Campaign, **seen: Seen) -> Comparable:
    with database.reading() as session:
        return trials.comparable(session, campaign, PLATES, seen, "tuned")


def test_what_stems_from_a_seen_source_is_left_out(ready: Settings, database: Database, squares: Campaign) -> None:
    first, second, third, *_ = images_of(database, squares)
    everything = unseen(database, squares)
    group = everything.figures.groups[everything.figures.pictures.index((first, None))]
    by_image = unseen(database, squares, tuned=Seen(images=frozenset({first})))
    by_group = unseen(database, squares, tuned=Seen(groups=frozenset({group})))
    unmoved = unseen(database, squares, tuned=Seen(frozenset({"elsewhere"}), frozenset({"another"})))
    assert len(everything.figures.ids) == len(unmoved.figures.ids) == PLATES
    assert by_image.figures.ids == by_group.figures.ids
    assert (everything.n_left_out, by_image.n_left_out, unmoved.n_left_out) == (0, 1, 0)
    assert set(everything.figures.pictures) - set(by_image.figures.pictures) == {(first, None)}
    # Its near-duplicates go with it, even where its own name was withdrawn since, or it was removed.
    with database.writing() as session:
        figures = {row.image_sha1: one for one, row in illustrations.figures_of_campaign(session, squares.id or 0)}
        for image in (first, second, third):
            session.get_one(Fingerprint, figures[image].id).group_id = figures[first].id
        session.get_one(Figure, figures[second].id).removed_at = utc_now()
    says(database, somebody(database, squares, "Dora", Role.SPECIALIST), figures[first].id or 0, TAXA[1])
    alike = unseen(database, squares, tuned=Seen(images=frozenset({first})))
    assert (third, None) in unseen(database, squares).figures.pictures
    assert (third, None) not in alike.figures.pictures
    assert len(alike.figures.ids) == PLATES - 3
