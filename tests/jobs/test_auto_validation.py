"""The model verifies alone only where a curator lets it, only what is proven, and only until a person speaks."""

from collections.abc import Callable

import pytest
from sqlmodel import Session, col, select
from starlette.testclient import TestClient

from icones.campaigns import model_settings
from icones.campaigns.model_settings import ModelSettings
from icones.campaigns.service import Door
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.depicts import outbox
from icones.depicts import service as depicts
from icones.depicts.service import WritingRules
from icones.errors import BadInputError
from icones.exports import csv_form
from icones.exports import service as exports
from icones.identifications import queries, service
from icones.jobs import alone, runner
from icones.jobs.runner import Progress
from icones.learning import labels
from icones.learning import queries as learning
from icones.models import (
    Campaign,
    DepictsEdit,
    Determination,
    DeterminationState,
    EditAction,
    EditBatch,
    EditState,
    Figure,
    Illustration,
    JobKind,
    ModelVersion,
    Pen,
    Prediction,
    ReviewTask,
    Role,
    Writes,
)
from tests.support.campaigns import ADMIRAL, LADY, WHITE, figure_ids
from tests.support.foretold import foretold
from tests.support.voices import carried_out, says, somebody, verified

VERIFIED, PREDICTED = DeterminationState.VERIFIED, DeterminationState.PREDICTED


def proven(
    database: Database,
    campaign: Campaign,
    least: float = 0.99,
    target: float = 0.99,
    known: bool = True,
    on_checked_holdout: bool = True,
) -> None:
    """Write into the serving version's card what hundreds of figures would prove, for admirals and for ladies."""
    with database.writing() as session:
        version = session.exec(select(ModelVersion).where(ModelVersion.campaign_id == campaign.id)).one()
        rows = [{"qid": qid, "target": target, "threshold": least} for qid in (ADMIRAL, LADY)]
        card = dict(version.report.get("card") or {}) | {
            "thresholds": [*rows, {"qid": WHITE, "target": target, "threshold": None}],
            "proof": {"target": target, "n": 800, "n_sources": 800, "least_sources": 368}
            if on_checked_holdout
            else None,
        }
        version.report = {**version.report, "card": card}
        session.add(version)
        for row in session.exec(select(Prediction).where(Prediction.model_version_id == version.id)):
            row.verdict = "known" if known else "near"
            session.add(row)


def turned(database: Database, campaign: Campaign, on: bool = True, precision: float = 0.99) -> None:
    """Let a curator turn it on or off."""
    with database.writing() as session:
        own = session.get_one(Campaign, campaign.id)
        wanted = ModelSettings(auto_precision=precision, auto_validates=on)
        model_settings.save(session, Door(own, Role.CURATOR), None, wanted)


def settle(database: Database, campaign: Campaign) -> int:
    """Do what is done after each version is published."""
    with database.writing() as session:
        run = runner.ask(session, JobKind.PREDICT, campaign, utc_now())
    return alone.settle(database, campaign, Progress(database, run.id or 0))


def rows(database: Database, campaign: Campaign) -> list[Determination]:
    with database.reading() as session:
        found = queries.determinations(session, figure_ids(database, campaign))
        return [found[key] for key in sorted(found)]


@pytest.fixture
def told(database: Database, campaign: Campaign) -> list[int]:
    """Three figures that a model is sure of (admiral, lady, white), and a fourth that it is less sure of."""
    figures = figure_ids(database, campaign)
    foretold(database, campaign, dict(zip(figures, [[(qid, 0.997)] for qid in (ADMIRAL, LADY, WHITE)], strict=False)))
    with database.writing() as session:
        version = session.exec(select(ModelVersion)).one()
        session.add(
            Prediction(
                model_version_id=version.id or 0,
                figure_id=figures[3],
                ranked=[{"qid": ADMIRAL, "p": 0.98}],
                margin=0.5,
                entropy=0.2,
                created_at=utc_now(),
            )
        )
        service.recompute(session, session.get_one(Campaign, campaign.id), figures, utc_now())
    return figures


def test_from_training_to_exports_and_never_into_the_next_training(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    figures = verified(database, campaign, range(7))
    carried_out(settings, database, campaign, JobKind.RETRAIN)
    proven(database, campaign, least=0.3)
    carried_out(settings, database, campaign, JobKind.PREDICT)
    assert [one.state for one in rows(database, campaign)][7:] == [PREDICTED] * 5  # nobody has turned it on
    turned(database, campaign)
    carried_out(settings, database, campaign, JobKind.PREDICT)
    after = rows(database, campaign)
    by_model = [one for one in after if one.is_by_model]
    assert {figures.index(one.figure_id) for one in by_model} == {7, 9, 10}  # whites have no threshold
    assert {one.taxon_qid for one in by_model} == {ADMIRAL, LADY}
    assert all(one.settled_by is None and "turned on by a curator" in one.rule for one in by_model)
    with database.writing() as session:
        waiting = set(session.exec(select(ReviewTask.figure_id)))
        assert waiting == {figures[8], figures[11]}
        passages = queries.changes(session, figures[7])
        assert (passages[-1].after, passages[-1].model_version_id is not None) == (VERIFIED, True)
        version = session.exec(select(ModelVersion)).one()
        own = session.get_one(Campaign, campaign.id)
        record = labels.gather(session, own, version.backbone).record
        assert {row["figure"] for row in record} == set(figures[:7])
        assert queries.n_verified_since(session, own.id or 0, None) == 7
        taken = exports.take(session, own, None, utc_now())
    told = [row["validator_role"] for row in csv_form.read_back(taken.content)]
    assert (told.count("model"), told.count("specialist")) == (3, 7)
    turned(database, campaign, on=False)
    assert settle(database, campaign) == 3
    assert rows(database, campaign)[7].rule == ""
    with database.reading() as session:
        assert queries.changes(session, figures[7])[-1].rule == "The model's word alone no longer counts."


def test_another_share_is_measured_by_the_next_training_though_the_model_stays(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    verified(database, campaign, range(7))
    for precision in (0.99, 0.95):
        turned(database, campaign, precision=precision)
        with database.reading() as session:
            own = session.get_one(Campaign, campaign.id)
        carried_out(settings, database, own, JobKind.RETRAIN)
        with database.reading() as session:
            champion = learning.champion(session, campaign.id or 0)
        assert champion is not None
        assert champion.number == 1
        assert champion.report["card"]["proof"]["target"] == precision
        assert precision in [row["target"] for row in champion.report["card"]["pooled"]]


def test_only_what_is_proven_at_the_asked_precision_and_looks_known(
    database: Database, campaign: Campaign, told: list[int]
) -> None:
    turned(database, campaign)
    for unproven in ({"least": 0.998}, {"target": 0.95}, {"known": False}, {"on_checked_holdout": False}):
        proven(database, campaign, **unproven)
        assert settle(database, campaign) == 0
    proven(database, campaign)
    assert settle(database, campaign) == 2
    assert [one.state for one in rows(database, campaign)][:4] == [VERIFIED, VERIFIED, PREDICTED, PREDICTED]
    assert rows(database, campaign)[0].rule == (
        "The model alone: probability 0.997, at or above 0.99 for this taxon, "
        "where at least 99 % were right (version 1); turned on by a curator."
    )
    assert settle(database, campaign) == 0  # again, there is nothing to do
    proven(database, campaign, least=0.999)  # as a later version's card would have it
    assert settle(database, campaign) == 2
    assert [one.state for one in rows(database, campaign)][:4] == [PREDICTED] * 4


def test_a_persons_word_comes_first_whatever_it_is(database: Database, campaign: Campaign, told: list[int]) -> None:
    turned(database, campaign)
    proven(database, campaign)
    settle(database, campaign)
    anna = somebody(database, campaign, "Anna")
    for word in (LADY, ADMIRAL, None):  # another name, the same, and "cannot tell"
        said = says(database, anna, told[0], word)
        assert (said.determination.state, said.determination.taxon_qid) == (PREDICTED, None)
        settle(database, campaign)
        assert rows(database, campaign)[0].state is PREDICTED
    with database.writing() as session:
        back = service.withdraw(session, anna, said.identification.id or 0, utc_now())
        assert (back.state, back.is_by_model) == (VERIFIED, True)  # nobody says anything: as before
    cora = somebody(database, campaign, "Cora", Role.SPECIALIST)
    final = says(database, cora, told[0], WHITE).determination
    assert (final.state, final.taxon_qid, final.is_by_model) == (VERIFIED, WHITE, False)
    turned(database, campaign, on=False)
    settle(database, campaign)
    assert [one.state for one in rows(database, campaign)][:2] == [VERIFIED, PREDICTED]


def test_it_never_becomes_an_edit_nor_a_removal(database: Database, campaign: Campaign, told: list[int]) -> None:
    says(database, somebody(database, campaign, "Cora", Role.SPECIALIST), told[5], WHITE)
    as_if = Campaign(**campaign.model_dump(exclude={"writes"}), writes=Writes.BOT)
    with database.writing() as session:
        for number, file in enumerate(session.exec(select(Illustration).order_by(col(Illustration.id))), 100):
            file.mid, file.revision = f"M{number}", 1
            session.add(file)
        written = [_written(session, session.get_one(Figure, told[place]), WHITE) for place in (0, 2)]
    turned(database, campaign)
    proven(database, campaign)
    settle(database, campaign)
    with database.writing() as session:
        outbox.fill(session, as_if, utc_now())
        made = session.exec(select(DepictsEdit).where(col(DepictsEdit.id).not_in(written))).all()
        assert [edit.figure_id for edit in made] == [told[5]]  # the specialist's word, and no other
    # What we once wrote is not taken back because a model thinks otherwise, but because a person does.
    says(database, somebody(database, campaign, "Cora", Role.SPECIALIST), told[2], LADY)
    with database.reading() as session:
        (removal,) = session.exec(select(DepictsEdit).where(DepictsEdit.action == EditAction.REMOVE)).all()
        assert removal.undoes_id == written[1]


def _written(session: Session, figure: Figure, qid: str) -> int:
    """Put down that we stated a taxon of a figure on the wiki."""
    now = utc_now()
    batch = EditBatch(campaign_id=figure.campaign_id, pen=Pen.BOT, mark=f"{figure.id:012x}", created_at=now)
    session.add(batch)
    session.flush()
    edit = DepictsEdit(
        campaign_id=figure.campaign_id,
        illustration_id=figure.illustration_id,
        figure_id=figure.id or 0,
        batch_id=batch.id,
        qid=qid,
        guid=f"M{figure.id}$made",
        state=EditState.DONE,
        account="IconesBot",
        wrote_at=now,
        created_at=now,
    )
    session.add(edit)
    session.flush()
    return edit.id or 0


def test_writing_and_verifying_alone_exclude_each_other_in_both_orders(
    database: Database, campaign: Campaign, client_of: Callable[..., TestClient]
) -> None:
    turned(database, campaign)
    with database.reading() as session, pytest.raises(BadInputError, match="The model verifies figures alone here"):
        depicts.set_writing(session, session.get_one(Campaign, campaign.id), WritingRules(Writes.BOT), utc_now())
    turned(database, campaign, on=False)
    with database.writing() as session:
        depicts.set_writing(session, session.get_one(Campaign, campaign.id), WritingRules(Writes.BOT), utc_now())
    with pytest.raises(BadInputError, match="This campaign writes to Commons"):
        turned(database, campaign)
    with database.reading() as session:
        assert session.get_one(Campaign, campaign.id).auto_validates is False
